// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package revision

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"github.com/cespare/xxhash/v2"
)

// Part is a sorted part of a map's contents: what one BPFMapChunk stores. Nothing in it changes, so that
// contents of several revisions share the parts in which they agree.
type Part struct {
	// Entries share Packed's memory.
	Entries
	// Packed is the encoding of Entries, and Sum its SHA-256.
	Packed []byte
	Sum    [sha256.Size]byte

	// place is where the keys were found to belong, so that contents which share the part needn't look again.
	place place
}

// place is part index of 1<<depth by hash. No part is at a depth below 0.
type place struct{ depth, index int }

// nameDigits is how many hex digits of the SHA-256 a chunk's name carries.
const nameDigits = 40

// Name is the name of the chunk that stores the part for a map.
func (p *Part) Name(mapName string) string {
	return mapName + "-" + hex.EncodeToString(p.Sum[:])[:nameDigits]
}

// ReadPart reads a part from anywhere: every length, the sizes and the order of the entries are checked.
// b stays in use. If name isn't empty, it is that of a chunk, and has to carry the digest of b.
func ReadPart(shape Shape, name string, b []byte) (*Part, error) {
	p := &Part{Packed: b, Sum: sha256.Sum256(b), place: place{depth: inOrder}}
	if at := strings.LastIndexByte(name, '-'); name != "" && (at < 0 || p.Name(name[:at]) != name) {
		return nil, fmt.Errorf("chunk %s does not match the digest in its name: its entries were altered", name)
	}
	var err error
	if p.Entries, err = Unpack(b); err != nil {
		return nil, err
	}
	if err := shape.checkKeySize(); err != nil {
		return nil, err
	}
	if p.KeySize != int(shape.KeySize) || p.ValueSize != int(shape.ValueSize) {
		return nil, fmt.Errorf("entries are %d+%d bytes each, the map's are %d+%d", p.KeySize, p.ValueSize, shape.KeySize, shape.ValueSize)
	}
	compare, isKeyless := shape.keyOrder(), shape.IsKeyless()
	for i := 1; i < p.Len && !isKeyless; i++ {
		if compare(p.Key(i-1), p.Key(i)) >= 0 {
			return nil, fmt.Errorf("entries %d and %d are out of order", i-1, i)
		}
	}
	return p, nil
}

// at is the part once all its keys are known to belong at a place.
func (p *Part) at(where place) (*Part, error) {
	if p.place == where {
		return p, nil
	}
	for i := 0; p.KeySize > 0 && i < p.Len; i++ {
		if partOf(p.Key(i), where.depth) != where.index {
			return nil, fmt.Errorf("entry %d belongs to another part than %d of %d", i, where.index, 1<<where.depth)
		}
	}
	found := *p
	found.place = where
	return &found, nil
}

// partOf is which of 1<<depth parts a key belongs to.
func partOf(key []byte, depth int) int {
	if depth == 0 {
		return 0
	}
	return int(xxhash.Sum64(key) >> (64 - depth))
}

// newPart packs some entries of a set, in the order of the list.
func newPart(from *Entries, list []uint32, at place) *Part {
	perCPU := 0
	if len(from.PerCPU) > 0 {
		for _, i := range list {
			if v, ok := from.PerCPU[int(i)]; ok {
				perCPU += 8 + len(v)
			}
		}
	}
	to := Entries{KeySize: from.KeySize, ValueSize: from.ValueSize, Len: len(list)}
	b := to.packHeader(make([]byte, 0, packHeader+len(list)*(from.KeySize+from.ValueSize)+perCPU), from.countPerCPU(list))
	for _, i := range list {
		b = append(b, from.Key(int(i))...)
	}
	for _, i := range list {
		b = append(b, from.Value(int(i))...)
	}
	if perCPU > 0 {
		for n, i := range list {
			if v, ok := from.PerCPU[int(i)]; ok {
				b = from.packPerCPU(b, n, v)
			}
		}
	}
	part := &Part{Packed: b, Sum: sha256.Sum256(b), place: at}
	entries, err := Unpack(b)
	if err != nil {
		panic("read a part that was just packed: " + err.Error()) // the encoding is its own inverse
	}
	part.Entries = entries
	return part
}

// countPerCPU is how many of the listed entries have values of their own for each CPU.
func (e *Entries) countPerCPU(list []uint32) (n int) {
	if len(e.PerCPU) == 0 {
		return 0
	}
	for _, i := range list {
		if _, ok := e.PerCPU[int(i)]; ok {
			n++
		}
	}
	return n
}

// sortList sorts a list of entries in the order of the shape, and refuses two with the same key. Entries without
// keys stay in their order.
func (e *Entries) sortList(s Shape, list []uint32) error {
	if s.IsKeyless() {
		return nil
	}
	compare := s.keyOrder()
	slices.SortFunc(list, func(i, j uint32) int { return compare(e.Key(int(i)), e.Key(int(j))) })
	for n := 1; n < len(list); n++ {
		if key := e.Key(int(list[n])); bytes.Equal(e.Key(int(list[n-1])), key) {
			return fmt.Errorf("key %x is declared twice", key)
		}
	}
	return nil
}

// equal says whether two parts hold the same bytes.
func (p *Part) equal(other *Part) bool { return p == other || bytes.Equal(p.Sum[:], other.Sum[:]) }
