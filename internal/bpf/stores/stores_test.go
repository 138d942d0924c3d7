// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package stores_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/cilium/ebpf/btf"

	"github.com/bpfmap-io/bpfmap-operator/internal/bpf"
	"github.com/bpfmap-io/bpfmap-operator/internal/bpf/bpftest"
	"github.com/bpfmap-io/bpfmap-operator/internal/bpf/stores"
	"github.com/bpfmap-io/bpfmap-operator/internal/bpf/sys"
	"github.com/bpfmap-io/bpfmap-operator/internal/maptype"
)

func TestMain(m *testing.M) { bpftest.Main(m) }

// agentCapabilities are those of the agent.
var agentCapabilities = []sys.Capability{sys.CapBPF, sys.CapChown, sys.CapDACOverride}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func create(t testing.TB, o bpf.CreateOpts) *bpf.Map {
	t.Helper()
	m, err := bpf.Create(o)
	must(t, err)
	t.Cleanup(func() { must(t, m.Close()) })
	return m
}

func writer(t testing.TB, m *bpf.Map, mask []byte, flags bpf.ElemFlags) *stores.Writer {
	t.Helper()
	w, err := stores.New(m, mask, flags)
	must(t, err)
	t.Cleanup(func() { must(t, w.Close()) })
	return w
}

// plainTypes are those whose values are plain bytes.
var plainTypes = []bpf.MapType{bpf.Hash, bpf.LRUHash, bpf.Array, bpf.LPMTrie, bpf.PerCPUHash, bpf.LRUPerCPUHash, bpf.PerCPUArray}

// mustRead says whether values of the map have to be read and written here: per CPU, before Linux 5.19.
func mustRead(t testing.TB, m *bpf.Map) bool {
	t.Helper()
	return m.Type().Traits().PerCPU && bpftest.Kernel(t).Before(maptype.Kernel{Major: 5, Minor: 19})
}

// optsOf are those of a small map of a type.
func optsOf(typ bpf.MapType, key, value int) bpf.CreateOpts {
	o := bpf.CreateOpts{Type: typ, KeySize: uint32(key), ValueSize: uint32(value), MaxEntries: 64}
	switch typ {
	case bpf.LRUHash, bpf.LRUPerCPUHash:
		// Older kernels hand each CPU 128 elements to begin with: a smaller map may evict the key that is written.
		o.MaxEntries = 4096
	case bpf.LPMTrie:
		o.Flags, o.KeySize = bpf.NoPrealloc, uint32(key+4)
	case bpf.Array, bpf.PerCPUArray:
		o.KeySize = 4
	}
	return o
}

// keyOf is a key with a number below 64. Those of tries lie within each other.
func keyOf(m *bpf.Map, i int) []byte {
	key := make([]byte, m.KeySize())
	if m.Type() == bpf.LPMTrie {
		binary.NativeEndian.PutUint32(key, uint32(min(i, 8*(len(key)-4))))
		return key
	}
	binary.NativeEndian.PutUint16(key, uint16(i))
	return key
}

// merged is old with the bits of mask from value.
func merged(old, value, mask []byte) []byte {
	all := bytes.Clone(old)
	for i, bits := range mask {
		all[i] ^= (all[i] ^ value[i]) & bits
	}
	return all
}

// randomMask is the mask of one value, of runs of whole bytes, of bytes of others, and of single bits, for each
// CPU.
func randomMask(r *rand.Rand, m *bpf.Map) []byte {
	size := m.ValueSize()
	mask := make([]byte, size)
	for at := 0; at < size; {
		n := min(size-at, 1+r.IntN(12))
		kind := r.IntN(3)
		for ; n > 0; n, at = n-1, at+1 {
			mask[at] = [...]byte{0, 0xff, byte(r.Uint32())}[kind]
		}
	}
	slots := m.ValueStride() / size
	if slots == 1 {
		return mask
	}
	slot := append(bytes.Clone(mask), make([]byte, (8-size%8)%8)...)
	return bytes.Repeat(slot, m.ValueStride()/len(slot))
}

func random(r *rand.Rand, n int) []byte {
	all := make([]byte, n)
	for i := range all {
		all[i] = byte(r.Uint32())
	}
	return all
}

// TestStore stores random bits into each type, in values and keys of many sizes, with the agent's capabilities
// and no others.
func TestStore(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, typ := range plainTypes {
		for _, size := range []int{1, 3, 4, 6, 8, 12, 24, 33, 64, 500, 5000} {
			key := 1 + r.IntN(20)
			t.Run(fmt.Sprintf("%s/%d/%d", typ, key, size), func(t *testing.T) {
				m := create(t, optsOf(typ, max(2, key), size))
				bpftest.WithCapabilities(t, agentCapabilities, func() { storeRandomly(t, r, m) })
			})
		}
	}
}

func storeRandomly(t *testing.T, r *rand.Rand, m *bpf.Map) {
	mask := randomMask(r, m)
	w, err := stores.New(m, mask, bpf.Any)
	if err != nil {
		t.Error(err)
		return
	}
	defer func() {
		if err := w.Close(); err != nil {
			t.Error(err)
		}
	}()
	if w.Why() != nil && !mustRead(t, m) {
		t.Errorf("not by a program: %v", w.Why())
	}
	stride := m.ValueStride()
	var keys, values []byte
	want := map[string][]byte{}
	const n = 7
	for i := range n {
		old, value := random(r, stride), random(r, stride)
		if err := m.UpdateElem(keyOf(m, i), old, bpf.Any); err != nil {
			t.Error(err)
		}
		keys, values = append(keys, keyOf(m, i)...), append(values, value...)
		want[string(keyOf(m, i))] = merged(old, value, mask)
	}
	keys, values = append(keys, keyOf(m, 13)...), append(values, random(r, stride)...)
	missing, err := w.Store(t.Context(), keys, values)
	wantMissing := 1
	if m.Type().Traits().Array {
		wantMissing = 0
	}
	if missing != wantMissing || err != nil {
		t.Errorf("stored with %d missing, %v", missing, err)
	}
	got := make([]byte, stride)
	for key, value := range want {
		if err := m.LookupElem([]byte(key), got); err != nil {
			t.Error(err)
		}
		if !equal(m, got, value) {
			t.Errorf("%x holds %x, want %x, mask %x", key, got, value, mask)
		}
	}
}

// equal compares values without what is between those of CPUs.
func equal(m *bpf.Map, a, b []byte) bool {
	if !m.Type().Traits().PerCPU {
		return bytes.Equal(a, b)
	}
	for slot := (m.ValueSize() + 7) &^ 7; len(a) > 0; a, b = a[slot:], b[slot:] {
		if !bytes.Equal(a[:m.ValueSize()], b[:m.ValueSize()]) {
			return false
		}
	}
	return true
}

// TestStoreMany stores more elements than go into one run.
func TestStoreMany(t *testing.T) {
	const n = 5000
	m := create(t, bpf.CreateOpts{Type: bpf.Hash, KeySize: 4, ValueSize: 16, MaxEntries: n})
	var keys, values []byte
	for i := range uint32(n) {
		keys = binary.NativeEndian.AppendUint32(keys, i)
		values = append(values, bytes.Repeat([]byte{byte(i)}, 16)...)
	}
	_, err := m.UpdateBatch(t.Context(), keys[:4*(n-3)], make([]byte, 16*(n-3)), bpf.Any)
	must(t, err)
	mask := []byte{0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xf0}
	w := writer(t, m, mask, bpf.Any)
	if missing, err := w.Store(t.Context(), keys, values); missing != 3 || err != nil {
		t.Fatalf("%d missing, %v, want 3", missing, err)
	}
	got := make([]byte, 16)
	for i := range n - 3 {
		must(t, m.LookupElem(keys[4*i:4*i+4], got))
		if want := merged(make([]byte, 16), values[16*i:16*i+16], mask); !bytes.Equal(got, want) {
			t.Fatalf("%d holds %x, want %x", i, got, want)
		}
	}
}

// lockedMap has values of a struct of bytes with a struct bpf_spin_lock at lockAt.
func lockedMap(t testing.TB, typ bpf.MapType, size, lockAt int) *bpf.Map {
	t.Helper()
	number := &btf.Int{Name: "int", Size: 4, Encoding: btf.Signed}
	small := &btf.Int{Name: "char", Size: 1}
	bytesAt := func(name string, from, to int) btf.Member {
		return btf.Member{Name: name, Type: &btf.Array{Index: number, Type: small, Nelems: uint32(to - from)}, Offset: btf.Bits(8 * from)}
	}
	lock := &btf.Struct{Name: "bpf_spin_lock", Size: 4, Members: []btf.Member{{Name: "val", Type: number}}}
	value := &btf.Struct{Name: "locked", Size: uint32(size), Members: []btf.Member{
		bytesAt("head", 0, lockAt), {Name: "lock", Type: lock, Offset: btf.Bits(8 * lockAt)}, bytesAt("rest", lockAt+4, size),
	}}
	var b btf.Builder
	keyID, err := b.Add(number)
	must(t, err)
	valueID, err := b.Add(value)
	must(t, err)
	raw, err := b.Marshal(nil, nil)
	must(t, err)
	types, err := bpf.LoadBTF(raw)
	must(t, err)
	m := create(t, bpf.CreateOpts{
		Type: typ, KeySize: 4, ValueSize: uint32(size), MaxEntries: 64, BTF: types, BTFKeyTypeID: uint32(keyID), BTFValueTypeID: uint32(valueID),
	})
	must(t, types.Close())
	return m
}

// TestStoreUnderLock stores under locks at the beginning and within values, of one and of more pieces.
func TestStoreUnderLock(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	perfmon := append(slices.Clone(agentCapabilities), sys.CapPerfmon)
	for _, c := range []struct {
		lockAt, size int
		caps         []sys.Capability
		way          stores.Way
	}{
		{0, 40, agentCapabilities, stores.UnderLock}, {0, 9000, agentCapabilities, stores.UnderLock},
		{12, 40, agentCapabilities, stores.ByReadModifyWrite},
		{12, 40, perfmon, stores.UnderLock}, {36, 40, perfmon, stores.UnderLock}, {12, 9000, perfmon, stores.UnderLock},
	} {
		for _, typ := range []bpf.MapType{bpf.Hash, bpf.Array} {
			t.Run(fmt.Sprintf("%s/%d/%d/%v", typ, c.lockAt, c.size, c.caps), func(t *testing.T) {
				m := lockedMap(t, typ, c.size, c.lockAt)
				old, value, mask := random(r, c.size), random(r, c.size), randomMask(r, m)
				mask[c.lockAt] = 0xff
				clear(old[c.lockAt : c.lockAt+4])
				must(t, m.UpdateElem(keyOf(m, 1), old, bpf.Any))
				bpftest.WithCapabilities(t, c.caps, func() {
					w, err := stores.New(m, mask, bpf.Lock)
					if err != nil {
						t.Error(err)
						return
					}
					if w.Way() != c.way || (w.Why() != nil) != (c.way == stores.ByReadModifyWrite) {
						t.Errorf("way %d, %v", w.Way(), w.Why())
					}
					if missing, err := w.Store(t.Context(), keyOf(m, 1), value); missing != 0 || err != nil {
						t.Errorf("%d missing, %v", missing, err)
					}
					if err := w.Close(); err != nil {
						t.Error(err)
					}
				})
				clear(mask[c.lockAt : c.lockAt+4])
				got := make([]byte, c.size)
				must(t, m.LookupElem(keyOf(m, 1), got))
				if want := merged(old, value, mask); !bytes.Equal(got, want) {
					t.Errorf("the element holds %x, want %x", got, want)
				}
			})
		}
	}
}

// TestStoreWithout says why values are read and written as a whole.
func TestStoreWithout(t *testing.T) {
	m := create(t, bpf.CreateOpts{Type: bpf.Hash, KeySize: 4, ValueSize: 8, MaxEntries: 4})
	must(t, m.UpdateElem(keyOf(m, 1), make([]byte, 8), bpf.Any))
	mask := []byte{0xff, 0, 0, 0, 0, 0, 0, 1}
	bpftest.WithCapabilities(t, nil, func() {
		w, err := stores.New(m, mask, bpf.Any)
		if err != nil || w.Way() != stores.ByReadModifyWrite || !errors.Is(w.Why(), bpf.ErrNotPermitted) || !strings.Contains(w.Why().Error(), "missing CAP_BPF") {
			t.Errorf("without capabilities: way %d, %v, %v", w.Way(), w.Why(), err)
			return
		}
		missing, err := w.Store(t.Context(), append(keyOf(m, 1), keyOf(m, 2)...), bytes.Repeat([]byte{0xff}, 16))
		if open, _ := maptype.OpenHandles.On(bpftest.Kernel(t)); !open {
			// Nothing works there, which is said; what follows is done with the capability.
			if !errors.Is(err, bpf.ErrNotPermitted) || !strings.Contains(err.Error(), "missing CAP_BPF") {
				t.Errorf("%v, want ErrNotPermitted that names CAP_BPF", err)
			}
		} else if missing != 1 || err != nil {
			t.Errorf("%d missing, %v", missing, err)
		}
		if err := w.Close(); err != nil {
			t.Error(err)
		}
	})
	if open, _ := maptype.OpenHandles.On(bpftest.Kernel(t)); !open {
		if missing, err := writer(t, m, mask, bpf.Any).Store(t.Context(), keyOf(m, 1), bytes.Repeat([]byte{0xff}, 8)); missing != 0 || err != nil {
			t.Errorf("%d missing, %v", missing, err)
		}
	}
	got := make([]byte, 8)
	must(t, m.LookupElem(keyOf(m, 1), got))
	if !bytes.Equal(got, mask) {
		t.Errorf("the element holds %x, want %x", got, mask)
	}
	if w := writer(t, m, nil, bpf.Any); w.Way() != stores.ByProgram || w.Why() != nil {
		t.Errorf("whole values: way %d, %v", w.Way(), w.Why())
	}
	must(t, m.Freeze())
	w := writer(t, m, mask, bpf.Any)
	if _, err := w.Store(t.Context(), keyOf(m, 1), make([]byte, 8)); !errors.Is(err, bpf.ErrFrozen) {
		t.Errorf("a frozen map: %v", err)
	}
	queue := create(t, bpf.CreateOpts{Type: bpf.Queue, ValueSize: 8, MaxEntries: 4})
	if _, err := stores.New(queue, mask, bpf.Any); !errors.Is(err, bpf.ErrNotSupported) {
		t.Errorf("a queue: %v", err)
	}
}

// TestStoreDoesNotAllocate holds a batch to no allocation per element.
func TestStoreDoesNotAllocate(t *testing.T) {
	const n = 1000
	for _, mask := range [][]byte{{0xff, 0xff, 0, 0, 0, 0, 0, 1}, nil} {
		m := create(t, bpf.CreateOpts{Type: bpf.Hash, KeySize: 4, ValueSize: 8, MaxEntries: n})
		keys, values := make([]byte, 4*n), make([]byte, 8*n)
		w := writer(t, m, mask, bpf.Any)
		perCall := testing.AllocsPerRun(5, func() {
			if missing, err := w.Store(t.Context(), keys, values); missing != n || err != nil {
				t.Fatalf("%d missing, %v", missing, err)
			}
		})
		if perCall > 50 {
			t.Errorf("mask %x: %v allocations for %d elements", mask, perCall, n)
		}
	}
}
