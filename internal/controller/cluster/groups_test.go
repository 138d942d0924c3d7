// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
)

// groupRig has two BPFMaps of a group and a clock of its own, which stands still.
func groupRig(t *testing.T, change func(*v1alpha1.BPFMapSpec)) (*rig, *time.Time) {
	t.Helper()
	foo, bar := newMap("foo", 8, "a"), newMap("bar", 8, "b")
	foo.Spec.Group, bar.Spec.Group = "program", "program"
	change(&foo.Spec)
	g := newRig(t, interceptor.Funcs{}, foo, bar)
	clock := time.Now()
	g.now = func() time.Time { return clock }
	g.settle("foo") // it gets to know the group
	clock = clock.Add(settleGroup)
	return g, &clock
}

// another is a controller that has just started beside the rig's. They take turns and must agree before the new one knows
// the group for as long as the old one does.
func (g *rig) another(name string) *reconciler {
	g.t.Helper()
	young := *g.reconciler
	young.groups, young.compiled = newGroups(), newCompileCache(g.compiled.build, g.compiled.maxStored)
	before := g.versions(name)
	for range 3 {
		if result, err := young.Reconcile(g.t.Context(), reconcile.Request{NamespacedName: key(name)}); err != nil || result.RequeueAfter != settleGroup {
			g.t.Fatalf("%+v, %v: a controller that has just started looks again when it knows the group", result, err)
		}
		if _, err := g.reconcile(name); err != nil {
			g.t.Fatal(err)
		}
	}
	if now := g.versions(name); now != before {
		g.t.Errorf("two controllers go on writing: from %s to %s", before, now)
	}
	return &young
}

// TestRefusedGroupStaysRefused starts another controller while a spec isn't accepted because of its group.
func TestRefusedGroupStaysRefused(t *testing.T) {
	g, clock := groupRig(t, func(s *v1alpha1.BPFMapSpec) { s.NodeSelector = map[string]string{"role": "edge"} })
	g.settle("foo")
	g.condition("foo", v1alpha1.ConditionAccepted, metav1.ConditionFalse, v1alpha1.ReasonInvalidGroup)
	g.told()
	young := g.another("foo")
	if told := g.told(); len(told) > 0 {
		t.Errorf("events %q of what didn't change", told)
	}

	// What an edit leads to is told at once.
	g.edit("foo", func(s *v1alpha1.BPFMapSpec) { s.NodeSelector = nil })
	g.reconciler = young
	g.settle("foo")
	if why := g.condition("foo", v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonProgressing); !strings.Contains(why, "waits until the layouts of group program have not changed") {
		t.Error(why)
	}
	*clock = clock.Add(settleGroup)
	g.settle("foo")
	g.condition("foo", v1alpha1.ConditionAccepted, metav1.ConditionTrue, v1alpha1.ReasonAccepted)
	if got := g.names(); got != "foo-1*" {
		t.Errorf("revisions %s", got)
	}
}

// TestRefusedRevisionStaysRefused starts another controller while a spec isn't accepted because of what became of another
// member since its revision.
func TestRefusedRevisionStaysRefused(t *testing.T) {
	g, clock := groupRig(t, func(*v1alpha1.BPFMapSpec) {})
	g.settle("foo")
	g.edit("bar", func(s *v1alpha1.BPFMapSpec) { s.NodeSelector = map[string]string{"role": "edge"} })
	g.settle("foo")
	*clock = clock.Add(settleGroup)
	g.settle("foo")
	g.condition("foo", v1alpha1.ConditionAccepted, metav1.ConditionFalse, v1alpha1.ReasonInvalidGroup)
	g.another("foo")
}

// TestUnchangedRevisionIsNotHeld starts another controller after a rollout was rolled back.
func TestUnchangedRevisionIsNotHeld(t *testing.T) {
	g, _ := groupRig(t, func(*v1alpha1.BPFMapSpec) {})
	g.settle("foo")
	revisions := g.revisionsIn("edge")
	if len(revisions) != 1 {
		t.Fatalf("revisions %s", g.names())
	}
	revisions[0].Status.Rollout.RolledBack = "node n1 failed"
	if err := g.store.Status().Update(t.Context(), &revisions[0]); err != nil {
		t.Fatal(err)
	}
	g.settle("foo")
	g.another("foo")
}
