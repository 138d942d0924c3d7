// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package apiservertest

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
	"github.com/bpfmap-io/bpfmap-operator/internal/rollout"
	"github.com/bpfmap-io/bpfmap-operator/test/await"
)

// groupNames are the maps of the groups in these tests.
var groupNames = []string{"block4", "block6", "ports"}

func groupMap(role, value, more string) string {
	return fmt.Sprintf(`
spec:
  type: Hash
  key: {type: u32}
  value: {type: %s}
  maxEntries: 16
  group: xdp-firewall
  replacePolicy: Swap
  nodeSelector: {role: %s}
  entries: [{key: 1, value: 1}]
%s`, value, role, more)
}

// team plays the agents of some nodes that have the maps of a group.
type team struct {
	*world
	nodes []string
	// failOn are the maps that fail on a node from their second revision on, as "node/map".
	failOn map[string]bool
}

func newTeam(t *testing.T, n int, more string) *team {
	t.Helper()
	w := newWorld(t)
	c := &team{world: w, failOn: map[string]bool{}}
	for range n {
		c.nodes = append(c.nodes, w.node(w.namespace))
	}
	for _, name := range groupNames {
		w.create(name, groupMap(w.namespace, "u32", more))
	}
	c.awaitAll(func(m *v1alpha1.BPFMap) error { return isReady(m, m.Name+"-1") })
	return c
}

// newest is the newest revision of a map.
func (c *team) newest(name string) *v1alpha1.BPFMapRevision {
	c.t.Helper()
	all := c.revisionsOf(name)
	if len(all) == 0 {
		return nil
	}
	return &all[len(all)-1]
}

func (c *team) revisionsOf(name string) []v1alpha1.BPFMapRevision {
	c.t.Helper()
	var list v1alpha1.BPFMapRevisionList
	if err := c.List(c.t.Context(), &list, client.InNamespace(c.namespace), client.MatchingLabels{v1alpha1.LabelMap: name}); err != nil {
		c.t.Fatal(err)
	}
	slices.SortFunc(list.Items, func(a, b v1alpha1.BPFMapRevision) int { return int(a.Number() - b.Number()) })
	return list.Items
}

// follow lets every node report on what it takes: as agents do, with a new layout only once it takes those of all.
func (c *team) follow() {
	c.t.Helper()
	revisions := map[string][]v1alpha1.BPFMapRevision{}
	for _, name := range groupNames {
		revisions[name] = slices.DeleteFunc(c.revisionsOf(name), func(r v1alpha1.BPFMapRevision) bool { return r.Labels[v1alpha1.LabelActive] != "true" })
	}
	for _, node := range c.nodes {
		taken, layouts := map[string]*v1alpha1.BPFMapRevision{}, map[string]string{}
		for _, name := range groupNames {
			if rev := rollout.Newest(revisions[name], node); rev != nil {
				taken[name], layouts[name] = rev, revision.Layout(&rev.Spec)
			}
		}
		var lines []v1alpha1.NodeMap
		for _, name := range groupNames {
			m, err := c.get(name)
			if err != nil || taken[name] == nil {
				continue
			}
			line := ready(m, taken[name].Name)
			belongs := !slices.ContainsFunc(taken[name].Spec.Group.Members, func(g v1alpha1.GroupMember) bool { return layouts[g.Name] != g.Layout })
			switch {
			case !belongs:
				line.State, line.Reason = v1alpha1.NodeMapPending, v1alpha1.NodeReasonWaitsForGroup
			case c.failOn[node+"/"+name] && taken[name].Number() > 1:
				line.State, line.Reason, line.Message = v1alpha1.NodeMapStalled, v1alpha1.NodeReasonIncompatible, "elements have other sizes"
			}
			lines = append(lines, line)
		}
		c.report(node, lines...)
	}
}

// awaitAll lets the agents work until all maps are as they should.
func (c *team) awaitAll(wrong func(*v1alpha1.BPFMap) error) {
	c.t.Helper()
	await.Nil(c.t, limit, func() error {
		c.follow()
		for _, name := range groupNames {
			m, err := c.get(name)
			if err == nil {
				err = wrong(m)
			}
			if err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
		}
		return nil
	})
}

func isReady(m *v1alpha1.BPFMap, revision string) error {
	c := meta.FindStatusCondition(m.Status.Conditions, v1alpha1.ConditionReady)
	if c == nil || c.Status != metav1.ConditionTrue || c.ObservedGeneration != m.Generation || m.Status.UpdateRevision != revision {
		return fmt.Errorf("at %s: %+v", m.Status.UpdateRevision, c)
	}
	return nil
}

// TestGroupRollsOutTogether gives three maps another layout, one after the other. There is one revision of each for that,
// which says what belongs together, and each node is told to take all of them.
func TestGroupRollsOutTogether(t *testing.T) {
	c := newTeam(t, 6, "  rollout: {maxUnavailable: 2, minReadySeconds: 0}\n")
	for _, name := range groupNames {
		c.edit(name, func(s *v1alpha1.BPFMapSpec) { s.Value.Type = v1alpha1.TypeU64 })
	}
	c.awaitAll(func(m *v1alpha1.BPFMap) error {
		told := map[string][]string{}
		for _, name := range groupNames {
			rev := c.newest(name)
			for _, node := range c.nodes {
				if rev.Number() > 1 && rollout.Includes(node, rollout.OrderOf(rev), rev.Status.Rollout.Frontier) {
					told[name] = append(told[name], node)
				}
			}
		}
		for _, a := range groupNames {
			for _, b := range groupNames {
				if more := len(told[a]) - len(told[b]); more > 2 {
					t.Errorf("%d nodes were told to take %s and %d to take %s, in batches of 2", len(told[a]), a, len(told[b]), b)
				}
			}
		}
		return isReady(m, m.Name+"-2")
	})
	members := c.newest("ports").Spec.Group.Members
	if len(members) != len(groupNames) {
		t.Fatalf("members %v", members)
	}
	for _, name := range groupNames {
		rev := c.newest(name)
		if rev.Number() != 2 || rev.Spec.ValueSize != 8 || !slices.Equal(rev.Spec.Group.Members, members) {
			t.Errorf("%s: values of %d bytes, members %v, want %v", rev.Name, rev.Spec.ValueSize, rev.Spec.Group.Members, members)
		}
	}

	// Contents alone don't concern the others.
	c.edit("ports", func(s *v1alpha1.BPFMapSpec) { s.Entries = nil })
	c.awaitAll(func(m *v1alpha1.BPFMap) error {
		return isReady(m, map[string]string{"block4": "block4-2", "block6": "block6-2", "ports": "ports-3"}[m.Name])
	})
}

// TestGroupGoesBackTogether lets one map fail on a node; the policy of another one takes all of them back. Then a new
// revision of one of them takes all forward.
func TestGroupGoesBackTogether(t *testing.T) {
	c := newTeam(t, 4, "  rollout: {maxUnavailable: 1, minReadySeconds: 0, maxFailed: 0}\n")
	for _, node := range c.nodes {
		c.failOn[node+"/block6"] = true
	}
	c.edit("block4", func(s *v1alpha1.BPFMapSpec) {
		s.Value.Type, s.Rollout.OnFailure = v1alpha1.TypeU64, v1alpha1.FailureRollback
	})
	c.edit("block6", func(s *v1alpha1.BPFMapSpec) { s.Value.Type = v1alpha1.TypeU64 })
	c.awaitAll(func(m *v1alpha1.BPFMap) error {
		if r := m.Status.Rollout; r == nil || r.Phase != v1alpha1.RolloutPhase(rollout.RolledBack) || !strings.Contains(r.Message, "Incompatible: elements have other sizes") {
			return fmt.Errorf("%+v", r)
		}
		return nil
	})
	clear(c.failOn)
	c.edit("block6", func(s *v1alpha1.BPFMapSpec) { s.SyncPolicy = v1alpha1.SyncMirror })
	c.awaitAll(func(m *v1alpha1.BPFMap) error { return isReady(m, m.Name+"-3") })
}

// TestGroupsThatDoNotFit says what is wrong with a group, and what to do.
func TestGroupsThatDoNotFit(t *testing.T) {
	c := newTeam(t, 1, "")
	other := c.create("other", strings.ReplaceAll(groupMap(c.namespace, "u32", ""), "nodeSelector: {role: "+c.namespace+"}", "nodeSelector: {role: core}"))
	m := c.awaitCondition("other", v1alpha1.ConditionAccepted, v1alpha1.ReasonInvalidGroup)
	want := "spec.nodeSelector: the BPFMaps of group xdp-firewall are for the same nodes: other selects role=core, block4 selects role=" + c.namespace + ": make them alike, or take one out of the group"
	if got := meta.FindStatusCondition(m.Status.Conditions, v1alpha1.ConditionAccepted).Message; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if err := c.Delete(t.Context(), other); err != nil {
		t.Fatal(err)
	}
	c.awaitAll(func(m *v1alpha1.BPFMap) error { return isReady(m, m.Name+"-1") })

	// A member whose spec isn't accepted keeps the others' new layouts back, and not their contents.
	c.edit("block4", func(s *v1alpha1.BPFMapSpec) { s.Value.Enum = map[string]int64{"all": 1 << 40} })
	c.edit("block6", func(s *v1alpha1.BPFMapSpec) { s.Value.Type = v1alpha1.TypeU64 })
	c.edit("ports", func(s *v1alpha1.BPFMapSpec) { s.Entries = nil })
	await.Nil(t, limit, func() error {
		c.follow()
		m, err := c.get("block6")
		if err != nil {
			return err
		}
		ready := meta.FindStatusCondition(m.Status.Conditions, v1alpha1.ConditionReady)
		if ready.Status != metav1.ConditionFalse || !strings.Contains(ready.Message, "waits for BPFMap block4 of its group, whose spec is not accepted: ") {
			return fmt.Errorf("%+v", ready)
		}
		if m, err = c.get("ports"); err != nil {
			return err
		}
		return isReady(m, "ports-2")
	})

	bad := &v1alpha1.BPFMap{}
	bad.Namespace, bad.Name = c.namespace, "bad"
	bad.Spec = v1alpha1.BPFMapSpec{
		Type: v1alpha1.MapTypeHash, Key: &v1alpha1.Schema{Type: v1alpha1.TypeU32}, Value: v1alpha1.Schema{Type: v1alpha1.TypeU32}, MaxEntries: 1, Group: "XDP_firewall",
	}
	if err := c.Create(t.Context(), bad); err == nil || !strings.Contains(err.Error(), "group must be a DNS label") {
		t.Errorf("a group that is no label: %v", err)
	}
}

// TestGroupIsBounded refuses one BPFMap too many, and leaves the others as they are.
func TestGroupIsBounded(t *testing.T) {
	w := newWorld(t)
	for i := range v1alpha1.MaxGroupMembers + 1 {
		w.create(fmt.Sprintf("map-%02d", i), strings.ReplaceAll(groupMap(w.namespace, "u32", ""), "{key: 1, value: 1}", ""))
	}
	refused := func() (names []string) {
		for i := range v1alpha1.MaxGroupMembers + 1 {
			m, err := w.get(fmt.Sprintf("map-%02d", i))
			if err != nil {
				t.Fatal(err)
			}
			if c := meta.FindStatusCondition(m.Status.Conditions, v1alpha1.ConditionAccepted); c != nil && c.Reason == v1alpha1.ReasonInvalidGroup {
				names = append(names, m.Name)
				if !strings.Contains(c.Message, "group xdp-firewall has 32 BPFMaps already, the most that are possible: take this one out of the group") {
					t.Errorf("%s: %s", m.Name, c.Message)
				}
			}
		}
		return names
	}
	await.Nil(t, limit, func() error {
		var list v1alpha1.BPFMapRevisionList
		if err := w.List(t.Context(), &list, client.InNamespace(w.namespace)); err != nil {
			return err
		}
		if len(list.Items) != v1alpha1.MaxGroupMembers || len(refused()) != 1 {
			return fmt.Errorf("%d revisions, refused are %v", len(list.Items), refused())
		}
		return nil
	})
}
