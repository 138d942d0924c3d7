// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package compile

import (
	"bytes"
	"hash/maphash"
)

// keyIndex finds entries by their keys: open addressing over entry numbers, 4 bytes per slot, three quarters
// of which are in use at most.
type keyIndex struct {
	slots []uint32 // entry numbers plus one; 0 is free
	used  int
	seed  maphash.Seed
}

// slot is where key is, and its entry's number; or where it would be, and -1.
func (x *keyIndex) slot(b *blocks, key []byte) (slot uint64, i int) {
	if len(x.slots) == 0 {
		return 0, -1
	}
	mask := uint64(len(x.slots) - 1)
	for at := maphash.Bytes(x.seed, key) & mask; ; at = (at + 1) & mask {
		n := x.slots[at]
		if n == 0 {
			return at, -1
		}
		if i := int(n - 1); bytes.Equal(b.key(i), key) {
			return at, i
		}
	}
}

// add notes the entry that was appended to b last, whose key isn't there yet.
func (x *keyIndex) add(b *blocks) {
	if x.used >= len(x.slots)/4*3 {
		x.grow(b)
	}
	last := b.len - 1
	at, _ := x.slot(b, b.key(last))
	x.slots[at] = uint32(last + 1)
	x.used++
}

func (x *keyIndex) grow(b *blocks) {
	size := 2 * len(x.slots)
	if size == 0 {
		size, x.seed = 64, maphash.MakeSeed()
	}
	old := x.slots
	x.slots = make([]uint32, size)
	for _, n := range old {
		if n != 0 {
			at, _ := x.slot(b, b.key(int(n-1)))
			x.slots[at] = n
		}
	}
}
