// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package rollout

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/bpfmap-io/bpfmap-operator/internal/text"
)

// surveyed is how the nodes are with a revision at a time.
type surveyed struct {
	order
	policy Policy
	was    Status
	now    time.Time
	counts
}

// counts is how the nodes are that were told to take the revision.
type counts struct {
	// taken is how many there are; held is how many of them hold it, late how many were away when they were told.
	taken, held, late int
	awaited, failing  some
	// again is when to look again though nothing changed; zero for never.
	again time.Time
}

// some is a number of nodes of which the first ones by name are known.
type some struct {
	count int
	first []named
}

// named is a node, and for a failing one why it does.
type named struct{ node, cause string }

func (s *some) add(n named) {
	s.count++
	at, _ := slices.BinarySearchFunc(s.first, n, func(a, b named) int { return strings.Compare(a.node, b.node) })
	if at == maxNamed {
		return
	}
	s.first = slices.Insert(s.first, at, n)
	s.first = s.first[:min(len(s.first), maxNamed)]
}

// survey judges all nodes that were told to take the revision.
func (s *surveyed) survey() {
	s.counts = counts{}
	told := make([]uint64, len(s.was.Batches))
	for i, b := range s.was.Batches {
		told[i], _ = reach(b.Frontier)
	}
	for i := range s.nodes {
		if batch, ok := s.batchOf(i, told); ok {
			n := &s.nodes[i]
			s.count(n, n.judge(s.was.Batches[batch].Time, &s.policy, s.now))
		}
	}
}

// batchOf is the batch of the i-th node, given the last positions of all batches; not ok if it is in none yet.
// The last batch of a rollout that has no other needs no positions.
func (s *surveyed) batchOf(i int, told []uint64) (batch int, ok bool) {
	if len(told) == 0 {
		return 0, false
	}
	for batch, last := range told {
		if last == math.MaxUint64 || (last > 0 && s.of(i) <= last) {
			return batch, true
		}
	}
	return 0, false
}

func (s *surveyed) count(n *Node, j judgement) {
	s.taken++
	switch j.verdict {
	case holds:
		s.held++
	case awaited:
		s.awaited.add(named{node: n.Name})
	case late:
		s.late++
	case failing:
		s.failing.add(named{n.Name, j.cause})
	}
	if !j.until.IsZero() {
		s.lookAgainAt(j.until)
	}
}

func (s *surveyed) lookAgainAt(at time.Time) {
	if at.After(s.now) && (s.again.IsZero() || at.Before(s.again)) {
		s.again = at
	}
}

func (s *surveyed) step(next Status, why Reason, message string) Step {
	step := Step{Status: next, Reason: why, Message: message}
	if !s.again.IsZero() {
		step.RequeueAfter = s.again.Sub(s.now)
	}
	return step
}

// maxNamed bounds how many nodes a message names, and maxCause what it quotes of each, in bytes.
const (
	maxNamed = 3
	maxCause = 200
)

func (s *surveyed) updating() string {
	return "updating " + s.outOf(s.taken) + s.waiting() + s.others()
}

func (s *surveyed) soaking(next string) string {
	return fmt.Sprintf("%s updated, %s after %s (minReadySeconds)", s.outOf(s.held), next, s.policy.MinReady) + s.others()
}

func (s *surveyed) paused() string {
	return fmt.Sprintf("paused at %s (spec.rollout.paused)", s.outOf(s.taken)) + s.others()
}

func (s *surveyed) partitioned() string {
	return fmt.Sprintf("%s updated, as many as spec.rollout.partition allows", s.outOf(s.held)) + s.others()
}

func (s *surveyed) completed() string {
	return "rolled out to " + s.outOf(s.held) + s.waiting() + s.others() // nodes that joined, or lost it

}

func (s *surveyed) halted() string {
	at := "halted at " + s.outOf(s.taken)
	if s.was.toAll() {
		at = s.outOf(s.taken) + " took it"
	}
	until := "no node fails"
	if n := s.policy.MaxFailed; n > 0 {
		until = fmt.Sprintf("at most %s", text.Count(n, "node fails", "nodes fail"))
	}
	return fmt.Sprintf("%s: failed on %s; it goes on once %s (see spec.rollout.maxFailed), or with a new revision", at, s.failures(), until)
}

func (s *surveyed) rolledBack() string {
	return fmt.Sprintf("rolled back after %s: failed on %s; a new revision is needed to go on", s.outOf(s.taken), s.failures())
}

// others tells of nodes that the rollout doesn't wait for.
func (s *surveyed) others() string {
	var b strings.Builder
	if s.failing.count > 0 {
		fmt.Fprintf(&b, "; failed on %s", s.failures())
	}
	switch {
	case s.late == 1:
		b.WriteString("; 1 node was away and takes it when it is back")
	case s.late > 1:
		fmt.Fprintf(&b, "; %d nodes were away and take it when they are back", s.late)
	}
	return b.String()
}

// failures names the first nodes that fail and why the first one does.
func (s *surveyed) failures() string {
	first := s.failing.first[0]
	message := first.node
	if first.cause != "" {
		message += ": " + text.Truncate(first.cause, maxCause)
	}
	if more := s.failing.count - 1; more > 0 {
		message += fmt.Sprintf("; %d more", more)
	}
	return message
}

// outOf is a number of all nodes.
func (s *surveyed) outOf(n int) string {
	switch all := len(s.nodes); {
	case all == 0:
		return "no nodes"
	case n < all:
		return fmt.Sprintf("%d of %s", n, text.Count(all, "node", "nodes"))
	case all == 1:
		return "1 node"
	default:
		return fmt.Sprintf("all %d nodes", all)
	}
}

// waiting names the first nodes that are waited for.
func (s *surveyed) waiting() string {
	if s.awaited.count == 0 {
		return ""
	}
	names := make([]string, len(s.awaited.first))
	for i, n := range s.awaited.first {
		names[i] = n.node
	}
	message := ", waiting for " + strings.Join(names, ", ")
	if more := s.awaited.count - len(names); more > 0 {
		message += fmt.Sprintf(" and %d more", more)
	}
	return message
}
