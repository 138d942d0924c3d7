// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e_test

import (
	"context"
	"maps"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
)

func TestEdits(t *testing.T) {
	w := newWorld(t)
	w.make("blocklist", contents{1: 10, 2: 20})
	w.awaitReady("blocklist", 3)
	w.awaitEverywhere("blocklist", contents{1: 10, 2: 20})
	before := ids(t, w.namespace, "blocklist")
	nodes[1].set(t, w.namespace, 99, 990) // Merge leaves it alone

	w.edit(declare(contents{1: 11, 3: 30}))
	nodes[1].awaitContents(t, w.namespace, "blocklist", contents{1: 11, 3: 30, 99: 990})
	nodes[0].awaitContents(t, w.namespace, "blocklist", contents{1: 11, 3: 30})
	nodes[2].awaitContents(t, w.namespace, "blocklist", contents{1: 11, 3: 30})
	m := w.awaitReady("blocklist", 3)
	for node, want := range map[string]int64{"node-1": 2, "node-2": 3, "node-3": 2} {
		if s, err := nodeState(m, node); err != nil || s.Entries == nil || *s.Entries != want {
			t.Errorf("status of %s is %+v (%v), want %d entries", node, s, err, want)
		}
	}
	if after := ids(t, w.namespace, "blocklist"); !maps.Equal(after, before) {
		t.Errorf("map ids are %v, were %v", after, before)
	}
}

// TestNodeSelector moves a map: first by its selector, then by a node's label.
func TestNodeSelector(t *testing.T) {
	w := newWorld(t)
	key := "e2e.bpfmap.io/" + w.namespace
	w.make("blocklist", contents{1: 10})
	w.awaitReady("blocklist", 3)

	label(t, "node-1", key, "edge")
	w.edit(func(s *v1alpha1.BPFMapSpec) { s.NodeSelector = map[string]string{key: "edge"} })
	nodes[1].awaitNoPin(t, w.namespace, "blocklist")
	nodes[2].awaitNoPin(t, w.namespace, "blocklist")
	w.awaitReady("blocklist", 1)
	nodes[0].awaitContents(t, w.namespace, "blocklist", contents{1: 10})

	label(t, "node-3", key, "edge")
	nodes[2].awaitContents(t, w.namespace, "blocklist", contents{1: 10})
	label(t, "node-1", key, "")
	nodes[0].awaitNoPin(t, w.namespace, "blocklist")
	if m := w.awaitReady("blocklist", 1); m.Status.NodeStates[0].Node != "node-3" {
		t.Errorf("nodeStates = %+v, want node-3 alone", m.Status.NodeStates)
	}
}

// label sets a node's label, or removes it if value is empty, and removes it at the test's end.
func label(t *testing.T, name, key, value string) {
	t.Helper()
	argument := key + "=" + value
	if value == "" {
		argument = key + "-"
	} else {
		t.Cleanup(func() {
			n := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name}}
			patch := client.RawPatch("application/merge-patch+json", []byte(`{"metadata":{"labels":{"`+key+`":null}}}`))
			if err := api.Patch(context.Background(), n, patch); err != nil {
				t.Error(err)
			}
		})
	}
	kubectl(t, "label", "node", name, "--overwrite", argument)
}
