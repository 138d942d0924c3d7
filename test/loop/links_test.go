// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package loop_test

import (
	"strings"
	"testing"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/bpf/bpftest"
)

// innerTable is an inner map of tables; each edit replaces it.
const innerTable = `
spec:
  type: Hash
  key: {type: be32}
  value: {type: u32}
  maxEntries: 16
  freeze: true
  replacePolicy: Swap
  nodeSelector: {world: NAMESPACE}
  entries: [{key: 1, value: 10}]
`

const tables = `
spec:
  type: HashOfMaps
  key: {type: be32}
  inner: {type: Hash, key: {type: be32}, value: {type: u32}, maxEntries: 16}
  maxEntries: 16
  nodeSelector: {world: NAMESPACE}
  entries: [{key: 1, value: blue}, {key: 2, value: green}]
`

// TestMapsOfMaps makes the outer map before the inner ones, and replaces an inner one: the outer map
// follows within moments, not at the next resync.
func TestMapsOfMaps(t *testing.T) {
	w := newWorld(t)
	n := newNode(t, w, true).start(t)
	w.apply("tables", tables)
	w.awaitCondition("tables", v1alpha1.ConditionReconciling, v1alpha1.ReasonProgressing)
	n.awaitContents(t, "tables", contents{})
	w.apply("blue", innerTable)
	w.awaitReady("blue")
	n.awaitContents(t, "tables", contents{1: n.id(t, "blue")})
	m := w.awaitMessage("tables", v1alpha1.ConditionReconciling, "1 of 2 entries pending: map of BPFMap green not found")
	if m.Status.Nodes.Pending != 1 {
		t.Errorf("nodes = %+v, want one pending", m.Status.Nodes)
	}
	w.apply("green", innerTable)
	w.awaitReadyOn("tables", n)
	n.awaitContents(t, "tables", contents{1: n.id(t, "blue"), 2: n.id(t, "green")})

	before := n.id(t, "blue")
	w.edit("blue", setEntries(1, 11))
	n.awaitContents(t, "blue", contents{1: 11})
	after := n.id(t, "blue")
	if before == after {
		t.Errorf("map id is still %d, want a new map", after)
	}
	n.awaitContents(t, "tables", contents{1: after, 2: n.id(t, "green")})
	w.awaitReadyOn("tables", n)
}

// TestInterfaces follows an interface that comes, goes and comes again.
func TestInterfaces(t *testing.T) {
	w := newWorld(t)
	n := newNode(t, w, true).start(t)
	eth := "bpfm" + w.namespace[len(w.namespace)-5:]
	w.apply("uplinks", strings.Replace(`
spec:
  type: Hash
  key: {type: be32}
  value: {type: ifindex}
  maxEntries: 16
  nodeSelector: {world: NAMESPACE}
  entries: [{key: 1, value: ETH}]
`, "ETH", eth, 1))
	w.awaitMessage("uplinks", v1alpha1.ConditionReconciling, "1 of 1 entries pending: interface "+eth+" not found")
	first := bpftest.AddInterface(t, eth)
	n.awaitContents(t, "uplinks", contents{1: first})
	w.awaitReadyOn("uplinks", n)

	bpftest.RemoveInterface(t, eth)
	w.awaitMessage("uplinks", v1alpha1.ConditionReconciling, "interface "+eth+" not found")
	n.awaitContents(t, "uplinks", contents{1: first}) // nothing better is known
	second := bpftest.AddInterface(t, eth)
	n.awaitContents(t, "uplinks", contents{1: second})
	w.awaitReadyOn("uplinks", n)
}
