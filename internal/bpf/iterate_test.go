// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package bpf_test

import (
	"encoding/binary"
	"sync"
	"testing"

	"github.com/bpfmap-io/bpfmap-operator/internal/bpf"
	"github.com/bpfmap-io/bpfmap-operator/internal/maptype"
)

// fill writes n elements whose values equal their keys.
func fill(t testing.TB, m *bpf.Map, n int) {
	t.Helper()
	var keys, values []byte
	for i := range n {
		keys = append(keys, key32(i)...)
		values = binary.NativeEndian.AppendUint64(values, uint64(i))
	}
	if done, err := m.UpdateBatch(t.Context(), keys, values, bpf.Any); err != nil || done != n {
		t.Fatalf("%d of %d elements, %v", done, n, err)
	}
}

// TestIterateSizes reads maps with batches smaller than a bucket, of equal size, and larger than the map.
func TestIterateSizes(t *testing.T) {
	for _, n := range []int{0, 1, 100, 4096, 4097, 10000} {
		m := hashMap(t, 20000)
		if n > 0 {
			fill(t, m, n)
		}
		for _, size := range []int{1, 2, 100, 4096, n, 0} {
			seen := map[uint32]bool{}
			it := m.Iterate(t.Context(), bpf.IterateOptions{BatchSize: size})
			for it.Next() {
				for i := range it.Len() {
					k := binary.NativeEndian.Uint32(it.Keys()[4*i:])
					if v := binary.NativeEndian.Uint64(it.Values()[8*i:]); v != uint64(k) || seen[k] {
						t.Fatalf("key %d has the value %d, seen before: %t", k, v, seen[k])
					}
					seen[k] = true
				}
			}
			if it.Err() != nil || !it.Complete() || len(seen) != n {
				t.Errorf("%d elements, batches of %d: saw %d, complete %t, %v", n, size, len(seen), it.Complete(), it.Err())
			}
		}
	}
}

// TestIterateRestart deletes the key that an iteration of a trie stands at: the kernel starts over, which
// is noticed, and nothing that stays is missed.
func TestIterateRestart(t *testing.T) {
	m := create(t, bpf.CreateOpts{Type: bpf.LPMTrie, KeySize: 8, ValueSize: 8, MaxEntries: 100, Flags: bpf.NoPrealloc})
	prefix := func(i int) []byte { return append(key32(32), 10, 0, 0, byte(i)) }
	for i := range 100 {
		if err := m.UpdateElem(prefix(i), make([]byte, 8), bpf.Any); err != nil {
			t.Fatal(err)
		}
	}
	it := m.Iterate(t.Context(), bpf.IterateOptions{BatchSize: 10})
	seen, deleted := map[string]int{}, 0
	for it.Next() {
		keys := it.Keys()
		for i := range it.Len() {
			seen[string(keys[8*i:8*i+8])]++
		}
		if deleted < 3 {
			if err := m.DeleteElem(keys[len(keys)-8:]); err != nil {
				t.Fatal(err)
			}
			deleted++
		}
	}
	// Kernels that go on elsewhere instead are found out by a second walk.
	startsOver := bpf.Does(t, &maptype.TrieCursor)
	if it.Err() != nil || startsOver && it.Restarts() != deleted || it.Complete() != startsOver {
		t.Errorf("%d restarts, want %d; complete %t, %v", it.Restarts(), deleted, it.Complete(), it.Err())
	}
	for i := range 100 {
		if seen[string(prefix(i))] == 0 && it.Complete() {
			t.Errorf("prefix %d was missed", i)
		}
	}
	if n, exact, err := m.Count(t.Context()); n != 100-deleted || !exact || err != nil {
		t.Errorf("count %d, exact %t, %v", n, exact, err)
	}
}

// TestIterateIsBounded deletes the key that every batch ends at: without a bound that would never end.
func TestIterateIsBounded(t *testing.T) {
	m := create(t, bpf.CreateOpts{Type: bpf.LPMTrie, KeySize: 8, ValueSize: 8, MaxEntries: 64, Flags: bpf.NoPrealloc})
	prefix := func(i int) []byte { return append(key32(32), 10, 0, 0, byte(i)) }
	for i := range 64 {
		if err := m.UpdateElem(prefix(i), make([]byte, 8), bpf.Any); err != nil {
			t.Fatal(err)
		}
	}
	it := m.Iterate(t.Context(), bpf.IterateOptions{BatchSize: 8})
	batches := 0
	for it.Next() {
		last := it.Keys()[len(it.Keys())-8:]
		if err := m.DeleteElem(last); err != nil {
			t.Fatal(err)
		}
		if batches++; batches > 10000 {
			t.Fatal("the iteration has no bound")
		}
		// As many as before, so that the end never comes near.
		if err := m.UpdateElem(append(key32(32), 11, 0, byte(batches>>8), byte(batches)), make([]byte, 8), bpf.Any); err != nil {
			t.Fatal(err)
		}
	}
	if it.Err() != nil || it.Complete() || it.Restarts() == 0 && bpf.Does(t, &maptype.TrieCursor) {
		t.Errorf("after %d batches: complete %t, %d restarts, %v", batches, it.Complete(), it.Restarts(), it.Err())
	}
}

// TestIterateSingles walks types without a batch command from key to key.
func TestIterateSingles(t *testing.T) {
	m := create(t, bpf.CreateOpts{Type: bpf.DevMapHash, KeySize: 4, ValueSize: 4, MaxEntries: 50})
	for i := range 50 {
		if err := m.UpdateElem(key32(i), key32(1), bpf.Any); err != nil {
			t.Fatal(err)
		}
	}
	it := m.Iterate(t.Context(), bpf.IterateOptions{BatchSize: 7})
	n := 0
	for it.Next() {
		n += it.Len()
	}
	if n != 50 || !it.Complete() || it.Err() != nil {
		t.Errorf("%d elements, complete %t, %v", n, it.Complete(), it.Err())
	}
}

// TestIterateUnderChurn reads while others write and delete: what stays all the time is always seen.
func TestIterateUnderChurn(t *testing.T) {
	m := hashMap(t, 4000)
	fill(t, m, 1000)
	stop := make(chan struct{})
	var churn sync.WaitGroup
	churn.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
			}
			k := key32(1000 + i%2000)
			if err := m.UpdateElem(k, make([]byte, 8), bpf.Any); err != nil {
				t.Error(err)
				return
			}
			if err := m.DeleteElem(k); err != nil {
				t.Error(err)
				return
			}
		}
	})
	for range 50 {
		seen := 0
		it := m.Iterate(t.Context(), bpf.IterateOptions{BatchSize: 64})
		for it.Next() {
			for i := range it.Len() {
				if binary.NativeEndian.Uint32(it.Keys()[4*i:]) < 1000 {
					seen++
				}
			}
		}
		if it.Err() != nil || !it.Complete() || seen != 1000 {
			t.Errorf("saw %d of 1000, complete %t, %v", seen, it.Complete(), it.Err())
			break
		}
	}
	close(stop)
	churn.Wait()
}
