// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package bpf_test

import (
	"encoding/binary"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/bpfmap-io/bpfmap-operator/internal/bpf"
)

func disable(t *testing.T, names ...string) {
	t.Helper()
	if err := bpf.Disable(names...); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := bpf.Disable(); err != nil {
			t.Error(err)
		}
	})
}

func TestDisabledType(t *testing.T) {
	o := bpf.CreateOpts{Type: bpf.LPMTrie, KeySize: 8, ValueSize: 4, MaxEntries: 4, Flags: bpf.NoPrealloc}
	disable(t, "LPMTrie", "ArrayOfMaps", "Freeze")
	_, err := bpf.Create(o)
	if !errors.Is(err, bpf.ErrNotSupported) || !strings.Contains(err.Error(), "the feature LPMTrie is disabled") {
		t.Errorf("create: %v", err)
	}
	if _, err := bpf.Create(bpf.CreateOpts{Type: bpf.ArrayOfMaps, KeySize: 4, ValueSize: 4, MaxEntries: 4}); !errors.Is(err, bpf.ErrNotSupported) {
		t.Errorf("create a type that can't be probed: %v", err)
	}
	features, err := bpf.Features()
	if err != nil || slices.Contains(features, "LPMTrie") || slices.Contains(features, "Freeze") || !slices.Contains(features, "Hash") {
		t.Errorf("features %v, %v", features, err)
	}
	if err := bpf.Disable("LPMTree"); err == nil || !strings.Contains(err.Error(), "LPMTrie") {
		t.Errorf("an unknown feature: %v", err)
	}
	if err := bpf.Disable(); err != nil {
		t.Fatal(err)
	}
	m, err := bpf.Create(o)
	if err != nil {
		t.Fatalf("enabled again: %v", err)
	}
	if err := m.Close(); err != nil {
		t.Error(err)
	}
}

// TestWithoutBatches does by single elements what batches do elsewhere, as for LPM tries and per-CPU
// arrays on Linux 5.8 to 5.12.
func TestWithoutBatches(t *testing.T) {
	for _, o := range []bpf.CreateOpts{
		{Type: bpf.Hash, KeySize: 8, ValueSize: 4, MaxEntries: 5},
		{Type: bpf.PerCPUHash, KeySize: 8, ValueSize: 4, MaxEntries: 5},
		{Type: bpf.LPMTrie, KeySize: 8, ValueSize: 4, MaxEntries: 5, Flags: bpf.NoPrealloc},
		{Type: bpf.Array, KeySize: 4, ValueSize: 4, MaxEntries: 5},
		{Type: bpf.PerCPUArray, KeySize: 4, ValueSize: 4, MaxEntries: 5},
	} {
		t.Run(o.Type.String(), func(t *testing.T) {
			m, err := bpf.Create(o)
			if err != nil {
				t.Fatal(err)
			}
			defer m.Close()
			var keys []byte
			for i := range uint32(5) {
				if o.KeySize == 8 {
					keys = binary.NativeEndian.AppendUint32(keys, 32)
				}
				keys = binary.NativeEndian.AppendUint32(keys, i)
			}
			values := make([]byte, 5*m.ValueStride())
			for i := range values {
				values[i] = byte(i / m.ValueStride())
			}
			// The kernel has batches; what it says without them must be the same.
			want := roundTrip(t, m, keys, values)
			disable(t, "Batch")
			if got := roundTrip(t, m, keys, values); got != want {
				t.Errorf("without batches: %+v, with them %+v", got, want)
			}
		})
	}
}

// outcome is what a round of updates, reads and deletes showed.
type outcome struct {
	updated, read, deleted, again, left int
	full                                bool
}

func roundTrip(t *testing.T, m *bpf.Map, keys, values []byte) (o outcome) {
	t.Helper()
	var err error
	if o.updated, err = m.UpdateBatch(t.Context(), keys, values, bpf.Any); err != nil {
		t.Fatal(err)
	}
	it := m.Iterate(t.Context(), bpf.IterateOptions{BatchSize: 2})
	for it.Next() {
		o.read += it.Len()
	}
	if it.Err() != nil || !it.Complete() {
		t.Fatalf("iterate: complete %t, %v", it.Complete(), it.Err())
	}
	excess := binary.NativeEndian.AppendUint32(slices.Clone(keys[:len(keys)/5-4]), 5)
	_, err = m.UpdateBatch(t.Context(), excess, values[:m.ValueStride()], bpf.Any)
	if o.full = errors.Is(err, bpf.ErrFull) || errors.Is(err, bpf.ErrOutOfRange); !o.full {
		t.Errorf("one element too many: %v", err)
	}
	if !m.Type().Traits().Delete {
		return o
	}
	if o.deleted, err = m.DeleteBatch(t.Context(), keys); err != nil {
		t.Fatal(err)
	}
	if o.again, err = m.DeleteBatch(t.Context(), keys); !errors.Is(err, bpf.ErrNotExist) {
		t.Errorf("delete twice: %v", err)
	}
	if o.left, _, err = m.Count(t.Context()); err != nil {
		t.Fatal(err)
	}
	return o
}
