// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package loop_test

import (
	"fmt"
	"maps"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
)

func TestLife(t *testing.T) {
	w := newWorld(t)
	n := newNode(t, w, true).start(t)
	m := w.apply("blocklist", blocklist)

	got := w.awaitReadyOn("blocklist", n).Status
	n.awaitContents(t, "blocklist", contents{1: 10, 2: 20})
	id := n.id(t, "blocklist")
	if got.NodeStates[0].MapID != int64(id) {
		t.Errorf("nodeStates = %+v, want node %s and map id %d", got.NodeStates, n.name, id)
	}

	// Merge: a changed, a new and a withdrawn entry; somebody else's stays.
	n.set(t, "blocklist", 99, 990)
	w.edit("blocklist", setEntries(1, 11, 3, 30))
	w.awaitReady("blocklist")
	n.awaitContents(t, "blocklist", contents{1: 11, 3: 30, 99: 990})

	// A broken spec changes nothing in the kernel.
	w.edit("blocklist", setEntries(1, 11, 3, -1))
	w.awaitCondition("blocklist", v1alpha1.ConditionAccepted, v1alpha1.ReasonInvalidEntry)
	n.awaitContents(t, "blocklist", contents{1: 11, 3: 30, 99: 990})
	w.edit("blocklist", setEntries(1, 11))
	w.awaitReady("blocklist")
	n.awaitContents(t, "blocklist", contents{1: 11, 99: 990})
	if now := n.id(t, "blocklist"); now != id {
		t.Errorf("map id is %d, was %d", now, id)
	}

	if err := w.Delete(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	n.awaitNoPin(t)
	w.awaitGone(n.name)
}

func TestRetainAndAdopt(t *testing.T) {
	w := newWorld(t)
	n := newNode(t, w, true).start(t)
	m := w.apply("blocklist", blocklist+"  deletionPolicy: Retain\n")
	w.awaitReady("blocklist")
	n.set(t, "blocklist", 99, 990)
	id := n.id(t, "blocklist")
	if err := w.Delete(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	w.awaitGone(n.name)
	n.awaitContents(t, "blocklist", contents{1: 10, 2: 20, 99: 990})

	w.apply("blocklist", blocklist)
	w.awaitReady("blocklist")
	if note := w.awaitEvent("blocklist", "Adopted"); !strings.HasPrefix(note, n.name+": ") {
		t.Errorf("note %q doesn't begin with the node's name", note)
	}
	n.awaitContents(t, "blocklist", contents{1: 10, 2: 20, 99: 990})
	if now := n.id(t, "blocklist"); now != id {
		t.Errorf("map id is %d after adoption, was %d", now, id)
	}
}

func TestDeletedWhileAway(t *testing.T) {
	w := newWorld(t)
	n := newNode(t, w, true).start(t)
	m := w.apply("blocklist", blocklist)
	w.awaitReady("blocklist")
	n.agent.stop()
	if err := w.Delete(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	n.start(t)
	n.awaitNoPin(t)
	w.awaitGone(n.name)
}

func TestNodeSelection(t *testing.T) {
	w := newWorld(t)
	a, b := newNode(t, w, true).start(t), newNode(t, w, true).start(t)
	w.apply("blocklist", blocklist)
	w.awaitReadyOn("blocklist", a, b)
	relabel(t, w, b.name, map[string]string{"world": "another"})
	b.awaitNoPin(t)
	w.awaitReadyOn("blocklist", a)
	relabel(t, w, b.name, map[string]string{"world": w.namespace})
	b.awaitContents(t, "blocklist", contents{1: 10, 2: 20})
}

func relabel(t testing.TB, w *world, name string, labels map[string]string) {
	t.Helper()
	object := &corev1.Node{}
	if err := w.Get(t.Context(), types.NamespacedName{Name: name}, object); err != nil {
		t.Fatal(err)
	}
	patch := client.MergeFrom(object.DeepCopy())
	maps.Copy(object.Labels, labels)
	if err := w.Patch(t.Context(), object, patch); err != nil {
		t.Fatal(err)
	}
}

func TestFreezeAndSwap(t *testing.T) {
	w := newWorld(t)
	n := newNode(t, w, true).start(t)
	w.apply("allowlist", blocklist+"  freeze: true\n")
	if s := w.awaitReadyOn("allowlist", n).Status; !s.Frozen {
		t.Errorf("status = %+v, want frozen", s)
	}
	id := n.id(t, "allowlist")
	w.edit("allowlist", setEntries(1, 11))
	w.awaitCondition("allowlist", v1alpha1.ConditionStalled, v1alpha1.ReasonNodesStalled)
	n.awaitContents(t, "allowlist", contents{1: 10, 2: 20})
	w.awaitEvent("allowlist", v1alpha1.NodeReasonFrozen)
	if note := w.awaitEventIn(metav1.NamespaceDefault, n.name, "Stalled"); !strings.HasPrefix(note, n.name+": ") {
		t.Errorf("the node's own event is %q", note)
	}

	w.edit("allowlist", func(s *v1alpha1.BPFMapSpec) { s.ReplacePolicy = v1alpha1.ReplaceSwap })
	w.awaitReady("allowlist")
	n.awaitContents(t, "allowlist", contents{1: 11})
	if now := n.id(t, "allowlist"); now == id {
		t.Errorf("map id is still %d, want a new map", now)
	}
}

// TestLargeMap brings a set of several chunks to the kernel, changes one entry, and survives a restart.
func TestLargeMap(t *testing.T) {
	w := newWorld(t)
	n := newNode(t, w, true).start(t)
	var text strings.Builder
	for i := range 50000 {
		fmt.Fprintf(&text, "%d\n", i)
	}
	feed := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: "feed"}, Data: map[string]string{"keys": text.String()}}
	if err := w.Create(t.Context(), feed); err != nil {
		t.Fatal(err)
	}
	w.apply("large", `
spec:
  type: Hash
  key: {type: be32}
  value: {type: u32}
  maxEntries: 60000
  nodeSelector: {world: NAMESPACE}
  entriesFrom: [{configMapRef: {name: feed, key: keys}, format: Lines, value: 7}]
`)
	w.awaitReady("large")
	want := contents{}
	for i := range uint32(50000) {
		want[i] = 7
	}
	n.awaitContents(t, "large", want)
	id := n.id(t, "large")
	for round := range 3 {
		feed.Data["keys"] += fmt.Sprintf("%d\n", 70000+round)
		if err := w.Update(t.Context(), feed); err != nil {
			t.Fatal(err)
		}
		want[uint32(70000+round)] = 7
		n.awaitContents(t, "large", want)
		if round == 1 {
			n.agent.kill()
			n.start(t)
		}
	}
	if now := n.id(t, "large"); now != id {
		t.Errorf("map id is %d, was %d", now, id)
	}
	w.awaitReady("large")
}
