// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
)

// TestSamples takes config/samples from kubectl apply to three kernels, and compares what the API says
// with what bpftool finds at the pins.
func TestSamples(t *testing.T) {
	t.Cleanup(func() {
		if err := quiet(context.Background(), "kubectl", "delete", "-k", "config/samples", "--ignore-not-found", "--timeout", "1m"); err != nil {
			t.Error(err)
		}
	})
	start := time.Now()
	kubectl(t, "apply", "-k", "config/samples")
	applied := time.Since(start)
	var list v1alpha1.BPFMapList
	eventually(t, func() error {
		if err := api.List(t.Context(), &list, client.InNamespace("edge")); err != nil {
			return err
		}
		for i := range list.Items {
			if err := ready(&list.Items[i], len(nodes)); err != nil {
				return err
			}
		}
		return nil
	})
	t.Logf("%d maps Ready on %d nodes %.1f s after kubectl apply began, which took %.1f s itself",
		len(list.Items), len(nodes), time.Since(start).Seconds(), applied.Seconds())
	if len(list.Items) < 10 {
		t.Fatalf("%d samples, want at least 10", len(list.Items))
	}

	seen := map[int64]string{}
	for i := range list.Items {
		m := &list.Items[i]
		for _, n := range nodes {
			state, err := nodeState(m, n.name)
			if err != nil {
				t.Fatal(err)
			}
			kernel := n.show(t, "/sys/fs/bpf/"+m.Status.PinPath, state.Entries != nil)
			if state.MapID != kernel.ID || state.Frozen != (kernel.Frozen == 1) || kernel.Max != m.Spec.MaxEntries {
				t.Errorf("%s on %s: status says %+v, the kernel %+v", m.Name, n.name, state, kernel)
			}
			if state.Entries != nil && *state.Entries != kernel.Entries {
				t.Errorf("%s on %s: status says %d entries, the kernel %d", m.Name, n.name, *state.Entries, kernel.Entries)
			}
			if other := seen[kernel.ID]; other != "" {
				t.Errorf("%s on %s has the same map %d as %s", m.Name, n.name, kernel.ID, other)
			}
			seen[kernel.ID] = m.Name + " on " + n.name
		}
	}
}

func nodeState(m *v1alpha1.BPFMap, name string) (v1alpha1.NodeMapStatus, error) {
	for _, s := range m.Status.NodeStates {
		if s.Node == name {
			return s, nil
		}
	}
	return v1alpha1.NodeMapStatus{}, fmt.Errorf("%s: the status has no line of %s", m.Name, name)
}
