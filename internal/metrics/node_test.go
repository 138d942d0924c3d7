// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package metrics

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/controller/process"
	"github.com/bpfmap-io/bpfmap-operator/internal/engine"
	"github.com/bpfmap-io/bpfmap-operator/internal/plan"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
)

func report(name string, state v1alpha1.NodeMapState, action engine.Action) engine.Report {
	return engine.Report{Key: revision.Key{Namespace: "edge", Name: name}, State: state, Action: action}
}

func TestNode(t *testing.T) {
	r := prometheus.NewRegistry()
	n := NewNode(r, func() uint64 { return 41 })

	n.ObserveSync(report("a", v1alpha1.NodeMapReady, engine.ActionCreated), time.Second)
	n.ObserveSync(report("a", v1alpha1.NodeMapReady, ""), time.Second)
	n.ObserveSync(report("b", v1alpha1.NodeMapPending, engine.ActionUpdated), time.Second)
	n.ObserveSync(report("b", v1alpha1.NodeMapFailed, ""), time.Second)
	n.ObserveSync(report("c", v1alpha1.NodeMapStalled, ""), time.Second)
	n.CountChunk(1000)
	n.CountChunk(24)
	for _, name := range []string{"a", "gone"} {
		drifted := report(name, v1alpha1.NodeMapReady, engine.ActionRepaired)
		drifted.Drift = &engine.Drift{Kind: plan.DriftContents}
		n.CountDrift(drifted)
	}
	n.Forget("edge", "gone")
	n.ObserveMaps([]v1alpha1.NodeMap{
		{State: v1alpha1.NodeMapReady, MemlockBytes: 10}, {State: v1alpha1.NodeMapReady, MemlockBytes: 20},
		{State: v1alpha1.NodeMapFailed, MemlockBytes: 3},
	})
	expect(t, r,
		`bpfmap_bpf_syscalls_total 41`,
		`bpfmap_sync_duration_seconds_count{action="none"} 3`,
		`bpfmap_sync_duration_seconds_count{action="`+string(engine.ActionCreated)+`"} 1`,
		`bpfmap_sync_total{result="ok"} 3`,
		`bpfmap_sync_total{result="error"} 1`,
		`bpfmap_sync_total{result="stalled"} 1`,
		`bpfmap_chunk_read_bytes_total 1024`,
		`bpfmap_drift_total{kind="`+string(plan.DriftContents)+`",name="a",namespace="edge"} 1`,
		`bpfmap_node_maps{state="Ready"} 2`,
		`bpfmap_node_maps{state="Pending"} 0`,
		`bpfmap_node_maps{state="Failed"} 1`,
		`bpfmap_node_maps{state="Stalled"} 0`,
		`bpfmap_node_map_memory_bytes 33`,
	)
	refuse(t, r, `name="gone"`)

	n.ObserveMaps(nil)
	expect(t, r, `bpfmap_node_maps{state="Ready"} 0`, `bpfmap_node_map_memory_bytes 0`)
}

// TestStatusWrites counts what becomes of status writes, and passes errors on.
func TestStatusWrites(t *testing.T) {
	r := prometheus.NewRegistry()
	var answer error
	c := NewNode(r, func() uint64 { return 0 }).Client(fake.NewClientBuilder().WithScheme(process.Scheme()).WithInterceptorFuncs(interceptor.Funcs{
		SubResourcePatch: func(context.Context, client.Client, string, client.Object, client.Patch, ...client.SubResourcePatchOption) error {
			return answer
		},
		SubResourceUpdate: func(context.Context, client.Client, string, client.Object, ...client.SubResourceUpdateOption) error {
			return answer
		},
	}).Build())
	write := func() {
		t.Helper()
		if err := c.Status().Update(t.Context(), bpfMap("a")); !errors.Is(err, answer) {
			t.Errorf("Update = %v, want %v", err, answer)
		}
		if err := c.Status().Patch(t.Context(), bpfMap("a"), client.MergeFrom(bpfMap("a"))); !errors.Is(err, answer) {
			t.Errorf("Patch = %v, want %v", err, answer)
		}
	}
	write()
	answer = apierrors.NewConflict(schema.GroupResource{Resource: "bpfmaps"}, "a", errors.New("newer"))
	write()
	answer = errors.New("down")
	write()
	expect(t, r,
		`bpfmap_status_writes_total{result="written"} 2`,
		`bpfmap_status_writes_total{result="conflict"} 2`,
		`bpfmap_status_writes_total{result="failed"} 2`,
	)
}

// TestNames holds the metrics to Prometheus' conventions.
func TestNames(t *testing.T) {
	r := prometheus.NewRegistry()
	c, n := NewCluster(r), NewNode(r, func() uint64 { return 1 })
	c.ObserveStatus(bpfMap("a"), v1alpha1.BPFMapStatus{})
	n.ObserveSync(report("a", v1alpha1.NodeMapReady, ""), time.Second)
	drifted := report("a", v1alpha1.NodeMapReady, "")
	drifted.Drift = &engine.Drift{Kind: plan.DriftContents}
	n.CountDrift(drifted)
	n.ObserveMaps(nil)
	families, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	if len(families) < 8 {
		t.Errorf("only %d metrics", len(families))
	}
	problems, err := promlint.NewWithMetricFamilies(families).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}
