// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package enginetest

import (
	"bytes"
	"encoding/binary"
	"slices"
	"testing"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/engine"
)

func testAdd(t *testing.T, b engine.Backend) {
	m := create(t, b, shape(v1alpha1.MapTypeHash, 2, 1, 8))
	must(t, m.Write(t.Context(), []byte{0, 1}, []byte{1}))
	if n, err := m.Add(t.Context(), []byte{0, 2, 0, 1, 0, 3, 0, 2}, []byte{2, 9, 3, 9}); n != 2 || err != nil {
		t.Errorf("%d elements were added, %v, want 2", n, err)
	}
	wantElements(t, m, "0001=01", "0002=02", "0003=03")
	if n, err := m.Add(t.Context(), nil, nil); n != 0 || err != nil {
		t.Errorf("nothing was added %d times, %v", n, err)
	}
	must(t, m.Freeze(t.Context()))
	_, err := m.Add(t.Context(), []byte{0, 4}, []byte{4})
	wantReason(t, err, v1alpha1.NodeReasonFrozen)

	trie := create(t, b, shape(v1alpha1.MapTypeLPMTrie, 8, 1, 4))
	must(t, trie.Write(t.Context(), lpmKey(8, 10, 0, 0, 0), []byte{1}))
	keys := slices.Concat(lpmKey(8, 10, 9, 9, 9), lpmKey(16, 10, 9, 0, 0))
	if n, err := trie.Add(t.Context(), keys, []byte{2, 3}); n != 1 || err != nil {
		t.Errorf("%d prefixes were added, %v, want the one within the other", n, err)
	}
	for _, s := range []struct {
		typ v1alpha1.MapType
		key uint32
	}{{v1alpha1.MapTypeArray, 4}, {v1alpha1.MapTypePerCPUArray, 4}, {v1alpha1.MapTypeQueue, 0}} {
		m := create(t, b, shape(s.typ, s.key, 8, 2))
		_, err := m.Add(t.Context(), make([]byte, s.key), make([]byte, strideOf(b, s.typ, 8)))
		wantReason(t, err, v1alpha1.NodeReasonNotSupported)
	}
}

// strideOf is how many bytes a value of a multiple of 8 takes.
func strideOf(b engine.Backend, typ v1alpha1.MapType, size int) int {
	if s := shape(typ, 0, 0, 0); s.IsPerCPU() {
		return size * b.PossibleCPUs()
	}
	return size
}

func testAddFull(t *testing.T, b engine.Backend) {
	m := create(t, b, shape(v1alpha1.MapTypeHash, 1, 1, 2))
	n, err := m.Add(t.Context(), []byte{1, 2, 3}, []byte{1, 2, 3})
	wantReason(t, err, v1alpha1.NodeReasonMapFull)
	if n != 2 {
		t.Errorf("%d elements were added, want 2", n)
	}
	wantElements(t, m, "01=01", "02=02")
	if n, err := m.Add(t.Context(), []byte{2, 1}, []byte{9, 9}); n != 0 || err != nil {
		t.Errorf("what is there was added %d times, %v", n, err)
	}
}

func testStore(t *testing.T, b engine.Backend) {
	m := create(t, b, shape(v1alpha1.MapTypeHash, 1, 4, 4))
	must(t, m.Write(t.Context(), []byte{1, 2}, []byte{0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0}))
	s, err := m.Store(t.Context(), []byte{1, 7, 2}, []byte("\x11\x22\x33\x44\x55\x55\x55\x55\xaa\xbb\xcc\xdd"), []byte{0xff, 0, 0x0f, 0x80})
	if err != nil || s.Missing != 1 || s.Way == "" {
		t.Errorf("stored %+v, %v, want 1 missing", s, err)
	}
	wantElements(t, m, "01=11fff37f", "02=aa000c80")
	if s, err := m.Store(t.Context(), []byte{1}, []byte{1, 2, 3, 4}, nil); err != nil || s.Missing != 0 {
		t.Errorf("stored %+v, %v", s, err)
	}
	if s, err := m.Store(t.Context(), []byte{8, 9}, make([]byte, 8), []byte{0, 0, 0, 1}); err != nil || s != (engine.Stored{Missing: 2}) {
		t.Errorf("stored %+v, %v, want 2 missing and no way", s, err)
	}
	wantElements(t, m, "01=01020304", "02=aa000c80")
	if _, err := m.Store(t.Context(), []byte{1}, make([]byte, 4), make([]byte, 3)); err == nil {
		t.Error("a mask that is too short was taken")
	}
	must(t, m.Freeze(t.Context()))
	_, err = m.Store(t.Context(), []byte{1}, make([]byte, 4), []byte{1, 1, 1, 1})
	wantReason(t, err, v1alpha1.NodeReasonFrozen)
	wantElements(t, m, "01=01020304", "02=aa000c80")

	queue := create(t, b, shape(v1alpha1.MapTypeQueue, 0, 4, 2))
	_, err = queue.Store(t.Context(), nil, make([]byte, 4), []byte{1, 1, 1, 1})
	wantReason(t, err, v1alpha1.NodeReasonNotSupported)
}

// testStoreEach stores into each type whose values are plain, one key among others.
func testStoreEach(t *testing.T, b engine.Backend) {
	for _, typ := range []v1alpha1.MapType{
		v1alpha1.MapTypeHash, v1alpha1.MapTypeLRUHash, v1alpha1.MapTypePerCPUHash, v1alpha1.MapTypeLRUPerCPUHash,
		v1alpha1.MapTypeLPMTrie, v1alpha1.MapTypeArray, v1alpha1.MapTypePerCPUArray,
	} {
		t.Run(string(typ), func(t *testing.T) {
			s := shape(typ, 4, 24, 8)
			keyOf := func(i uint32) []byte { return binary.NativeEndian.AppendUint32(nil, i) }
			if s.IsLPM() {
				s.KeySize = 8
				keyOf = func(i uint32) []byte { return slices.Concat(lpmKey(8*i), []byte{10, 20, 30, 0}[:i], make([]byte, 4-i)) } // each within the one before
			}
			m := create(t, b, s)
			stride := strideOf(b, typ, 24)
			want := map[string][]byte{}
			for i := range uint32(4) {
				value := bytes.Repeat([]byte{0x10 + byte(i)}, stride)
				must(t, m.Write(t.Context(), keyOf(i), value))
				want[string(keyOf(i))] = value
			}
			mask := bytes.Repeat([]byte{0xff, 0xf0, 0, 0, 0, 0, 0, 0xff, 0, 0xff, 0xff, 0xff, 0, 0, 0, 1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, stride/24)
			values := make([]byte, 2*stride)
			for i := range values {
				values[i] = byte(i)
			}
			stored, err := m.Store(t.Context(), slices.Concat(keyOf(2), keyOf(3)), values, mask)
			if err != nil || stored.Missing != 0 {
				t.Fatalf("stored %+v, %v", stored, err)
			}
			merge(want[string(keyOf(2))], values[:stride], mask)
			merge(want[string(keyOf(3))], values[stride:], mask)
			_, err = m.Read(t.Context(), func(keys, got []byte) {
				for i := 0; i*int(s.KeySize) < len(keys); i++ {
					key, value := keys[i*int(s.KeySize):(i+1)*int(s.KeySize)], got[i*stride:(i+1)*stride]
					expected := want[string(key)]
					if expected == nil && s.IsArray() {
						expected = make([]byte, stride)
					}
					if !bytes.Equal(value, expected) {
						t.Errorf("%x holds %x, want %x", key, value, expected)
					}
				}
			})
			must(t, err)
		})
	}
}
