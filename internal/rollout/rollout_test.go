// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package rollout_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/bpfmap-io/bpfmap-operator/internal/rollout"
)

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

// TestAgentWithoutItsNode: the agent of a node whose kubelet is gone takes the revision all the same. Only a node
// that went away after it was told says something about the revision.
func TestAgentWithoutItsNode(t *testing.T) {
	now := time.Unix(1000, 0)
	told := now.Add(-10 * time.Second)
	was := rollout.Status{Phase: rollout.Progressing, Batches: []rollout.Batch{{Frontier: rollout.All, Time: told}}}
	for since, want := range map[time.Duration]rollout.Phase{-time.Minute: rollout.Complete, 5 * time.Second: rollout.Halted} {
		nodes := []rollout.Node{
			{Name: "a", State: rollout.Updated},
			{Name: "b", State: rollout.Updated, Away: true, Since: told.Add(since)},
		}
		if got := rollout.Next("table-2", false, nodes, rollout.Policy{MaxUnavailable: 1}, was, now); got.Phase != want {
			t.Errorf("away since %s after it was told: %+v, want %s", since, got, want)
		}
	}
}
