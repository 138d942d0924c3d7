// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package revision_test

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"testing"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
)

// FuzzUnpack reads anything without panicking, and packs what it could read to the same bytes.
func FuzzUnpack(f *testing.F) {
	e := revision.Entries{KeySize: 2, ValueSize: 3}
	e.Append([]byte{1, 2}, []byte{3, 4, 5}, false)
	e.Append([]byte{1, 3}, []byte{3, 4, 5, 6, 7, 8}, true)
	f.Add(e.Pack())
	f.Add([]byte{})
	f.Add(bytes.Repeat([]byte{0xff}, 40))
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := revision.Unpack(b)
		if err != nil {
			return
		}
		if again := got.Pack(); !bytes.Equal(again, b) {
			t.Errorf("%x was read and packed to %x", b, again)
		}
	})
}

// FuzzContents cuts entries of any sizes and reads them back.
func FuzzContents(f *testing.F) {
	f.Add(uint64(1), uint16(0), uint8(1), uint16(0))
	f.Add(uint64(2), uint16(300), uint8(200), uint16(7))
	f.Add(uint64(3), uint16(30), uint8(4), uint16(15000))
	f.Add(uint64(4), uint16(9), uint8(8), uint16(32000))
	f.Fuzz(func(t *testing.T, seed uint64, n uint16, valueSize uint8, cpus uint16) {
		random := rand.New(rand.NewPCG(seed, 0))
		shape := revision.Shape{Type: v1alpha1.MapTypePerCPUHash, KeySize: 8, ValueSize: max(1, uint32(valueSize)), MaxEntries: 1 << 16}
		e := revision.Entries{KeySize: 8, ValueSize: int(shape.ValueSize)}
		most := min(int(cpus), (200<<10)/e.ValueSize)
		for i := 0; i < int(n) && e.PackedSize() < 4<<20; i++ {
			key := binary.BigEndian.AppendUint64(nil, random.Uint64()<<16|uint64(i))
			if most == 0 || random.IntN(2) == 0 {
				e.Append(key, bytes.Repeat([]byte{byte(i)}, e.ValueSize), false)
				continue
			}
			e.Append(key, bytes.Repeat([]byte{byte(i)}, e.ValueSize*(1+random.IntN(most))), true)
		}
		checkContents(t, shape, &e)
	})
}
