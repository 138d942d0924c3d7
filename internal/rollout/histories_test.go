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

type history struct {
	name string
	f    *fleet
	play func(t *testing.T, f *fleet)
}

func run(t *testing.T, f *fleet) { f.run(t) }

// TestLogs compares the log of each history with testdata/logs.golden.
func TestLogs(t *testing.T) {
	var all strings.Builder
	for _, h := range slices.Concat(plainHistories(), failingHistories(), awayHistories(), heldHistories()) {
		h.play(t, h.f)
		fmt.Fprintf(&all, "== %s\n%s", h.name, h.f.log.String())
	}
	golden.Equal(t, "testdata/logs.golden", all.String())
}

func plainHistories() []history {
	quarter := rollout.Policy{MaxUnavailable: 2}
	first := newFleet(8, rollout.Policy{MaxUnavailable: 2, MinReady: 5 * time.Second, Paused: true, Partition: 5})
	first.first = true
	one := newFleet(1, rollout.Policy{MaxUnavailable: 1, MinReady: 5 * time.Second})
	none := newFleet(0, rollout.Policy{MaxUnavailable: 1, MinReady: 5 * time.Second})
	return []history{
		{"plain", newFleet(8, quarter), run},
		{"min ready", newFleet(4, rollout.Policy{MaxUnavailable: 2, MinReady: 5 * time.Second}), run},
		{"first revision, though paused", first, run},
		{"one node", one, run},
		{"no nodes", none, run},
		{"nodes join", newFleet(4, quarter), func(t *testing.T, f *fleet) {
			f.ticks(1)
			f.nodes = append(f.nodes, rollout.Node{Name: "late-1", Joined: f.now}, rollout.Node{Name: "late-2", Joined: f.now})
			f.say("  (two nodes join)")
			f.run(t)
		}},
		{"a node leaves", newFleet(6, quarter), func(t *testing.T, f *fleet) {
			f.ticks(1)
			gone := f.order()[0]
			f.nodes = slices.DeleteFunc(f.nodes, func(n rollout.Node) bool { return n.Name == gone })
			f.say("  (the first node leaves)")
			f.run(t)
		}},
		{"a newer revision in the middle", newFleet(6, quarter), func(t *testing.T, f *fleet) {
			f.ticks(2)
			f.say("  (%d of the nodes hold the one before, in an order of its own)", f.updated())
			f.revision, f.status = "table-3", rollout.Status{}
			for i := range f.nodes {
				f.nodes[i].State = rollout.Pending
			}
			f.run(t)
		}},
		{"restored without status: nodes hold it already", newFleet(6, rollout.Policy{MaxUnavailable: 1, MinReady: 5 * time.Second}), func(t *testing.T, f *fleet) {
			for i := range f.nodes {
				f.nodes[i].State = rollout.Updated
			}
			f.node(f.order()[2]).State = rollout.Pending
			f.say("  (all but the third one do)")
			f.run(t)
		}},
		{"the BPFMap's status is lost in the middle", newFleet(6, rollout.Policy{MaxUnavailable: 2, MinReady: 5 * time.Second}), func(t *testing.T, f *fleet) {
			f.ticks(8)
			last := f.status.Batches[len(f.status.Batches)-1]
			f.say("  (lost)")
			f.status = rollout.Status{Batches: rollout.Recall(nil, last.Frontier, last.Time)}
			f.run(t)
		}},
	}
}

func failingHistories() []history {
	quarter := rollout.Policy{MaxUnavailable: 2}
	back := rollout.Policy{MaxUnavailable: 2, Rollback: true}
	first := newFleet(3, back)
	first.first = true
	return []history{
		{"failure in the first batch", newFleet(8, quarter), func(t *testing.T, f *fleet) {
			f.failOn[f.order()[1]] = true
			f.run(t)
			f.mend()
			f.run(t)
		}},
		{"failures in the last batch, rollback", newFleet(8, back), func(t *testing.T, f *fleet) {
			f.failOn[f.order()[6]], f.failOn[f.order()[7]] = true, true
			f.run(t)
			f.mend()
			f.ticks(60)
			f.say("  %d nodes updated", f.updated())
		}},
		{"the first revision fails everywhere: there is nothing to go back to", first, func(t *testing.T, f *fleet) {
			for _, n := range f.nodes {
				f.failOn[n.Name] = true
			}
			f.run(t)
			f.mend()
			f.run(t)
		}},
		{"fewer failures than the threshold", newFleet(20, rollout.Policy{MaxUnavailable: 5, MaxFailed: 1, MinReady: 5 * time.Second}), func(t *testing.T, f *fleet) {
			f.failOn[f.order()[1]] = true
			f.run(t)
		}},
		{"more failures than the threshold", newFleet(20, rollout.Policy{MaxUnavailable: 5, MaxFailed: 1, MinReady: 5 * time.Second}), func(t *testing.T, f *fleet) {
			f.failOn[f.order()[1]], f.failOn[f.order()[6]] = true, true
			f.run(t)
		}},
		{"nodes that don't report in time", newFleet(4, rollout.Policy{MaxUnavailable: 1, Deadline: time.Minute}), func(t *testing.T, f *fleet) {
			f.silent[f.order()[1]] = true
			f.run(t)
			f.say("  (it reports)")
			clear(f.silent)
			f.run(t)
		}},
		{"nodes that don't report in time, within the threshold: later batches don't wait for them again",
			newFleet(4, rollout.Policy{MaxUnavailable: 1, MaxFailed: 1, Deadline: time.Minute}), func(t *testing.T, f *fleet) {
				f.silent[f.order()[0]] = true
				f.run(t)
			}},
		{"a node that goes on changing its mind, within the threshold", newFleet(4, rollout.Policy{MaxUnavailable: 1, MaxFailed: 1, MinReady: 5 * time.Second}), func(_ *testing.T, f *fleet) {
			flapping := f.order()[0]
			for range 40 {
				f.failOn[flapping] = !f.failOn[flapping]
				f.tick()
			}
			f.say("  %d nodes updated", f.updated())
		}},
	}
}

func awayHistories() []history {
	minute := rollout.Policy{MaxUnavailable: 2, MinReady: time.Minute, Deadline: 10 * time.Minute}
	after := func(d time.Duration) func(string, time.Duration) bool {
		return func(_ string, since time.Duration) bool { return since >= d }
	}
	killed, back, cutOff, forgotten := newFleet(8, minute), newFleet(8, minute), newFleet(8, minute), newFleet(40, minute)
	killed.kill = after(40 * time.Second)
	back.kill, back.policy.Rollback = after(40*time.Second), true
	cutOff.kill, cutOff.policy.MinReady = after(0), 0
	forgotten.policy.MaxUnavailable, forgotten.policy.MaxFailed = 10, 2
	return []history{
		{"nodes are gone 40s after they took it", killed, run},
		{"nodes are gone 40s after they took it, rollback", back, run},
		{"nodes are gone before they can report", cutOff, run},
		{"some nodes of each batch are gone before they can report", forgotten, func(t *testing.T, f *fleet) {
			order := f.order()
			doomed := []string{order[0], order[11], order[22], order[33]}
			f.kill = func(node string, _ time.Duration) bool { return slices.Contains(doomed, node) }
			f.run(t)
			f.say("  %d nodes updated", f.updated())
		}},
		{"a node was away before", newFleet(6, rollout.Policy{MaxUnavailable: 2, Deadline: time.Minute}), func(t *testing.T, f *fleet) {
			away := f.order()[1]
			f.goes(away, true)
			f.now = f.now.Add(time.Minute)
			f.run(t)
			f.goes(away, false)
			f.say("  (it is back)")
			f.run(t)
			f.say("  %d nodes updated", f.updated())
		}},
		{"a node that was away is back after the deadline and fails", newFleet(6, rollout.Policy{MaxUnavailable: 1, Deadline: time.Minute, MinReady: 40 * time.Second}), func(t *testing.T, f *fleet) {
			away := f.order()[0]
			f.goes(away, true)
			f.now = f.now.Add(time.Minute)
			f.ticks(100)
			f.goes(away, false)
			f.silent[away] = true
			f.say("  (it is back)")
			f.ticks(5)
			f.say("  (it reports)")
			f.silent[away], f.failOn[away] = false, true
			f.run(t)
		}},
		{"a node is away for a while after it took it", newFleet(4, rollout.Policy{MaxUnavailable: 1, MinReady: 5 * time.Second}), func(t *testing.T, f *fleet) {
			f.ticks(3)
			f.goes(f.order()[0], true)
			f.ticks(30)
			f.goes(f.order()[0], false)
			f.say("  (it is back)")
			f.run(t)
		}},
		{"a node that joins isn't there at first", newFleet(4, rollout.Policy{MaxUnavailable: 2, MinReady: 5 * time.Second, Deadline: time.Minute}), func(t *testing.T, f *fleet) {
			f.ticks(3)
			joined := f.now.Truncate(time.Second)
			f.nodes = append(f.nodes, rollout.Node{Name: "late-4", Joined: joined, Away: true, Since: joined, Cause: "the Node isn't Ready"})
			f.say("  (it joins)")
			f.run(t)
			f.goes("late-4", false)
			f.say("  (it is there)")
			f.run(t)
		}},
	}
}

func heldHistories() []history {
	quarter := rollout.Policy{MaxUnavailable: 2}
	return []history{
		{"pause and resume", newFleet(6, quarter), func(t *testing.T, f *fleet) {
			f.tick()
			f.policy.Paused = true
			f.say("  (paused)")
			f.run(t)
			f.policy.Paused = false
			f.say("  (resumed)")
			f.run(t)
		}},
		{"a pause after the last batch holds nothing", newFleet(4, rollout.Policy{MaxUnavailable: 4, MinReady: 5 * time.Second}), func(t *testing.T, f *fleet) {
			f.tick()
			f.policy.Paused = true
			f.say("  (paused)")
			f.run(t)
		}},
		{"partition", newFleet(6, rollout.Policy{MaxUnavailable: 4, Partition: 3}), func(t *testing.T, f *fleet) {
			f.run(t)
			f.policy.Partition = 0
			f.say("  (partition 0)")
			f.run(t)
		}},
		{"partition of all nodes", newFleet(1, rollout.Policy{MaxUnavailable: 1, Partition: 1}), run},
		// Nodes that the new revision doesn't select are Pending until the map is gone, and then Updated; others
		// that have no map and aren't to have one are Updated from the start.
		{"another selection", newFleet(6, rollout.Policy{MaxUnavailable: 1, MinReady: 5 * time.Second}), func(t *testing.T, f *fleet) {
			for _, name := range f.order()[1:4] {
				f.node(name).State = rollout.Updated
			}
			f.say("  (three of the nodes are as they are to be)")
			f.run(t)
		}},
	}
}
