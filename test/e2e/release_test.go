// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e_test

import (
	"context"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
)

// TestReinstall removes the release and installs it again: maps belong to the nodes.
func TestReinstall(t *testing.T) {
	w := newWorld(t)
	w.make("blocklist", contents{1: 10, 2: 20})
	w.make("dropped", contents{1: 10})
	w.awaitReady("blocklist", 3)
	w.awaitReady("dropped", 3)
	before := ids(t, w.namespace, "blocklist")

	t.Cleanup(func() {
		if err := install(context.Background()); err != nil {
			t.Error(err)
		}
	})
	if err := quiet(t.Context(), "helm", "uninstall", "bpfmap", "--namespace", system, "--wait", "--timeout", "1m"); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() error {
		if pids := append(component("agent", "agent"), component("controller", "controller")...); len(pids) > 0 {
			return fmt.Errorf("processes %v still run", pids)
		}
		return nil
	})
	w.awaitEverywhere("blocklist", contents{1: 10, 2: 20})
	if _, err := w.get("blocklist"); err != nil {
		t.Errorf("the resource went with the release: %v", err)
	}
	// What happens meanwhile is found later.
	w.edit(declare(contents{1: 11, 2: 20, 3: 30}))
	nodes[0].remove(t, w.namespace, "blocklist", 2)
	dropped, err := w.get("dropped")
	if err != nil {
		t.Fatal(err)
	}
	if err := api.Delete(t.Context(), dropped); err != nil {
		t.Fatal(err)
	}

	start := time.Now()
	if err := install(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.awaitEverywhere("blocklist", contents{1: 11, 2: 20, 3: 30})
	w.awaitStatus(before)
	t.Logf("Ready again %.1f s after helm install began", time.Since(start).Seconds())
	if after := ids(t, w.namespace, "blocklist"); !maps.Equal(after, before) {
		t.Errorf("map ids are %v, were %v", after, before)
	}
	awaitForgotten(t, dropped, false)
}

// TestHelmTest makes a map, sees that it is Ready, and leaves nothing.
func TestHelmTest(t *testing.T) {
	if err := quiet(t.Context(), "helm", "test", "bpfmap", "--namespace", system, "--timeout", "4m"); err != nil {
		logs, _ := output(t.Context(), "kubectl", "logs", "--namespace", system, "bpfmap-bpfmap-operator-test")
		t.Fatalf("%v\n%s", err, logs)
	}
	eventually(t, func() error {
		left, err := output(t.Context(), "kubectl", "get", "bpfmaps,pods,serviceaccounts,roles,rolebindings", "--namespace", system,
			"--selector", "app.kubernetes.io/component=test", "--output", "name")
		if err == nil && left != "" {
			err = fmt.Errorf("it left %s", left)
		}
		return err
	})
}

// TestNodeRejoins ends a node like a power cut, deletes it, and joins one of the same name that has
// nothing of what the old one had.
func TestNodeRejoins(t *testing.T) {
	w := newWorld(t)
	w.make("blocklist", contents{1: 10, 2: 20})
	w.awaitReady("blocklist", 3)
	before := ids(t, w.namespace, "blocklist")

	t.Cleanup(func() {
		if t.Failed() {
			_ = quiet(context.Background(), "hack/cluster/ctl.sh", "add-node", "node-3")
		}
	})
	name, _, _ := strings.Cut(leader(t), "_")
	pod := &corev1.Pod{}
	if err := api.Get(t.Context(), client.ObjectKey{Namespace: system, Name: name}, pod); err != nil {
		t.Fatal(err)
	}
	ctl(t, "remove-node", "node-3")
	removed := time.Now()
	m := w.awaitReady("blocklist", 2)
	// Together with the controller's own node it takes a minute until Kubernetes runs another one.
	t.Logf("the status forgot the node %.1f s after it was deleted; the controller ran on %s", time.Since(removed).Seconds(), pod.Spec.NodeName)
	if _, err := nodeState(m, "node-3"); err == nil {
		t.Error("the status still has a line of node-3")
	}

	ctl(t, "add-node", "node-3")
	joined := time.Now()
	nodes[2].awaitContents(t, w.namespace, "blocklist", contents{1: 10, 2: 20})
	t.Logf("the map was rebuilt %.1f s after the node was Ready", time.Since(joined).Seconds())
	after := ids(t, w.namespace, "blocklist")
	w.awaitStatus(after)
	t.Logf("the status followed %.1f s after the node was Ready", time.Since(joined).Seconds())
	if after["node-1"] != before["node-1"] || after["node-2"] != before["node-2"] {
		t.Errorf("map ids are %v, were %v: the other nodes were touched", after, before)
	}
	if after["node-3"] == before["node-3"] {
		t.Error("node-3 has its old map: it didn't lose its BPF file system")
	}
	// The node's old state is garbage of the old Node; the new one must stay.
	eventually(t, func() error {
		state, n := &v1alpha1.BPFNodeState{}, &corev1.Node{}
		if err := api.Get(t.Context(), client.ObjectKey{Name: "node-3"}, n); err != nil {
			return err
		}
		if err := api.Get(t.Context(), client.ObjectKey{Name: "node-3"}, state); err != nil {
			return err
		}
		if len(state.OwnerReferences) != 1 || state.OwnerReferences[0].UID != n.UID {
			return fmt.Errorf("the state is owned by %+v, the node is %s", state.OwnerReferences, n.UID)
		}
		return nil
	})
	w.edit(declare(contents{1: 11}))
	w.awaitEverywhere("blocklist", contents{1: 11})
	w.awaitStatus(after)
}

func noLine(state *v1alpha1.BPFNodeState, namespace, name string) error {
	for _, line := range state.Status.Maps {
		if line.Namespace == namespace && line.Name == name {
			return fmt.Errorf("%s still has %+v", state.Name, line)
		}
	}
	return nil
}

// image is what the agents run.
func image(t *testing.T) string {
	t.Helper()
	agents := &appsv1.DaemonSet{ObjectMeta: metav1.ObjectMeta{Namespace: system, Name: "bpfmap-bpfmap-operator-agent"}}
	if err := api.Get(t.Context(), client.ObjectKeyFromObject(agents), agents); err != nil {
		t.Fatal(err)
	}
	return agents.Spec.Template.Spec.Containers[0].Image
}
