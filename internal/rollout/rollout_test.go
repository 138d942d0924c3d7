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

const revision = "table-2"

// fleet plays nodes that follow the frontier, one tick after it moved.
type fleet struct {
	nodes  []rollout.Node
	policy rollout.Policy
	status rollout.Status
	now    time.Time
	log    strings.Builder
	// revision is the one that is rolled out.
	revision string
	// failOn are nodes on which the revision fails.
	failOn map[string]bool
}

func newFleet(n int, p rollout.Policy) *fleet {
	f := &fleet{revision: revision, policy: p, now: time.Unix(0, 0), failOn: map[string]bool{}}
	for i := range n {
		f.nodes = append(f.nodes, rollout.Node{Name: fmt.Sprintf("node-%02d", i)})
	}
	return f
}

func (f *fleet) say(format string, args ...any) { fmt.Fprintf(&f.log, format+"\n", args...) }

// tick takes one step, lets the nodes follow, and returns whether anything changed.
func (f *fleet) tick() bool {
	s := rollout.Next(f.revision, false, f.nodes, f.policy, f.status, f.now)
	changed := s.Status != f.status
	if changed {
		f.say("%4s  %-11s %s", f.now.Sub(time.Unix(0, 0)), s.Phase, s.Message)
	}
	f.status = s.Status
	for i := range f.nodes {
		n := &f.nodes[i]
		switch takes := rollout.Includes(n.Name, f.revision, f.status.Frontier); {
		case n.NotReady:
		case takes && f.failOn[n.Name]:
			changed = changed || n.State != rollout.Failed
			n.State = rollout.Failed
		case takes:
			changed = changed || n.State != rollout.Updated
			n.State = rollout.Updated
		default:
			n.State = rollout.Pending
		}
	}
	f.now = f.now.Add(time.Second)
	return changed || s.RequeueAfter > 0
}

// run ticks until nothing changes.
func (f *fleet) run(t *testing.T) {
	t.Helper()
	for range 1000 {
		if !f.tick() {
			return
		}
	}
	t.Fatalf("the rollout doesn't come to rest:\n%s", f.log.String())
}

func (f *fleet) updated() (n int) {
	for i := range f.nodes {
		if f.nodes[i].State == rollout.Updated {
			n++
		}
	}
	return n
}

// first and last are the nodes at the ends of the order.
func (f *fleet) order() []string {
	var list []string
	for _, n := range f.nodes {
		list = append(list, n.Name)
	}
	slices.SortFunc(list, func(a, b string) int {
		return strings.Compare(rollout.Rank(a, revision), rollout.Rank(b, revision))
	})
	return list
}

func (f *fleet) node(name string) *rollout.Node {
	for i := range f.nodes {
		if f.nodes[i].Name == name {
			return &f.nodes[i]
		}
	}
	return nil
}

// TestLogs compares the log of each history with testdata/logs.golden.
func TestLogs(t *testing.T) {
	quarter := rollout.Policy{MaxUnavailable: 2}
	var all strings.Builder
	for _, h := range []struct {
		name string
		f    *fleet
		play func(f *fleet)
	}{
		{"plain", newFleet(8, quarter), func(f *fleet) { f.run(t) }},
		{"min ready", newFleet(4, rollout.Policy{MaxUnavailable: 2, MinReady: 5 * time.Second}), func(f *fleet) { f.run(t) }},
		{"failure in the first batch", newFleet(8, quarter), func(f *fleet) {
			f.failOn[f.order()[1]] = true
			f.run(t)
			f.say("  (mended)")
			f.failOn = nil
			for i := range f.nodes { // the agent tries again by itself
				if f.nodes[i].State == rollout.Failed {
					f.nodes[i].State = rollout.Updated
				}
			}
			f.run(t)
		}},
		{"failure late, rollback", newFleet(8, rollout.Policy{MaxUnavailable: 2, Rollback: true}), func(f *fleet) {
			f.failOn[f.order()[6]] = true
			f.run(t)
			f.say("  %d nodes updated", f.updated())
		}},
		{"node joins", newFleet(4, quarter), func(f *fleet) {
			f.tick()
			f.tick()
			f.nodes = append(f.nodes, rollout.Node{Name: "late-1"}, rollout.Node{Name: "late-2"})
			f.say("  (two nodes join)")
			f.run(t)
		}},
		{"node leaves", newFleet(6, quarter), func(f *fleet) {
			f.tick()
			gone := f.order()[0]
			f.nodes = slices.DeleteFunc(f.nodes, func(n rollout.Node) bool { return n.Name == gone })
			f.say("  (the first node leaves)")
			f.run(t)
		}},
		{"node not ready", newFleet(6, quarter), func(f *fleet) {
			f.node(f.order()[1]).NotReady = true
			f.say("  (one node is not ready)")
			f.run(t)
			f.node(f.order()[1]).NotReady = false
			f.say("  (it is back)")
			f.run(t)
			f.say("  %d nodes updated", f.updated())
		}},
		{"pause and resume", newFleet(6, quarter), func(f *fleet) {
			f.tick()
			f.policy.Paused = true
			f.say("  (paused)")
			f.run(t)
			f.policy.Paused = false
			f.say("  (resumed)")
			f.run(t)
		}},
		{"partition", newFleet(6, rollout.Policy{MaxUnavailable: 4, Partition: 3}), func(f *fleet) {
			f.run(t)
			f.policy.Partition = 0
			f.say("  (partition 0)")
			f.run(t)
		}},
		{"spec changes in the middle", newFleet(6, quarter), func(f *fleet) {
			f.tick()
			f.tick()
			f.say("  (a newer revision: %d of the nodes hold the one before, in an order of its own)", f.updated())
			f.revision, f.status = "table-3", rollout.Status{}
			for i := range f.nodes {
				f.nodes[i].State = rollout.Pending
			}
			f.run(t)
		}},
		{"one node", newFleet(1, quarter), func(f *fleet) { f.run(t) }},
		{"zero nodes", newFleet(0, quarter), func(f *fleet) { f.run(t) }},
	} {
		h.play(h.f)
		fmt.Fprintf(&all, "== %s\n%s", h.name, h.f.log.String())
	}
	golden.Equal(t, "testdata/logs.golden", all.String())
}

// TestExactlyK moves the frontier and counts the nodes that take the revision after each step.
func TestExactlyK(t *testing.T) {
	f := newFleet(1000, rollout.Policy{MaxUnavailable: 137})
	for want := 137; f.status.Phase != rollout.Complete; want += 137 {
		f.tick()
		if got := f.updated(); got != min(want, 1000) {
			t.Fatalf("%d nodes updated, want %d", got, min(want, 1000))
		}
		if want > 2000 {
			t.Fatal("it doesn't end")
		}
	}
}

// TestFirstGoesToAll doesn't stage what nobody depends on yet.
func TestFirstGoesToAll(t *testing.T) {
	f := newFleet(10, rollout.Policy{MaxUnavailable: 1, Paused: true, Partition: 5})
	s := rollout.Next(revision, true, f.nodes, f.policy, rollout.Status{}, f.now)
	if s.Phase != rollout.Complete || s.Frontier != rollout.All {
		t.Errorf("%+v", s)
	}
}

// TestOrdersDiffer doesn't let the same node be the first one each time.
func TestOrdersDiffer(t *testing.T) {
	firsts := map[string]bool{}
	for r := range 50 {
		best, place := "", "z"
		for n := range 10 {
			name := fmt.Sprint("node-", n)
			if p := rollout.Rank(name, fmt.Sprint("table-", r)); p < place {
				best, place = name, p
			}
		}
		firsts[best] = true
	}
	if len(firsts) < 8 {
		t.Errorf("only %d of 10 nodes are ever the first", len(firsts))
	}
}
