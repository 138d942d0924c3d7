// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package revision

import (
	"encoding/binary"
	"fmt"
	"maps"
	"slices"
)

// packVersion is the first byte of packed entries.
const packVersion = 1

// packHeader is version, three zero bytes, then key size, value size, element count and per-CPU
// element count as little-endian 32-bit integers.
const packHeader = 4 + 4*4

// PackedSize is len(e.Pack()).
func (e *Entries) PackedSize() int {
	size := packHeader + len(e.Keys) + len(e.Values)
	for _, v := range e.PerCPU {
		size += 8 + len(v)
	}
	return size
}

// LargestPacked is how many bytes the largest entry takes when it is packed alone.
func (e *Entries) LargestPacked() int {
	most := 0
	for _, v := range e.PerCPU {
		most = max(most, 8+len(v))
	}
	return packHeader + e.KeySize + e.ValueSize + most
}

// Pack encodes entries for storage and digests: the header, all keys, all values, then for each
// per-CPU element in ascending order its index, its number of CPUs, and its values. Integers of the
// encoding are little-endian; keys and values are as the kernel takes them.
func (e *Entries) Pack() []byte {
	b := e.packHeader(make([]byte, 0, e.PackedSize()), len(e.PerCPU))
	b = append(b, e.Keys...)
	b = append(b, e.Values...)
	for _, i := range slices.Sorted(maps.Keys(e.PerCPU)) {
		b = e.packPerCPU(b, i, e.PerCPU[i])
	}
	return b
}

// packHeader appends the header to b.
func (e *Entries) packHeader(b []byte, perCPU int) []byte {
	b = append(b, packVersion, 0, 0, 0)
	for _, n := range [...]int{e.KeySize, e.ValueSize, e.Len, perCPU} {
		b = binary.LittleEndian.AppendUint32(b, uint32(n))
	}
	return b
}

// packPerCPU appends the values that element i has for each CPU to b.
func (e *Entries) packPerCPU(b []byte, i int, values []byte) []byte {
	b = binary.LittleEndian.AppendUint32(b, uint32(i))
	b = binary.LittleEndian.AppendUint32(b, uint32(len(values)/e.ValueSize))
	return append(b, values...)
}

// Unpack decodes what Pack made. The result shares b's memory. Every length is checked: b may come
// from anywhere.
func Unpack(b []byte) (Entries, error) {
	if len(b) < packHeader {
		return Entries{}, fmt.Errorf("packed entries hold %d bytes, less than a header of %d", len(b), packHeader)
	}
	if b[0] != packVersion || b[1]|b[2]|b[3] != 0 {
		return Entries{}, fmt.Errorf("packed entries have version %d, this program reads %d", b[0], packVersion)
	}
	var n [4]uint64
	for i := range n {
		n[i] = uint64(binary.LittleEndian.Uint32(b[4+4*i:]))
	}
	keySize, valueSize, count, perCPU := n[0], n[1], n[2], n[3]
	rest := b[packHeader:]
	if max(keySize, valueSize) > 1<<30 || count*(keySize+valueSize) > uint64(len(rest)) || (count > 0 && valueSize == 0) {
		return Entries{}, fmt.Errorf("packed entries are cut short: %d elements of %d+%d bytes, %d bytes left",
			count, keySize, valueSize, len(rest))
	}
	e := Entries{
		KeySize: int(keySize), ValueSize: int(valueSize), Len: int(count),
		Keys:   rest[: count*keySize : count*keySize],
		Values: rest[count*keySize : count*(keySize+valueSize) : count*(keySize+valueSize)],
	}
	rest = rest[count*(keySize+valueSize):]
	rest, err := e.unpackPerCPU(rest, perCPU)
	if err != nil {
		return Entries{}, err
	}
	if len(rest) != 0 {
		return Entries{}, fmt.Errorf("packed entries have %d bytes too many", len(rest))
	}
	return e, nil
}

func (e *Entries) unpackPerCPU(b []byte, count uint64) ([]byte, error) {
	last := -1
	for range count {
		if len(b) < 8 {
			return nil, fmt.Errorf("packed entries are cut short in per-CPU element %d of %d", len(e.PerCPU), count)
		}
		index, cpus := int(binary.LittleEndian.Uint32(b)), uint64(binary.LittleEndian.Uint32(b[4:]))
		b = b[8:]
		size := cpus * uint64(e.ValueSize)
		if index <= last || index >= e.Len || cpus == 0 || size > uint64(len(b)) {
			return nil, fmt.Errorf("packed entries have a wrong per-CPU element: index %d after %d of %d, %d CPUs, %d bytes left",
				index, last, e.Len, cpus, len(b))
		}
		if e.PerCPU == nil {
			e.PerCPU = map[int][]byte{}
		}
		e.PerCPU[index] = b[:size:size]
		b, last = b[size:], index
	}
	return b, nil
}
