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
