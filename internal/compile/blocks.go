// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package compile

import (
	"runtime"

	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
)

// blockBytes is about how large a block is.
const blockBytes = 1 << 20

// blocks are packed entries that grow block by block: what is there is never copied to make room.
type blocks struct {
	keySize, valueSize int
	each               int // entries per block
	list               []revision.Entries
	len                int
	bytes              int64 // packed, without a header
}

func newBlocks(keySize, valueSize int) blocks {
	return blocks{keySize: keySize, valueSize: valueSize, each: max(1, blockBytes/max(1, keySize+valueSize))}
}

// packedBytes is what an entry takes once it is packed. perCPU is the length of values that are given
// CPU by CPU, 0 for one value.
func (b *blocks) packedBytes(perCPU int) int64 {
	n := int64(b.keySize) + int64(b.valueSize)
	if perCPU > 0 {
		n += 8 + int64(perCPU)
	}
	return n
}

func (b *blocks) append(key, values []byte, perCPU bool) {
	if b.len%b.each == 0 {
		block := revision.Entries{KeySize: b.keySize, ValueSize: b.valueSize}
		if b.len > 0 { // the first one grows: most maps are small
			block.Keys, block.Values = make([]byte, 0, b.each*b.keySize), make([]byte, 0, b.each*b.valueSize)
		}
		b.list = append(b.list, block)
	}
	b.list[len(b.list)-1].Append(key, values, perCPU)
	b.len++
	b.bytes += b.packedBytes(perCPULen(values, perCPU))
}

func perCPULen(values []byte, perCPU bool) int {
	if perCPU {
		return len(values)
	}
	return 0
}

// at is the block of entry i and its number there.
func (b *blocks) at(i int) (*revision.Entries, int) { return &b.list[i/b.each], i % b.each }

func (b *blocks) key(i int) []byte {
	block, at := b.at(i)
	return block.Key(at)
}

// set gives entry i other values.
func (b *blocks) set(i int, values []byte, perCPU bool) {
	block, at := b.at(i)
	b.bytes += b.packedBytes(perCPULen(values, perCPU)) - b.packedBytes(len(block.PerCPU[at]))
	value := block.Value(at)
	if !perCPU {
		delete(block.PerCPU, at)
		copy(value, values)
		return
	}
	if block.PerCPU == nil {
		block.PerCPU = map[int][]byte{}
	}
	clear(value)
	block.PerCPU[at] = append([]byte(nil), values...)
}

// slice is a copy of the entries from number from on.
func (b *blocks) slice(from int) revision.Entries {
	n := b.len - from
	all := revision.Entries{KeySize: b.keySize, ValueSize: b.valueSize,
		Keys: make([]byte, 0, n*b.keySize), Values: make([]byte, 0, n*b.valueSize)}
	for i := from; i < b.len; i++ {
		block, at := b.at(i)
		switch values, ok := block.PerCPU[at]; {
		case at == 0:
			all.AppendAll(block)
			i += block.Len - 1
		case ok:
			all.Append(block.Key(at), values, true)
		default:
			all.Append(block.Key(at), block.Value(at), false)
		}
	}
	return all
}

// join is all entries in one, and takes the blocks apart while it copies them.
func (b *blocks) join() revision.Entries {
	all := revision.Entries{KeySize: b.keySize, ValueSize: b.valueSize}
	if len(b.list) == 1 {
		all = b.list[0]
	} else {
		collect(b.bytes)
		all.Keys, all.Values = make([]byte, 0, b.len*b.keySize), make([]byte, 0, b.len*b.valueSize)
		for i := range b.list {
			all.AppendAll(&b.list[i])
			b.list[i] = revision.Entries{}
		}
	}
	size := b.bytes
	*b = newBlocks(b.keySize, b.valueSize)
	collect(size)
	return all
}

// collectFrom is the size in bytes from which on what was dropped is worth a collection of garbage.
const collectFrom = 16 << 20

// collect frees what was dropped before as much as that is allocated again. The collector alone would let
// the heap grow to twice of what is in use first.
func collect(bytes int64) {
	if bytes >= collectFrom {
		runtime.GC()
	}
}
