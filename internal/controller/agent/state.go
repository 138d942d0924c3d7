// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/engine"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
	"github.com/bpfmap-io/bpfmap-operator/internal/status"
)

// nodeState is what this agent knows of its node, whether or not the API server has heard of it.
type nodeState struct {
	version string
	// changed is called, without the lock, after something changed.
	changed func()

	mu    sync.Mutex
	facts Facts
	ready error
	total *v1alpha1.NodeInventory
	lines map[revision.Key]v1alpha1.NodeMap
	// made are the maps that were here last in this boot, also while nothing can be known of them.
	made map[revision.Key]madeMap
}

// madeMap is a map that was here, and the UID of its BPFMap.
type madeMap struct {
	id  int64
	uid string
}

func newNodeState(version string, facts Facts, changed func()) *nodeState {
	return &nodeState{
		version: version, facts: facts, changed: changed, ready: errNotProbed,
		lines: map[revision.Key]v1alpha1.NodeMap{}, made: map[revision.Key]madeMap{},
	}
}

// seed takes over what an earlier agent reported in the same boot; of another boot nothing is true
// any more.
func (s *nodeState) seed(old v1alpha1.BPFNodeStateStatus) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if old.BootID != s.facts.BootID {
		return
	}
	for _, line := range old.Maps {
		s.put(line)
	}
}

// put takes a line in. The lock is held.
func (s *nodeState) put(line v1alpha1.NodeMap) {
	s.lines[keyOf(line)] = line
	if line.MapID != 0 {
		s.made[keyOf(line)] = madeMap{line.MapID, line.UID}
	}
}

func keyOf(line v1alpha1.NodeMap) revision.Key {
	return revision.Key{Namespace: line.Namespace, Name: line.Name}
}

// set puts a line in and returns the one before, nil if there was none.
func (s *nodeState) set(line v1alpha1.NodeMap) (before *v1alpha1.NodeMap) {
	s.mu.Lock()
	old, ok := s.lines[keyOf(line)]
	s.put(line)
	s.mu.Unlock()
	s.changed()
	if !ok {
		return nil
	}
	return &old
}

// lastMade is the id of the map that was here last in this boot for a BPFMap; 0 if there was none.
func (s *nodeState) lastMade(key revision.Key, uid string) int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	if made := s.made[key]; made.uid == uid {
		return made.id
	}
	return 0
}

// remove drops a line and says whether there was one.
func (s *nodeState) remove(key revision.Key) bool {
	s.mu.Lock()
	_, ok := s.lines[key]
	delete(s.lines, key)
	delete(s.made, key)
	s.mu.Unlock()
	if ok {
		s.changed()
	}
	return ok
}

// setReady notes whether the node can work; nil facts leave those that are known.
func (s *nodeState) setReady(err error, facts *Facts) {
	s.mu.Lock()
	s.ready = err
	if facts != nil {
		s.facts = *facts
	}
	s.mu.Unlock()
	s.changed()
}

// setInventory notes what all maps of the node come to.
func (s *nodeState) setInventory(total v1alpha1.NodeInventory) {
	s.mu.Lock()
	s.total = &total
	s.mu.Unlock()
	s.changed()
}

// keys are the maps that have a line.
func (s *nodeState) keys() []revision.Key {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Collect(maps.Keys(s.lines))
}

// status is the status to publish, given the one that is published: conditions keep the time of their
// last transition.
func (s *nodeState) status(published v1alpha1.BPFNodeStateStatus, now time.Time) v1alpha1.BPFNodeStateStatus {
	s.mu.Lock()
	defer s.mu.Unlock()
	next := v1alpha1.BPFNodeStateStatus{
		Conditions:    slices.Clone(published.Conditions),
		KernelRelease: s.facts.KernelRelease, BootID: s.facts.BootID, AgentVersion: s.version,
		PossibleCPUs: s.facts.PossibleCPUs, Features: s.facts.Features, Inventory: s.total.DeepCopy(),
	}
	for _, line := range s.lines {
		next.Maps = append(next.Maps, line)
	}
	slices.SortFunc(next.Maps, func(a, b v1alpha1.NodeMap) int {
		if c := strings.Compare(a.Namespace, b.Namespace); c != 0 {
			return c
		}
		return strings.Compare(a.Name, b.Name)
	})
	next.Summary = status.Summarize(next.Maps)
	next.Summary.MemoryLimitBytes = s.facts.MemoryLimitBytes
	meta.SetStatusCondition(&next.Conditions, readyCondition(s.ready, now))
	return next
}

func readyCondition(err error, now time.Time) metav1.Condition {
	c := metav1.Condition{
		Type: v1alpha1.ConditionReady, Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonNodeReady,
		Message: "maps can be managed on this node", LastTransitionTime: metav1.NewTime(now),
	}
	if err == nil {
		return c
	}
	c.Status, c.Reason, c.Message = metav1.ConditionFalse, v1alpha1.ReasonKernelUnsupported, err.Error()
	var r engine.Reasoner
	if errors.As(err, &r) {
		c.Reason = r.Reason()
	}
	return c
}
