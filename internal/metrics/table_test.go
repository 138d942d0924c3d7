// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package metrics

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	dto "github.com/prometheus/client_model/go"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/engine"
	"github.com/bpfmap-io/bpfmap-operator/internal/plan"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
	"github.com/bpfmap-io/bpfmap-operator/test/golden"
)

// served are the families that each component serves once everything has happened.
func served(t *testing.T) map[Component][]*dto.MetricFamily {
	t.Helper()
	node := newRig(10)
	drifted := holding("a", 1)
	drifted.Drift = &engine.Drift{Kind: plan.DriftContents}
	node.sync(drifted, spec("Hash", 4))
	node.maps[0].Usage = &v1alpha1.MapUsage{State: v1alpha1.MapUsed, ProgramCount: 1}
	node.ServeContents(func(context.Context, revision.Key, revision.Shape, bool, func(keys, values []byte)) error {
		return errors.New("what contents become isn't in the table")
	}, 1, nil)
	node.FollowContents(&v1alpha1.BPFMapRevision{
		ObjectMeta: metav1.ObjectMeta{Namespace: "edge"},
		Spec: v1alpha1.BPFMapRevisionSpec{
			MapName: "a", Type: v1alpha1.MapTypeHash, Key: &v1alpha1.Schema{Type: v1alpha1.TypeU32}, Value: v1alpha1.Schema{Type: v1alpha1.TypeU32},
		},
		Status: v1alpha1.BPFMapRevisionStatus{Metrics: &v1alpha1.MapMetrics{Values: []v1alpha1.MetricValue{{Name: "v", Type: v1alpha1.MetricGauge}}}},
	})
	cluster := newObserved(10)
	cluster.nodes = map[metav1.ConditionStatus]int{}
	s := told(metav1.ConditionTrue, "Ready")
	s.Rollout = &v1alpha1.RolloutStatus{Phase: "Complete"}
	s.Sources = []v1alpha1.SourceStatus{{Name: "feed", LastGoodTime: &metav1.Time{Time: time.Unix(1, 0)}}}
	cluster.ObserveStatus(bpfMap("a"), s)
	result := map[Component][]*dto.MetricFamily{}
	for of, r := range map[Component]*prometheus.Registry{Agent: node.registry, Controller: cluster.registry} {
		Build{"v1", "abc"}.Register(r, of)
		families, err := r.Gather()
		if err != nil {
			t.Fatal(err)
		}
		result[of] = families
	}
	return result
}

// TestNames holds the metrics to Prometheus' conventions, and values of labels to lower case.
func TestNames(t *testing.T) {
	for of, families := range served(t) {
		problems, err := promlint.NewWithMetricFamilies(families).Lint()
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range problems {
			t.Errorf("%s: %s: %s", of, p.Metric, p.Text)
		}
		for _, f := range families {
			for _, m := range f.GetMetric() {
				for _, l := range m.GetLabel() {
					if l.GetName() != "reason" && l.GetValue() != strings.ToLower(l.GetValue()) {
						t.Errorf("%s: %s has %s=%q", of, f.GetName(), l.GetName(), l.GetValue())
					}
				}
			}
		}
	}
}

// TestTableIsWhatIsServed compares the table with what the registries give.
func TestTableIsWhatIsServed(t *testing.T) {
	want := map[Component][]string{}
	for _, m := range Table() {
		for _, of := range m.Of {
			labels := slices.Clone(m.Labels)
			slices.Sort(labels)
			want[of] = append(want[of], fmt.Sprintf("%s %s %v: %s", m.Name, m.Type, labels, m.Help))
		}
	}
	for of, families := range served(t) {
		var got []string
		for _, f := range families {
			labels := []string{}
			for _, l := range f.GetMetric()[0].GetLabel() {
				labels = append(labels, l.GetName())
			}
			got = append(got, fmt.Sprintf("%s %s %v: %s", f.GetName(), strings.ToLower(f.GetType().String()), labels, f.GetHelp()))
		}
		slices.Sort(got)
		slices.Sort(want[of])
		if !slices.Equal(got, want[of]) {
			t.Errorf("the %s serves\n%s\nthe table has\n%s", of, strings.Join(got, "\n"), strings.Join(want[of], "\n"))
		}
	}
}

// TestNamesCannotBeConfused wants each name's first words to say whose view it is, and no name to be the
// plural of another one.
func TestNamesCannotBeConfused(t *testing.T) {
	names := map[string]bool{}
	for _, m := range Table() {
		if names[m.Name] {
			t.Errorf("%s is there twice", m.Name)
		}
		names[m.Name] = true
		if strings.HasPrefix(m.Name, "bpfmap_node_") && !slices.Equal(m.Of, agent) {
			t.Errorf("%s is of %v", m.Name, m.Of)
		}
		if strings.HasPrefix(m.Name, "bpfmap_cluster_") && !slices.Equal(m.Of, controller) {
			t.Errorf("%s is of %v", m.Name, m.Of)
		}
		if m.PerMap != slices.Contains(m.Labels, "name") || m.PerMap != slices.Contains(m.Labels, "namespace") {
			t.Errorf("%s has the labels %v", m.Name, m.Labels)
		}
	}
	for name := range names {
		if names[name+"s"] {
			t.Errorf("%s and %ss", name, name)
		}
	}
}

// TestTableIsDocumented keeps the table in docs/operations.md up to date; -update writes it.
func TestTableIsDocumented(t *testing.T) {
	golden.Section(t, filepath.Join("..", "..", "docs", "operations.md"), "metrics", markdown())
}

func markdown() string {
	out := "| metric | type | labels | served by | what it is |\n|---|---|---|---|---|\n"
	for _, m := range Table() {
		labels := "–"
		if len(m.Labels) > 0 {
			labels = "`" + strings.Join(m.Labels, "`, `") + "`"
		}
		var by []string
		for _, of := range m.Of {
			by = append(by, string(of))
		}
		out += fmt.Sprintf("| `%s` | %s | %s | %s | %s |\n", m.Name, m.Type, labels, strings.Join(by, ", "), m.Help)
	}
	return out
}
