// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package rollout

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// State is how a node is with the new revision.
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

// Node is one node that the new revision or the one before selects.
type Node struct {
	Name  string
	State State
	// NotReady says that the Node isn't Ready: the rollout doesn't wait for it, and it takes its revision
	// when it is back.
	NotReady bool
}

// Policy is how a rollout goes.
type Policy struct {
	// MaxUnavailable is how many nodes take the new revision at a time, at least 1.
	MaxUnavailable int
	// Partition is how many nodes keep the old revision in the end.
	Partition int
	// MinReady is how long a batch has to hold the new revision before the next one goes.
	MinReady time.Duration
	// Paused holds the frontier where it is.
	Paused bool
	// Rollback takes the revision back on a failure; otherwise the frontier stays where it is.
	Rollback bool
}

// Phase is how a rollout is as a whole.
type Phase string

// The phases.
const (
	// Progressing: nodes are taking the new revision, or wait for their turn.
	Progressing Phase = "Progressing"
	// Paused: policy.Paused holds it, or as many nodes as may have the new revision have it.
	Paused Phase = "Paused"
	// Halted: a node failed, and the frontier stays until it doesn't any more.
	Halted Phase = "Halted"
	// RolledBack: a node failed, and all nodes hold the old revision. Only a new revision continues.
	RolledBack Phase = "RolledBack"
	// Complete: every node takes the new revision.
	Complete Phase = "Complete"
)

// Status is what is remembered between two steps.
type Status struct {
	Phase    Phase
	Frontier string
	// ReadySince is since when all nodes up to the frontier hold the new revision; zero if they don't.
	ReadySince time.Time
}

// Step is the next status, and what goes with it.
type Step struct {
	Status
	// Message says for people how far the rollout is.
	Message string
	// RequeueAfter is when to look again though nothing changed; zero for never.
	RequeueAfter time.Duration
}

// Next is the next step of the rollout of a revision. first says that there is no revision before it:
// it goes to all nodes at once.
func Next(revision string, first bool, nodes []Node, p Policy, was Status, now time.Time) Step {
	if first || was.Phase == Complete {
		return complete(len(nodes))
	}
	if was.Phase == RolledBack {
		return Step{Status: was, Message: "rolled back; a new revision is needed"}
	}
	order := ordered(revision, nodes)
	taken := 0
	for taken < len(order) && Includes(order[taken].Name, revision, was.Frontier) {
		taken++
	}
	if failing := names(order, Failed); len(failing) > 0 {
		return failed(was, failing, taken, len(order), p)
	}
	if waiting := waitingFor(order[:taken]); waiting > 0 {
		s := Step{Status: Status{Phase: Progressing, Frontier: was.Frontier}, Message: fmt.Sprintf("updating %d of %d nodes, waiting for %d", taken, len(order), waiting)}
		if p.Paused {
			s.Phase, s.Message = Paused, s.Message+"; paused"
		}
		return s
	}
	limit := max(0, len(order)-p.Partition)
	switch {
	case taken == len(order) && p.Partition == 0 && !p.Paused:
		return finish(was, len(order), p, now)
	case p.Paused:
		return Step{Status: hold(was, taken, now, Paused), Message: fmt.Sprintf("paused at %d of %d nodes", taken, len(order))}
	case taken >= limit:
		return Step{Status: hold(was, taken, now, Paused), Message: fmt.Sprintf("%d of %d nodes updated, as many as partition allows", taken, len(order))}
	}
	if wait := p.untilNext(was, taken, now); wait > 0 {
		return Step{Status: hold(was, taken, now, Progressing), RequeueAfter: wait, Message: fmt.Sprintf("%d of %d nodes updated, the next ones in %s", taken, len(order), wait.Round(time.Second))}
	}
	return advance(revision, order, taken, limit, p)
}

// advance moves the frontier over the next batch. Nodes that aren't Ready don't count.
func advance(revision string, order []Node, taken, limit int, p Policy) Step {
	for batch := 0; taken < limit && batch < max(1, p.MaxUnavailable); taken++ {
		if !order[taken].NotReady {
			batch++
		}
	}
	return Step{
		Status:  Status{Phase: Progressing, Frontier: Rank(order[taken-1].Name, revision)},
		Message: fmt.Sprintf("updating %d of %d nodes", taken, len(order)),
	}
}

// finish lets all nodes have the revision, those that join later, too, once the last batch was ready
// long enough.
func finish(was Status, nodes int, p Policy, now time.Time) Step {
	if wait := p.untilNext(was, nodes, now); wait > 0 {
		return Step{Status: hold(was, nodes, now, Progressing), RequeueAfter: wait, Message: fmt.Sprintf("all %d nodes updated, complete in %s", nodes, wait.Round(time.Second))}
	}
	return complete(nodes)
}

func complete(nodes int) Step {
	return Step{Status: Status{Phase: Complete, Frontier: All}, Message: fmt.Sprintf("rolled out to all %d nodes", nodes)}
}

func failed(was Status, failing []string, taken, all int, p Policy) Step {
	list := strings.Join(failing[:min(3, len(failing))], ", ")
	if p.Rollback {
		return Step{Status: Status{Phase: RolledBack, Frontier: None}, Message: fmt.Sprintf("rolled back after %d of %d nodes: failed on %s", taken, all, list)}
	}
	return Step{Status: Status{Phase: Halted, Frontier: was.Frontier}, Message: fmt.Sprintf("halted at %d of %d nodes: failed on %s", taken, all, list)}
}

// hold keeps the frontier, and since when its nodes are ready.
func hold(was Status, taken int, now time.Time, phase Phase) Status {
	s := Status{Phase: phase, Frontier: was.Frontier, ReadySince: was.ReadySince}
	if s.ReadySince.IsZero() && taken > 0 {
		s.ReadySince = now
	}
	return s
}

// untilNext is how long the nodes that have the revision must still hold it.
func (p Policy) untilNext(was Status, taken int, now time.Time) time.Duration {
	switch {
	case p.MinReady <= 0 || taken == 0:
		return 0
	case was.ReadySince.IsZero():
		return p.MinReady
	}
	return max(0, p.MinReady-now.Sub(was.ReadySince))
}

// ordered is the nodes in the order in which they take a revision.
func ordered(revision string, nodes []Node) []Node {
	order := slices.Clone(nodes)
	slices.SortFunc(order, func(a, b Node) int {
		if c := strings.Compare(Rank(a.Name, revision), Rank(b.Name, revision)); c != 0 {
			return c
		}
		return strings.Compare(a.Name, b.Name)
	})
	return order
}

func waitingFor(nodes []Node) int {
	n := 0
	for _, node := range nodes {
		if node.State == Pending && !node.NotReady {
			n++
		}
	}
	return n
}

func names(nodes []Node, state State) []string {
	var list []string
	for _, n := range nodes {
		if n.State == state {
			list = append(list, n.Name)
		}
	}
	slices.Sort(list)
	return list
}
