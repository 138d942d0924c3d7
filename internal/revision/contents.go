// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package revision

import (
	"container/heap"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"iter"
	"math"
	"math/bits"
	"sort"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
)

// Contents are the declared entries of a map, cut into sorted parts by a hash of their keys: a change of
// one entry changes one part, and everything else is shared with the contents before. How many parts there
// are is a power of two that follows from the sizes alone. Elements without keys are cut in their order.
//
// Entries are counted through all parts. Contents don't change; the zero value holds nothing and belongs to
// no map yet.
type Contents struct {
	// KeySize is 0 for keyless maps, ValueSize that of one value, in bytes.
	KeySize, ValueSize int
	// Len is the number of entries.
	Len int

	parts  []*Part
	starts []int // the index of each part's first entry
	depth  int   // there are 1<<depth parts
}

// targetPartBytes is how large parts are on average at most: half of the bound, so that none that is
// fuller than the others exceeds it.
const targetPartBytes = v1alpha1.MaxChunkBytes / 2

// NewContents sorts entries and cuts them into parts. No two may have the same key. from isn't changed
// and not kept: while it is in use, too, memory is twice its packed size and 4 bytes for each entry.
//
// It fails if there are duplicates, or entries too large for a part.
func NewContents(shape Shape, from *Entries) (Contents, error) {
	if int64(from.Len) > math.MaxUint32 {
		return Contents{}, fmt.Errorf("%d entries are more than %d", from.Len, uint32(math.MaxUint32))
	}
	if size := from.LargestPacked(); from.Len > 0 && size > v1alpha1.MaxChunkBytes {
		return Contents{}, fmt.Errorf("an entry of %d bytes with its header is larger than a part may be, %d", size, v1alpha1.MaxChunkBytes)
	}
	for depth := bits.Len(uint((from.PackedSize() - 1) / targetPartBytes)); 1<<depth <= v1alpha1.MaxChunks; depth++ {
		sizes := from.partSizes(depth)
		if fits(sizes) {
			return from.cut(shape, depth)
		}
	}
	return Contents{}, fmt.Errorf("%d entries of %d+%d bytes don't fit into %d parts of %d bytes",
		from.Len, from.KeySize, from.ValueSize, v1alpha1.MaxChunks, v1alpha1.MaxChunkBytes)
}

// inPart is which of 1<<depth parts entry i belongs to.
func (e *Entries) inPart(i, depth int) int {
	if e.KeySize > 0 {
		return partOf(e.Key(i), depth)
	}
	each := (e.Len + 1<<depth - 1) >> depth
	return i / each
}

// partSizes are the packed sizes of parts.
func (e *Entries) partSizes(depth int) []int {
	sizes := make([]int, 1<<depth)
	for i := range sizes {
		sizes[i] = packHeader
	}
	for i := range e.Len {
		sizes[e.inPart(i, depth)] += e.KeySize + e.ValueSize
	}
	for i, v := range e.PerCPU {
		sizes[e.inPart(i, depth)] += 8 + len(v)
	}
	return sizes
}

func fits(sizes []int) bool {
	for _, n := range sizes {
		if n > v1alpha1.MaxChunkBytes {
			return false
		}
	}
	return true
}

// cut makes 1<<depth parts.
func (e *Entries) cut(shape Shape, depth int) (Contents, error) {
	ends := make([]int, 1<<depth+1) // ends[n] is where part n-1 ends in list, and so where the next entry of part n goes
	for i := range e.Len {
		ends[e.inPart(i, depth)+1]++
	}
	for n := 1; n < len(ends); n++ {
		ends[n] += ends[n-1]
	}
	list, next := make([]uint32, e.Len), append([]int(nil), ends...)
	for i := range e.Len {
		n := e.inPart(i, depth)
		list[next[n]] = uint32(i)
		next[n]++
	}
	parts := make([]*Part, 1<<depth)
	for n := range parts {
		own := list[ends[n]:ends[n+1]]
		e.sortList(shape, own)
		parts[n] = newPart(e, own, place{depth, n})
		for i := 1; i < parts[n].Len && !shape.IsKeyless(); i++ {
			if shape.CompareKeys(parts[n].Key(i-1), parts[n].Key(i)) == 0 {
				return Contents{}, fmt.Errorf("key %x is declared twice", parts[n].Key(i))
			}
		}
	}
	return joined(e.KeySize, e.ValueSize, depth, parts), nil
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
// where it belongs is checked here, once for each part and place.
func JoinParts(shape Shape, parts []*Part) (Contents, error) {
	depth := bits.TrailingZeros(uint(len(parts)))
	if len(parts) == 0 || len(parts) != 1<<depth {
		return Contents{}, fmt.Errorf("%d parts are not a power of two", len(parts))
	}
	checked := make([]*Part, len(parts))
	for n, p := range parts {
		if p.KeySize != int(shape.KeySize) || p.ValueSize != int(shape.ValueSize) {
			return Contents{}, fmt.Errorf("part %d: entries are %d+%d bytes each, the map's are %d+%d", n, p.KeySize, p.ValueSize, shape.KeySize, shape.ValueSize)
		}
		var err error
		if checked[n], err = p.at(place{depth, n}); err != nil {
			return Contents{}, fmt.Errorf("part %d: %w", n, err)
		}
	}
	return joined(int(shape.KeySize), int(shape.ValueSize), depth, checked), nil
}

// Parts are the parts in their order.
func (c *Contents) Parts() []*Part { return c.parts }

// Start is the index of the first entry of part n.
func (c *Contents) Start(n int) int { return c.starts[n] }

// at is the part of entry i, and its index there.
func (c *Contents) at(i int) (*Part, int) {
	n := sort.Search(len(c.starts), func(n int) bool { return c.starts[n] > i }) - 1
	return c.parts[n], i - c.starts[n]
}

// Key is the key of entry i.
func (c *Contents) Key(i int) []byte {
	p, i := c.at(i)
	return p.Key(i)
}

// Value is the value of entry i, zeros if each CPU has one of its own.
func (c *Contents) Value(i int) []byte {
	p, i := c.at(i)
	return p.Value(i)
}

// PerCPU are the values of entry i if each CPU has one of its own: ValueSize bytes for each, in the order
// of CPUs.
func (c *Contents) PerCPU(i int) ([]byte, bool) {
	p, i := c.at(i)
	v, ok := p.PerCPU[i]
	return v, ok
}

// Find is the index of a key, and whether it is there.
func (c *Contents) Find(shape Shape, key []byte) (int, bool) {
	if c.Len == 0 {
		return 0, false
	}
	n := partOf(key, c.depth)
	i, found := c.parts[n].Find(shape, key)
	return c.starts[n] + i, found
}

// PackedSize is how many bytes all parts take.
func (c *Contents) PackedSize() (size int) {
	for _, p := range c.parts {
		size += len(p.Packed)
	}
	return size
}

// Changed are the numbers of the parts that differ from those of other contents. known is false if the
// two are cut in another way, so that parts can't be compared.
func (c *Contents) Changed(other *Contents) (parts []int, known bool) {
	if c.KeySize == 0 || c.KeySize != other.KeySize || c.ValueSize != other.ValueSize || len(c.parts) != len(other.parts) {
		return nil, false
	}
	for n := range c.parts {
		if !c.parts[n].equal(other.parts[n]) {
			parts = append(parts, n)
		}
	}
	return parts, true
}

// Digest is "sha256:" and the hex of a SHA-256 over the parts' own: equal digests mean equal keys and
// values. The map's shape and policies are not part of it.
func (c *Contents) Digest() string {
	sum := sha256.New()
	var header [16]byte
	binary.LittleEndian.PutUint32(header[0:], uint32(c.KeySize))
	binary.LittleEndian.PutUint32(header[4:], uint32(c.ValueSize))
	binary.LittleEndian.PutUint64(header[8:], uint64(c.Len))
	sum.Write(header[:])
	if c.Len > 0 {
		for _, p := range c.parts {
			sum.Write(p.Sum[:])
		}
	}
	return "sha256:" + hex.EncodeToString(sum.Sum(nil))
}

// InOrder are the indexes of all entries in the order of the shape. Elements without keys come in their
// own order.
func (c *Contents) InOrder(shape Shape) iter.Seq[int] {
	return func(yield func(int) bool) {
		if len(c.parts) <= 1 || c.KeySize == 0 {
			for i := range c.Len {
				if !yield(i) {
					return
				}
			}
			return
		}
		m := &merge{c: c, shape: shape}
		for n, p := range c.parts {
			if p.Len > 0 {
				m.heads = append(m.heads, head{part: n})
			}
		}
		heap.Init(m)
		for len(m.heads) > 0 {
			h := &m.heads[0]
			if !yield(c.starts[h.part] + h.at) {
				return
			}
			if h.at++; h.at < c.parts[h.part].Len {
				heap.Fix(m, 0)
			} else {
				heap.Pop(m)
			}
		}
	}
}

// head is the next entry of one part.
type head struct{ part, at int }

// merge is a heap of the parts' next entries.
type merge struct {
	c     *Contents
	shape Shape
	heads []head
}

func (m *merge) Len() int      { return len(m.heads) }
func (m *merge) Swap(i, j int) { m.heads[i], m.heads[j] = m.heads[j], m.heads[i] }
func (m *merge) Push(any)      {}
func (m *merge) Less(i, j int) bool {
	a, b := m.heads[i], m.heads[j]
	return m.shape.CompareKeys(m.c.parts[a.part].Key(a.at), m.c.parts[b.part].Key(b.at)) < 0
}

// Pop drops the last head.
func (m *merge) Pop() any {
	m.heads = m.heads[:len(m.heads)-1]
	return nil
}

// Flat are all entries in one piece, in the order of the shape.
func (c *Contents) Flat(shape Shape) Entries {
	flat := Entries{
		KeySize: c.KeySize, ValueSize: c.ValueSize, Keys: make([]byte, 0, c.Len*c.KeySize), Values: make([]byte, 0, c.Len*c.ValueSize),
	}
	for i := range c.InOrder(shape) {
		if v, ok := c.PerCPU(i); ok {
			flat.Append(c.Key(i), v, true)
			continue
		}
		flat.Append(c.Key(i), c.Value(i), false)
	}
	return flat
}
