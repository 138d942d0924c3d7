// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package bpf_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/bpfmap-io/bpfmap-operator/internal/bpf"
	"github.com/bpfmap-io/bpfmap-operator/internal/maptype"
)

// TestHotPathAllocatesNothing counts allocations of the operations on elements, also of those that find
// nothing.
func TestHotPathAllocatesNothing(t *testing.T) {
	m := hashMap(t, 100)
	fill(t, m, 50)
	key, absent, next, value := key32(1), key32(99), make([]byte, 4), make([]byte, 8)
	keys, values := make([]byte, 4*10), make([]byte, 8*10)
	for what, do := range map[string]func() error{
		"update":      func() error { return m.UpdateElem(key, value, bpf.Any) },
		"look up":     func() error { return m.LookupElem(key, value) },
		"look up, no": func() error { return ignoreMissing(m.LookupElem(absent, value)) },
		"delete, no":  func() error { return ignoreMissing(m.DeleteElem(absent)) },
		"pop, no":     func() error { return ignoreMissing(m.LookupAndDeleteElem(absent, value)) },
		"exist, no":   func() error { return ignoreMissing(m.UpdateElem(absent, value, bpf.Exist)) },
		"next key":    func() error { _, err := m.GetNextKey(key, next); return err },
		"batch":       func() error { _, err := m.UpdateBatch(t.Context(), keys, values, bpf.Any); return err },
	} {
		if what == "pop, no" && !bpf.Has(bpf.Hash, maptype.LookupAndDelete) {
			continue // an error, which may cost
		}
		var err error
		if n := testing.AllocsPerRun(100, func() { err = errors.Join(do()) }); n != 0 || err != nil {
			t.Errorf("%s: %v allocations, %v", what, n, err)
		}
	}
	// An iteration allocates its buffers, however many elements there are.
	big := hashMap(t, 200000)
	fill(t, big, 200000)
	if n := testing.AllocsPerRun(3, func() {
		it := big.Iterate(t.Context(), bpf.IterateOptions{})
		for it.Next() {
			value[0] = it.Values()[0]
		}
	}); n > 10 {
		t.Errorf("iterating over 200000 elements: %v allocations", n)
	}
}

func ignoreMissing(err error) error {
	if errors.Is(err, bpf.ErrNotExist) {
		return nil
	}
	return err
}

func BenchmarkElem(b *testing.B) {
	for _, size := range []uint32{8, 64} {
		m := create(b, bpf.CreateOpts{Type: bpf.Hash, KeySize: 4, ValueSize: size, MaxEntries: 1000})
		key, value := key32(1), make([]byte, size)
		b.Run(fmt.Sprintf("update/%d", size), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := m.UpdateElem(key, value, bpf.Any); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(fmt.Sprintf("lookup/%d", size), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := m.LookupElem(key, value); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkBatch reports the time for each element.
func BenchmarkBatch(b *testing.B) {
	const n = 100000
	m := hashMap(b, n)
	fill(b, m, n)
	keys, values := make([]byte, 0, 4*n), make([]byte, 8*n)
	for i := range n {
		keys = append(keys, key32(i)...)
	}
	perElement := func(b *testing.B) {
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/element")
	}
	b.Run("update", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := m.UpdateBatch(b.Context(), keys, values, bpf.Any); err != nil {
				b.Fatal(err)
			}
		}
		perElement(b)
	})
	b.Run("iterate", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			it := m.Iterate(b.Context(), bpf.IterateOptions{})
			for it.Next() {
				values[0] = it.Values()[0]
			}
			if it.Err() != nil {
				b.Fatal(it.Err())
			}
		}
		perElement(b)
	})
}
