// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package rollout_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/rollout"
)

// pair are two maps of a group on some nodes, which take a revision of one only with that of the other.
type pair struct {
	t        *testing.T
	now      time.Time
	nodes    []string
	policies [2]rollout.Policy
	was      [2]rollout.Status
	held     [2]map[string]bool
	fails    [2]map[string]string
	last     [2]rollout.Step
}

const pairOrder = "xdp/0123456789abcdef"

var pairNames = [2]string{"block4", "block6"}

func newPair(t *testing.T, nodes int, a, b rollout.Policy) *pair {
	t.Helper()
	p := &pair{t: t, now: time.Unix(1000, 0), policies: [2]rollout.Policy{a, b}}
	for i := range nodes {
		p.nodes = append(p.nodes, fmt.Sprint("node-", i))
	}
	for i := range p.held {
		p.held[i], p.fails[i] = map[string]bool{}, map[string]string{}
	}
	return p
}

func (p *pair) states(i int) (nodes []rollout.Node) {
	for _, name := range p.nodes {
		n := rollout.Node{Name: name}
		switch {
		case p.fails[i][name] != "" && rollout.Includes(name, pairOrder, p.was[i].Frontier()):
			n.State, n.Cause = rollout.Failed, p.fails[i][name]
		case p.held[i][name]:
			n.State = rollout.Updated
		}
		nodes = append(nodes, n)
	}
	return nodes
}

// step takes a step for one of the maps, by what is known of the other one.
func (p *pair) step(i int) {
	other := 1 - i
	var partners []rollout.Partner
	if p.was[other].Phase != rollout.Complete {
		partners = append(partners, rollout.Partner{
			Name: pairNames[other], Policy: p.policies[other], Nodes: p.states(other), Frontier: p.was[other].Frontier(), RolledBack: p.was[other].RolledBack,
		})
	}
	s := rollout.NextTogether(pairOrder, false, p.states(i), p.policies[i], p.was[i], p.now, partners)
	p.was[i], p.last[i] = s.Status, s
}

// tick lets a second pass, in which the controller looks at both maps in some order and nodes do what they are told.
func (p *pair) tick(order ...int) {
	p.now = p.now.Add(time.Second)
	for _, i := range order {
		p.step(i)
		if a, b := p.told(0), p.told(1); len(a) > 0 && len(b) > 0 && !p.oneBatchApart(a, b) {
			p.t.Fatalf("%d nodes were told to take one revision, %d the other", len(a), len(b))
		}
		for _, name := range p.nodes {
			both := rollout.Includes(name, pairOrder, p.was[0].Frontier()) && rollout.Includes(name, pairOrder, p.was[1].Frontier())
			if p.fails[0][name]+p.fails[1][name] == "" {
				p.held[0][name], p.held[1][name] = both, both
			}
		}
	}
}

// oneBatchApart says whether the nodes of one map are those of the other and one batch more at most.
func (p *pair) oneBatchApart(a, b []string) bool {
	batch := min(p.policies[0].MaxUnavailable, p.policies[1].MaxUnavailable)
	return len(a)-len(b) <= batch && len(b)-len(a) <= batch
}

// told are the nodes that were told to take a map's revision.
func (p *pair) told(i int) (names []string) {
	for _, name := range p.nodes {
		if rollout.Includes(name, pairOrder, p.was[i].Frontier()) {
			names = append(names, name)
		}
	}
	return names
}

// TestTogether takes two maps to all nodes, the more careful policy for both, whichever is looked at first.
func TestTogether(t *testing.T) {
	for _, order := range [][]int{{0, 1}, {1, 0}, {0, 0, 1}, {1, 1, 0}} {
		p := newPair(t, 40, rollout.Policy{MaxUnavailable: 10}, rollout.Policy{MaxUnavailable: 4, MinReady: 3 * time.Second})
		ticks := 0
		for ; p.was[0].Phase != rollout.Complete || p.was[1].Phase != rollout.Complete; ticks++ {
			if ticks > 200 {
				t.Fatalf("%v: it doesn't end: %s; %s", order, p.last[0].Message, p.last[1].Message)
			}
			p.tick(order...)
			if n := len(p.told(0)); n > 4*(ticks/3+1) {
				t.Fatalf("%v: %d nodes after %d s", order, n, ticks)
			}
		}
		if ticks < 30 {
			t.Errorf("%v: complete after %d s, though 10 batches hold for 3 s each", order, ticks)
		}
	}
}

// TestTogetherAwaits goes no further where nodes hold the revision of one map and not yet that of the other.
func TestTogetherAwaits(t *testing.T) {
	p := newPair(t, 8, rollout.Policy{MaxUnavailable: 2}, rollout.Policy{MaxUnavailable: 2})
	both := func() {
		p.now = p.now.Add(time.Second)
		p.step(0)
		p.step(1)
	}
	both()
	first := p.told(0)
	for _, name := range first {
		p.held[0][name] = true
	}
	for range 5 {
		both()
	}
	if n := len(p.told(0)); n == 0 || n != len(first) {
		t.Errorf("%d nodes were told, then %d: %s", len(first), n, p.last[0].Message)
	}
	for _, name := range first {
		p.held[1][name] = true
	}
	for range 2 {
		both()
	}
	if n := len(p.told(0)); n <= len(first) {
		t.Errorf("%d nodes were told though the first ones hold both: %s", n, p.last[0].Message)
	}
}

// TestTogetherHalts stops both maps where a node fails on one.
func TestTogetherHalts(t *testing.T) {
	p := newPair(t, 20, rollout.Policy{MaxUnavailable: 5}, rollout.Policy{MaxUnavailable: 5})
	for _, name := range p.nodes {
		p.fails[1][name] = "Incompatible: elements have other sizes"
	}
	for range 20 {
		p.tick(0, 1)
	}
	for i, want := range []string{"BPFMap block6: Incompatible: elements have other sizes", ": Incompatible: elements have other sizes"} {
		if s := p.last[i]; s.Phase != rollout.Halted || !strings.Contains(s.Message, want) || len(p.told(i)) != 5 {
			t.Errorf("%s on %d nodes: %s: %s, want %q", pairNames[i], len(p.told(i)), s.Phase, s.Message, want)
		}
	}
	clear(p.fails[1])
	for range 40 {
		p.tick(1, 0)
	}
	if p.was[0].Phase != rollout.Complete || p.was[1].Phase != rollout.Complete {
		t.Errorf("after the failure: %s, %s", p.last[0].Message, p.last[1].Message)
	}
}

// TestTogetherGoesBack takes both revisions back, also where only one of the policies says so.
func TestTogetherGoesBack(t *testing.T) {
	for _, order := range [][]int{{0, 1}, {1, 0}} {
		p := newPair(t, 20, rollout.Policy{MaxUnavailable: 5}, rollout.Policy{MaxUnavailable: 5, Rollback: true})
		p.tick(order...)
		first := p.told(0)
		if !slices.Equal(first, p.told(1)) || len(first) != 5 {
			t.Fatalf("told %v and %v", first, p.told(1))
		}
		p.fails[0][first[2]] = "MapFull: full"
		for range 3 {
			p.tick(order...)
		}
		for i := range pairNames {
			s := p.last[i]
			if s.Phase != rollout.RolledBack || !strings.Contains(s.RolledBack, "MapFull: full") {
				t.Errorf("%s: %s: %s", pairNames[i], s.Phase, s.Message)
			}
			// No batch at all would be a revision that no node was told to take, and nothing to give back.
			if len(s.Batches) != 1 || s.Batches[0].Frontier != rollout.None || s.Batches[0].Time.IsZero() {
				t.Errorf("%s: batches %+v, want one that took the revision back", pairNames[i], s.Batches)
			}
		}
	}
}

// TestTogetherPauses holds both where one is paused or has reached its partition.
func TestTogetherPauses(t *testing.T) {
	p := newPair(t, 20, rollout.Policy{MaxUnavailable: 5, Paused: true}, rollout.Policy{MaxUnavailable: 5})
	for range 5 {
		p.tick(0, 1)
	}
	if len(p.told(0))+len(p.told(1)) != 0 || p.last[1].Reason != rollout.PausedBySpec {
		t.Errorf("paused: %v, %v; %s", p.told(0), p.told(1), p.last[1].Message)
	}
	p.policies[0] = rollout.Policy{MaxUnavailable: 5, Partition: 12}
	for range 20 {
		p.tick(0, 1)
	}
	for i := range pairNames {
		if s := p.last[i]; s.Reason != rollout.PartitionReached || len(p.told(i)) != 8 {
			t.Errorf("%s on %d nodes: %s", pairNames[i], len(p.told(i)), s.Message)
		}
	}
}

// TestOrderOf: what was declared together has one order, anything else its own.
func TestOrderOf(t *testing.T) {
	rev := func(name string, g *v1alpha1.RevisionGroup) *v1alpha1.BPFMapRevision {
		r := &v1alpha1.BPFMapRevision{}
		r.Name, r.Spec.Group = name, g
		return r
	}
	group := func(layout string) *v1alpha1.RevisionGroup {
		return &v1alpha1.RevisionGroup{Name: "xdp", Members: []v1alpha1.GroupMember{{Name: "a", Layout: "1"}, {Name: "b", Layout: layout}}}
	}
	if order := rollout.OrderOf(rev("a-1", nil)); order != "a-1" {
		t.Error(order)
	}
	if rollout.OrderOf(rev("a-2", group("1"))) != rollout.OrderOf(rev("b-7", group("1"))) {
		t.Error("two revisions that were declared together have two orders")
	}
	if rollout.OrderOf(rev("a-2", group("1"))) == rollout.OrderOf(rev("a-3", group("2"))) {
		t.Error("the same nodes go first each time")
	}
}
