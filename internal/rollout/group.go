// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package rollout

import (
	"fmt"
	"time"

	"github.com/cespare/xxhash/v2"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
)

// OrderOf names the order in which nodes take a revision. Revisions of a group that were declared together have one, so
// that each batch takes all of them; any other revision has its own.
func OrderOf(rev *v1alpha1.BPFMapRevision) string {
	g := rev.Spec.Group
	if g == nil || len(g.Members) == 0 {
		return rev.Name
	}
	h := xxhash.New()
	_, _ = h.WriteString(g.Name) // never fails
	for _, m := range g.Members {
		_, _ = h.WriteString("\x00" + m.Name + "\x00" + m.Layout)
	}
	return fmt.Sprintf("%s/%016x", g.Name, h.Sum64())
}

// Partner is another map of the group whose newest revision is on its way to the nodes, too.
type Partner struct {
	// Name is that of the BPFMap.
	Name string
	// Policy is that of its own rollout.
	Policy Policy
	// Nodes is how the nodes are with its newest revision.
	Nodes []Node
	// Frontier is how far that may go.
	Frontier string
	// RolledBack is why that was taken back, if it was declared together with this one; empty if it wasn't.
	RolledBack string
}

// NextTogether is Next for a map that takes its steps together with others of its group: a node holds the revision once it
// holds those of all, it fails if it fails on one, and the most careful of all policies counts. Where one revision was
// taken back, so are the others.
func NextTogether(order string, first bool, nodes []Node, p Policy, was Status, now time.Time, partners []Partner) Step {
	for i := range partners {
		p = p.careful(&partners[i].Policy)
		nodes = merge(nodes, &partners[i])
	}
	if was.RolledBack == "" && !first && was.Phase != Complete {
		for i := range partners {
			if partners[i].RolledBack != "" {
				return was.backWith(&partners[i], now)
			}
		}
	}
	p.Rollback = p.Rollback && !first
	step := Next(order, first, nodes, p, was, now)
	if behind := was.ahead(partners); step.Moved && step.RolledBack == "" && !first && behind != "" {
		return Hold(was, "waits for BPFMap "+behind+" of its group to get as far")
	}
	return step
}

// Hold is a rollout that stays where it is, and why.
func Hold(was Status, message string) Step {
	return Step{Status: was.in(Progressing, time.Time{}), Reason: Updating, Message: message}
}

// backWith takes a revision back because that of a partner was.
func (s Status) backWith(partner *Partner, now time.Time) Step {
	return s.takenBack(fmt.Sprintf("rolled back together with BPFMap %s of its group: %s", partner.Name, partner.RolledBack), now)
}

// ahead names a partner whose frontier isn't as far; empty if there is none.
func (s *Status) ahead(partners []Partner) string {
	own, some := reach(s.Frontier())
	if !some {
		return ""
	}
	for i := range partners {
		if at, isTold := reach(partners[i].Frontier); !isTold || at < own {
			return partners[i].Name
		}
	}
	return ""
}

// careful is what both policies allow.
func (p Policy) careful(other *Policy) Policy {
	p.MaxUnavailable = min(p.MaxUnavailable, other.MaxUnavailable)
	p.Partition = max(p.Partition, other.Partition)
	p.MinReady = max(p.MinReady, other.MinReady)
	if p.Deadline <= 0 || (other.Deadline > 0 && other.Deadline < p.Deadline) {
		p.Deadline = other.Deadline
	}
	p.MaxFailed = min(p.MaxFailed, other.MaxFailed)
	p.Paused = p.Paused || other.Paused
	p.Rollback = p.Rollback || other.Rollback
	return p
}

// merge is how nodes are with two revisions: as with the one that they are worse with.
func merge(nodes []Node, partner *Partner) []Node {
	states := make(map[string]*Node, len(partner.Nodes))
	for i := range partner.Nodes {
		states[partner.Nodes[i].Name] = &partner.Nodes[i]
	}
	merged := make([]Node, len(nodes))
	for i, n := range nodes {
		switch theirs := states[n.Name]; {
		case theirs == nil || n.State == Failed:
		case theirs.State == Failed:
			n.State, n.Cause = Failed, because("BPFMap "+partner.Name, theirs.Cause)
		case theirs.State == Pending && n.State == Updated:
			n.State = Pending
		}
		merged[i] = n
	}
	return merged
}
