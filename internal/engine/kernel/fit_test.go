// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package kernel_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cilium/ebpf/btf"
	"sigs.k8s.io/yaml"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/bpf"
	"github.com/bpfmap-io/bpfmap-operator/internal/bpf/bpftest"
	"github.com/bpfmap-io/bpfmap-operator/internal/bpf/sys"
	"github.com/bpfmap-io/bpfmap-operator/internal/btfschema"
	"github.com/bpfmap-io/bpfmap-operator/internal/engine"
)

// theirs pins a Hash of a program at the pin of a name: keys are u32, values of that schema, or without BTF if described
// is false. Its first element's value is given.
func (n *node) theirs(name, value string, described bool, first []byte) *bpf.Map {
	n.t.Helper()
	var schemas [2]v1alpha1.Schema
	var ids [2]btf.TypeID
	var sizes [2]int
	var b btf.Builder
	var w btfschema.Writer
	for i, text := range []string{`{type: u32}`, value} {
		if err := yaml.UnmarshalStrict([]byte(text), &schemas[i]); err != nil {
			n.t.Fatal(err)
		}
		typ := w.Type(&schemas[i], "their")
		var err error
		if ids[i], err = b.Add(typ); err != nil {
			n.t.Fatal(err)
		}
		if sizes[i], err = btf.Sizeof(typ); err != nil {
			n.t.Fatal(err)
		}
	}
	raw, err := b.Marshal(nil, nil)
	if err != nil {
		n.t.Fatal(err)
	}
	loaded, err := bpf.LoadBTF(raw)
	if err != nil {
		n.t.Fatal(err)
	}
	defer loaded.Close()
	o := bpf.CreateOpts{Type: bpf.Hash, KeySize: uint32(sizes[0]), ValueSize: uint32(sizes[1]), MaxEntries: 8}
	if described {
		o.BTF, o.BTFKeyTypeID, o.BTFValueTypeID = loaded, uint32(ids[0]), uint32(ids[1])
	}
	m, err := bpf.Create(o)
	if err != nil {
		n.t.Fatal(err)
	}
	n.t.Cleanup(func() { _ = m.Close() })
	if err := m.UpdateElem(make([]byte, sizes[0]), first, bpf.Any); err != nil {
		n.t.Fatal(err)
	}
	path := n.pins.Path("bpfmap/edge/" + name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		n.t.Fatal(err)
	}
	if err := m.Pin(path); err != nil {
		n.t.Fatal(err)
	}
	return m
}

const (
	theirRule = `{fields: [{name: action, type: u8}, {name: ports, type: u16, length: 3}, {name: id, type: u32}]}`
	// reversed has the same size.
	reversed = `{fields: [{name: id, type: u32}, {name: ports, type: u16, length: 3}, {name: action, type: u8}]}`
)

// TestAdoptionComparesLayouts: a map of a program is adopted if the schema fits its BTF, and is untouched otherwise.
func TestAdoptionComparesLayouts(t *testing.T) {
	n := newNode(t)
	first := []byte{1, 0, 80, 0, 0, 0, 0, 0, 7, 0, 0, 0}
	spec := func(value, entries string) string {
		return `{type: Hash, key: {type: u32}, value: ` + value + `, maxEntries: 8, entries: [` + entries + `]}`
	}
	theirs := n.theirs("fits", theirRule, true, first)
	r := declare(t, "fits", spec(theirRule, `{key: 1, value: {action: 2, ports: [1, 2, 3], id: 9}}`))
	report := n.sync(r, v1alpha1.NodeMapReady, engine.ActionAdopted)
	if report.SchemaVerified != v1alpha1.SchemaVerified || report.Message != "" {
		t.Errorf("verified %q, message %q", report.SchemaVerified, report.Message)
	}
	if again := n.Sync(t.Context(), r); again.SchemaVerified != v1alpha1.SchemaVerified || again.Action != engine.ActionNone {
		t.Errorf("again: %q, %s", again.SchemaVerified, again.Action)
	}
	_ = theirs

	theirs = n.theirs("swapped", theirRule, true, first)
	report = n.Sync(t.Context(), declare(t, "swapped", spec(reversed, `{key: 0, value: {action: 0, ports: [0, 0, 0], id: 7}}`)))
	if report.State != v1alpha1.NodeMapStalled || report.Reason != v1alpha1.NodeReasonSchemaMismatch || report.SchemaVerified != "" {
		t.Fatalf("%s (%s), verified %q: %s", report.State, report.Reason, report.SchemaVerified, report.Message)
	}
	for _, want := range []string{
		"another layout than the spec: it is not touched",
		"(declared: 0 u32 id, 4 u16[3] ports, 10 u8 action; in the program: 0 u8 action, 2 u16[3] ports, 8 u32 id)",
	} {
		if !strings.Contains(report.Message, want) {
			t.Errorf("the message lacks %q: %s", want, report.Message)
		}
	}
	if len(report.Message) > 1024 {
		t.Errorf("the message has %d bytes", len(report.Message))
	}
	value := make([]byte, 12)
	if err := theirs.LookupElem(make([]byte, 4), value); err != nil || string(value) != string(first) {
		t.Errorf("the map was touched: %v (%v)", value, err)
	}

	n.theirs("six", `{fields: [{name: flag, type: u8}, {name: six, type: hex, size: 16}, {name: id, type: u32}]}`, true, make([]byte, 24))
	n.stalls(declare(t, "six", spec(`{fields: [{name: flag, type: u8}, {name: six, type: ipv6}, {name: id, type: u32}]}`, ``)),
		v1alpha1.NodeReasonSchemaMismatch, "six: ipv6 six at byte 4 (16 bytes): the program has hex(16) six at byte 1 (16 bytes)")
}

// TestAdoptionWithoutBTF: a map that tells nothing is adopted, what wasn't compared is said, and so is what is odd.
func TestAdoptionWithoutBTF(t *testing.T) {
	n := newNode(t)
	r := declare(t, "plain", `{type: Hash, key: {type: u32}, value: {fields: [{name: a, type: u8}, {name: b, type: u32}]}, maxEntries: 8}`)
	n.theirs("plain", `{type: u64}`, false, []byte{1, 2, 3, 4, 5, 6, 7, 8})
	report := n.sync(r, v1alpha1.NodeMapReady, engine.ActionAdopted)
	const want = "layout not verified: the map has no BTF; the padding of 1 of the first 1 element is not zero, as if the program had another layout"
	if report.SchemaVerified != v1alpha1.SchemaNoBTF || report.Message != want {
		t.Errorf("verified %q, message %q", report.SchemaVerified, report.Message)
	}
}

// TestAdoptionWithoutRights: an agent that may not open BTF adopts, says so, and compares once it may.
func TestAdoptionWithoutRights(t *testing.T) {
	n := newNode(t)
	r := declare(t, "blind", `{type: Hash, key: {type: u32}, value: `+reversed+`, maxEntries: 8}`)
	n.theirs("blind", theirRule, true, make([]byte, 12))
	bpftest.WithCapabilities(t, []sys.Capability{sys.CapBPF, sys.CapDACOverride, sys.CapChown}, func() {
		report := n.Sync(t.Context(), r)
		if report.State != v1alpha1.NodeMapReady || report.SchemaVerified != v1alpha1.SchemaNotVerified ||
			report.Message != "layout not verified: reading the map's BTF needs CAP_SYS_ADMIN" {
			t.Errorf("%s (%s), verified %q, message %q", report.State, report.Reason, report.SchemaVerified, report.Message)
		}
	})
	n.stalls(r, v1alpha1.NodeReasonSchemaMismatch, "another layout than the spec: replacePolicy is Never")
}

// TestOwnMapOfAnotherLayout: a schema of equal size that means something else is a change that needs a new map.
func TestOwnMapOfAnotherLayout(t *testing.T) {
	n := newNode(t)
	spec := func(value, more string) string {
		return `{type: Hash, key: {type: u32}, value: ` + value + `, maxEntries: 8` + more + `}`
	}
	before := n.sync(declare(t, "own", spec(theirRule, "")), v1alpha1.NodeMapReady, engine.ActionCreated)
	if before.SchemaVerified != v1alpha1.SchemaVerified {
		t.Errorf("verified %q", before.SchemaVerified)
	}
	renamed := strings.ReplaceAll(theirRule, "action", "verdict")
	if report := n.Sync(t.Context(), declare(t, "own", spec(renamed, ""))); report.State != v1alpha1.NodeMapReady || report.MapID != before.MapID {
		t.Errorf("a renamed field: %s (%s), map %d, was %d", report.State, report.Message, report.MapID, before.MapID)
	}
	n.stalls(declare(t, "own", spec(reversed, "")), v1alpha1.NodeReasonSchemaMismatch, "replacePolicy is Never")
	after := n.sync(declare(t, "own", spec(reversed, ", replacePolicy: Swap")), v1alpha1.NodeMapReady, engine.ActionReplaced)
	if after.MapID == before.MapID {
		t.Error("the map is the same one")
	}
}
