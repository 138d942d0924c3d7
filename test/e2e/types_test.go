// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e_test

import (
	"context"
	"net"
	"strconv"
	"strings"
	"testing"

	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
)

// applied applies a folder of samples until the test ends.
func applied(t *testing.T, folder string) {
	t.Helper()
	t.Cleanup(func() {
		err := quiet(context.Background(), "kubectl", "delete", "-k", folder, "--ignore-not-found", "--timeout", "1m")
		if err != nil {
			t.Error(err)
		}
	})
	kubectl(t, "apply", "-f", "config/samples/00-namespace.yaml")
	kubectl(t, "apply", "-k", folder)
}

// samples are the maps of the samples' namespace.
func samples(t *testing.T) []v1alpha1.BPFMap {
	t.Helper()
	var list v1alpha1.BPFMapList
	if err := api.List(t.Context(), &list, client.InNamespace("edge")); err != nil {
		t.Fatal(err)
	}
	return list.Items
}

// TestTypes makes a map of every type that the agent's default capabilities can make.
func TestTypes(t *testing.T) {
	applied(t, "config/samples/types")
	eventually(t, func() error {
		for _, m := range samples(t) {
			if err := ready(&m, len(nodes)); err != nil {
				return err
			}
		}
		return nil
	})
	all := samples(t)
	if len(all) < 20 {
		t.Fatalf("%d samples, want at least 20", len(all))
	}
	for _, m := range all {
		for _, n := range nodes {
			state, err := nodeState(&m, n.name)
			if err != nil {
				t.Fatal(err)
			}
			if kernel := n.show(t, "/sys/fs/bpf/"+m.Status.PinPath, false); state.MapID != kernel.ID {
				t.Errorf("%s on %s: status says map %d, the kernel %d", m.Name, n.name, state.MapID, kernel.ID)
			}
		}
	}
}

// TestNodeNetwork lets the agents see the nodes' interfaces: maps hold what these are on each node, and
// follow one that is on a single node.
func TestNodeNetwork(t *testing.T) {
	reinstall(t, "agent.hostNetwork=true")
	applied(t, "config/samples/node")
	loopback, err := net.InterfaceByName("lo") // the first one everywhere
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"uplinks", "egress", "interface-limits", "connections", "connections-by-flow", "af-xdp-sockets"} {
		eventually(t, func() error {
			m := &v1alpha1.BPFMap{}
			if err := api.Get(t.Context(), client.ObjectKey{Namespace: "edge", Name: name}, m); err != nil {
				return err
			}
			return ready(m, len(nodes))
		})
	}
	for _, n := range nodes {
		n.awaitContents(t, "edge", "uplinks", contents{0: uint32(loopback.Index)})
	}

	w := newWorld(t)
	m := &v1alpha1.BPFMap{}
	const spec = `{spec: {type: DevMapHash, maxEntries: 4, entries: [{key: 1, value: lo}, {key: 2, value: onlyhere}]}}`
	if err := yaml.UnmarshalStrict([]byte(spec), m); err != nil {
		t.Fatal(err)
	}
	m.Namespace, m.Name = w.namespace, "ports"
	if err := api.Create(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	for _, n := range nodes {
		w.awaitNodeReason("ports", n.name, v1alpha1.NodeReasonReferenceNotFound)
	}
	ctl(t, "inside", "node-2", "ip", "link", "add", "onlyhere", "type", "veth", "peer", "name", "onlyherep")
	text, err := output(t.Context(), "hack/cluster/ctl.sh", "inside", "node-2", "sh", "-c", "ip -o link show onlyhere | cut -d: -f1")
	if err != nil {
		t.Fatal(err)
	}
	index, err := strconv.Atoi(strings.TrimSpace(text))
	if err != nil {
		t.Fatal(err)
	}
	nodes[1].awaitContents(t, w.namespace, "ports", contents{1: uint32(loopback.Index), 2: uint32(index)})
	w.awaitNodeReason("ports", "node-2", v1alpha1.NodeReasonInSync)
	for _, n := range []*node{nodes[0], nodes[2]} {
		n.awaitContents(t, w.namespace, "ports", contents{1: uint32(loopback.Index)})
		if message := w.awaitNodeReason("ports", n.name, v1alpha1.NodeReasonReferenceNotFound); !strings.Contains(message, "interface onlyhere not found") {
			t.Errorf("%s says %q", n.name, message)
		}
	}
	// The kernel drops the entry with the interface, and the agent says that it waits again.
	ctl(t, "inside", "node-2", "ip", "link", "delete", "onlyhere")
	nodes[1].awaitContents(t, w.namespace, "ports", contents{1: uint32(loopback.Index)})
	w.awaitNodeReason("ports", "node-2", v1alpha1.NodeReasonReferenceNotFound)
}
