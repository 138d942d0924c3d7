// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package fairqueue

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/controller/priorityqueue"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

func request(name string) reconcile.Request {
	namespace, name, _ := strings.Cut(name, "/")
	return reconcile.Request{NamespacedName: types.NamespacedName{Namespace: namespace, Name: name}}
}

func start(t *testing.T, workers int) *queue {
	t.Helper()
	q := New(workers)("test", workqueue.NewTypedItemExponentialFailureRateLimiter[reconcile.Request](time.Millisecond, time.Millisecond)).(*queue)
	t.Cleanup(q.ShutDown)
	return q
}

// add adds requests; those that end in ? didn't change.
func (q *queue) add(names ...string) {
	for _, name := range names {
		var o priorityqueue.AddOpts
		if strings.HasSuffix(name, "?") {
			o.Priority = new(-100)
		}
		q.AddWithOpts(o, request(strings.TrimSuffix(name, "?")))
	}
}

// take takes n requests and finishes them.
func (q *queue) take(t *testing.T, n int) string {
	t.Helper()
	var got []string
	for range n {
		if q.storage.Len() == 0 {
			t.Fatalf("after %v nothing may be taken", got)
		}
		r, shutdown := q.Get()
		if shutdown {
			t.Fatal("the queue is shut down")
		}
		got = append(got, r.String())
		q.Done(r)
	}
	return strings.Join(got, " ")
}

// TestTurns: the namespaces take turns, however many requests each has, and changes go before what is unchanged.
func TestTurns(t *testing.T) {
	for _, c := range []struct {
		add  []string
		want string
	}{
		{[]string{"a/1", "a/2", "a/3", "b/1", "a/4", "c/1", "b/2"}, "a/1 b/1 c/1 a/2 b/2 a/3 a/4"},
		{[]string{"a/1", "a/1", "a/1", "b/1"}, "a/1 b/1"},
		{[]string{"a/1?", "a/2?", "b/1?", "a/3", "b/2"}, "a/3 b/2 a/1 b/1 a/2"},
		{[]string{"a/1?", "a/2?", "a/3", "a/2"}, "a/3 a/2 a/1"},             // what waits unchanged, and changes
		{[]string{"a/1", "a/2", "a/1?", "a/1"}, "a/1 a/2"},                  // and the other way: it keeps its place
		{[]string{"/node", "a/1", "a/2", "/other"}, "/node a/1 /other a/2"}, // what has no namespace is a namespace of its own
	} {
		q := start(t, 1)
		q.add(c.add...)
		if want := len(strings.Fields(c.want)); q.Len() != want {
			t.Errorf("%v: %d wait, want %d", c.add, q.Len(), want)
		}
		if got := q.take(t, q.Len()); got != c.want {
			t.Errorf("%v: got %s, want %s", c.add, got, c.want)
		}
	}
}

// TestFlood: a request of another namespace waits for one of the flood.
func TestFlood(t *testing.T) {
	q := start(t, 1)
	for i := range 10000 {
		q.Add(request("flood/" + string(rune('a'+i%26)) + strings.Repeat("x", i/26)))
	}
	q.take(t, 100)
	q.Add(request("other/1"))
	if got := strings.Fields(q.take(t, 2)); !slices.Contains(got, "other/1") {
		t.Errorf("after %v it still waits", got)
	}
}

// worker takes requests and finishes each when it is told to, until the queue is shut down.
func (q *queue) worker(took chan<- string, finish <-chan struct{}) {
	for {
		r, shutdown := q.Get()
		if shutdown {
			return
		}
		took <- r.String()
		<-finish
		q.Done(r)
	}
}

// TestHalfOfTheWorkers: a namespace has at most half of the workers at a time, and what it may have is taken as soon as
// one of its own is done, whichever worker waits. What has no namespace may have all.
func TestHalfOfTheWorkers(t *testing.T) {
	for _, c := range []struct {
		workers   int
		add       []string
		want      string // what is taken while nothing is finished
		then, end string // what is added then, and what is taken of it
	}{
		{1, []string{"a/1", "a/2"}, "a/1", "b/1", ""},
		{2, []string{"a/1", "a/2", "a/3"}, "a/1", "b/1", "b/1"},
		{3, []string{"a/1", "a/2", "a/3"}, "a/1", "b/1", "b/1"},
		{4, []string{"a/1", "a/2", "a/3", "a/4"}, "a/1 a/2", "b/1 b/2 b/3", "b/1 b/2"},
		{4, []string{"a/1", "a/2", "b/1", "c/1", "c/2"}, "a/1 a/2 b/1 c/1", "d/1", ""},
		{4, []string{"/1", "/2", "/3", "/4", "/5"}, "/1 /2 /3 /4", "a/1", ""},
	} {
		t.Run("", func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				q := start(t, c.workers)
				took, finish := make(chan string, 100), make(chan struct{})
				for range c.workers {
					go q.worker(took, finish)
				}
				now := func() string {
					synctest.Wait()
					var got []string
					for len(took) > 0 {
						got = append(got, <-took)
					}
					slices.Sort(got)
					return strings.Join(got, " ")
				}
				q.add(c.add...)
				if got := now(); got != c.want {
					t.Errorf("at first %q are worked on, want %q", got, c.want)
				}
				q.add(strings.Fields(c.then)...)
				if got := now(); got != c.end {
					t.Errorf("then %q, want %q", got, c.end)
				}
				// Each that is done makes room for one more at most, and in the end nothing is left.
				for range len(c.add) + len(strings.Fields(c.then)) {
					select {
					case finish <- struct{}{}:
					case <-time.After(time.Hour): // of the bubble
						t.Fatal("something waits, and nothing is worked on")
					}
					now()
				}
				q.storage.mu.Lock()
				defer q.storage.mu.Unlock()
				if s := q.storage; len(s.namespaces)+len(s.places)+s.turns.Len() > 0 {
					t.Errorf("something is left: %+v", s)
				}
			})
		})
	}
}

// TestLater: requests for later and those that failed keep their priority, and it ends when they are taken.
func TestLater(t *testing.T) { synctest.Test(t, testLater) }

func testLater(t *testing.T) {
	q := start(t, 1)
	q.AddWithOpts(priorityqueue.AddOpts{Priority: new(-100), After: time.Millisecond}, request("a/1"))
	get := func(want int) {
		t.Helper()
		r, priority, _ := q.GetWithPriority()
		if r != request("a/1") || priority != want {
			t.Errorf("got %s of priority %d, want %d", r, priority, want)
		}
	}
	get(-100)
	q.AddWithOpts(priorityqueue.AddOpts{Priority: new(-100), RateLimited: true}, request("a/1"))
	q.Add(request("a/1")) // while it is worked on
	q.Done(request("a/1"))
	get(0)
	q.Done(request("a/1"))
	if n := q.NumRequeues(request("a/1")); n != 1 {
		t.Errorf("%d failures", n)
	}
	time.Sleep(time.Second) // of the bubble: the retry's time comes, whose priority the change has taken along
	synctest.Wait()
	if n := q.Len(); n != 1 {
		t.Fatalf("%d wait, want the retry", n)
	}
	q.take(t, 1)
	s := q.storage
	if len(s.namespaces)+len(s.places)+len(s.priorities)+len(s.taken)+s.turns.Len() > 0 {
		t.Errorf("something is kept: %+v", s)
	}
}

func BenchmarkQueue(b *testing.B) {
	q := New(4)("bench", workqueue.DefaultTypedControllerRateLimiter[reconcile.Request]()).(*queue)
	defer q.ShutDown()
	requests := make([]reconcile.Request, 1000)
	for i := range requests {
		requests[i] = request(string(rune('a'+i%20)) + "/" + strings.Repeat("x", i/20))
	}
	b.ReportAllocs()
	for b.Loop() {
		for _, r := range requests {
			q.Add(r)
		}
		for range requests {
			r, _ := q.Get()
			q.Done(r)
		}
	}
}
