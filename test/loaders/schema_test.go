// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package loaders_test

import (
	"bytes"
	"testing"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/compile"
	"github.com/bpfmap-io/bpfmap-operator/internal/engine"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
)

// withValue is the blocklist with another value, which has the same size.
func (w *world) withValue(fields ...v1alpha1.Field) *revision.Revision {
	w.Helper()
	m := &v1alpha1.BPFMap{Spec: v1alpha1.BPFMapSpec{
		Type: v1alpha1.MapTypeLPMTrie, Key: &v1alpha1.Schema{Type: v1alpha1.TypeIPv4Prefix},
		Value: v1alpha1.Schema{Fields: fields}, MaxEntries: 1024,
	}}
	m.Namespace, m.Name = "edge", "blocklist"
	rev, err := compile.Compile(m)
	w.must(err)
	return rev
}

func field(name string, t v1alpha1.ScalarType) v1alpha1.Field {
	return v1alpha1.Field{Name: name, Schema: v1alpha1.Schema{Type: t}}
}

// TestWeCompareLayouts: a program's map is adopted if the schema fits what the compiler wrote about it, and left alone if
// fields are in another order, though all sizes are equal.
func TestWeCompareLayouts(t *testing.T) {
	eachLoader(t, func(t *testing.T, load loader) {
		w := newWorld(t)
		w.makeRoot()
		p := w.start(load, object(t))
		w.must(p.put("blocklist", prefix("198.51.100.0/24"), rule(1, 9)))

		reversed := w.withValue(field("number", v1alpha1.TypeU32), field("action", v1alpha1.TypeU8))
		r := w.Sync(t.Context(), reversed)
		if r.State != v1alpha1.NodeMapStalled || r.Reason != v1alpha1.NodeReasonSchemaMismatch || r.Action != engine.ActionNone {
			t.Fatalf("state %s, reason %s, action %q: %s", r.State, r.Reason, r.Action, r.Message)
		}
		wantWords(t, "the report", r.Message, []string{
			"it is not touched", "number: u32 number at byte 0 (4 bytes)", "the program has u8 action at byte 0 (1 byte)",
			"declared: 0 u32 number, 4 u8 action; in the program: 0 u8 action, 4 u32 number",
		})
		wantWords(t, "the plan", r.Plan.String(), []string{" byte  size  declared      byte  size  in the program\n"})
		if got, err := p.get("blocklist", prefix("198.51.100.0/24")); err != nil || !bytes.Equal(got, rule(1, 9)) || len(w.read("blocklist")) != 1 {
			t.Errorf("the map was touched: %x, %v", got, err)
		}

		if r := w.sync("blocklist", engine.ActionAdopted); r.SchemaVerified != v1alpha1.SchemaVerified || r.MapID != p.mapID("blocklist") {
			t.Errorf("map %d, verified %q: %s", r.MapID, r.SchemaVerified, r.Message)
		}
		renamed := w.withValue(field("verdict", v1alpha1.TypeU8), field("number", v1alpha1.TypeU32))
		if r := w.Sync(t.Context(), renamed); r.State != v1alpha1.NodeMapReady || r.MapID != p.mapID("blocklist") {
			t.Errorf("a field of another name: %s (%s)", r.State, r.Message)
		}
	})
}
