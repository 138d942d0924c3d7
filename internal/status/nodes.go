// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package status

import (
	"slices"
	"strings"
	"time"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/liveness"
	"github.com/bpfmap-io/bpfmap-operator/internal/text"
)

// node is one selected node and what it reports.
type node struct {
	name string
	// mapState is zero if the node reports nothing of this BPFMap.
	mapState v1alpha1.NodeMap
	class    Class
	// live is zero unless the node is ClassUnknown.
	live liveness.Liveness
	// updated says that the node's kernel holds the newest revision.
	updated bool
}

// classify gives every selected node its class, sorted by name.
func classify(in Input) []node {
	names := slices.Clone(in.Nodes)
	slices.Sort(names)
	nodes := make([]node, 0, len(names))
	for _, name := range slices.Compact(names) {
		n := node{name: name}
		if m := in.MapStates[name]; m.UID == string(in.Map.UID) {
			n.mapState = m
		}
		n.class = ClassAt(&n.mapState, in.Map.UID, in.assigned(name))
		if live, ok := in.Gone[name]; ok {
			n.class, n.live = ClassUnknown, live
		}
		n.updated = (n.class == ClassReady || n.class == ClassDrifted) && n.mapState.Revision == in.Revision.Name
		nodes = append(nodes, n)
	}
	return nodes
}

// assigned is the name of the revision that a node is to hold; empty if there is none.
func (in *Input) assigned(node string) string {
	if name := in.Assigned[node]; name != "" || in.Revision == nil {
		return name
	}
	return in.Revision.Name
}

// tally is the counts of nodes.
type tally struct {
	v1alpha1.NodeCounts
	// leftOut is which nodes no agent is to run on, and why: "on win-1: the agents' DaemonSet wants kubernetes.io/os=linux".
	leftOut string
}

// count keeps desired = ready + failed + pending + unknown.
func count(nodes []node, withoutAgent map[string]string) tally {
	c := tally{NodeCounts: v1alpha1.NodeCounts{Desired: int32(len(nodes)), WithoutAgent: int32(len(withoutAgent))}, leftOut: leftOut(withoutAgent)}
	for _, n := range nodes {
		switch {
		case n.class.Failing():
			c.Failed++
		case n.class == ClassReady:
			c.Ready++
		case n.class == ClassUnknown:
			c.Unknown++
		default:
			c.Pending++
		}
		if n.updated {
			c.Updated++
		}
	}
	return c
}

func allFrozen(nodes []node) bool {
	return len(nodes) > 0 && !slices.ContainsFunc(nodes, func(n node) bool { return !n.mapState.Frozen })
}

// nodeStates lists at most MaxNodeStates nodes, the worst first when choosing, sorted by name when
// shown.
func nodeStates(nodes []node) []v1alpha1.NodeMapStatus {
	chosen := slices.Clone(nodes)
	if len(chosen) > v1alpha1.MaxNodeStates {
		slices.SortStableFunc(chosen, func(a, b node) int { return int(a.class) - int(b.class) })
		chosen = chosen[:v1alpha1.MaxNodeStates]
		slices.SortFunc(chosen, func(a, b node) int { return strings.Compare(a.name, b.name) })
	}
	var states []v1alpha1.NodeMapStatus
	for _, n := range chosen {
		states = append(states, n.status())
	}
	return states
}

func (n node) status() v1alpha1.NodeMapStatus {
	s := v1alpha1.NodeMapStatus{
		Node:   n.name,
		MapID:  n.mapState.MapID,
		Frozen: n.mapState.Frozen,
		Ready:  n.class == ClassReady,
		Reason: n.reason(),
		Usage:  n.usageState(),
	}
	if n.mapState.Entries != nil {
		entries := *n.mapState.Entries
		s.Entries = &entries
	}
	if !s.Ready {
		s.Message = text.Truncate(n.message(), maxNodeMessage)
	}
	return s
}

// waits says whether the node names what it waits for.
func (n node) waits() bool {
	return n.mapState.State == v1alpha1.NodeMapPending && n.mapState.Message != ""
}

// reason is the one that the node reports, except while that is about an older revision, or tells nothing.
func (n node) reason() string {
	switch {
	case n.class == ClassUnknown:
		return unknownReason(n.live)
	case n.class == ClassPending && !n.waits():
		return string(v1alpha1.NodeMapPending)
	}
	return n.mapState.Reason
}

func (n node) message() string {
	message, at := n.says()
	return message + since(at)
}

// says is what there is to say of the node, and since when it is so; zero if that isn't known, or doesn't matter.
func (n node) says() (string, time.Time) {
	if n.class == ClassUnknown {
		return n.live.Message, n.live.Since
	}
	return n.reported(), time.Time{}
}

func (n node) reported() string {
	switch {
	case n.class != ClassPending:
		return n.mapState.Message
	case n.mapState.Name == "":
		return "waiting for the node's agent"
	case n.waits():
		return n.mapState.Message
	}
	return "updating from " + n.mapState.Revision
}

// noContents is the group of nodes that hold nothing as declared.
const noContents = "none"

// contents groups the nodes by what they hold, the largest group first. Its nodes aren't named: people
// look for the others.
func contents(nodes []node) []v1alpha1.ContentGroup {
	byDigest := map[string]*v1alpha1.ContentGroup{}
	for _, n := range nodes {
		digest := n.mapState.Digest
		if digest == "" {
			digest = noContents
		}
		g := byDigest[digest]
		if g == nil {
			g = &v1alpha1.ContentGroup{Digest: digest}
			byDigest[digest] = g
		}
		if g.Count++; len(g.Nodes) < v1alpha1.MaxContentNodes {
			g.Nodes = append(g.Nodes, n.name)
		}
	}
	var groups []v1alpha1.ContentGroup
	for _, g := range byDigest {
		groups = append(groups, *g)
	}
	slices.SortFunc(groups, func(a, b v1alpha1.ContentGroup) int {
		if a.Count != b.Count {
			return int(b.Count - a.Count)
		}
		return strings.Compare(a.Digest, b.Digest)
	})
	if len(groups) > 0 {
		groups[0].Nodes = nil
	}
	return groups[:min(len(groups), v1alpha1.MaxContentGroups)]
}
