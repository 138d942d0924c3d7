// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package ownership_test

import (
	"bytes"
	"encoding/binary"
	"maps"
	"slices"
	"testing"

	"github.com/bpfmap-io/bpfmap-operator/internal/ownership"
)

// numbered are n packed keys of 4 bytes in bytewise order.
func numbered(n int) []byte {
	keys := make([]byte, 0, 4*n)
	for i := range n {
		keys = binary.BigEndian.AppendUint32(keys, uint32(i))
	}
	return keys
}

func TestFewKeysNeedNoBase(t *testing.T) {
	l, base := ownership.NewKeyLog(4, 1, []byte{0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 2})
	if base != nil || l.Generation != 0 || !bytes.Equal(l.Added, []byte{0, 0, 0, 1, 0, 0, 0, 2}) {
		t.Errorf("%+v with a base of %d bytes", l, len(base))
	}
	many := numbered(100_000)
	l, base = ownership.NewKeyLog(4, 7, many)
	if l.Generation != 7 || l.BaseLen != 100_000 || l.LogBytes() != 0 || !bytes.Equal(base, many) || l.CheckBase(base) != nil {
		t.Errorf("%+v with a base of %d bytes", l, len(base))
	}
	if l.CheckBase(base[4:]) == nil {
		t.Error("a shorter base is taken for the one of the log")
	}
}

// TestOneKeyOfAMillion moves some bytes.
func TestOneKeyOfAMillion(t *testing.T) {
	l, base := ownership.NewKeyLog(4, 1, numbered(1_000_000))
	l = l.Add([]byte{255, 0, 0, 0}).Remove([]byte{0, 0, 0, 9})
	if l.LogBytes() != 8 || l.IsDue() || l.Has(base, []byte{0, 0, 0, 9}) || !l.Has(base, []byte{255, 0, 0, 0}) || !l.Has(base, []byte{0, 0, 0, 8}) {
		t.Errorf("%+v", l)
	}
	l = l.Add(numbered(20_000))
	if !l.IsDue() {
		t.Errorf("%d bytes of changes are not too many", l.LogBytes())
	}
	all := l.Packed(base)
	if l, base = ownership.NewKeyLog(4, 2, all); l.BaseLen != 1_000_001 || l.LogBytes() != 0 || !l.Has(base, []byte{0, 0, 0, 9}) {
		t.Errorf("%+v", l)
	}
}

// FuzzKeyLog holds a KeyLog to a set. Each pair of bytes of the program is one operation on one key, of
// a size between 1 and 3.
func FuzzKeyLog(f *testing.F) {
	f.Add([]byte{0, 1, 0, 2, 1, 1, 2, 0, 0, 3, 1, 2}, uint8(1))
	f.Add([]byte{2, 9, 0, 7, 0, 7, 3, 0, 1, 9, 4, 3, 0, 250}, uint8(2))
	f.Add(bytes.Repeat([]byte{0, 5, 2, 1, 1, 5}, 40), uint8(3))
	f.Fuzz(func(t *testing.T, program []byte, width uint8) {
		size := int(width%3) + 1
		key := func(n byte) []byte { return append(bytes.Repeat([]byte{n ^ 0x55}, size-1), n) }
		l, base := ownership.NewKeyLog(size, 1, nil)
		model := map[string]bool{}
		for ; len(program) >= 2; program = program[2:] {
			n := program[1]
			switch program[0] % 5 {
			case 0:
				l = l.Add(key(n))
				model[string(key(n))] = true
			case 1:
				l = l.Remove(key(n))
				delete(model, string(key(n)))
			case 2: // a new base
				base = bytes.Clone(l.Packed(base))
				l = ownership.KeyLog{KeySize: size, Generation: 1, BaseLen: len(base) / size}
				if len(base) == 0 {
					l.Generation = 0
				}
			case 3: // several at once, unsorted and twice
				l = l.Add(slices.Concat(key(n+3), key(n), key(n+3)))
				model[string(key(n))], model[string(key(n+3))] = true, true
			case 4:
				var all []byte
				for k := range model {
					if k[size-1] != n {
						all = append(all, k...)
					}
				}
				delete(model, string(key(n)))
				l = l.Become(base, all)
			}
		}
		want := slices.Sorted(maps.Keys(model))
		var got []string
		for k := range l.All(base) {
			got = append(got, string(k))
		}
		if !slices.Equal(got, want) || !bytes.Equal(l.Packed(base), []byte(join(want))) {
			t.Fatalf("the log holds %q, want %q", got, want)
		}
		for n := range 256 {
			if k := key(byte(n)); l.Has(base, k) != model[string(k)] {
				t.Errorf("has %q: %t", k, l.Has(base, k))
			}
		}
		encoded(t, &ownership.Record{Keys: l}) // it keeps its own rules
	})
}

func join(all []string) (s string) {
	for _, one := range all {
		s += one
	}
	return s
}
