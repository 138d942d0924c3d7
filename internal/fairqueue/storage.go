// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package fairqueue

import (
	"container/list"
	"sync"

	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

// A namespace's requests wait in two lines. Changes are of priority 0 or more; what controller-runtime adds because a
// cache was filled or compared anew, without a change, has a negative one.
const (
	changed = iota
	unchanged
	lines
)

// namespace is the requests of one namespace: those that wait, each in one of the lines, and how many are worked on.
type namespace struct {
	name   string
	lines  [lines]list.List // of reconcile.Request, the oldest first
	inWork int
	turn   *list.Element // in storage.turns; nil where it isn't there
}

func (n *namespace) waits() bool { return n.lines[changed].Len()+n.lines[unchanged].Len() > 0 }

// storage orders the requests that wait: the namespaces take turns, and each has its changes before what hasn't changed,
// the oldest first. It costs O(1) a request. It is a workqueue.Queue.
type storage struct {
	most       int // how many requests of one namespace are worked on at the same time
	mu         sync.Mutex
	namespaces map[string]*namespace // that have requests, waiting or in work
	turns      list.List             // of *namespace that have a request that may be taken now, who is next first
	places     map[reconcile.Request]*list.Element
	// priorities are those of requests that wait here or for their time to come: the highest with which each was added.
	priorities map[reconcile.Request]int
	// taken are those of requests that were popped, until GetWithPriority tells them.
	taken map[reconcile.Request]int
}

func newStorage(most int) *storage {
	return &storage{most: most, namespaces: map[string]*namespace{}, places: map[reconcile.Request]*list.Element{}, priorities: map[reconcile.Request]int{}, taken: map[reconcile.Request]int{}}
}

// prefer notes the priority with which a request is about to be added.
func (s *storage) prefer(r reconcile.Request, priority int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if have, ok := s.priorities[r]; !ok || have < priority {
		s.priorities[r] = priority
	}
}

func (s *storage) line(r reconcile.Request) int {
	if s.priorities[r] < 0 {
		return unchanged
	}
	return changed
}

// Push adds a request that isn't there.
func (s *storage) Push(r reconcile.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := s.namespaces[r.Namespace]
	if n == nil {
		n = &namespace{name: r.Namespace}
		s.namespaces[r.Namespace] = n
	}
	s.places[r] = n.lines[s.line(r)].PushBack(r)
	s.lineUp(n)
}

// lineUp gives a namespace a turn, behind the others, if a request of it may be taken and it has none, and forgets one
// of which there is nothing left.
func (s *storage) lineUp(n *namespace) {
	switch {
	case n.waits() && n.turn == nil && (n.inWork < s.most || n.name == ""):
		n.turn = s.turns.PushBack(n)
	case !n.waits() && n.inWork == 0:
		delete(s.namespaces, n.name)
	}
}

// Touch is for a request that is there and was added again, maybe as more important.
func (s *storage) Touch(r reconcile.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n, place := s.namespaces[r.Namespace], s.places[r]
	if n == nil || place == nil || s.line(r) == unchanged {
		return
	}
	// Removing does nothing where it stands among the changes already.
	before := n.lines[unchanged].Len()
	n.lines[unchanged].Remove(place)
	if n.lines[unchanged].Len() < before {
		s.places[r] = n.lines[changed].PushBack(r)
	}
}

// Len is how many namespaces have a request that may be taken: a worker that finds none waits for the next request, and
// one that has finished asks again.
func (s *storage) Len() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.turns.Len()
}

// waiting is how many requests wait.
func (s *storage) waiting() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.places)
}

// Pop takes the next request of the namespace whose turn it is. There must be one.
func (s *storage) Pop() reconcile.Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := s.turns.Remove(s.turns.Front()).(*namespace)
	line := &n.lines[changed]
	if line.Len() == 0 {
		line = &n.lines[unchanged]
	}
	r := line.Remove(line.Front()).(reconcile.Request)
	n.turn = nil
	n.inWork++
	s.lineUp(n)
	s.taken[r] = s.priorities[r]
	delete(s.places, r)
	delete(s.priorities, r)
	return r
}

// release is for a request that was taken and has been worked on.
func (s *storage) release(r reconcile.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if n := s.namespaces[r.Namespace]; n != nil && n.inWork > 0 {
		n.inWork--
		s.lineUp(n)
	}
}

// priority is that of a request that was popped, asked for once.
func (s *storage) priority(r reconcile.Request) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	priority := s.taken[r]
	delete(s.taken, r)
	return priority
}
