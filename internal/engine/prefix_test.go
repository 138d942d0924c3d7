// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package engine_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/engine"
	"github.com/bpfmap-io/bpfmap-operator/internal/engine/enginetest"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
)

// addresses is a trie of addresses by interface.
func addresses(t *testing.T, entries ...string) *revision.Revision {
	t.Helper()
	return table(t, "{type: LPMTrie, key: {fields: [{name: via, type: ifindex}, {name: addr, type: ipv4, prefix: true}]}, value: {type: u8}, maxEntries: 16", entries...)
}

// TestInterfaceBeforePrefix gives two nodes, on which an interface has different indexes, one revision: a program looks up
// the index of the packet's interface, and the longest prefix of its address.
func TestInterfaceBeforePrefix(t *testing.T) {
	r := addresses(t, "{via: uplink, addr: 10.0.0.0/8}=1", "{via: uplink, addr: 10.0.0.1-10.0.0.2}=2", "{via: lan, addr: 0.0.0.0/0}=3")
	for _, node := range []struct {
		uplink, lan uint64
		holds       string
	}{
		{2, 3, "{via: 2, addr: 10.0.0.0/8}=1 {via: 2, addr: 10.0.0.1/32}=2 {via: 2, addr: 10.0.0.2/32}=2 {via: 3, addr: 0.0.0.0/0}=3"},
		{70000, 4, "{via: 4, addr: 0.0.0.0/0}=3 {via: 70000, addr: 10.0.0.0/8}=1 {via: 70000, addr: 10.0.0.1/32}=2 {via: 70000, addr: 10.0.0.2/32}=2"},
	} {
		b := enginetest.NewMemory()
		w := newWorld(t, b)
		b.SetLink(v1alpha1.Reference{Type: v1alpha1.TypeIfindex, Name: "uplink"}, node.uplink)
		w.waiting(r, engine.ActionCreated, "ifindex lan not found")
		b.SetLink(v1alpha1.Reference{Type: v1alpha1.TypeIfindex, Name: "lan"}, node.lan)
		w.ready(r, engine.ActionUpdated)
		w.holds(r, node.holds)
		w.ready(r, engine.ActionNone)

		// The interface comes back with another index: its old keys go, and only these.
		b.SetLink(v1alpha1.Reference{Type: v1alpha1.TypeIfindex, Name: "uplink"}, 9)
		w.ready(r, engine.ActionUpdated)
		w.holds(r, fmt.Sprintf("{via: %d, addr: 0.0.0.0/0}=3", node.lan)+" {via: 9, addr: 10.0.0.0/8}=1 {via: 9, addr: 10.0.0.1/32}=2 {via: 9, addr: 10.0.0.2/32}=2")
	}
}

// TestPrefixesOfOneInterface tells two entries that are the same on a node, in the terms of the schema.
func TestPrefixesOfOneInterface(t *testing.T) {
	b := enginetest.NewMemory()
	w := newWorld(t, b)
	b.SetLink(v1alpha1.Reference{Type: v1alpha1.TypeIfindex, Name: "a"}, 2)
	b.SetLink(v1alpha1.Reference{Type: v1alpha1.TypeIfindex, Name: "b"}, 2)
	w.ready(addresses(t, "{via: a, addr: 10.0.0.0/8}=1", "{via: b, addr: 10.0.0.0/9}=2"), engine.ActionCreated)
	report := w.sync(addresses(t, "{via: a, addr: 10.0.0.0/8}=1", "{via: b, addr: 10.0.0.0/8}=2"), v1alpha1.NodeMapStalled, engine.ActionNone)
	if want := "two entries have the same key {via: 2, addr: 10.0.0.0/8} on this node"; !strings.Contains(report.Message, want) {
		t.Errorf("%s, want %s", report.Message, want)
	}
}

// TestDriftOfPrefixes: a program stores bits behind a prefix, which don't count; what differs is told in fields.
func TestDriftOfPrefixes(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		spec := "{type: LPMTrie, key: {fields: [{name: proto, type: u8}, {name: port, type: be16, prefix: true}]}, value: {type: u8}, maxEntries: 16"
		r := table(t, spec, "{proto: 6, port: 8000-8999}=1", "{proto: 6, port: 443}=2")
		w.ready(r, engine.ActionCreated)
		m := w.open(r)
		same := []byte{26, 0, 0, 0, 6, 0, 0x1f, 0x7f} // 8063/10, with bits behind the prefix
		w.must(m.Write(w.Context(), same, []byte{1}))
		w.ready(r, engine.ActionNone)
		w.must(m.Write(w.Context(), same, []byte{9}))
		w.must(m.Delete(w.Context(), []byte{32, 0, 0, 0, 6, 0, 1, 0xbb}))
		drift := w.ready(r, engine.ActionRepaired).Drift
		var drifted []string
		for _, e := range drift.Entries {
			drifted = append(drifted, e.Key+" "+e.Found+" "+e.Declared)
		}
		if got, want := strings.Join(drifted, ", "), "{proto: 6, port: 443}  2, {proto: 6, port: 8000-8063} 9 1"; got != want {
			t.Errorf("drifted %s, want %s", got, want)
		}
		w.ready(table(t, spec, "{proto: 6, port: 8000-8255}=1"), engine.ActionUpdated)
		w.holds(r, "{proto: 6, port: 8000-8063}=1 {proto: 6, port: 8064-8191}=1 {proto: 6, port: 8192-8255}=1")
	})
}
