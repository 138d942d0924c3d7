// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package bpf

import (
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/bpfmap-io/bpfmap-operator/internal/bpf/sys"
)

// reading is what an iteration showed.
type reading struct {
	seen     map[uint32]int // how often, by the number that elements gave the key
	restarts int
	complete bool
}

// twice are the elements that were seen more than once.
func (r reading) twice() (all []uint32) {
	for k, n := range r.seen {
		if n > 1 {
			all = append(all, k)
		}
	}
	return all
}

// readWhile iterates with small batches, and lets meanwhile happen after each.
func readWhile(t *testing.T, m *Map, batchSize int, meanwhile func(batch int, keys []byte)) reading {
	t.Helper()
	r := reading{seen: map[uint32]int{}}
	it := m.Iterate(context.Background(), IterateOptions{BatchSize: batchSize})
	for batch := 0; it.Next(); batch++ {
		for i := range it.Len() {
			r.seen[binary.NativeEndian.Uint32(it.Values()[i*m.stride:])]++
		}
		meanwhile(batch, it.Keys())
	}
	if it.Err() != nil {
		t.Fatal(it.Err())
	}
	r.restarts, r.complete = it.Restarts(), it.Complete()
	return r
}

const changing = 200

// iterated are types whose kernel's walks differ, with batches and without.
var iterated = []CreateOpts{
	{Type: Hash, KeySize: 4, ValueSize: 8, MaxEntries: 4 * changing},
	{Type: LRUHash, KeySize: 4, ValueSize: 8, MaxEntries: 4 * changing},
	{Type: PerCPUHash, KeySize: 4, ValueSize: 8, MaxEntries: 4 * changing},
	{Type: LRUPerCPUHash, KeySize: 4, ValueSize: 8, MaxEntries: 8 * changing},
	{Type: LPMTrie, KeySize: 8, ValueSize: 8, MaxEntries: 4 * changing, Flags: NoPrealloc},
}

func eachIterated(t *testing.T, do func(t *testing.T, m *Map)) {
	for _, o := range iterated {
		for _, without := range [][]string{nil, {featureBatch}} {
			t.Run(fmt.Sprintf("%s without %v", o.Type, without), func(t *testing.T) {
				if err := Disable(without...); err != nil {
					t.Fatal(err)
				}
				defer func() {
					if err := Disable(); err != nil {
						t.Error(err)
					}
				}()
				m := newTestMap(t, o)
				put(t, m, 0, changing)
				do(t, m)
			})
		}
	}
}

// isWalk says whether the kernel's order isn't that of the keys, and they are read one by one.
func isWalk(m *Map) bool {
	if m.typ == LPMTrie {
		return !tries().cursor
	}
	return keyOrder(m.typ) == nil && len(disabled) > 0
}

// TestDeletesBetweenBatches deletes what an iteration has just passed, its first key and the one that it
// stands at among them: nothing that stays is missed, and if the iteration is called complete, nothing was
// seen twice. Where the kernel reads by buckets or in the order of the keys, it always is.
func TestDeletesBetweenBatches(t *testing.T) {
	eachIterated(t, func(t *testing.T, m *Map) {
		deleted := map[uint32]bool{}
		remove := func(key []byte) {
			value := make([]byte, m.stride)
			if err := m.LookupElem(key, value); err != nil {
				t.Fatal(err)
			}
			deleted[binary.NativeEndian.Uint32(value)] = true
			if err := m.DeleteElem(key); err != nil {
				t.Fatal(err)
			}
		}
		r := readWhile(t, m, 16, func(batch int, keys []byte) {
			if batch > 4 {
				return
			}
			last := len(keys) - m.key
			if last > 0 {
				remove(keys[:m.key])
			}
			remove(keys[last:])
		})
		for i := range uint32(changing) {
			if r.seen[i] == 0 && !deleted[i] && (r.complete || !isWalk(m)) {
				t.Errorf("element %d was missed", i)
			}
		}
		if twice := r.twice(); r.complete && len(twice) > 0 {
			t.Errorf("called complete, and %d elements were seen twice", len(twice))
		}
		if !isWalk(m) && !r.complete {
			t.Error("not complete")
		}
		if m.typ == LPMTrie && !isWalk(m) && r.restarts == 0 {
			t.Error("no restart was seen")
		}
		// In peace, all of them are exact.
		n, exact, err := m.Count(t.Context())
		if n != changing-len(deleted) || !exact || err != nil {
			t.Errorf("count %d, want %d, exact %t, %v", n, changing-len(deleted), exact, err)
		}
	})
}

// TestWalkSeesRestart is the mildest case that a walk over a hash can have: one deleted key, once.
func TestWalkSeesRestart(t *testing.T) {
	for _, which := range []string{"last", "first and last", "moved"} {
		m := newTestMap(t, CreateOpts{Type: DevMapHash, KeySize: 4, ValueSize: 4, MaxEntries: 64})
		keys, _ := elements(m, 0, 50)
		one := binary.NativeEndian.AppendUint32(nil, 1) // the loopback interface
		for i := range 50 {
			if err := m.UpdateElem(keys[4*i:4*i+4], one, Any); err != nil {
				t.Fatal(err)
			}
		}
		n := 0
		it := m.Iterate(t.Context(), IterateOptions{BatchSize: 10})
		for batch := 0; it.Next(); batch++ {
			n += it.Len()
			if batch != 1 {
				continue
			}
			gone := [][]byte{slices.Clone(it.Keys()[len(it.Keys())-4:])}
			if which == "first and last" {
				gone = append(gone, slices.Clone(it.Keys()[:4]))
			}
			for _, k := range gone {
				if err := m.DeleteElem(k); err != nil {
					t.Fatal(err)
				}
			}
			if which == "moved" { // is back by the time of the second walk
				if err := m.UpdateElem(gone[0], one, Any); err != nil {
					t.Fatal(err)
				}
			}
		}
		if it.Err() != nil || it.Complete() != (n == 50) && which != "moved" || n > 50 && it.Complete() {
			t.Errorf("%s: %d of 50 elements seen, complete %t, %v", which, n, it.Complete(), it.Err())
		}
	}
}

// TestChurnBetweenBatches deletes, adds and changes elements at random between batches of all types.
func TestChurnBetweenBatches(t *testing.T) {
	eachIterated(t, func(t *testing.T, m *Map) {
		random := rand.New(rand.NewPCG(1, uint64(m.typ)))
		for round := range 5 {
			staying := map[uint32]bool{}
			for i := range uint32(changing) {
				staying[i] = true
			}
			put(t, m, 0, changing)
			r := readWhile(t, m, 1+random.IntN(40), func(batch int, keys []byte) {
				if batch > 20 {
					return
				}
				for range 4 {
					i := random.IntN(changing)
					key, _ := elements(m, i, 1)
					if random.IntN(2) == 0 && len(keys) > 0 {
						key = slices.Clone(keys[len(keys)-m.key:])
					}
					if _, err := m.DeleteBatchIgnoreMissing(t.Context(), key); err != nil {
						t.Fatal(err)
					}
					delete(staying, numberOf(m, key))
					put(t, m, changing+random.IntN(changing), 1)
				}
			})
			for i := range staying {
				if r.seen[i] == 0 && r.complete {
					t.Errorf("round %d: element %d was missed, and the iteration is called complete", round, i)
				}
			}
			if twice := r.twice(); r.complete && len(twice) > 0 {
				t.Errorf("round %d: called complete, and %v were seen twice", round, twice)
			}
			if !isWalk(m) && !r.complete && m.typ != LPMTrie {
				t.Errorf("round %d: not complete", round)
			}
		}
	})
}

func numberOf(m *Map, key []byte) uint32 {
	if m.typ == LPMTrie {
		return binary.BigEndian.Uint32(key[m.key-4:])
	}
	return binary.NativeEndian.Uint32(key)
}

// TestOrderOfPrefixes holds comparePrefixes against the walk of the kernel.
func TestOrderOfPrefixes(t *testing.T) {
	m := newTestMap(t, CreateOpts{Type: LPMTrie, KeySize: 4 + 3, ValueSize: 4, MaxEntries: 4000, Flags: NoPrealloc})
	random := rand.New(rand.NewPCG(1, 2))
	keys := [][]byte{{0, 0, 0, 0, 0xff, 0xff, 0xff}}
	for range 2000 {
		key := binary.NativeEndian.AppendUint32(nil, random.Uint32N(25))
		keys = append(keys, append(key, byte(random.Uint32N(4))<<6, byte(random.Uint32()), byte(random.Uint32())))
	}
	for _, key := range keys {
		if err := m.UpdateElem(key, make([]byte, 4), Any); err != nil {
			t.Fatal(err)
		}
	}
	slices.SortFunc(keys, comparePrefixes)
	keys = slices.CompactFunc(keys, func(a, b []byte) bool { return comparePrefixes(a, b) == 0 })
	at := 0
	it := m.Iterate(t.Context(), IterateOptions{BatchSize: 100})
	for it.Next() {
		for i := range it.Len() {
			if key := it.buffer.key(m, i); at >= len(keys) || comparePrefixes(key, keys[at]) != 0 {
				t.Fatalf("element %d is %x, want %x", at, key, keys[min(at, len(keys)-1)])
			}
			at++
		}
	}
	if at != len(keys) || !it.Complete() || it.Restarts() != 0 {
		t.Errorf("%d of %d elements, complete %t, %d restarts", at, len(keys), it.Complete(), it.Restarts())
	}
}

// TestInterruptedLookup is what Linux before 6.14 answers at an empty slot of an array of maps: EINTR.
func TestInterruptedLookup(t *testing.T) {
	m := newTestMap(t, CreateOpts{Type: LPMTrie, KeySize: 8, ValueSize: 8, MaxEntries: 100, Flags: NoPrealloc})
	put(t, m, 0, 100)
	for _, before := range []int{0, 2} {
		calls := intercept(t, sys.MapLookupBatch, append(make([]unix.Errno, before), always(unix.EINTR)...)...)
		r := readWhile(t, m, 10, func(int, []byte) {})
		if len(r.seen) != 100 || len(r.twice()) > 0 || !r.complete || r.restarts != 0 || *calls > before+1 {
			t.Errorf("after %d batches: %d elements in %d calls, complete %t, %d restarts", before, len(r.seen), *calls, r.complete, r.restarts)
		}
	}
}
