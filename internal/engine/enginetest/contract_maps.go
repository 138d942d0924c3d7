// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package enginetest

import (
	"crypto/sha256"
	"encoding/binary"
	"testing"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/engine"
)

func testHash(t *testing.T, b engine.Backend) {
	m := create(t, b, shape(v1alpha1.MapTypeHash, 2, 1, 8))
	must(t, m.Write(t.Context(), nil, nil))
	must(t, m.Write(t.Context(), []byte{0, 1, 0, 2, 0, 3, 0, 4, 0, 5}, []byte{1, 2, 3, 4, 5}))
	must(t, m.Write(t.Context(), []byte{0, 2}, []byte{9}))
	must(t, m.Delete(t.Context(), []byte{0, 3, 0, 77, 0, 1})) // 77 isn't there
	wantElements(t, m, "0002=09", "0004=04", "0005=05")
	wantReason(t, m.Write(t.Context(), []byte{1, 1, 1, 2, 1, 3, 1, 4, 1, 5, 1, 6}, make([]byte, 6)), v1alpha1.NodeReasonMapFull)
	if got := len(elements(t, m)); got != 8 {
		t.Errorf("a write into a full map left %d elements, want those that fit", got)
	}
	must(t, m.Delete(t.Context(), nil))
}

func testLRU(t *testing.T, b engine.Backend) {
	m := create(t, b, shape(v1alpha1.MapTypeLRUHash, 4, 4, 64))
	for i := range uint32(1000) {
		must(t, m.Write(t.Context(), binary.BigEndian.AppendUint32(nil, i), make([]byte, 4)))
	}
	if got := len(elements(t, m)); got == 0 || got > 64 {
		t.Errorf("an LRU map of 64 holds %d elements after 1000 writes", got)
	}
}

func lpmKey(bits uint32, address ...byte) []byte {
	return append(binary.NativeEndian.AppendUint32(nil, bits), address...)
}

func testLPM(t *testing.T, b engine.Backend) {
	m := create(t, b, shape(v1alpha1.MapTypeLPMTrie, 8, 1, 4))
	must(t, m.Write(t.Context(), append(lpmKey(8, 10, 0, 0, 0), lpmKey(16, 10, 1, 0, 0)...), []byte{1, 2}))
	must(t, m.Write(t.Context(), lpmKey(8, 10, 99, 99, 99), []byte{3})) // the same prefix
	if got := len(elements(t, m)); got != 2 {
		t.Errorf("%d prefixes, want 2", got)
	}
	must(t, m.Delete(t.Context(), append(lpmKey(8, 10, 0, 0, 0), lpmKey(24, 1, 1, 1, 0)...)))
	if got := elements(t, m); len(got) != 1 || got[0][8:16] != "0a010000" {
		t.Errorf("the trie holds %v, want 10.1.0.0/16", got)
	}
	must(t, m.Write(t.Context(), append(lpmKey(8, 1, 0, 0, 0), append(lpmKey(8, 2, 0, 0, 0), lpmKey(8, 3, 0, 0, 0)...)...), make([]byte, 3)))
	wantReason(t, m.Write(t.Context(), lpmKey(8, 4, 0, 0, 0), []byte{0}), v1alpha1.NodeReasonMapFull)
}

func testArray(t *testing.T, b engine.Backend) {
	m := create(t, b, shape(v1alpha1.MapTypeArray, 4, 2, 3))
	index := func(i uint32) []byte { return binary.NativeEndian.AppendUint32(nil, i) }
	must(t, m.Write(t.Context(), append(index(2), index(0)...), []byte{1, 2, 3, 4}))
	wantElements(t, m, "00000000=0304", "01000000=0000", "02000000=0102")
	if err := m.Write(t.Context(), index(3), []byte{0, 0}); err == nil {
		t.Error("an index out of range was written")
	}
	wantReason(t, m.Delete(t.Context(), index(0)), v1alpha1.NodeReasonNotSupported)
}

// testArrayHash compares the hash of a frozen array with what it holds. Older kernels have none.
func testArrayHash(t *testing.T, b engine.Backend) {
	m := create(t, b, shape(v1alpha1.MapTypeArray, 4, 3, 3))
	must(t, m.Write(t.Context(), binary.NativeEndian.AppendUint32(nil, 1), []byte{7, 8, 9}))
	if _, known := m.Hash(t.Context()); known {
		t.Error("an array that isn't frozen has a hash")
	}
	must(t, m.Freeze(t.Context()))
	want := make([]byte, 3*8)
	copy(want[8:], []byte{7, 8, 9})
	if sum, known := m.Hash(t.Context()); known && sum != sha256.Sum256(want) {
		t.Errorf("the hash is %x, want %x", sum, sha256.Sum256(want))
	}
	other := create(t, b, shape(v1alpha1.MapTypeHash, 4, 4, 3))
	must(t, other.Freeze(t.Context()))
	if _, known := other.Hash(t.Context()); known {
		t.Error("a hash table has a hash")
	}
}

func testPerCPU(t *testing.T, b engine.Backend) {
	m := create(t, b, shape(v1alpha1.MapTypePerCPUHash, 1, 3, 4))
	value := make([]byte, 8*b.PossibleCPUs())
	value[0], value[8] = 1, 2
	must(t, m.Write(t.Context(), []byte{7}, value))
	_, err := m.Read(t.Context(), func(keys, values []byte) {
		if len(keys) != 1 || keys[0] != 7 || string(values) != string(value) {
			t.Errorf("the map holds %x = %x, want 07 = %x", keys, values, value)
		}
	})
	must(t, err)
	array := create(t, b, shape(v1alpha1.MapTypePerCPUArray, 4, 8, 1))
	must(t, array.Write(t.Context(), make([]byte, 4), value))
}

func testKeyless(t *testing.T, b engine.Backend) {
	for _, typ := range []v1alpha1.MapType{v1alpha1.MapTypeQueue, v1alpha1.MapTypeStack} {
		m := create(t, b, shape(typ, 0, 2, 2))
		must(t, m.Write(t.Context(), nil, []byte{1, 2, 3, 4}))
		wantReason(t, m.Write(t.Context(), nil, []byte{5, 6}), v1alpha1.NodeReasonMapFull)
		_, err := m.Read(t.Context(), func(_, _ []byte) { t.Errorf("%s was read", typ) })
		wantReason(t, err, v1alpha1.NodeReasonNotSupported)
	}
}

func testFreeze(t *testing.T, b engine.Backend) {
	m := create(t, b, shape(v1alpha1.MapTypeHash, 1, 1, 4))
	must(t, m.Write(t.Context(), []byte{1}, []byte{10}))
	must(t, m.Freeze(t.Context()))
	must(t, m.Freeze(t.Context()))
	if info, err := m.Info(t.Context()); err != nil || !info.Frozen {
		t.Errorf("after Freeze: %+v, %v", info, err)
	}
	wantReason(t, m.Write(t.Context(), []byte{2}, []byte{20}), v1alpha1.NodeReasonFrozen)
	wantReason(t, m.Delete(t.Context(), []byte{1}), v1alpha1.NodeReasonFrozen)
	wantElements(t, m, "01=0a")
	must(t, b.Publish(t.Context(), contractKey, m, contractPin))
	if s := openState(t, b, &contractPin); s.Pinned == nil {
		t.Error("a frozen map can't be published")
	}
}
