// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"time"

	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/liveness"
	"github.com/bpfmap-io/bpfmap-operator/internal/rollout"
)

// fleetNode is what decides whether a node is to have a map, and what its reports are worth.
type fleetNode struct {
	name   string
	labels labels.Set
	// created is when the Node joined. One that joined after a batch was told to take a revision, and isn't alive
	// yet, wasn't cut off by it.
	created time.Time
	live    liveness.Liveness
	// ready is since when the node is alive; zero if that isn't known.
	ready time.Time
}

// fleet is a BPFMap's nodes and what they report.
type fleet struct {
	// nodes are those that an agent is to run on, whichever they are.
	nodes []fleetNode
	// withoutAgent are the others.
	withoutAgent []fleetNode
	// mapStates are what the nodes report, by the node's name.
	mapStates map[string]v1alpha1.NodeMap
	// revisions are the active ones, newest last.
	revisions []v1alpha1.BPFMapRevision
}

// newest is the newest revision; nil before the first one.
func (f *fleet) newest() *v1alpha1.BPFMapRevision {
	if len(f.revisions) == 0 {
		return nil
	}
	return &f.revisions[len(f.revisions)-1]
}

func selects(rev *v1alpha1.BPFMapRevision, n *fleetNode) bool {
	return matches(rev.Spec.NodeSelector, n.labels)
}

func matches(selector map[string]string, set labels.Set) bool {
	for key, value := range selector {
		if found, ok := set[key]; !ok || found != value {
			return false
		}
	}
	return true
}

// assigned are the nodes that are to have the map, with the name of the revision that each is to hold.
func (f *fleet) assigned() (nodes []string, revisions map[string]string) {
	revisions = map[string]string{}
	for i := range f.nodes {
		n := &f.nodes[i]
		if rev := rollout.Newest(f.revisions, n.name); rev != nil && selects(rev, n) {
			nodes = append(nodes, n.name)
			revisions[n.name] = rev.Name
		}
	}
	return nodes, revisions
}

// unselectable are the nodes that the newest revision selects and that no agent is to run on, with the reason.
func (f *fleet) unselectable() map[string]string {
	var left map[string]string
	for i := range f.withoutAgent {
		if n := &f.withoutAgent[i]; selects(f.newest(), n) {
			if left == nil {
				left = map[string]string{}
			}
			left[n.name] = n.live.Why
		}
	}
	return left
}

// gone are the nodes that nothing is known of.
func (f *fleet) gone() map[string]liveness.Liveness {
	gone := map[string]liveness.Liveness{}
	for i := range f.nodes {
		if n := &f.nodes[i]; n.live.State != liveness.Alive {
			gone[n.name] = n.live
		}
	}
	return gone
}

// observeFleet reads from the cache the nodes and what they report about a BPFMap.
func (r *reconciler) observeFleet(ctx context.Context, name types.NamespacedName, revisions []v1alpha1.BPFMapRevision) (fleet, error) {
	list := r.index.allNodes()
	f := fleet{nodes: make([]fleetNode, 0, len(list)), mapStates: r.index.mapStatesOf(name), revisions: revisions}
	for _, n := range list {
		live, err := r.lives.of(ctx, n)
		if err != nil {
			return fleet{}, err
		}
		if _, listed := f.mapStates[n.Name]; !listed && live.State == liveness.Alive && r.index.omits(n.Name) {
			live = unlisted
		}
		node := fleetNode{name: n.Name, labels: n.Labels, created: n.CreationTimestamp.Time, live: live, ready: live.Since}
		if live.State == liveness.NoAgent {
			f.withoutAgent = append(f.withoutAgent, node)
			continue
		}
		f.nodes = append(f.nodes, node)
	}
	return f, nil
}
