// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/types"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
)

// fleetIndex is what the watches of Nodes and BPFNodeStates have delivered, in the form in which reconciles need
// it: a list from the cache copies every Node and every state, and then only one line in fifty is about the map. It
// is complete before the first reconcile, because a controller waits for its watches' first objects. It is
// safe for concurrent use; what it points to belongs to the cache.
type fleetIndex struct {
	mu sync.RWMutex
	// mapStates are what nodes report, by the BPFMap and the node's name.
	mapStates map[types.NamespacedName]map[string]*v1alpha1.NodeMap
	// reported is what they are from, by the node's name.
	reported map[string]*v1alpha1.BPFNodeState
	nodes    map[string]*corev1.Node
	list     []*corev1.Node // of nodes; nil after they changed
}

func newFleetIndex() *fleetIndex {
	return &fleetIndex{
		mapStates: map[types.NamespacedName]map[string]*v1alpha1.NodeMap{}, reported: map[string]*v1alpha1.BPFNodeState{},
		nodes: map[string]*corev1.Node{},
	}
}

// mapStatesOf are what all nodes report about a BPFMap, by the node's name.
func (x *fleetIndex) mapStatesOf(name types.NamespacedName) map[string]v1alpha1.NodeMap {
	x.mu.RLock()
	defer x.mu.RUnlock()
	found := x.mapStates[name]
	states := make(map[string]v1alpha1.NodeMap, len(found))
	for node, m := range found {
		states[node] = *m
	}
	return states
}

// allNodes are all Nodes, in no order. Neither they nor the list may be changed.
func (x *fleetIndex) allNodes() []*corev1.Node {
	x.mu.RLock()
	list := x.list
	x.mu.RUnlock()
	if list != nil {
		return list
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	x.list = make([]*corev1.Node, 0, len(x.nodes))
	for _, n := range x.nodes {
		x.list = append(x.list, n)
	}
	return x.list
}

// The bounds of gather, and what each node adds to it.
const (
	gatherPerNode = 100 * time.Microsecond
	gatherMost    = time.Second
)

// gather is how long reports about one map are gathered. A reconcile goes over all nodes: one for each report
// would cost the square of their number.
func (x *fleetIndex) gather() time.Duration {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return min(gatherReports+time.Duration(len(x.nodes))*gatherPerNode, gatherMost)
}

// setNode takes a Node in; a nil one is gone.
func (x *fleetIndex) setNode(name string, n *corev1.Node) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.list = nil
	if n == nil {
		delete(x.nodes, name)
		return
	}
	x.nodes[name] = n
}

// setState takes in what a node reports, nil for nothing any more, and says which maps' states are new, gone or
// different.
func (x *fleetIndex) setState(node string, state *v1alpha1.BPFNodeState) (changed []types.NamespacedName) {
	x.mu.Lock()
	defer x.mu.Unlock()
	gone := map[types.NamespacedName]bool{}
	if before := x.reported[node]; before != nil {
		for i := range before.Status.Maps {
			gone[nameOf(&before.Status.Maps[i])] = true
		}
	}
	if delete(x.reported, node); state != nil {
		x.reported[node] = state
		for i := range state.Status.Maps {
			m := &state.Status.Maps[i]
			if delete(gone, nameOf(m)); x.put(node, m) {
				changed = append(changed, nameOf(m))
			}
		}
	}
	for name := range gone {
		if delete(x.mapStates[name], node); len(x.mapStates[name]) == 0 {
			delete(x.mapStates, name)
		}
		changed = append(changed, name)
	}
	return changed
}

// put takes in what a node reports about a map, and says whether it is new or different. The lock is held.
func (x *fleetIndex) put(node string, m *v1alpha1.NodeMap) (changed bool) {
	nodes := x.mapStates[nameOf(m)]
	if nodes == nil {
		nodes = map[string]*v1alpha1.NodeMap{}
		x.mapStates[nameOf(m)] = nodes
	}
	before := nodes[node]
	nodes[node] = m // also if it is the same: the object before needn't stay in memory
	return before == nil || !sameState(before, m)
}

func nameOf(m *v1alpha1.NodeMap) types.NamespacedName {
	return types.NamespacedName{Namespace: m.Namespace, Name: m.Name}
}

// sameState compares what a node reports about a map. Nearly all of thousands of states are equal, for which
// reflection takes most of the time.
func sameState(a, b *v1alpha1.NodeMap) bool {
	if a.UID != b.UID || a.Revision != b.Revision || a.Digest != b.Digest || a.MapID != b.MapID || a.PinPath != b.PinPath ||
		a.MemlockBytes != b.MemlockBytes || a.Frozen != b.Frozen || a.SchemaVerified != b.SchemaVerified || a.Origin != b.Origin || a.State != b.State || a.Drifted != b.Drifted ||
		a.Reason != b.Reason || a.Message != b.Message || a.MetricsMessage != b.MetricsMessage || a.DriftCount != b.DriftCount {
		return false
	}
	if (a.Entries == nil) != (b.Entries == nil) || (a.Entries != nil && *a.Entries != *b.Entries) {
		return false
	}
	if !sameUsage(a.Usage, b.Usage) || !sameShared(a.SharedValues, b.SharedValues) {
		return false
	}
	if len(a.ReplacedMaps)+len(b.ReplacedMaps)+len(a.DriftedEntries)+len(b.DriftedEntries) == 0 {
		return true
	}
	return equality.Semantic.DeepEqual(a.ReplacedMaps, b.ReplacedMaps) && equality.Semantic.DeepEqual(a.DriftedEntries, b.DriftedEntries)
}

func sameShared(a, b *v1alpha1.SharedValues) bool {
	if a == nil || b == nil {
		return a == b
	}
	return *a == *b
}

// sameUsage compares of usage what the status of a BPFMap says.
func sameUsage(a, b *v1alpha1.MapUsage) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.State == b.State && a.Since.Equal(&b.Since) && a.ProgramCount == b.ProgramCount && a.Message == b.Message &&
		(len(a.OtherMaps)+len(b.OtherMaps) == 0 || equality.Semantic.DeepEqual(a.OtherMaps, b.OtherMaps))
}
