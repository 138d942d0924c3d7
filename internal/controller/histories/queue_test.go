// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package histories

import (
	"cmp"
	"slices"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

// queue is a work queue whose order the history draws. Nothing in it depends on chance that the seed doesn't
// know: delays, which carry jitter, are rounded up.
type queue struct {
	now    func() time.Time
	due    map[reconcile.Request]time.Time
	failed map[reconcile.Request]int
}

func newQueue(now func() time.Time) *queue {
	return &queue{now: now, due: map[reconcile.Request]time.Time{}, failed: map[reconcile.Request]int{}}
}

// rounded are the delays that there are.
var rounded = []time.Duration{0, 10 * time.Second, time.Minute, 20 * time.Minute}

func (q *queue) Add(r reconcile.Request) { q.due[r] = time.Time{} }

func (q *queue) AddAfter(r reconcile.Request, after time.Duration) {
	i, _ := slices.BinarySearch(rounded, after)
	at := q.now().Add(rounded[min(i, len(rounded)-1)])
	if due, waits := q.due[r]; !waits || at.Before(due) {
		q.due[r] = at
	}
}

func (q *queue) AddRateLimited(r reconcile.Request) {
	delay := 100 * time.Millisecond << min(q.failed[r], 10)
	q.failed[r]++
	q.AddAfter(r, min(delay, time.Minute))
}

func (q *queue) Forget(r reconcile.Request)          { delete(q.failed, r) }
func (q *queue) NumRequeues(r reconcile.Request) int { return q.failed[r] }

// ready are the requests that may be worked on, in order.
func (q *queue) ready() (list []reconcile.Request) {
	for r, due := range q.due {
		if !due.After(q.now()) {
			list = append(list, r)
		}
	}
	slices.SortFunc(list, func(a, b reconcile.Request) int { return cmp.Compare(a.String(), b.String()) })
	return list
}

// The rest of workqueue.TypedRateLimitingInterface; histories take requests by ready.
func (q *queue) Len() int                       { return len(q.due) }
func (q *queue) Get() (reconcile.Request, bool) { panic("histories take requests themselves") }
func (q *queue) Done(reconcile.Request)         {}
func (q *queue) ShutDown()                      {}
func (q *queue) ShutDownWithDrain()             {}
func (q *queue) ShuttingDown() bool             { return false }
