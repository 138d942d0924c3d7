// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package status

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/api/meta"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
)

// TestRollout is what people read while a revision has got to one of three nodes.
func TestRollout(t *testing.T) {
	for _, c := range []struct {
		phase                     v1alpha1.RolloutPhase
		ready, reconciling, stall string
		kstatus                   string
	}{
		{"Progressing", "Progressing", "Progressing", "NotStalled", inProgress},
		{"Paused", "PartitionReached", "PartitionReached", "NotStalled", current},
		{"Halted", "Halted", "Halted", "NotStalled", inProgress},
		{"RolledBack", "RolledBack", "ReconcileSucceeded", "RolledBack", failed},
		{"Complete", "Ready", "ReconcileSucceeded", "NotStalled", current},
	} {
		in := input(reports{"node-a": inSync(), "node-b": inSync(), "node-c": inSync()})
		in.Nodes = []string{"node-a", "node-b", "node-c"}
		newer := inSync()
		newer.Revision, newer.Digest = "blocklist-4", "sha256:beef"
		in.Revision = in.Revision.DeepCopy()
		older := in.Revision.Name
		in.Revision.Name = "blocklist-4"
		in.Assigned = map[string]string{"node-b": older, "node-c": older}
		in.MapStates["node-a"] = newer
		if c.phase == "Complete" {
			in.Assigned = nil
			in.MapStates["node-b"], in.MapStates["node-c"] = newer, newer
		}
		in.Rollout = &v1alpha1.RolloutStatus{Phase: c.phase, Message: "1 of 3 nodes have it"}
		s := Aggregate(in)
		for condition, want := range map[string]string{"Ready": c.ready, "Reconciling": c.reconciling, "Stalled": c.stall} {
			if got := meta.FindStatusCondition(s.Conditions, condition); got.Reason != want {
				t.Errorf("%s: condition %s has the reason %s, want %s", c.phase, condition, got.Reason, want)
			}
		}
		if k := kstatusOf(s); k != c.kstatus {
			t.Errorf("%s: kstatus reads %s, want %s", c.phase, k, c.kstatus)
		}
		want := v1alpha1.NodeCounts{Desired: 3, Ready: 3, Updated: 1}
		if c.phase == "Complete" {
			want.Updated = 3
		}
		if diff := cmp.Diff(want, s.Nodes); diff != "" {
			t.Errorf("%s: nodes (-want +got)\n%s", c.phase, diff)
		}
	}
}

// TestCurrentRevision stays with the one before until the rollout has ended, though all nodes hold the newest
// one: it may still go back.
func TestCurrentRevision(t *testing.T) {
	for phase, want := range map[v1alpha1.RolloutPhase]string{
		"Progressing": older, "Paused": older, "Halted": older, "RolledBack": older, "Complete": newest,
	} {
		in := input(reports{"node-a": inSync(), "node-b": inSync()})
		in.Map.Status.CurrentRevision = older
		in.Rollout = &v1alpha1.RolloutStatus{Phase: phase}
		if got := Aggregate(in).CurrentRevision; got != want {
			t.Errorf("%s: currentRevision is %s, want %s", phase, got, want)
		}
	}
}

// TestContents names the nodes that hold something else than most.
func TestContents(t *testing.T) {
	in := input(reports{})
	for i := range 12 {
		m := inSync()
		m.Digest = "sha256:a"
		if i >= 9 {
			m.Digest = "sha256:b"
		}
		if i == 11 {
			m = full()
		}
		name := fmt.Sprintf("node-%02d", i)
		in.Nodes, in.MapStates[name] = append(in.Nodes, name), m
	}
	want := []v1alpha1.ContentGroup{
		{Digest: "sha256:a", Count: 9},
		{Digest: "sha256:b", Count: 2, Nodes: []string{"node-09", "node-10"}},
		{Digest: "none", Count: 1, Nodes: []string{"node-11"}},
	}
	if diff := cmp.Diff(want, Aggregate(in).ContentDigests); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if got := Aggregate(input(nil)).ContentDigests; len(got) > 1 {
		t.Errorf("contents without nodes: %+v", got)
	}
}
