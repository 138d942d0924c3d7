// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package revision

import (
	"container/heap"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"iter"
	"sort"
)

// Contents are the declared entries of a map, cut into sorted parts that are shared with other contents
// which agree in them.
//
// Most are cut by a hash of their keys, into a number of parts that is a power of two: a change of one entry
// changes one part. Entries so large that a part holds only a few of them don't spread evenly enough: they are
// cut in the order of their keys, each part as full as it can be, and so are elements without keys, in their
// own order. Which way is taken follows from the entries alone.
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
	depth  int   // there are 1<<depth parts; inOrder if they are cut in the order of the entries
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
	n := c.partFor(shape, key)
	i, found := c.parts[n].Find(shape, key)
	return c.starts[n] + i, found
}

// partFor is the only part in which a key can be.
func (c *Contents) partFor(shape Shape, key []byte) int {
	if c.depth != inOrder {
		return partOf(key, c.depth)
	}
	compare := shape.keyOrder()
	after := sort.Search(len(c.parts), func(n int) bool { return compare(c.parts[n].Key(0), key) > 0 })
	return max(0, after-1)
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
		if len(c.parts) <= 1 || c.depth == inOrder {
			for i := range c.Len {
				if !yield(i) {
					return
				}
			}
			return
		}
		m := &merge{c: c, compare: shape.keyOrder()}
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
	c       *Contents
	compare func(a, b []byte) int
	heads   []head
}

func (m *merge) Len() int      { return len(m.heads) }
func (m *merge) Swap(i, j int) { m.heads[i], m.heads[j] = m.heads[j], m.heads[i] }
func (m *merge) Push(any)      {}
func (m *merge) Less(i, j int) bool {
	a, b := m.heads[i], m.heads[j]
	return m.compare(m.c.parts[a.part].Key(a.at), m.c.parts[b.part].Key(b.at)) < 0
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
