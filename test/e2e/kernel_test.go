// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
)

// TestOldKernel gives one of three nodes a kernel without LPM tries and batches, as far as its agent can
// tell: what needs the one says so there alone, and what uses the other works without.
func TestOldKernel(t *testing.T) {
	reinstall(t, "agent.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms[0].matchExpressions[0].key=kubernetes.io/hostname",
		"agent.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms[0].matchExpressions[0].operator=NotIn",
		"agent.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms[0].matchExpressions[0].values={node-2}")
	agentsOn(t, "node-2", "--disable-features=LPMTrie,Batch")
	w := newWorld(t)
	w.make("blocklist", contents{1: 10, 2: 20})
	w.awaitReady("blocklist", 3)
	w.edit(declare(contents{1: 11, 3: 30}))
	w.awaitEverywhere("blocklist", contents{1: 11, 3: 30})

	trie := func(s *v1alpha1.BPFMapSpec) {
		s.Type, s.Key = v1alpha1.MapTypeLPMTrie, &v1alpha1.Schema{Type: v1alpha1.TypeIPv4Prefix}
		s.Flags = []v1alpha1.MapFlag{v1alpha1.FlagNoPrealloc}
	}
	w.make("routes", nil, trie)
	message := w.awaitNodeReason("routes", "node-2", v1alpha1.NodeReasonNotSupported)
	for _, word := range []string{"LPMTrie", "spec.nodeSelector"} {
		if !strings.Contains(message, word) {
			t.Errorf("message %q doesn't say %q", message, word)
		}
	}
	eventually(t, func() error {
		m, err := w.get("routes")
		if err != nil {
			return err
		}
		if n := m.Status.Nodes; n.Desired != 3 || n.Ready != 2 || n.Failed != 1 {
			return fmt.Errorf("nodes are %+v, want two of three Ready", n)
		}
		return nil
	})
	state := &v1alpha1.BPFNodeState{}
	if err := api.Get(t.Context(), client.ObjectKey{Name: "node-2"}, state); err != nil {
		t.Fatal(err)
	}
	if f := state.Status.Features; slices.Contains(f, "LPMTrie") || slices.Contains(f, "Batch") || !slices.Contains(f, "Hash") {
		t.Errorf("node-2 reports the features %v", f)
	}
}

// agentsOn runs agents like those of the release, with one more argument, on a node that those leave out.
func agentsOn(t *testing.T, node, argument string) {
	t.Helper()
	release := &appsv1.DaemonSet{}
	if err := api.Get(t.Context(), client.ObjectKey{Namespace: system, Name: "bpfmap-bpfmap-operator-agent"}, release); err != nil {
		t.Fatal(err)
	}
	agents := &appsv1.DaemonSet{ObjectMeta: metav1.ObjectMeta{Namespace: system, Name: "agents-of-" + node}, Spec: release.Spec}
	own := map[string]string{"e2e": agents.Name}
	agents.Spec.Selector = &metav1.LabelSelector{MatchLabels: own}
	// By these the controller knows a pod of another DaemonSet as an agent.
	agents.Spec.Template.Labels = map[string]string{"e2e": agents.Name, "app.kubernetes.io/component": "agent", v1alpha1.LabelAgent: "true"}
	pod := &agents.Spec.Template.Spec
	pod.Affinity, pod.NodeSelector = nil, map[string]string{"kubernetes.io/hostname": node}
	pod.Containers[0].Args = append(pod.Containers[0].Args, argument)
	if err := api.Create(t.Context(), agents); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := quiet(context.Background(), "kubectl", "delete", "daemonset", agents.Name, "--namespace", system, "--cascade=foreground", "--timeout=1m"); err != nil {
			t.Error(err)
		}
	})
	kubectl(t, "rollout", "status", "daemonset/"+agents.Name, "--namespace", system, "--timeout=2m")
}
