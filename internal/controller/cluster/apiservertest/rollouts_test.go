// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package apiservertest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/rollout"
	"github.com/bpfmap-io/bpfmap-operator/test/await"
)

// crew plays the agents of some nodes, which follow the revisions as agents do.
type crew struct {
	*world
	m     *v1alpha1.BPFMap
	nodes []string
	// failOn are nodes that fail on any revision but the first. silent ones don't report.
	failOn, silent map[string]bool
	// got is the newest revision that got to each node, whether or not it selects the node; set by holds.
	got map[string]string
}

func newCrew(t *testing.T, n int, more string) *crew {
	t.Helper()
	w := newWorld(t)
	c := &crew{world: w, failOn: map[string]bool{}, silent: map[string]bool{}, got: map[string]string{}}
	for range n {
		c.nodes = append(c.nodes, w.node(w.namespace))
	}
	c.m = w.create("blocklist", strings.ReplaceAll(blocklist, "edge", w.namespace)+more)
	c.awaitTaken("blocklist-1", n)
	c.follow()
	w.awaitCondition("blocklist", v1alpha1.ConditionReady, v1alpha1.ReasonReady)
	return c
}

// holds is the revision that each node takes now, empty if that doesn't select it.
func (c *crew) holds() map[string]string {
	c.t.Helper()
	var list v1alpha1.BPFMapRevisionList
	if err := c.List(c.t.Context(), &list, client.InNamespace(c.namespace), client.MatchingLabels{v1alpha1.LabelActive: "true"}); err != nil {
		c.t.Fatal(err)
	}
	held := map[string]string{}
	for _, name := range c.nodes {
		node := &corev1.Node{}
		if err := c.Get(c.t.Context(), client.ObjectKey{Name: name}, node); err != nil {
			c.t.Fatal(err)
		}
		if rev := rollout.Newest(list.Items, name); rev != nil {
			held[name], c.got[name] = "", rev.Name
			if labels.SelectorFromSet(rev.Spec.NodeSelector).Matches(labels.Set(node.Labels)) {
				held[name] = rev.Name
			}
		}
	}
	return held
}

// follow lets every node report the revision that it takes. One whose labels changed keeps what it has until it is
// released.
func (c *crew) follow() {
	c.t.Helper()
	for node, revision := range c.holds() {
		await.Nil(c.t, limit, func() error { return c.tryFollow(node, revision) })
	}
}

func (c *crew) tryFollow(node, revision string) error {
	if c.silent[node] {
		return nil
	}
	if revision == "" {
		state, err := c.state(node)
		if err != nil || len(state.Status.Maps) == 0 {
			return err
		}
		held := state.Status.Maps[0].Revision
		if held == c.got[node] && !slices.ContainsFunc(state.Status.Releases, func(r v1alpha1.MapRelease) bool { return r.Revision == held }) {
			return nil
		}
		state.Status.Maps = nil
		return c.Status().Update(c.t.Context(), state)
	}
	line := ready(c.m, revision)
	if c.failOn[node] && revision != "blocklist-1" {
		line.State, line.Reason, line.Message = v1alpha1.NodeMapFailed, v1alpha1.NodeReasonMapFull, "map is full"
	}
	return c.tryReport(node, line)
}

func (c *crew) state(node string) (*v1alpha1.BPFNodeState, error) {
	state := &v1alpha1.BPFNodeState{}
	err := c.Get(c.t.Context(), client.ObjectKey{Name: node}, state)
	return state, err
}

func (c *crew) tryReport(node string, line v1alpha1.NodeMap) error {
	ctx := c.t.Context()
	state, err := c.state(node)
	if client.IgnoreNotFound(err) != nil {
		return err
	}
	if err != nil {
		state.Name = node
		if err := c.Create(ctx, state); err != nil {
			return err
		}
	}
	if len(state.Status.Maps) == 1 && state.Status.Maps[0].Revision == line.Revision && state.Status.Maps[0].State == line.State {
		return nil
	}
	state.Status.Maps = []v1alpha1.NodeMap{line}
	return c.Status().Update(ctx, state)
}

// awaitTaken waits until a number of nodes take a revision.
func (c *crew) awaitTaken(revision string, want int) {
	c.t.Helper()
	await.Nil(c.t, limit, func() error {
		taken := 0
		for _, held := range c.holds() {
			if held == revision {
				taken++
			}
		}
		if taken != want {
			return fmt.Errorf("%d nodes take %s, want %d", taken, revision, want)
		}
		return nil
	})
}

// awaitPhase waits for a phase of the newest revision's rollout.
func (c *crew) awaitPhase(phase rollout.Phase) *v1alpha1.BPFMap {
	c.t.Helper()
	var m *v1alpha1.BPFMap
	await.Nil(c.t, limit, func() (err error) {
		if m, err = c.get("blocklist"); err != nil {
			return err
		}
		if m.Status.ObservedGeneration != m.Generation || m.Status.Rollout == nil || m.Status.Rollout.Phase != v1alpha1.RolloutPhase(phase) {
			return fmt.Errorf("rollout is %+v, want %s", m.Status.Rollout, phase)
		}
		return nil
	})
	return m
}

func TestRollout(t *testing.T) {
	c := newCrew(t, 6, "  rollout: {maxUnavailable: 2, minReadySeconds: 0}\n")
	c.edit("blocklist", addEntry("192.0.2.3"))
	for _, taken := range []int{2, 4, 6} {
		c.awaitTaken("blocklist-2", taken)
		m := c.awaitCondition("blocklist", v1alpha1.ConditionReconciling, v1alpha1.ReasonProgressing)
		if n := m.Status.Nodes; n.Desired != 6 {
			t.Errorf("nodes %+v", n)
		}
		c.follow()
	}
	c.awaitPhase(rollout.Complete)
	m := c.awaitCondition("blocklist", v1alpha1.ConditionReady, v1alpha1.ReasonReady)
	if n := m.Status.Nodes; n.Updated != 6 || n.Ready != 6 || m.Status.CurrentRevision != "blocklist-2" {
		t.Errorf("status %+v", m.Status)
	}
	c.awaitRevisions("blocklist", map[string]bool{"blocklist-1": false, "blocklist-2": true})
	c.awaitEvent("blocklist", "RolloutComplete")
}

func TestRolloutHalts(t *testing.T) {
	c := newCrew(t, 4, "  rollout: {maxUnavailable: 25%, minReadySeconds: 0}\n")
	for _, node := range c.nodes {
		c.failOn[node] = true
	}
	c.edit("blocklist", addEntry("192.0.2.3"))
	c.awaitTaken("blocklist-2", 1)
	c.follow()
	m := c.awaitPhase(rollout.Halted)
	if !strings.Contains(m.Status.Rollout.Message, "halted at 1 of 4 nodes: failed on ") || !strings.Contains(m.Status.Rollout.Message, "MapFull: map is full") || m.Status.Nodes.Ready != 3 || m.Status.Nodes.Failed != 1 {
		t.Errorf("status %+v, rollout %+v", m.Status.Nodes, m.Status.Rollout)
	}
	c.awaitEvent("blocklist", "RolloutHalted")
	// A new revision continues.
	clear(c.failOn)
	c.edit("blocklist", addEntry("192.0.2.4"))
	for taken := 1; taken <= 4; taken++ {
		c.awaitTaken("blocklist-3", taken)
		c.follow()
	}
	c.awaitPhase(rollout.Complete)
	c.awaitCondition("blocklist", v1alpha1.ConditionReady, v1alpha1.ReasonReady)
}

func TestRolloutGoesBack(t *testing.T) {
	c := newCrew(t, 4, "  rollout: {maxUnavailable: 1, minReadySeconds: 0, onFailure: Rollback}\n")
	for _, node := range c.nodes {
		c.failOn[node] = true
	}
	c.edit("blocklist", addEntry("192.0.2.3"))
	c.awaitTaken("blocklist-2", 1)
	c.follow()
	c.awaitTaken("blocklist-1", 4)
	c.follow()
	// It is rolled back before the nodes have reported that they are: the counts are those of after it.
	c.awaitMap(func(m *v1alpha1.BPFMap) error {
		r, n := m.Status.Rollout, m.Status.Nodes
		if r == nil || r.Phase != v1alpha1.RolloutPhase(rollout.RolledBack) || n.Ready != 4 || n.Updated != 0 || n.Failed != 0 {
			return fmt.Errorf("nodes %+v, rollout %+v", n, r)
		}
		return nil
	})
	m := c.awaitCondition("blocklist", v1alpha1.ConditionStalled, v1alpha1.ReasonRolledBack)
	c.awaitEvent("blocklist", "RolloutRolledBack")
	// The cause is told for as long as the revision is the newest one, whatever becomes of the BPFMap's status.
	const cause = "rolled back after 1 of 4 nodes: failed on "
	m.Status = v1alpha1.BPFMapStatus{}
	if err := c.Status().Update(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	m = c.awaitPhase(rollout.RolledBack)
	if told := m.Status.Rollout.Message; !strings.HasPrefix(told, cause) || !strings.Contains(told, "MapFull: map is full") {
		t.Errorf("the rollout says %q", told)
	}
	var rev v1alpha1.BPFMapRevision
	if err := c.Get(t.Context(), client.ObjectKey{Namespace: c.namespace, Name: "blocklist-2"}, &rev); err != nil {
		t.Fatal(err)
	}
	if r := rev.Status.Rollout; !strings.HasPrefix(r.RolledBack, cause) || r.Frontier != rollout.None {
		t.Errorf("the revision's rollout is %+v", r)
	}
}

func TestRolloutPausesAndUndoes(t *testing.T) {
	c := newCrew(t, 4, "  rollout: {maxUnavailable: 100%, minReadySeconds: 0, paused: true}\n")
	c.edit("blocklist", addEntry("192.0.2.3"))
	if m := c.awaitPhase(rollout.Paused); m.Status.Rollout.Reason != string(rollout.PausedBySpec) {
		t.Errorf("rollout %+v", m.Status.Rollout)
	}
	c.awaitTaken("blocklist-1", 4)
	one := intstr.FromInt32(3)
	c.edit("blocklist", func(s *v1alpha1.BPFMapSpec) { s.Rollout.Paused, s.Rollout.Partition = false, &one })
	c.awaitTaken("blocklist-2", 1)
	c.follow()
	if m := c.awaitPhase(rollout.Paused); m.Status.Rollout.Reason != string(rollout.PartitionReached) {
		t.Errorf("rollout %+v", m.Status.Rollout)
	}
	c.edit("blocklist", func(s *v1alpha1.BPFMapSpec) { s.Rollout.Partition = nil })
	c.awaitTaken("blocklist-2", 4)
	c.follow()
	c.awaitPhase(rollout.Complete)

	// Back to the first one, by its name, and forward again.
	c.edit("blocklist", func(s *v1alpha1.BPFMapSpec) { s.RollbackTo = "blocklist-1" })
	c.awaitTaken("blocklist-3", 4)
	c.follow()
	m := c.awaitCondition("blocklist", v1alpha1.ConditionReady, v1alpha1.ReasonEarlierRevision)
	if *m.Status.Entries != 2 {
		t.Errorf("%d entries, want the 2 of the first revision", *m.Status.Entries)
	}
	c.edit("blocklist", func(s *v1alpha1.BPFMapSpec) { s.RollbackTo = "blocklist-99" })
	c.awaitMessage("revision blocklist-99 does not exist: must be one of blocklist-1, blocklist-2, blocklist-3")
	c.edit("blocklist", func(s *v1alpha1.BPFMapSpec) { s.RollbackTo = "" })
	c.awaitTaken("blocklist-4", 4)
}

// TestRolloutDoesNotWaitForNodesThatAreAway goes past a node whose kubelet is gone.
func TestRolloutDoesNotWaitForNodesThatAreAway(t *testing.T) {
	c := newCrew(t, 3, "  rollout: {maxUnavailable: 1, minReadySeconds: 0}\n")
	away := c.nodes[1]
	c.setReady(away, corev1.ConditionFalse, time.Now().Add(-time.Hour))
	c.edit("blocklist", addEntry("192.0.2.3"))
	await.Nil(t, limit, func() error {
		for node, revision := range c.holds() {
			if node != away {
				if err := c.tryReport(node, ready(c.m, revision)); err != nil {
					return err
				}
			}
		}
		m, err := c.get("blocklist")
		if err != nil {
			return err
		}
		if m.Status.Rollout == nil || m.Status.UpdateRevision != "blocklist-2" || m.Status.Rollout.Phase != "Complete" {
			return fmt.Errorf("rollout is %+v", m.Status.Rollout)
		}
		return nil
	})
	m := c.awaitCondition("blocklist", v1alpha1.ConditionReady, v1alpha1.ReasonNodesUnknown)
	if n := m.Status.Nodes; n.Ready != 2 || n.Unknown != 1 {
		t.Errorf("nodes %+v: one that is away isn't ready", n)
	}
	c.setReady(away, corev1.ConditionTrue, time.Now())
	c.follow()
	c.awaitCondition("blocklist", v1alpha1.ConditionReady, v1alpha1.ReasonReady)
}

func (c *crew) setReady(name string, status corev1.ConditionStatus, since time.Time) {
	c.t.Helper()
	node := &corev1.Node{}
	if err := c.Get(c.t.Context(), client.ObjectKey{Name: name}, node); err != nil {
		c.t.Fatal(err)
	}
	node.Status.Conditions = []corev1.NodeCondition{{Type: corev1.NodeReady, Status: status, LastTransitionTime: metav1.NewTime(since)}}
	if err := c.Status().Update(c.t.Context(), node); err != nil {
		c.t.Fatal(err)
	}
}

// TestNodeJoinsDuringRollout gives a node that joins the revision of its place in the order.
func TestNodeJoinsDuringRollout(t *testing.T) {
	c := newCrew(t, 4, "  rollout: {maxUnavailable: 2, minReadySeconds: 0}\n")
	c.edit("blocklist", addEntry("192.0.2.3"))
	c.awaitTaken("blocklist-2", 2)
	late := &corev1.Node{ObjectMeta: metav1.ObjectMeta{GenerateName: "node-", Labels: map[string]string{"role": c.namespace}}}
	if err := c.Create(t.Context(), late); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx := context.Background()
		state := &v1alpha1.BPFNodeState{ObjectMeta: metav1.ObjectMeta{Name: late.Name}}
		if err := errors.Join(c.Delete(ctx, late), client.IgnoreNotFound(c.Delete(ctx, state))); err != nil {
			t.Error(err)
		}
	})
	c.nodes = append(c.nodes, late.Name)
	if held := c.holds()[late.Name]; !slices.Contains([]string{"blocklist-1", "blocklist-2"}, held) {
		t.Errorf("the node that joined holds %q", held)
	}
	await.Nil(t, limit, func() error {
		c.follow()
		m, err := c.get("blocklist")
		if err != nil {
			return err
		}
		if m.Status.Nodes.Updated != 5 || m.Status.Nodes.Desired != 5 {
			return fmt.Errorf("nodes are %+v", m.Status.Nodes)
		}
		return nil
	})
	c.awaitPhase(rollout.Complete)
}

// TestRevisionHistoryLimit keeps as many old revisions as the spec says.
func TestRevisionHistoryLimit(t *testing.T) {
	w := newWorld(t)
	w.create("blocklist", strings.ReplaceAll(blocklist, "edge", w.namespace)+"  revisionHistoryLimit: 1\n")
	w.awaitRevisions("blocklist", map[string]bool{"blocklist-1": true})
	for i := range 3 {
		w.edit("blocklist", addEntry(fmt.Sprintf("192.0.2.%d", 10+i)))
		w.awaitRevisions("blocklist", map[string]bool{
			fmt.Sprintf("blocklist-%d", 1+i): false, fmt.Sprintf("blocklist-%d", 2+i): true,
		})
	}
	w.edit("blocklist", func(s *v1alpha1.BPFMapSpec) { s.RevisionHistoryLimit = new(int32(0)) })
	w.awaitRevisions("blocklist", map[string]bool{"blocklist-4": true})
}
