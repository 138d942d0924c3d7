// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e_test

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"k8s.io/apimachinery/pkg/api/meta"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
)

// TestBPFFSMountedAnew takes the BPF file system of one node away and mounts another one, with the mounts that
// the chart and the kubelet make. The agent says so at once, and the node's maps are there again.
func TestBPFFSMountedAnew(t *testing.T) {
	w := newWorld(t)
	w.make("blocklist", contents{1: 10, 2: 20})
	w.awaitReady("blocklist", 3)
	n := nodes[slices.IndexFunc(nodes, func(n *node) bool { return n.name == "node-2" })]
	before := n.id(t, w.namespace, "blocklist")

	inside := func(args ...string) error {
		return quiet(context.Background(), "hack/cluster/ctl.sh", append([]string{"inside", n.name}, args...)...)
	}
	eventually(t, func() error { return inside("umount", "/sys/fs/bpf") }) // EBUSY while the agent is at work
	t.Cleanup(func() {
		if inside("mountpoint", "-q", "/sys/fs/bpf") != nil {
			if err := inside("mount", "-t", "bpf", "bpf", "/sys/fs/bpf"); err != nil {
				t.Error(err)
			}
		}
	})
	eventually(t, func() error {
		state := &v1alpha1.BPFNodeState{}
		if err := api.Get(t.Context(), client.ObjectKey{Name: n.name}, state); err != nil {
			return err
		}
		c := meta.FindStatusCondition(state.Status.Conditions, v1alpha1.ConditionHostReady)
		if c == nil || c.Reason != v1alpha1.ReasonBPFFSMissing || state.Status.Summary.Ready > 0 {
			return fmt.Errorf("condition HostReady is %+v, %d maps are ready", c, state.Status.Summary.Ready)
		}
		return nil
	})
	if err := inside("mount", "-t", "bpf", "bpf", "/sys/fs/bpf"); err != nil {
		t.Fatal(err)
	}
	n.awaitContents(t, w.namespace, "blocklist", contents{1: 10, 2: 20})
	w.awaitReady("blocklist", 3)
	if now := n.id(t, w.namespace, "blocklist"); now == before {
		t.Errorf("map id is still %d", now)
	}
	w.awaitEvent("DriftRepaired")
}
