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

// epoch is when every history starts: in the middle of a second, as clocks are.
var epoch = time.Unix(0, 0).Add(300 * time.Millisecond)

// fleet plays nodes that follow the frontier, one tick of a second after it moved.
type fleet struct {
	nodes  []rollout.Node
	policy rollout.Policy
	status rollout.Status
	now    time.Time
	log    strings.Builder
	// revision is the one that is rolled out; first says that there is none before it.
	revision string
	first    bool
	// failOn are nodes on which the revision fails. silent ones never report.
	failOn, silent map[string]bool
	// kill says whether a node that took the revision some time ago is gone.
	kill func(node string, since time.Duration) bool
	took map[string]time.Time
	told string
	// moves counts how often the frontier moved.
	moves int
}

func newFleet(n int, p rollout.Policy) *fleet {
	f := &fleet{revision: revision, policy: p, now: epoch, failOn: map[string]bool{}, silent: map[string]bool{}, took: map[string]time.Time{}}
	for i := range n {
		f.nodes = append(f.nodes, rollout.Node{Name: fmt.Sprintf("node-%02d", i)})
	}
	return f
}

func (f *fleet) say(format string, args ...any) { fmt.Fprintf(&f.log, format+"\n", args...) }

// tick takes one step, lets the nodes follow, and returns whether anything changed.
func (f *fleet) tick() bool {
	s := rollout.Next(f.revision, f.first, f.nodes, f.policy, f.status, f.now)
	line := fmt.Sprintf("%-11s %-16s %s", s.Phase, s.Reason, s.Message)
	changed := line != f.told || s.Moved
	if changed {
		f.say("%6s  %s", f.now.Sub(epoch), line)
	}
	if s.Moved {
		f.moves++
	}
	f.told, f.status = line, s.Status
	for i := range f.nodes {
		changed = f.follow(&f.nodes[i]) || changed
	}
	f.now = f.now.Add(time.Second)
	return changed || s.RequeueAfter > 0
}

// follow plays a node's agent, and the node's end.
func (f *fleet) follow(n *rollout.Node) (changed bool) {
	was := *n
	takes := rollout.Includes(n.Name, f.revision, f.status.Frontier())
	if takes && f.took[n.Name].IsZero() && !n.Away {
		f.took[n.Name] = f.now
	}
	if f.kill != nil && takes && !n.Away && f.kill(n.Name, f.now.Sub(f.took[n.Name])) {
		n.Away, n.Since, n.Cause = true, f.now.Truncate(time.Second), "the Node isn't Ready"
	}
	switch {
	case n.Away || f.silent[n.Name]:
	case takes && f.failOn[n.Name]:
		n.State, n.Cause = rollout.Failed, "MapFull: map is full"
	case takes:
		n.State = rollout.Updated
	default:
		n.State = rollout.Pending
	}
	return was.State != n.State || was.Away != n.Away
}

// run ticks until nothing changes.
func (f *fleet) run(t *testing.T) {
	t.Helper()
	for range 5000 {
		if !f.tick() {
			return
		}
	}
	t.Fatalf("the rollout doesn't come to rest:\n%s", f.log.String())
}

func (f *fleet) ticks(n int) {
	for range n {
		f.tick()
	}
}

func (f *fleet) updated() (n int) {
	for i := range f.nodes {
		if f.nodes[i].State == rollout.Updated {
			n++
		}
	}
	return n
}

// order is the names of the nodes in the order of the revision.
func (f *fleet) order() []string {
	var list []string
	for _, n := range f.nodes {
		list = append(list, n.Name)
	}
	slices.SortFunc(list, func(a, b string) int {
		return strings.Compare(rollout.Rank(a, f.revision), rollout.Rank(b, f.revision))
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

// goes takes a node away, or brings it back.
func (f *fleet) goes(name string, away bool) {
	n := f.node(name)
	n.Away, n.Since, n.Cause = away, f.now.Truncate(time.Second), ""
	if away {
		n.Cause = "the Node isn't Ready"
	}
}

// mend lets nodes that failed report that they hold the revision.
func (f *fleet) mend() {
	f.say("  (mended)")
	clear(f.failOn)
}

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
		{"a node that goes on changing its mind, within the threshold", newFleet(4, rollout.Policy{MaxUnavailable: 1, MaxFailed: 1, MinReady: 5 * time.Second}), func(t *testing.T, f *fleet) {
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
	if batches := 8; f.moves != batches {
		t.Errorf("the frontier moved %d times, want once for each of %d batches: all nodes get a word of it", f.moves, batches)
	}
}

// TestBatchesAreBounded remembers few batches however many there are, and of none a later time than it had.
func TestBatchesAreBounded(t *testing.T) {
	f := newFleet(100, rollout.Policy{MaxUnavailable: 1})
	times := map[string]time.Time{}
	for f.tick(); f.status.Phase != rollout.Complete; f.tick() {
		for _, name := range f.order() {
			told := time.Time{}
			for _, b := range f.status.Batches {
				if rollout.Includes(name, revision, b.Frontier) {
					told = b.Time
					break
				}
			}
			if first, ok := times[name]; !ok && !told.IsZero() {
				times[name] = told
			} else if told.After(first) {
				t.Fatalf("%s was told at %s, and is remembered as told at %s", name, first, told)
			}
		}
		if n := len(f.status.Batches); n > rollout.MaxBatches {
			t.Fatalf("%d batches are remembered", n)
		}
	}
}

// TestRecall believes the frontier, not what is remembered.
func TestRecall(t *testing.T) {
	at := func(s int64) time.Time { return time.Unix(s, 0) }
	remembered := []rollout.Batch{{"40", at(1)}, {"80", at(2)}, {"c0", at(3)}}
	for _, c := range []struct {
		frontier string
		want     []rollout.Batch
	}{
		{rollout.None, nil},
		{"c0", []rollout.Batch{{"40", at(1)}, {"80", at(2)}, {"c0", at(9)}}},
		{"C0", []rollout.Batch{{"40", at(1)}, {"80", at(2)}, {"C0", at(9)}}},
		{"60", []rollout.Batch{{"40", at(1)}, {"60", at(9)}}},
		{rollout.All, []rollout.Batch{{"40", at(1)}, {"80", at(2)}, {"c0", at(3)}, {rollout.All, at(9)}}},
		{"10", []rollout.Batch{{"10", at(9)}}},
	} {
		if got := rollout.Recall(remembered, c.frontier, at(9)); !slices.Equal(got, c.want) {
			t.Errorf("frontier %q: %v, want %v", c.frontier, got, c.want)
		}
	}
	disorder := []rollout.Batch{{"80", at(2)}, {"40", at(1)}, {"", at(1)}}
	if got := rollout.Recall(disorder, "c0", at(9)); !slices.Equal(got, []rollout.Batch{{"80", at(2)}, {"c0", at(9)}}) {
		t.Errorf("in disorder: %v", got)
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

// BenchmarkNext is a step over 5,000 nodes: waiting for the second batch, moving on to the third, and after the end.
func BenchmarkNext(b *testing.B) {
	for _, c := range []struct {
		name   string
		ticks  int
		silent bool
		want   rollout.Reason
	}{
		{"waits", 2, true, rollout.Updating}, {"advances", 2, false, rollout.Updating}, {"complete", 10, false, rollout.RolledOut},
	} {
		f := newFleet(5000, rollout.Policy{MaxUnavailable: 1250, MaxFailed: 250, Deadline: 10 * time.Minute})
		f.ticks(c.ticks)
		if c.silent {
			for i := range f.nodes {
				f.nodes[i].State = rollout.Pending
			}
		}
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if s := rollout.Next(f.revision, false, f.nodes, f.policy, f.status, f.now); s.Reason != c.want || s.Moved != (c.name == "advances") {
					b.Fatal(s.Message)
				}
			}
		})
	}
}
