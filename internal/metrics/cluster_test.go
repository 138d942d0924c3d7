// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package metrics

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/compile"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
)

// scrape is the text that a scrape gets.
func scrape(r *prometheus.Registry) string {
	w := httptest.NewRecorder()
	promhttp.HandlerFor(r, promhttp.HandlerOpts{}).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	return "\n" + w.Body.String()
}

// refuse fails if a scrape has text.
func refuse(t *testing.T, r *prometheus.Registry, text string) {
	t.Helper()
	if all := scrape(r); strings.Contains(all, text) {
		t.Errorf("%q is in:\n%s", text, all)
	}
}

// expect looks for whole lines of the text that a scrape gets.
func expect(t *testing.T, r *prometheus.Registry, lines ...string) {
	t.Helper()
	text := scrape(r)
	for _, line := range lines {
		if !strings.Contains(text, "\n"+line+"\n") {
			t.Errorf("no line %q in:\n%s", line, text)
		}
	}
}

func bpfMap(name string) *v1alpha1.BPFMap {
	return &v1alpha1.BPFMap{ObjectMeta: metav1.ObjectMeta{Namespace: "edge", Name: name}}
}

// told is a status with a condition Ready.
func told(ready metav1.ConditionStatus, reason string) v1alpha1.BPFMapStatus {
	return v1alpha1.BPFMapStatus{Conditions: []metav1.Condition{{Type: v1alpha1.ConditionReady, Status: ready, Reason: reason}}}
}

// observed is a controller's recorder whose sources a test sets.
type observed struct {
	*Cluster
	registry *prometheus.Registry
	crds     error
	nodes    map[metav1.ConditionStatus]int
}

func newObserved(perMap int) *observed {
	o := &observed{registry: prometheus.NewRegistry()}
	o.Cluster = NewCluster(o.registry)
	o.Observe(Sources{
		CRDs:  func() error { return o.crds },
		Nodes: func() (map[metav1.ConditionStatus]int, bool) { return o.nodes, o.nodes != nil },
	}, perMap)
	return o
}

func manyBPFMaps(n int) *observed {
	o := newObserved(n)
	for i := range n {
		s := told(metav1.ConditionTrue, v1alpha1.ReasonReady)
		s.Nodes = v1alpha1.NodeCounts{Desired: 4200, Ready: 4000, Updated: 3000, Failed: 100, Pending: 70, Unknown: 30}
		s.Rollout = &v1alpha1.RolloutStatus{Phase: "Progressing"}
		m := bpfMap(fmt.Sprintf("blocklist-%04d", i))
		m.Namespace = "edge-routing"
		o.ObserveStatus(m, s)
	}
	return o
}

func TestCompileIsTimed(t *testing.T) {
	r := prometheus.NewRegistry()
	c := NewCluster(r)
	// A second recorder of the same process adds to the same metrics.
	again := NewCluster(r)
	expect(t, r, `bpfmap_compile_duration_seconds_count{result="rejected"} 0`)
	build := func(m *v1alpha1.BPFMap, _ compile.Input) (*compile.Result, error) {
		if m.Name == "bad" {
			return nil, errors.New("bad")
		}
		return &compile.Result{Revision: &revision.Revision{Name: m.Name}}, nil
	}
	if rev, err := c.Compile(build)(bpfMap("good"), compile.Input{}); err != nil || rev.Revision.Name != "good" {
		t.Errorf("Compile = %v, %v", rev, err)
	}
	if _, err := again.Compile(build)(bpfMap("bad"), compile.Input{}); err == nil {
		t.Error("the compiler's error is lost")
	}
	expect(t, r,
		`bpfmap_compile_duration_seconds_count{result="accepted"} 1`,
		`bpfmap_compile_duration_seconds_count{result="rejected"} 1`,
	)
}

// TestBPFMapsByReason counts BPFMaps by their condition Ready. What was seen once goes to 0 and stays.
func TestBPFMapsByReason(t *testing.T) {
	o := newObserved(10)
	expect(t, o.registry, `bpfmap_cluster_maps{ready="true",reason="Ready"} 0`, `bpfmap_cluster_maps{ready="false",reason="Progressing"} 0`)
	o.ObserveStatus(bpfMap("a"), told(metav1.ConditionFalse, "MapFull"))
	o.ObserveStatus(bpfMap("b"), told(metav1.ConditionTrue, "Ready"))
	o.ObserveStatus(bpfMap("c"), told(metav1.ConditionUnknown, "NodesUnknown"))
	o.ObserveStatus(bpfMap("d"), v1alpha1.BPFMapStatus{})
	expect(t, o.registry,
		`bpfmap_cluster_maps{ready="false",reason="MapFull"} 1`,
		`bpfmap_cluster_maps{ready="true",reason="Ready"} 1`,
		`bpfmap_cluster_maps{ready="unknown",reason="NodesUnknown"} 1`,
		`bpfmap_cluster_maps{ready="unknown",reason="Unknown"} 1`,
	)
	o.ObserveStatus(bpfMap("a"), told(metav1.ConditionTrue, "Ready"))
	o.Forget(types.NamespacedName{Namespace: "edge", Name: "b"})
	expect(t, o.registry, `bpfmap_cluster_maps{ready="false",reason="MapFull"} 0`, `bpfmap_cluster_maps{ready="true",reason="Ready"} 1`)
	refuse(t, o.registry, `name="b"`)
}

// TestABPFMap has all series of one BPFMap.
func TestABPFMap(t *testing.T) {
	o := newObserved(10)
	s := told(metav1.ConditionFalse, "MapFull")
	s.Conditions = append(s.Conditions,
		metav1.Condition{Type: v1alpha1.ConditionReconciling, Status: metav1.ConditionTrue},
		metav1.Condition{Type: v1alpha1.ConditionDrifted, Status: metav1.ConditionUnknown})
	s.Nodes = v1alpha1.NodeCounts{Desired: 10, Ready: 4, Failed: 3, Pending: 2, Unknown: 1, Updated: 5}
	s.Rollout = &v1alpha1.RolloutStatus{Phase: "RolledBack"}
	o.ObserveStatus(bpfMap("a"), s)
	expect(t, o.registry,
		`bpfmap_cluster_map_condition{name="a",namespace="edge",type="ready"} 0`,
		`bpfmap_cluster_map_condition{name="a",namespace="edge",type="reconciling"} 1`,
		`bpfmap_cluster_map_condition{name="a",namespace="edge",type="stalled"} -1`,
		`bpfmap_cluster_map_condition{name="a",namespace="edge",type="accepted"} -1`,
		`bpfmap_cluster_map_condition{name="a",namespace="edge",type="drifted"} -1`,
		`bpfmap_cluster_map_nodes{name="a",namespace="edge",state="ready"} 4`,
		`bpfmap_cluster_map_nodes{name="a",namespace="edge",state="failed"} 3`,
		`bpfmap_cluster_map_nodes{name="a",namespace="edge",state="pending"} 2`,
		`bpfmap_cluster_map_nodes{name="a",namespace="edge",state="unknown"} 1`,
		`bpfmap_cluster_map_updated_nodes{name="a",namespace="edge"} 5`,
		`bpfmap_cluster_map_rollout{name="a",namespace="edge",phase="rolled_back"} 1`,
		`bpfmap_cluster_maps_left_out 0`,
	)
	s.Rollout.Phase = "Complete"
	o.ObserveStatus(bpfMap("a"), s)
	expect(t, o.registry, `bpfmap_cluster_map_rollout{name="a",namespace="edge",phase="complete"} 1`)
	refuse(t, o.registry, `rolled_back"}`)

	few := newObserved(1)
	few.ObserveStatus(bpfMap("a"), s)
	few.ObserveStatus(bpfMap("b"), s)
	expect(t, few.registry, `bpfmap_cluster_maps_left_out 1`, `bpfmap_cluster_maps{ready="false",reason="MapFull"} 2`)
}

// TestSources asks at each scrape how the CRDs and the nodes are.
func TestSources(t *testing.T) {
	o := newObserved(10)
	o.crds = errors.New("older")
	expect(t, o.registry, `bpfmap_cluster_crds_current 0`)
	refuse(t, o.registry, "\nbpfmap_cluster_nodes")
	o.crds, o.nodes = nil, map[metav1.ConditionStatus]int{metav1.ConditionTrue: 3, metav1.ConditionUnknown: 1}
	expect(t, o.registry, `bpfmap_cluster_crds_current 1`, `bpfmap_cluster_nodes{ready="true"} 3`,
		`bpfmap_cluster_nodes{ready="false"} 0`, `bpfmap_cluster_nodes{ready="unknown"} 1`)
}
