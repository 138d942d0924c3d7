// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package metrics

import (
	"errors"
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

func TestCluster(t *testing.T) {
	r := prometheus.NewRegistry()
	c := NewCluster(r)
	// A second recorder of the same process adds to the same metrics.
	again := NewCluster(r)

	build := func(m *v1alpha1.BPFMap, _ []compile.Source, _ *compile.Cache) (*revision.Revision, error) {
		if m.Name == "bad" {
			return nil, errors.New("bad")
		}
		return &revision.Revision{Name: m.Name}, nil
	}
	if rev, err := c.Compile(build)(bpfMap("good"), nil, nil); err != nil || rev.Name != "good" {
		t.Errorf("Compile = %v, %v", rev, err)
	}
	if _, err := again.Compile(build)(bpfMap("bad"), nil, nil); err == nil {
		t.Error("the compiler's error is lost")
	}

	status := func(reason string) v1alpha1.BPFMapStatus {
		return v1alpha1.BPFMapStatus{Conditions: []metav1.Condition{{Type: v1alpha1.ConditionReady, Reason: reason}}}
	}
	c.ObserveStatus(bpfMap("a"), status("Progressing"))
	c.ObserveStatus(bpfMap("a"), status("Ready"))
	again.ObserveStatus(bpfMap("b"), status("Ready"))
	c.ObserveStatus(bpfMap("gone"), status("NodesFailed"))
	c.Forget(types.NamespacedName{Namespace: "edge", Name: "gone"})
	expect(t, r,
		`bpfmap_compile_duration_seconds_count{result="accepted"} 1`,
		`bpfmap_compile_duration_seconds_count{result="rejected"} 1`,
		`bpfmap_controller_maps{reason="Ready"} 2`,
	)
}
