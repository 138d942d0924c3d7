// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package rollout_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/bpfmap-io/bpfmap-operator/internal/rollout"
	"github.com/bpfmap-io/bpfmap-operator/test/golden"
)

// leavers play nodes that give a map up one tick of a second after they are released.
type leavers struct {
	nodes     []rollout.Leaver
	policy    rollout.Policy
	remain    int
	allowNone bool
	now       time.Time
	log       strings.Builder
	told      string
	// stuck are nodes that don't give it up, lost those that are away as soon as they do.
	stuck, lost map[string]bool
}

func newLeavers(n, remain int, p rollout.Policy) *leavers {
	l := &leavers{policy: p, remain: remain, now: epoch, stuck: map[string]bool{}, lost: map[string]bool{}}
	for i := range n {
		l.nodes = append(l.nodes, rollout.Leaver{Name: fmt.Sprintf("node-%02d", i), Holds: true})
	}
	return l
}

// run ticks until nothing changes.
func (l *leavers) run(t *testing.T) {
	t.Helper()
	for range 2000 {
		step := rollout.Releases(revision, l.nodes, l.remain, l.allowNone, l.policy, l.now)
		line := step.Message
		if step.Withheld {
			line = "(withheld) " + line
		}
		if len(step.Release)+len(step.Forget) > 0 {
			line += fmt.Sprintf(" | release %v, forget %v", step.Release, step.Forget)
		}
		if line != l.told {
			fmt.Fprintf(&l.log, "%6s  %s\n", l.now.Sub(epoch), line)
		}
		changed := line != l.told || step.RequeueAfter > 0
		l.told = line
		for i := range l.nodes {
			n := &l.nodes[i]
			switch {
			case slices.Contains(step.Release, n.Name):
				n.Released = l.now.Truncate(time.Second)
				if l.lost[n.Name] {
					n.Away, n.Since, n.Cause = true, n.Released, "the Node isn't Ready"
				}
			case !n.Released.IsZero() && !n.Away && !l.stuck[n.Name]:
				n.Holds = false
			}
		}
		l.nodes = slices.DeleteFunc(l.nodes, func(n rollout.Leaver) bool { return slices.Contains(step.Forget, n.Name) })
		l.now = l.now.Add(time.Second)
		if !changed {
			return
		}
	}
	t.Fatalf("it doesn't come to rest:\n%s", l.log.String())
}

// TestReleases compares the log of each history with testdata/releases.golden.
func TestReleases(t *testing.T) {
	policy := rollout.Policy{MaxUnavailable: 2, MinReady: 5 * time.Second, Deadline: time.Minute}
	var all strings.Builder
	for _, h := range []struct {
		name string
		l    *leavers
		play func(*leavers)
	}{
		{"some nodes of more", newLeavers(5, 3, policy), func(l *leavers) { l.run(t) }},
		{"one node", newLeavers(1, 3, policy), func(l *leavers) { l.run(t) }},
		{"all nodes", newLeavers(3, 0, policy), func(l *leavers) {
			l.run(t)
			l.log.WriteString("  (allowNoNodes)\n")
			l.allowNone = true
			l.run(t)
		}},
		{"the others go meanwhile", newLeavers(4, 1, policy), func(l *leavers) {
			l.policy.Deadline = 0
			for i := range l.nodes {
				l.stuck[l.nodes[i].Name] = true
			}
			l.run(t)
			l.log.WriteString("  (no node remains)\n")
			clear(l.stuck)
			l.remain = 0
			l.run(t)
		}},
		{"paused", newLeavers(2, 1, policy), func(l *leavers) {
			l.policy.Paused = true
			l.run(t)
			l.log.WriteString("  (resumed)\n")
			l.policy.Paused = false
			l.run(t)
		}},
		{"labels are put back", newLeavers(4, 1, policy), func(l *leavers) {
			l.stuck["node-00"], l.stuck["node-01"], l.stuck["node-02"], l.stuck["node-03"] = true, true, true, true
			l.policy.Deadline = 0
			l.run(t)
			l.log.WriteString("  (put back)\n")
			for i := range l.nodes {
				l.nodes[i].Selected = true
			}
			l.nodes = slices.DeleteFunc(l.nodes, func(n rollout.Leaver) bool { return n.Released.IsZero() })
			l.run(t)
		}},
		{"a node is away, another one is cut off by what it gave up", newLeavers(6, 1, policy), func(l *leavers) {
			l.nodes[0].Away, l.nodes[0].Since = true, epoch.Add(-time.Hour)
			for _, n := range l.nodes {
				l.lost[n.Name] = n.Name != "node-00"
			}
			l.run(t)
		}},
		{"a node doesn't give it up", newLeavers(3, 1, policy), func(l *leavers) {
			for _, n := range l.nodes {
				l.stuck[n.Name] = true
			}
			l.run(t)
		}},
		{"a node doesn't give it up, within the threshold", newLeavers(3, 1, rollout.Policy{MaxUnavailable: 1, MaxFailed: 1, Deadline: time.Minute}), func(l *leavers) {
			l.stuck["node-00"] = true
			l.run(t)
		}},
		{"none", newLeavers(0, 3, policy), func(l *leavers) { l.run(t) }},
	} {
		h.play(h.l)
		fmt.Fprintf(&all, "== %s\n%s", h.name, h.l.log.String())
	}
	golden.Equal(t, "testdata/releases.golden", all.String())
}
