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

// waiting is the requests of one namespace that wait, each in one of the lines.
type waiting struct {
	namespace string
	lines     [lines]list.List // of reconcile.Request, the oldest first
	turn      *list.Element    // in storage.turns
}

// storage orders the requests that wait: the namespaces take turns, and each has its changes before what hasn't changed,
// the oldest first. It costs O(1) a request. It is a workqueue.Queue.
type storage struct {
	mu         sync.Mutex
	namespaces map[string]*waiting
	turns      list.List // of *waiting, who is next first; those that have nothing waiting aren't in it
	places     map[reconcile.Request]*list.Element
	// priorities are those of requests that wait here or for their time to come: the highest with which each was added.
	priorities map[reconcile.Request]int
	// taken are those of requests that were popped, until GetWithPriority tells them.
	taken map[reconcile.Request]int
}

func newStorage() *storage {
	return &storage{namespaces: map[string]*waiting{}, places: map[reconcile.Request]*list.Element{}, priorities: map[reconcile.Request]int{}, taken: map[reconcile.Request]int{}}
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
	w := s.namespaces[r.Namespace]
	if w == nil {
		w = &waiting{namespace: r.Namespace}
		s.namespaces[r.Namespace] = w
		w.turn = s.turns.PushBack(w)
	}
	s.places[r] = w.lines[s.line(r)].PushBack(r)
}

// Touch is for a request that is there and was added again, maybe as more important.
func (s *storage) Touch(r reconcile.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	w, place := s.namespaces[r.Namespace], s.places[r]
	if w == nil || place == nil || s.line(r) == unchanged {
		return
	}
	// Removing does nothing where it stands among the changes already.
	before := w.lines[unchanged].Len()
	w.lines[unchanged].Remove(place)
	if w.lines[unchanged].Len() < before {
		s.places[r] = w.lines[changed].PushBack(r)
	}
}

// Len is how many requests wait.
func (s *storage) Len() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.places)
}

// Pop takes the next request of the namespace whose turn it is. There must be one.
func (s *storage) Pop() reconcile.Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	w := s.turns.Front().Value.(*waiting)
	line := &w.lines[changed]
	if line.Len() == 0 {
		line = &w.lines[unchanged]
	}
	r := line.Remove(line.Front()).(reconcile.Request)
	if w.lines[changed].Len()+w.lines[unchanged].Len() > 0 {
		s.turns.MoveToBack(w.turn)
	} else {
		s.turns.Remove(w.turn)
		delete(s.namespaces, w.namespace)
	}
	s.taken[r] = s.priorities[r]
	delete(s.places, r)
	delete(s.priorities, r)
	return r
}

// priority is that of a request that was popped, asked for once.
func (s *storage) priority(r reconcile.Request) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	priority := s.taken[r]
	delete(s.taken, r)
	return priority
}
