// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package revision

import (
	"errors"
	"fmt"
	"math"
	"math/bits"
	"slices"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
)

const (
	// targetPartBytes is how large parts of a hash are on average at most: half of the bound, so that one
	// that is fuller than the others doesn't exceed it.
	targetPartBytes = v1alpha1.MaxChunkBytes / 2
	// largeEntryBytes is what entries are large from, on average: a part holds only a few of them.
	largeEntryBytes = v1alpha1.MaxChunkBytes / 8
	// deeper is how often the number of parts is doubled for one that exceeds the bound all the same. If one of
	// them still does, it is for a few large entries, and more parts wouldn't help.
	deeper = 1
	// inOrder is the depth of contents that are cut in the order of their entries.
	inOrder = -1
)

// NewContents sorts entries and cuts them into parts. No two may have the same key. from isn't changed
// and not kept: while it is in use, too, memory is twice its packed size and 4 bytes for each entry.
//
// It fails if there are duplicates, an entry too large for a part, or too many bytes for all parts.
func NewContents(shape Shape, from *Entries) (Contents, error) {
	if int64(from.Len) > math.MaxUint32 {
		return Contents{}, fmt.Errorf("%d entries are more than %d", from.Len, uint32(math.MaxUint32))
	}
	if size := from.LargestPacked(); from.Len > 0 && size > v1alpha1.MaxChunkBytes {
		return Contents{}, fmt.Errorf("an entry of %d bytes with its header is larger than a part may be, %d", size, v1alpha1.MaxChunkBytes)
	}
	if shape.IsKeyless() || from.PackedSize() > largeEntryBytes*max(1, from.Len) {
		return from.cutInOrder(shape)
	}
	least := bits.Len(uint((from.PackedSize() - 1) / targetPartBytes))
	for depth := least; depth <= least+deeper && 1<<depth <= v1alpha1.MaxChunks; depth++ {
		if fits(from.partSizes(depth)) {
			return from.cutByHash(shape, depth)
		}
	}
	return from.cutInOrder(shape)
}

// packedBytes is what entry i takes in a part.
func (e *Entries) packedBytes(i int) int {
	size := e.KeySize + e.ValueSize
	if len(e.PerCPU) > 0 {
		if v, ok := e.PerCPU[i]; ok {
			size += 8 + len(v)
		}
	}
	return size
}

// partSizes are the packed sizes of 1<<depth parts by hash.
func (e *Entries) partSizes(depth int) []int {
	sizes := make([]int, 1<<depth)
	for i := range sizes {
		sizes[i] = packHeader
	}
	for i := range e.Len {
		sizes[partOf(e.Key(i), depth)] += e.packedBytes(i)
	}
	return sizes
}

func fits(sizes []int) bool { return slices.Max(sizes) <= v1alpha1.MaxChunkBytes }

// cutByHash makes 1<<depth parts.
func (e *Entries) cutByHash(shape Shape, depth int) (Contents, error) {
	ends := make([]int, 1<<depth+1) // ends[n] is where part n-1 ends in list, and so where the next entry of part n goes
	for i := range e.Len {
		ends[partOf(e.Key(i), depth)+1]++
	}
	for n := 1; n < len(ends); n++ {
		ends[n] += ends[n-1]
	}
	list, next := make([]uint32, e.Len), append([]int(nil), ends...)
	for i := range e.Len {
		n := partOf(e.Key(i), depth)
		list[next[n]] = uint32(i)
		next[n]++
	}
	parts := make([]*Part, 1<<depth)
	for n := range parts {
		own := list[ends[n]:ends[n+1]]
		if err := e.sortList(shape, own); err != nil {
			return Contents{}, err
		}
		parts[n] = newPart(e, own, place{depth, n})
	}
	return joined(e.KeySize, e.ValueSize, depth, parts), nil
}

// cutInOrder fills one part after the other. Two neighbours hold more than one may, so that there are at most
// twice as many parts as full ones would be.
func (e *Entries) cutInOrder(shape Shape) (Contents, error) {
	list := make([]uint32, e.Len)
	for i := range list {
		list[i] = uint32(i)
	}
	if err := e.sortList(shape, list); err != nil {
		return Contents{}, err
	}
	var ends []int
	size := packHeader
	for n, i := range list {
		each := e.packedBytes(int(i))
		if size+each > v1alpha1.MaxChunkBytes {
			ends, size = append(ends, n), packHeader
		}
		size += each
	}
	ends = append(ends, e.Len)
	if len(ends) > v1alpha1.MaxChunks {
		return Contents{}, fmt.Errorf("%d entries of %d+%d bytes, %d bytes in all, need %d parts of at most %d bytes, more than the %d that one map may have",
			e.Len, e.KeySize, e.ValueSize, e.PackedSize(), len(ends), v1alpha1.MaxChunkBytes, v1alpha1.MaxChunks)
	}
	parts, start := make([]*Part, len(ends)), 0
	for n, end := range ends {
		parts[n] = newPart(e, list[start:end], place{depth: inOrder})
		start = end
	}
	return joined(e.KeySize, e.ValueSize, inOrder, parts), nil
}

func joined(keySize, valueSize, depth int, parts []*Part) Contents {
	c := Contents{KeySize: keySize, ValueSize: valueSize, depth: depth, parts: parts, starts: make([]int, len(parts))}
	for n, p := range parts {
		c.starts[n] = c.Len
		c.Len += p.Len
	}
	return c
}

// JoinParts are contents of parts that ReadPart has checked, in their order. That each key is in the part
// where it belongs is checked here: by its hash, once for each part and place, or by the order of the parts.
func JoinParts(shape Shape, parts []*Part) (Contents, error) {
	if len(parts) == 0 {
		return Contents{}, errors.New("contents of a map have one part or more")
	}
	for n, p := range parts {
		if p.KeySize != int(shape.KeySize) || p.ValueSize != int(shape.ValueSize) {
			return Contents{}, fmt.Errorf("part %d: entries are %d+%d bytes each, the map's are %d+%d", n, p.KeySize, p.ValueSize, shape.KeySize, shape.ValueSize)
		}
	}
	if shape.IsKeyless() {
		return joined(int(shape.KeySize), int(shape.ValueSize), inOrder, slices.Clone(parts)), nil
	}
	depth := bits.TrailingZeros(uint(len(parts)))
	checked, err := placed(depth, parts)
	if err == nil {
		return joined(int(shape.KeySize), int(shape.ValueSize), depth, checked), nil
	}
	if n := disorder(shape, parts); n > 0 {
		return Contents{}, fmt.Errorf("%w, and by their order, the keys of part %d don't follow those of part %d", err, n, n-1)
	}
	return joined(int(shape.KeySize), int(shape.ValueSize), inOrder, slices.Clone(parts)), nil
}

// placed are parts of which each holds the keys of one of 1<<depth ranges of hashes.
func placed(depth int, parts []*Part) ([]*Part, error) {
	if len(parts) != 1<<depth {
		return nil, fmt.Errorf("parts don't belong together: by the hash of their keys, their number %d isn't a power of two", len(parts))
	}
	found := make([]*Part, len(parts))
	for n, p := range parts {
		var err error
		if found[n], err = p.at(place{depth, n}); err != nil {
			return nil, fmt.Errorf("parts don't belong together: by the hash of their keys, %w", err)
		}
	}
	return found, nil
}

// disorder is the first part with keys that aren't all behind those of the part before, or whose neighbour is
// empty; 0 if all parts are in the order of their keys.
func disorder(shape Shape, parts []*Part) int {
	for n := 1; n < len(parts); n++ {
		before, p := parts[n-1], parts[n]
		if before.Len == 0 || p.Len == 0 || shape.CompareKeys(before.Key(before.Len-1), p.Key(0)) >= 0 {
			return n
		}
	}
	return 0
}
