// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package rollout

import (
	"fmt"
	"time"
)

// State is how a node is with the new revision, by what its agent reported last.
type State int

// The states.
const (
	// Pending: it doesn't hold the new revision yet, or didn't say so.
	Pending State = iota
	// Updated: it holds the new revision as declared.
	Updated
	// Failed: it took the new revision and isn't as declared: it failed, stalled, or drifted.
	Failed
)

// Node is one node that the rollout of a revision moves over: one that is to have the map by the new revision,
// or that has it.
type Node struct {
	Name  string
	State State
	// Away says that the node or its agent isn't there, so nothing newer than State is known of it.
	Away bool
	// Since is since when the node is away, or is back; zero if that isn't known.
	Since time.Time
	// Joined is when the node joined the cluster; zero if that isn't known.
	Joined time.Time
	// Cause says in a few words why the state is Failed, or what is missing while the node is away.
	Cause string
}

// order is the nodes' positions in the order of a revision, computed when they are first asked for.
type order struct {
	revision  string
	nodes     []Node
	positions []uint64
}

// of is the position of the i-th node.
func (o *order) of(i int) uint64 {
	if o.positions == nil {
		o.positions = make([]uint64, len(o.nodes))
		for i := range o.nodes {
			o.positions[i] = position(o.nodes[i].Name, o.revision)
		}
	}
	return o.positions[i]
}

// verdict is how a node that was told to take a revision counts.
type verdict int

const (
	// holds: it has the revision as declared, and is there.
	holds verdict = iota
	// awaited: it has yet to report on the revision.
	awaited
	// late: it takes the revision, and nobody waits for it: it was away when it was told to.
	late
	// failing: it failed, became unavailable, or exceeded the deadline.
	failing
)

// judgement is a verdict, in words if it is failing, and when it may change though nothing else does.
type judgement struct {
	verdict verdict
	cause   string
	until   time.Time
}

// judge says how a node counts that was told to take the revision.
func (n *Node) judge(told time.Time, p *Policy, now time.Time) judgement {
	switch {
	case n.State == Failed:
		return judgement{verdict: failing, cause: n.Cause}
	case n.State == Updated && n.Away && n.awayBefore(told):
		return judgement{verdict: late} // its agent goes on without its Node
	case n.State == Updated && n.Away:
		return judgement{verdict: failing, cause: because("became unavailable after it took the revision", n.Cause)}
	case n.State == Updated:
		return judgement{verdict: holds}
	case n.Away && n.cutOff(told):
		return judgement{verdict: failing, cause: because("became unavailable when it took the revision", n.Cause)}
	case n.Away:
		return judgement{verdict: late}
	}
	return n.deadline(told, p, now)
}

// awayBefore says whether a node was away already when it was told to take the revision.
func (n *Node) awayBefore(told time.Time) bool {
	return !n.Since.IsZero() && n.Since.Before(told.Truncate(time.Second))
}

// cutOff says whether a node that is away may be so because of the revision: it was there when it was told to
// take it. Times are in seconds, so the second in which it was told counts.
func (n *Node) cutOff(told time.Time) bool {
	return !told.IsZero() && !n.Since.Before(told.Truncate(time.Second)) && !n.Joined.After(told)
}

// deadline judges a node that is there and has yet to report. One that came back is given the same time as the
// others to do so, but after theirs nobody waits for it.
func (n *Node) deadline(told time.Time, p *Policy, now time.Time) judgement {
	if n.Joined.After(told) {
		told = n.Joined
	}
	if told.IsZero() || p.Deadline <= 0 {
		return judgement{verdict: awaited}
	}
	if due := told.Add(p.Deadline); now.Before(due) {
		return judgement{verdict: awaited, until: due}
	}
	if due := n.Since.Add(p.Deadline); now.Before(due) {
		return judgement{verdict: late, until: due}
	}
	return judgement{verdict: failing, cause: fmt.Sprintf("has not reported within %s", p.Deadline)}
}

func because(what, cause string) string {
	if cause == "" {
		return what
	}
	return what + ": " + cause
}
