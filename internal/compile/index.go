// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package compile

import (
	"bytes"
	"hash/maphash"
)

// keyIndex finds entries by their keys: open addressing over entry numbers, 5 bytes per slot, three quarters
// of which are in use at most. A byte of each key's hash tells most other keys from it without a look at them, which
// would be anywhere in memory.
type keyIndex struct {
	slots []uint32 // entry numbers plus one; 0 is free
	tags  []uint8  // of the slots in use
	used  int
	seed  maphash.Seed
}

// find is the number of the entry with a key, -1 if there is none, and the key's hash.
func (x *keyIndex) find(b *blocks, key []byte) (hash uint64, i int) {
	if len(x.slots) == 0 {
		x.rehash(b, leastSlots)
	}
	hash = maphash.Bytes(x.seed, key)
	mask, tag := uint64(len(x.slots)-1), tagOf(hash)
	for at := hash & mask; ; at = (at + 1) & mask {
		n := x.slots[at]
		if n == 0 {
			return hash, -1
		}
		if x.tags[at] != tag {
			continue
		}
		if i := int(n - 1); bytes.Equal(b.key(i), key) {
			return hash, i
		}
	}
}

const leastSlots = 64

// tagOf are bits of a hash that don't choose its slot.
func tagOf(hash uint64) uint8 { return uint8(hash >> 56) }

// add notes the entry that was appended to b last, whose key wasn't found and has this hash.
func (x *keyIndex) add(b *blocks, hash uint64) {
	if x.used < len(x.slots)/4*3 {
		x.put(b.len-1, hash)
		return
	}
	x.rehash(b, 2*len(x.slots))
}

// reserve makes room for that many more entries at once.
func (x *keyIndex) reserve(b *blocks, n int) {
	slots := max(leastSlots, len(x.slots))
	for slots/4*3 <= x.used+n {
		slots *= 2
	}
	if slots > len(x.slots) {
		x.rehash(b, slots)
	}
}

func (x *keyIndex) rehash(b *blocks, slots int) {
	if len(x.slots) == 0 {
		x.seed = maphash.MakeSeed()
	}
	x.slots, x.tags = nil, nil // before there are others
	x.slots, x.tags, x.used = make([]uint32, slots), make([]uint8, slots), 0
	for i := range b.len { // in their order in memory
		x.put(i, maphash.Bytes(x.seed, b.key(i)))
	}
}

func (x *keyIndex) put(i int, hash uint64) {
	mask := uint64(len(x.slots) - 1)
	at := hash & mask
	for x.slots[at] != 0 {
		at = (at + 1) & mask
	}
	x.slots[at], x.tags[at] = uint32(i+1), tagOf(hash)
	x.used++
}
