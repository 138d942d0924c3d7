// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package btfschema

import (
	"encoding/json"
	"math/rand/v2"
	"testing"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/schema"
)

// TestExtents holds offsets and sizes against the layouts that values are encoded by.
func TestExtents(t *testing.T) {
	for seed := range uint64(1000) {
		r := maker{rand.New(rand.NewPCG(seed, 3))}
		s := r.structure(3)
		l, err := schema.New(&s)
		if err != nil {
			text, _ := json.Marshal(s)
			t.Fatalf("seed %d: %v in %s", seed, err, text)
		}
		checkExtents(t, &s, l)
		if t.Failed() {
			text, _ := json.Marshal(s)
			t.Fatalf("seed %d: %s", seed, text)
		}
	}
}

func checkExtents(t *testing.T, s *v1alpha1.Schema, l *schema.Layout) {
	if e := extentOf(s); e.size != l.Size() || e.align != l.Align() {
		t.Errorf("%s: %d bytes aligned to %d, the layout has %d and %d", s.Type, e.size, e.align, l.Size(), l.Align())
	}
	for n := 1; n > 0; {
		l, n = l.Element()
	}
	spots, _ := place(s)
	for i, m := range l.Members() {
		if spots[i].at != m.BitOffset {
			t.Errorf("%s is at bit %d, the layout has %d", m.Name, spots[i].at, m.BitOffset)
		}
		if m.Bits == 0 && m.Name != "" {
			checkExtents(t, &s.Fields[i].Schema, m.Layout)
		}
	}
}

// TestReadSchemasAreValid: whatever a type is read as can be laid out, as long as the type.
func TestReadSchemasAreValid(t *testing.T) {
	for seed := range uint64(300) {
		r := maker{rand.New(rand.NewPCG(seed, 4))}
		s := r.structure(3)
		var w Writer
		typ := w.Type(&s, "value")
		read, _ := Reader{}.Of(typ)
		l, err := schema.New(read)
		if err != nil || l.Size() != sizeOf(typ) {
			text, _ := json.Marshal(read)
			t.Fatalf("seed %d: %v, size %d: %s", seed, err, sizeOf(typ), text)
		}
	}
}
