// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package sighting_test

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/sighting"
)

// random is a table of n records.
func random(r *rand.Rand, n int) sighting.Table {
	list := make([]sighting.Record, n)
	for i := range list {
		list[i] = sighting.Record{Key: r.Uint64(), Time: r.Uint32()}
	}
	return sighting.New(list)
}

// stored is a store of tables, as objects would be.
type stored struct {
	root  []byte
	parts []sighting.Part
	bytes map[sighting.Part][]byte
}

// put stores a table, and returns how many bytes that writes.
func (s *stored) put(t testing.TB, number uint64, table sighting.Table) (written int) {
	t.Helper()
	root, parts, fresh := table.Pack(number, s.parts)
	next := stored{root, parts, map[sighting.Part][]byte{}}
	for _, p := range fresh {
		next.bytes[p.Part] = p.Bytes
		written += len(p.Bytes)
	}
	for _, p := range parts {
		if _, ok := next.bytes[p]; !ok {
			next.bytes[p] = s.bytes[p]
		}
	}
	*s = next
	for _, b := range append(slices.Collect(values(s.bytes)), s.root) {
		if len(b) == 0 || len(b) > v1alpha1.MaxChunkBytes {
			t.Fatalf("%d bytes in one chunk", len(b))
		}
	}
	return written + len(root)
}

func values(m map[sighting.Part][]byte) func(func([]byte) bool) {
	return func(yield func([]byte) bool) {
		for _, b := range m {
			if !yield(b) {
				return
			}
		}
	}
}

func (s *stored) get(t testing.TB) sighting.Table {
	t.Helper()
	parts, table, err := sighting.Unpack(s.root)
	if err != nil {
		t.Fatal(err)
	}
	for i := range parts {
		more, err := parts[i].Read(s.bytes[parts[i]])
		if err != nil {
			t.Fatal(err)
		}
		table = append(table, more...)
	}
	return table
}

// TestHistory stores tables that grow, shrink and change, evenly and at one end: each reads back, and what one step writes
// is bounded by what it changes.
func TestHistory(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	var s stored
	table := sighting.Table{}
	number := uint64(0)
	check := func(what string, most int) {
		t.Helper()
		number++
		written := s.put(t, number, table)
		if !slices.Equal(s.get(t), table) {
			t.Fatalf("%s: %d records don't read back", what, len(table))
		}
		if most > 0 && written > most {
			t.Errorf("%s: %d bytes are written, want at most %d", what, written, most)
		}
	}
	check("nothing", 100)
	table = random(r, 5000)
	check("all in the root", 61_000)
	table = sighting.New(append(table, sighting.Record{Key: 1, Time: 1}))
	check("one more than the root has room for", 0)
	table = random(r, sighting.Max)
	check("as many as can be", 13*sighting.Max)
	check("nothing changes", 10_000)
	table[77_777].Time = sighting.Over
	check("one is over", 70_000)
	table = slices.Delete(table, 1000, 1001)
	check("one is gone", 70_000)
	table = sighting.New(append(table, sighting.Record{Key: 0, Time: 5}))
	check("one comes in front of all", 140_000)
	for range 10 { // who publishes the source can't aim at a part, but it would be no harm
		table = table[:len(table)-6000]
		for range 6000 {
			table = append(table, sighting.Record{Key: r.Uint64() >> 20, Time: 9})
		}
		table = sighting.New(table)
		check("many in one place", 800_000)
	}
	table = slices.Clone(table[:1000])
	check("few are left", 13_000)
}

func TestScopes(t *testing.T) {
	known := map[uint64]bool{}
	key := []byte{1, 2, 3, 4}
	for _, s := range []*sighting.Scope{
		sighting.NewScope("u", "ConfigMap a", 0), sighting.NewScope("u", "ConfigMap a", 1), sighting.NewScope("u", "ConfigMap b", 0), sighting.NewScope("v", "ConfigMap a", 0),
	} {
		for range 2 {
			known[s.Hash(key)] = true
			known[s.Hash(make([]byte, 512))] = true
		}
	}
	if len(known) != 8 {
		t.Errorf("%d hashes of 8 keys", len(known))
	}
	s := sighting.NewScope("u", "ConfigMap a", 0)
	if n := testing.AllocsPerRun(100, func() { s.Hash(key) }); n > 0 {
		t.Errorf("%v allocations for each key", n)
	}
	// What is stored has to be found by later releases.
	if got := s.Hash(key); got != 0x876903e39852a1f1 {
		t.Errorf("the hash of a key has become %#x", got)
	}
}

// FuzzUnpack reads anything: what is taken is sorted, within the bounds, and packs to the same bytes.
func FuzzUnpack(f *testing.F) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, n := range []int{0, 1, 5, 5001} {
		root, _, fresh := random(r, n).Pack(3, nil)
		f.Add(root)
		for _, p := range fresh {
			f.Add(p.Bytes[:200])
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		parts, table, err := sighting.Unpack(b)
		if err != nil {
			return
		}
		if !slices.IsSortedFunc(table, sighting.Compare) || len(parts) > 0 && len(table) > 0 {
			t.Fatalf("%v, %v", parts, table)
		}
		if len(parts) == 0 {
			if again, _, _ := table.Pack(1, nil); string(again) != string(b) {
				t.Errorf("%x becomes %x", b, again)
			}
		}
	})
}

func TestAlteredParts(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	root, parts, fresh := random(r, 20_000).Pack(1, nil)
	for at := range root {
		altered := slices.Clone(root)
		altered[at] ^= 0x80
		if got, _, err := sighting.Unpack(altered); err == nil && slices.Equal(got, parts) {
			t.Errorf("byte %d doesn't count", at)
		}
	}
	for _, at := range []int{0, 9, 15, 20, 30, len(fresh[0].Bytes) - 1} {
		altered := slices.Clone(fresh[0].Bytes)
		altered[at] ^= 1
		if _, err := parts[0].Read(altered); err == nil {
			t.Errorf("a part with another byte %d is taken", at)
		}
	}
	if _, err := parts[0].Read(nil); err == nil {
		t.Error("a part that is gone is taken")
	}
	if _, err := parts[0].Read(fresh[1].Bytes); err == nil {
		t.Error("another part is taken")
	}
}

func BenchmarkMaxTable(b *testing.B) {
	r := rand.New(rand.NewPCG(1, 2))
	table := random(r, sighting.Max)
	scope := sighting.NewScope("u", "ConfigMap a", 0)
	key := make([]byte, 8)
	b.Run("hash and find", func(b *testing.B) {
		for b.Loop() {
			table.Find(scope.Hash(key))
		}
	})
	b.Run("pack", func(b *testing.B) {
		for b.Loop() {
			table.Pack(1, nil)
		}
	})
}
