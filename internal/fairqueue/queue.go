// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package fairqueue

import (
	"time"

	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/controller/priorityqueue"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

// queue is client-go's queue, with its delays, limits and metrics, over a storage.
type queue struct {
	workqueue.TypedRateLimitingInterface[reconcile.Request]
	storage *storage
}

var _ priorityqueue.PriorityQueue[reconcile.Request] = &queue{}

// New makes queues for controllers with that many workers. Namespaces take turns, and one has at most half of the
// workers (rounded down, at least one) at a time, so that those for which an object takes long leave some to the others;
// what has no namespace may have all. It is a PriorityQueue of controller-runtime, so that handlers tell it what didn't
// change: that waits behind the changes of its namespace.
func New(workers int) func(controller string, retries workqueue.TypedRateLimiter[reconcile.Request]) workqueue.TypedRateLimitingInterface[reconcile.Request] {
	return func(controller string, retries workqueue.TypedRateLimiter[reconcile.Request]) workqueue.TypedRateLimitingInterface[reconcile.Request] {
		s := newStorage(max(1, workers/2))
		return &queue{storage: s, TypedRateLimitingInterface: workqueue.NewTypedRateLimitingQueueWithConfig(retries, workqueue.TypedRateLimitingQueueConfig[reconcile.Request]{
			Name: controller,
			DelayingQueue: workqueue.NewTypedDelayingQueueWithConfig(workqueue.TypedDelayingQueueConfig[reconcile.Request]{
				Name:  controller,
				Queue: workqueue.NewTypedWithConfig(workqueue.TypedQueueConfig[reconcile.Request]{Name: controller, Queue: s}),
			}),
		})}
	}
}

// Add adds a change.
func (q *queue) Add(r reconcile.Request) { q.AddWithOpts(priorityqueue.AddOpts{}, r) }

// AddAfter adds a change, later.
func (q *queue) AddAfter(r reconcile.Request, after time.Duration) {
	q.AddWithOpts(priorityqueue.AddOpts{After: after}, r)
}

// AddRateLimited adds a change after a time that grows with each failure.
func (q *queue) AddRateLimited(r reconcile.Request) {
	q.AddWithOpts(priorityqueue.AddOpts{RateLimited: true}, r)
}

// AddWithOpts adds requests as priorityqueue.PriorityQueue says. Of priorities, the sign alone matters.
func (q *queue) AddWithOpts(o priorityqueue.AddOpts, requests ...reconcile.Request) {
	priority := 0
	if o.Priority != nil {
		priority = *o.Priority
	}
	for _, r := range requests {
		q.storage.prefer(r, priority)
		switch {
		case o.RateLimited:
			q.TypedRateLimitingInterface.AddRateLimited(r)
		case o.After > 0:
			q.TypedRateLimitingInterface.AddAfter(r, o.After)
		default:
			q.TypedRateLimitingInterface.Add(r)
		}
	}
}

// Get waits for the next request.
func (q *queue) Get() (reconcile.Request, bool) {
	r, _, shutdown := q.GetWithPriority()
	return r, shutdown
}

// GetWithPriority is Get with the highest priority with which the request was added.
func (q *queue) GetWithPriority() (r reconcile.Request, priority int, shutdown bool) {
	r, shutdown = q.TypedRateLimitingInterface.Get()
	return r, q.storage.priority(r), shutdown
}

// Done is to be called by the worker that took the request, before it asks for the next one: nobody else is woken for
// what its namespace may have instead.
func (q *queue) Done(r reconcile.Request) {
	q.storage.release(r)
	q.TypedRateLimitingInterface.Done(r)
}

// Len is how many requests wait.
func (q *queue) Len() int { return q.storage.waiting() }
