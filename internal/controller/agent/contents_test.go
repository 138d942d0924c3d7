// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/engine"
	"github.com/bpfmap-io/bpfmap-operator/internal/engine/enginetest"
	recorders "github.com/bpfmap-io/bpfmap-operator/internal/metrics"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
)

// serving lets parts serve contents from their memory, into a registry of its own.
func (p *parts) serving(memory *enginetest.Memory) *prometheus.Registry {
	registry := prometheus.NewRegistry()
	p.metrics = recorders.NewNode(registry, func() uint64 { return 0 })
	p.metrics.ServeContents(func(ctx context.Context, key revision.Key, _ revision.Shape, _ bool, yield func(keys, values []byte)) error {
		state, err := memory.Open(ctx, key, nil)
		if err != nil || state.KeepAlive == nil {
			return errors.Join(err, engine.ErrAbsent)
		}
		_, err = state.KeepAlive.Read(ctx, yield)
		return errors.Join(err, state.KeepAlive.Close())
	}, 100, p.state.setMetricsMessage)
	p.metrics.Observe(p.state.snapshot, 10, time.Hour)
	return registry
}

func metricsNamed(name string) *v1alpha1.MapMetrics {
	return &v1alpha1.MapMetrics{
		Labels: []v1alpha1.MetricLabel{{Name: "key"}}, MaxSeries: 2,
		Values: []v1alpha1.MetricValue{{Name: name, Type: v1alpha1.MetricGauge}},
	}
}

// TestMetricsAlone: a change of the metrics is served without another comparison of the map.
func TestMetricsAlone(t *testing.T) {
	host := &memoryHost{memory: enginetest.NewMemory()}
	rev := compiled(t, "table", 1, "{type: Hash, key: {type: u8}, value: {type: u8}, maxEntries: 4, entries: [{key: 1, value: 7}, {key: 2, value: 8}]}")
	c := newClient(t, nodeNamed("node"), rev)
	p := newParts(t, c, "node", host)
	p.resync = time.Hour
	registry := p.serving(host.memory)
	served := func(what string, want int, names ...string) {
		t.Helper()
		_, err := p.reconcile(t.Context(), "table")
		must(t, err)
		families, err := registry.Gather()
		must(t, err)
		n := 0
		for _, f := range families {
			if slices.Contains(names, f.GetName()) {
				n += len(f.GetMetric())
			}
		}
		if n != want {
			t.Errorf("%s: %d series of %v, want %d", what, n, names, want)
		}
	}
	served("no metrics", 0, "bpfmap_content_first", "bpfmap_node_content_series")
	rev.Status.Metrics = metricsNamed("first")
	must(t, c.Status().Update(t.Context(), rev))
	served("metrics", 2, "bpfmap_content_first")
	served("metrics", 1, "bpfmap_node_content_series")
	rev.Status.Metrics = metricsNamed("second")
	must(t, c.Status().Update(t.Context(), rev))
	served("others", 0, "bpfmap_content_first")
	served("others", 2, "bpfmap_content_second")
	rev.Status.Metrics = nil
	must(t, c.Status().Update(t.Context(), rev))
	served("none again", 0, "bpfmap_content_second", "bpfmap_node_content_series")
}

// TestWhatIsntServedIsTold in the node's state, until it is served.
func TestWhatIsntServedIsTold(t *testing.T) {
	host := &memoryHost{memory: enginetest.NewMemory()}
	rev := compiled(t, "table", 1, "{type: Hash, key: {type: u8}, value: {type: u8}, maxEntries: 4, entries: [{key: 1, value: 7}, {key: 2, value: 8}, {key: 3, value: 9}]}")
	rev.Status.Metrics = metricsNamed("first")
	c := newClient(t, nodeNamed("node"), rev)
	p := newParts(t, c, "node", host)
	registry := p.serving(host.memory)
	_, err := p.reconcile(t.Context(), "table")
	must(t, err)
	told := func(want string) {
		t.Helper()
		if _, err := registry.Gather(); err != nil {
			t.Fatal(err)
		}
		if got := p.mapState("table").MetricsMessage; got != want {
			t.Errorf("told %q, want %q", got, want)
		}
	}
	told("some elements are in no metric: the map has more than 2 series (spec.metrics.maxSeries)")
	// Another comparison of the map doesn't take it back.
	p.checks.forget(revision.Key{Namespace: "default", Name: "table"})
	_, err = p.reconcile(t.Context(), "table")
	must(t, err)
	told("some elements are in no metric: the map has more than 2 series (spec.metrics.maxSeries)")
	rev.Status.Metrics.MaxSeries = 3
	must(t, c.Status().Update(t.Context(), rev))
	_, err = p.reconcile(t.Context(), "table")
	must(t, err)
	told("")
}
