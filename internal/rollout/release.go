// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package rollout

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/bpfmap-io/bpfmap-operator/internal/text"
)

// Leaver is a node whose labels the revision that it holds doesn't select any more, or that was released from it.
type Leaver struct {
	Name string
	// Released is when the node was told to give the map up; zero if it wasn't.
	Released time.Time
	// Holds says that the node has the map, by what its agent reported last.
	Holds bool
	// Selected says that the node isn't to give the map up any more.
	Selected bool
	// Away, Since and Cause are as in Node.
	Away  bool
	Since time.Time
	Cause string
}

// Leave is the next step of nodes that leave.
type Leave struct {
	// Release are nodes that may give the map up now; Forget are those of which that need not be said any more.
	Release, Forget []string
	// Withheld says that nodes keep the map only because no other node has it.
	Withheld bool
	// Message says for people how far it is; empty if no node leaves.
	Message string
	// RequeueAfter is when to look again though nothing changed; zero for never.
	RequeueAfter time.Duration
}

// Releases is the next step of nodes that leave a revision. remain is how many nodes have the map and keep it, and
// allowNone says whether none may.
func Releases(revision string, leavers []Leaver, remain int, allowNone bool, p Policy, now time.Time) Leave {
	l := &leaving{surveyed: surveyed{policy: p, now: now}}
	for i := range leavers {
		l.judge(&leavers[i])
	}
	slices.SortFunc(l.next, func(a, b *Leaver) int {
		return cmp.Or(cmp.Compare(position(a.Name, revision), position(b.Name, revision)), cmp.Compare(a.Name, b.Name))
	})
	leave := l.decide(remain, allowNone)
	if !l.again.IsZero() {
		leave.RequeueAfter = l.again.Sub(now)
	}
	return leave
}

// leaving is how the nodes that leave are.
type leaving struct {
	surveyed
	// next are those that weren't released yet.
	next []*Leaver
	// soaking says that nodes were released less than Policy.MinReady ago.
	soaking bool
	forget  []string
}

func (l *leaving) judge(n *Leaver) {
	switch {
	case n.Released.IsZero():
		if !n.Selected {
			l.next = append(l.next, n)
		}
		return
	case n.Selected:
		l.forget = append(l.forget, n.Name)
		return
	}
	// Giving the map up is a change as taking a revision is, with the same ways to fail.
	node := Node{Name: n.Name, State: Updated, Away: n.Away, Since: n.Since, Cause: n.Cause}
	if n.Holds || n.Away {
		node.State = Pending
	}
	judged := node.judge(n.Released, &l.policy, l.now)
	if judged.verdict == failing && n.Away {
		judged.cause = because("became unavailable when it gave the map up", n.Cause)
	}
	l.count(&node, judged)
	if judged.verdict != holds {
		return
	}
	if soaked := n.Released.Add(l.policy.MinReady); l.now.Before(soaked) {
		l.soaking = true
		l.lookAgainAt(soaked)
		return
	}
	l.forget = append(l.forget, n.Name)
}

func (l *leaving) decide(remain int, allowNone bool) Leave {
	leave := Leave{Forget: l.forget}
	left := len(l.next)
	all := "labels of " + text.Count(left+l.taken-len(l.forget), "node don't", "nodes don't") + " match any more"
	switch {
	case left > 0 && remain == 0 && !allowNone:
		leave.Withheld = true
		leave.Message = fmt.Sprintf("no node matches nodeSelector any more: %s; correct the labels, or set spec.allowNoNodes to remove the map everywhere",
			text.Count(left, "node keeps the map", "nodes keep the map"))
	case l.failing.count > l.policy.MaxFailed:
		leave.Message = fmt.Sprintf("%s: giving the map up failed on %s", all, l.failures())
	case l.awaited.count > 0:
		leave.Message = all + l.waiting()
	case left > 0 && l.policy.Paused:
		leave.Message = all + ", paused (spec.rollout.paused)"
	case left > 0 && l.soaking:
		leave.Message = fmt.Sprintf("%s, the next ones give the map up after %s (minReadySeconds)", all, l.policy.MinReady)
	case left > 0:
		leave.Release = l.batch()
		leave.Message = fmt.Sprintf("%s, giving the map up on %d of them", all, len(leave.Release))
	case l.failing.count > 0:
		leave.Message = fmt.Sprintf("%s: giving the map up failed on %s", all, l.failures())
	}
	return leave
}

// batch is the next nodes to release. Those that are away give the map up when they are back, and take no place.
func (l *leaving) batch() (names []string) {
	room := max(1, l.policy.MaxUnavailable-l.failing.count)
	for _, n := range l.next {
		if !n.Away {
			if room == 0 {
				break
			}
			room--
		}
		names = append(names, n.Name)
	}
	return names
}
