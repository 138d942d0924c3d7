// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package rollout

import (
	"cmp"
	"slices"
	"strings"
	"time"
)

// Policy is how a rollout goes.
type Policy struct {
	// MaxUnavailable is how many nodes take the new revision at a time, at least 1. Nodes that fail count.
	MaxUnavailable int
	// Partition is how many nodes keep the old revision in the end.
	Partition int
	// MinReady is how long a batch has to hold the new revision before the next one goes.
	MinReady time.Duration
	// Deadline is how long a batch may take to report; those that exceed it fail. Zero for ever.
	Deadline time.Duration
	// MaxFailed is how many nodes may fail without keeping others from taking the revision.
	MaxFailed int
	// Paused holds the frontier where it is.
	Paused bool
	// Rollback takes the revision back when too many nodes fail; otherwise the frontier stays where it is.
	Rollback bool
}

// Step is the next status, and what goes with it.
type Step struct {
	Status
	// Moved says that the frontier isn't where it was.
	Moved  bool
	Reason Reason
	// Message says for people how far the rollout is.
	Message string
	// RequeueAfter is when to look again though nothing changed; zero for never.
	RequeueAfter time.Duration
}

// Next is the next step of the rollout of a revision. first says that no node has an earlier one to lose: it goes
// to all nodes at once, and there is nothing to go back to.
func Next(revision string, first bool, nodes []Node, p Policy, was Status, now time.Time) Step {
	if was.RolledBack != "" {
		return Step{Status: was.in(RolledBack, time.Time{}), Reason: NodesFailed, Message: was.RolledBack}
	}
	s := &surveyed{order: order{revision: revision, nodes: nodes}, policy: p, was: was, now: now}
	if first && !was.toAll() {
		return s.move(All)
	}
	s.survey()
	switch {
	case was.Phase == Complete && was.toAll():
		return s.complete()
	case s.failing.count > p.MaxFailed && p.Rollback && !first:
		return s.was.takenBack(s.rolledBack(), s.now)
	case s.failing.count > p.MaxFailed && first: // no other node waits for those that fail
		return s.step(was.in(Progressing, time.Time{}), NodesFailed, s.updating())
	case s.failing.count > p.MaxFailed:
		return s.step(was.in(Halted, time.Time{}), NodesFailed, s.halted())
	case s.awaited.count > 0 && p.Paused && !was.toAll():
		return s.step(was.in(Paused, time.Time{}), PausedBySpec, s.updating()+"; paused (spec.rollout.paused)")
	case s.awaited.count > 0:
		return s.step(was.in(Progressing, time.Time{}), Updating, s.updating())
	}
	return s.proceed()
}

// in is the status in a phase.
func (s Status) in(phase Phase, readySince time.Time) Status {
	s.Phase, s.ReadySince = phase, readySince
	return s
}

// proceed goes on after all nodes that are waited for hold the revision.
func (s *surveyed) proceed() Step {
	since, wait := s.soak()
	switch {
	case s.was.toAll() && wait == 0:
		return s.complete()
	case s.was.toAll():
		return s.step(s.was.in(Progressing, since), Soaking, s.soaking("complete"))
	case s.policy.Paused:
		return s.step(s.was.in(Paused, since), PausedBySpec, s.paused())
	case s.policy.Partition > 0 && s.taken >= s.limit():
		return s.step(s.was.in(Paused, since), PartitionReached, s.partitioned())
	case wait > 0:
		return s.step(s.was.in(Progressing, since), Soaking, s.soaking("the next ones follow"))
	}
	return s.advance()
}

// limit is how many nodes may have the revision.
func (s *surveyed) limit() int { return max(0, len(s.nodes)-s.policy.Partition) }

// soak is since when the nodes that have the revision hold it, and how long they still must.
func (s *surveyed) soak() (since time.Time, wait time.Duration) {
	if s.taken == 0 {
		return time.Time{}, 0
	}
	if since = s.was.ReadySince; since.IsZero() {
		since = s.now
	}
	wait = max(0, s.policy.MinReady-s.now.Sub(since))
	s.lookAgainAt(s.now.Add(wait))
	return since, wait
}

// complete ends the rollout. Of its batches nobody asks any more.
func (s *surveyed) complete() Step {
	next := s.was.in(Complete, time.Time{})
	next.Batches = next.Batches[len(next.Batches)-1:]
	step := s.step(next, RolledOut, s.completed())
	step.RequeueAfter = 0
	return step
}

// advance moves the frontier over the next batch, and with the last one over all nodes, also those that join
// later.
func (s *surveyed) advance() Step {
	rest := s.rest()
	room := max(1, s.policy.MaxUnavailable-s.failing.count)
	batch := 0
	for limit := s.limit() - s.taken; batch < limit; batch++ {
		// A node that is away, or is as it is to be already, takes no place.
		if n := rest[batch].node; n.Away || n.State == Updated {
			continue
		}
		if room == 0 {
			break
		}
		room--
	}
	if batch == len(rest) {
		return s.move(All)
	}
	return s.move(frontierAt(rest[batch-1].position))
}

// move tells the nodes up to a frontier to take the revision.
func (s *surveyed) move(frontier string) Step {
	s.was.Batches = s.was.moved(frontier, s.now)
	s.survey()
	step := s.step(s.was.in(Progressing, time.Time{}), Updating, s.updating())
	step.Moved = true
	return step
}

// ranked is a node with its position.
type ranked struct {
	position uint64
	node     *Node
}

// rest are the nodes that weren't told yet, in the order of the revision.
func (s *surveyed) rest() []ranked {
	last, some := reach(s.was.Frontier())
	rest := make([]ranked, 0, len(s.nodes)-s.taken)
	for i := range s.nodes {
		if at := s.of(i); !some || at > last {
			rest = append(rest, ranked{at, &s.nodes[i]})
		}
	}
	slices.SortFunc(rest, func(a, b ranked) int {
		if a.position != b.position {
			return cmp.Compare(a.position, b.position)
		}
		return strings.Compare(a.node.Name, b.node.Name)
	})
	return rest
}

// takenBack takes the revision back from all nodes.
func (s Status) takenBack(why string, now time.Time) Step {
	next := s.in(RolledBack, time.Time{})
	next.RolledBack, next.Batches = why, []Batch{{Frontier: None, Time: now}}
	return Step{Status: next, Moved: true, Reason: NodesFailed, Message: why}
}
