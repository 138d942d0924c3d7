// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/engine"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
	"github.com/bpfmap-io/bpfmap-operator/internal/status"
	"github.com/bpfmap-io/bpfmap-operator/internal/text"
)

// nodeState is what this agent knows of its node, whether or not the API server has heard of it. It is safe
// for concurrent use.
type nodeState struct {
	node, version string
	// publish wakes the publisher after something changed.
	publish trigger

	mu    sync.Mutex
	facts Facts
	ready error
	total *v1alpha1.NodeInventory
	// contents is where people may read what the maps hold; nil if nowhere.
	contents *v1alpha1.ContentsEndpoint
	maps     map[revision.Key]v1alpha1.NodeMap
	// usage is what was told of programs that use the maps.
	usage map[revision.Key]usageOf
	// last are the maps that were here last in this boot, also while nothing can be known of them.
	last map[revision.Key]mapID
	// again says that an earlier agent was here in this boot.
	again bool
}

// mapID is the id of a map that was here, and the UID of its BPFMap.
type mapID struct {
	id  int64
	uid string
}

// usageOf is the usage of the map with an id.
type usageOf struct {
	id    int64
	usage *v1alpha1.MapUsage
}

func newNodeState(node, version string, facts Facts) *nodeState {
	return &nodeState{
		node: node, version: version, facts: facts, ready: errNotProbed,
		maps: map[revision.Key]v1alpha1.NodeMap{}, usage: map[revision.Key]usageOf{}, last: map[revision.Key]mapID{},
	}
}

// changed wakes the publisher.
func (s *nodeState) changed() { s.publish.add(types.NamespacedName{Name: s.node}) }

// seed takes over what an earlier agent reported in the same boot; of another boot nothing is true
// any more.
func (s *nodeState) seed(old v1alpha1.BPFNodeStateStatus) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if old.BootID != s.facts.BootID {
		return
	}
	s.again = old.BootID != ""
	for _, m := range old.Maps {
		s.put(m)
	}
}

// restarted says that an earlier agent was here in this boot.
func (s *nodeState) restarted() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.again
}

// put takes the state of a map in. Its usage is that of the map with its id. The lock is held.
func (s *nodeState) put(m v1alpha1.NodeMap) {
	if known := s.usage[keyOf(m)]; m.Usage == nil && known.id == m.MapID {
		m.Usage = known.usage
	} else if m.Usage != nil {
		s.usage[keyOf(m)] = usageOf{m.MapID, m.Usage}
	}
	s.maps[keyOf(m)] = m
	if m.MapID != 0 {
		s.last[keyOf(m)] = mapID{m.MapID, m.UID}
	}
}

func keyOf(m v1alpha1.NodeMap) revision.Key {
	return revision.Key{Namespace: m.Namespace, Name: m.Name}
}

// set replaces the state of a map and returns the one before, nil if there was none. Which entries drifted last
// stays known until the next drift, or another revision.
func (s *nodeState) set(m v1alpha1.NodeMap) (before *v1alpha1.NodeMap) {
	s.mu.Lock()
	old, ok := s.maps[keyOf(m)]
	if m.UID == old.UID {
		m.MetricsMessage = old.MetricsMessage
	}
	if m.UID == old.UID && m.Revision == old.Revision && (m.DriftCount == old.DriftCount || m.MapID == 0) && m.DriftedEntries == nil {
		m.DriftedEntries = old.DriftedEntries
	}
	s.put(m)
	s.mu.Unlock()
	s.changed()
	if !ok {
		return nil
	}
	return &old
}

// setMetricsMessage notes what isn't served of a map's contents; empty if all is.
func (s *nodeState) setMetricsMessage(key revision.Key, missing string) {
	s.mu.Lock()
	m, ok := s.maps[key]
	missing = text.Truncate(missing, maxMetricsMessage)
	ok = ok && m.MetricsMessage != missing
	if ok {
		m.MetricsMessage = missing
		s.maps[key] = m
	}
	s.mu.Unlock()
	if ok {
		s.changed()
	}
}

// maxMetricsMessage bounds NodeMap.MetricsMessage in bytes.
const maxMetricsMessage = 256

// mapOf is the state of a map, and whether there is one.
func (s *nodeState) mapOf(key revision.Key) (v1alpha1.NodeMap, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	m, ok := s.maps[key]
	return m, ok
}

// lastMapID is the id of the map that was here last in this boot for a BPFMap; 0 if there was none.
func (s *nodeState) lastMapID(key revision.Key, uid string) int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	if last := s.last[key]; last.uid == uid {
		return last.id
	}
	return 0
}

// remove drops a map and says whether there was one.
func (s *nodeState) remove(key revision.Key) bool {
	s.mu.Lock()
	_, ok := s.maps[key]
	delete(s.maps, key)
	delete(s.last, key)
	delete(s.usage, key)
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

// setContents notes where contents can be read.
func (s *nodeState) setContents(at *v1alpha1.ContentsEndpoint) {
	s.mu.Lock()
	s.contents = at
	s.mu.Unlock()
	s.changed()
}

// setUsage notes which programs use maps, as they were looked at.
func (s *nodeState) setUsage(looked []v1alpha1.NodeMap, news map[revision.Key]*v1alpha1.MapUsage) {
	if len(news) == 0 {
		return
	}
	s.mu.Lock()
	for i := range looked {
		key := keyOf(looked[i])
		m, ok := s.maps[key]
		if usage := news[key]; ok && usage != nil && m.MapID == looked[i].MapID {
			m.Usage = usage
			s.put(m)
		}
	}
	s.mu.Unlock()
	s.changed()
}

// keys are the maps that have a state.
func (s *nodeState) keys() []revision.Key {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Collect(maps.Keys(s.maps))
}

// snapshot is the state of all maps, unsorted. On a node that isn't ready no map is: what was seen of them
// before says nothing of now.
func (s *nodeState) snapshot() []v1alpha1.NodeMap {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := slices.Collect(maps.Values(s.maps))
	if s.ready == nil || errors.Is(s.ready, errNotProbed) {
		return all
	}
	for i := range all {
		if m := &all[i]; m.State == v1alpha1.NodeMapReady {
			report, entries := engine.Report{Key: keyOf(*m), UID: m.UID, Revision: m.Revision}, m.DriftedEntries
			*m = status.FromReport(fail(report, v1alpha1.NodeMapFailed, v1alpha1.NodeReasonNodeNotReady, s.ready))
			m.DriftedEntries = entries
		}
	}
	return all
}

// status is the status to publish, given the one that is published: conditions keep the time of their
// last transition. The summary counts all maps, also those that have no room in the list.
func (s *nodeState) status(published v1alpha1.BPFNodeStateStatus, now time.Time) v1alpha1.BPFNodeStateStatus {
	all := s.snapshot()
	s.mu.Lock()
	defer s.mu.Unlock()
	next := v1alpha1.BPFNodeStateStatus{
		Conditions:    slices.Clone(published.Conditions),
		KernelRelease: s.facts.KernelRelease, BootID: s.facts.BootID, AgentVersion: s.version,
		PossibleCPUs: s.facts.PossibleCPUs, Features: s.facts.Features, Inventory: s.total.DeepCopy(),
		Contents: s.contents.DeepCopy(),
		Releases: published.Releases, // the controller writes them
	}
	next.Summary = status.Summarize(all)
	next.Summary.MemoryLimitBytes = s.facts.MemoryLimitBytes
	condition := hostReady(s.ready, now)
	listed, omitted := fit(all, published.Releases)
	if next.Maps = listed; omitted > 0 {
		condition.Message = fmt.Sprintf("%s; %d of %d maps are not listed in status.maps, which holds at most %d maps and about %d KiB",
			condition.Message, omitted, len(all), maxListedMaps, maxListedBytes>>10)
	}
	meta.SetStatusCondition(&next.Conditions, condition)
	return next
}

// hostReady is the agent's own condition. The controller makes Ready of it.
func hostReady(err error, now time.Time) metav1.Condition {
	c := metav1.Condition{
		Type: v1alpha1.ConditionHostReady, Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonNodeReady,
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
