// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"fmt"
	"testing"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/rollout"
)

// counted is a BPFMap with numbers as values, one more entry for each revision, and metrics.
func counted(entries int, metrics *v1alpha1.MapMetrics) *v1alpha1.BPFMap {
	m := newMap("foo", 8, many(entries, "a")...)
	m.Spec.Value = v1alpha1.Schema{Type: v1alpha1.TypeU32}
	for i := range m.Spec.Entries {
		m.Spec.Entries[i].Value.Raw = fmt.Append(nil, i)
	}
	m.Spec.Metrics = metrics
	return m
}

func gauge(name, field string) *v1alpha1.MapMetrics {
	return &v1alpha1.MapMetrics{Values: []v1alpha1.MetricValue{{Name: name, Field: field, Type: v1alpha1.MetricGauge}}}
}

// served is what the revisions of foo tell agents to serve, by revision.
func (g *rig) served() string {
	g.t.Helper()
	all := ""
	for _, rev := range g.revisionsIn("edge") {
		name := "–"
		if m := rev.Status.Metrics; m != nil {
			name = m.Values[0].Name
		}
		at := map[string]string{rollout.All: "all", rollout.None: "none"}[rev.Status.Rollout.Frontier]
		all += rev.Name + "=" + name + "@" + at + " "
	}
	return all
}

// TestMetricsMakeNoRevision: spec.metrics reaches nodes by the status of the revisions that they hold. Each of its
// changes leaves revisions, and how far they are rolled out, as they are.
func TestMetricsMakeNoRevision(t *testing.T) {
	g := newRig(t, interceptor.Funcs{}, counted(1, gauge("first", "")), newNode("n"))
	g.settle("foo")
	if got := g.served(); got != "foo-1=first@all " {
		t.Error(got)
	}
	for name, m := range map[string]*v1alpha1.MapMetrics{"second": gauge("second", ""), "–": nil} {
		g.edit("foo", func(s *v1alpha1.BPFMapSpec) { s.Metrics = m })
		g.settle("foo")
		if got := g.served(); got != "foo-1="+name+"@all " {
			t.Error(got)
		}
		if c := g.get("foo"); c.Status.ObservedGeneration != c.Generation {
			t.Errorf("generation %d is observed, not %d", c.Status.ObservedGeneration, c.Generation)
		}
	}
	// A new revision has them from its first moment, and nodes that hold the one before serve the same.
	g.edit("foo", func(s *v1alpha1.BPFMapSpec) {
		*s = counted(2, gauge("third", "")).Spec
		s.Rollout.Paused = true
	})
	g.reports("n")
	g.settle("foo")
	if got := g.served(); got != "foo-1=third@all foo-2=third@none " {
		t.Error(got)
	}
}

// TestMetricsOfARefusedSpec aren't served: nodes go on with those of the last one that was accepted.
func TestMetricsOfARefusedSpec(t *testing.T) {
	g := newRig(t, interceptor.Funcs{}, counted(1, gauge("first", "")), newNode("n"))
	g.settle("foo")
	g.edit("foo", func(s *v1alpha1.BPFMapSpec) { s.Metrics = gauge("second", "nothing") })
	g.settle("foo")
	if got := g.served(); got != "foo-1=first@all " {
		t.Error(got)
	}
	want := `spec.metrics.values[0].field: "nothing": there is no field "nothing": a u32 has none (the nodes keep revision foo-1)`
	if got := g.condition("foo", v1alpha1.ConditionAccepted, metav1.ConditionFalse, v1alpha1.ReasonInvalidSpec); got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// TestMetricsFitTheRevision: nodes that still hold an earlier layout don't get metrics of the new one.
func TestMetricsFitTheRevision(t *testing.T) {
	g := newRig(t, interceptor.Funcs{}, counted(1, gauge("first", "")), newNode("n"))
	g.settle("foo")
	g.reports("n")
	g.settle("foo")
	g.edit("foo", func(s *v1alpha1.BPFMapSpec) {
		s.Value = v1alpha1.Schema{Fields: []v1alpha1.Field{{Name: "hits", Schema: v1alpha1.Schema{Type: v1alpha1.TypeU64}}}}
		s.Entries = nil
		s.Metrics = gauge("hits", "hits")
		s.Rollout.Paused = true
	})
	g.settle("foo")
	if got := g.served(); got != "foo-1=first@all foo-2=hits@none " {
		t.Error(got)
	}
}

// TestMetricsThatArentServedAreTold in a condition of the BPFMap, which says nothing of Ready.
func TestMetricsThatArentServedAreTold(t *testing.T) {
	g := newRig(t, interceptor.Funcs{}, counted(1, gauge("first", "")), newNode("n"))
	g.settle("foo")
	g.reports("n")
	g.settle("foo")
	g.condition("foo", v1alpha1.ConditionMetricsServed, metav1.ConditionTrue, v1alpha1.ReasonMetricsServed)
	var state v1alpha1.BPFNodeState
	if err := g.store.Get(t.Context(), types.NamespacedName{Name: "n"}, &state); err != nil {
		t.Fatal(err)
	}
	state.Status.Maps[0].MetricsMessage = "some elements are in no metric"
	if err := g.store.Status().Update(t.Context(), &state); err != nil {
		t.Fatal(err)
	}
	g.settle("foo")
	got := g.condition("foo", v1alpha1.ConditionMetricsServed, metav1.ConditionFalse, v1alpha1.ReasonMetricsLeftOut)
	if want := "metrics are incomplete on 1 of 1 node: on n: some elements are in no metric"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	g.condition("foo", v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonReady)
	g.edit("foo", func(s *v1alpha1.BPFMapSpec) { s.Metrics = nil })
	g.settle("foo")
	if c := meta.FindStatusCondition(g.get("foo").Status.Conditions, v1alpha1.ConditionMetricsServed); c != nil {
		t.Errorf("without metrics, there is %+v", c)
	}
}
