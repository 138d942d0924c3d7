// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package compile

import (
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/lpm"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
)

// maxAggregated bounds how many entries a map of which some are aggregated may have before that: it takes some 20 bytes
// of memory for each.
const maxAggregated = 2 << 20

// aggregates says whether prefixes of an element are to be merged.
func (c *compiler) aggregates() bool {
	return slices.ContainsFunc(c.spec.EntriesFrom, func(from v1alpha1.EntrySource) bool { return from.Aggregate })
}

// checkAggregate refuses to merge keys that don't end with an address and the length of its prefix.
func (c *compiler) checkAggregate(shape revision.Shape) {
	if _, ok := c.prefixOffset(shape); ok {
		return
	}
	for i := range c.spec.EntriesFrom {
		if c.spec.EntriesFrom[i].Aggregate {
			c.problems.add(fmt.Sprintf("spec.entriesFrom[%d].aggregate", i), "needs type LPMTrie, and a key whose last part is a prefix of addresses: "+
				"{type: ipv4Prefix}, {type: ipv6Prefix}, {type: ipPrefix}, or fields of which the last has such a type")
		}
	}
}

// prefixOffset is where in a key the address begins of which a prefix is matched. It is false for keys without one.
func (c *compiler) prefixOffset(shape revision.Shape) (int, bool) {
	if !shape.IsLPM() || c.key == nil {
		return 0, false
	}
	if _, isWhole := withoutLength[c.key.Scalar()]; isWhole {
		return lengthSize, true
	}
	m, ok := c.key.PrefixMember()
	if !ok {
		return 0, false
	}
	switch m.Layout.Scalar() {
	case v1alpha1.TypeIPv4, v1alpha1.TypeIPv6, v1alpha1.TypeIP:
		return m.Offset, true
	}
	return 0, false
}

// lengthSize is what the prefix length takes in front of a key.
const lengthSize = 4

// reduce merges prefixes, and holds the entries that are left to what the map has room for and may change.
func (c *compiler) reduce(b *builder) {
	for i, until := range b.expiries {
		if owner := b.owner(i); owner != fromSpec {
			c.elements[owner].expiry = min(c.elements[owner].expiry, until)
		}
	}
	if c.aggregates() {
		c.aggregate(b)
		if n := b.blocks.len; uint64(n) > uint64(b.shape.MaxEntries) {
			b.tooMany(n)
			return
		}
	}
	c.checkChanges(b)
}

// aggregate takes the entries of elements that are to be aggregated apart, and puts the fewest in their place with which
// all lookups end as before, those in the prefixes of others, too.
func (c *compiler) aggregate(b *builder) {
	offset, _ := c.prefixOffset(b.shape)
	t := newPrefixTable(c, b)
	before, after := make([]int64, len(c.elements)), make([]int64, len(c.elements))
	for i := range b.blocks.len {
		if !t.stays[i] {
			before[b.owner(i)]++
		}
	}
	merged := reduced{blocks: newBlocks(b.blocks.keySize, b.blocks.valueSize)}
	for i := range b.blocks.len {
		if t.stays[i] {
			merged.add(b, b.blocks.key(i), i)
		}
	}
	key := make([]byte, b.blocks.keySize)
	lpm.Minimize(t, 8*(offset-lengthSize), func(data []byte, length, like int) {
		binary.NativeEndian.PutUint32(key, uint32(length))
		copy(key[lengthSize:], data)
		i := int(t.order[like])
		if owner := merged.add(b, key, i); owner != fromSpec {
			after[owner]++
		}
	})
	if merged.blocks.len >= b.blocks.len { // as good as it was
		return
	}
	b.blocks, b.owners, b.expiries = merged.blocks, merged.owners, nil
	for i := range c.elements {
		if e := &c.elements[i]; e.from.Aggregate {
			e.entries = after[i]
			if fewer := before[i] - after[i]; fewer > 0 {
				e.leave(v1alpha1.LeftOutAggregated, fewer, nil)
			}
		}
	}
}

// reduced are the entries that are left, with their owners.
type reduced struct {
	blocks blocks
	owners []int16
}

// add adds an entry that is like entry i of b but its key.
func (r *reduced) add(b *builder, key []byte, i int) (owner int) {
	block, at := b.blocks.at(i)
	r.blocks.append(key, block.Value(at), false)
	owner = b.owner(i)
	r.owners = append(r.owners, int16(owner))
	return owner
}

// prefixTable are a builder's entries in the order that package lpm asks for.
type prefixTable struct {
	*builder
	order []int32
	stays []bool // by the entry's number
}

func newPrefixTable(c *compiler, b *builder) *prefixTable {
	t := &prefixTable{builder: b, order: make([]int32, b.blocks.len), stays: make([]bool, b.blocks.len)}
	for i := range t.order {
		t.order[i] = int32(i)
		owner := b.owner(i)
		t.stays[i] = owner == fromSpec || !c.elements[owner].from.Aggregate
	}
	slices.SortFunc(t.order, func(i, j int32) int { return b.shape.CompareKeys(b.blocks.key(int(i)), b.blocks.key(int(j))) })
	return t
}

// Len is how many there are.
func (t *prefixTable) Len() int { return len(t.order) }

// Prefix is the i-th one.
func (t *prefixTable) Prefix(i int) (data []byte, length int) {
	key := t.blocks.key(int(t.order[i]))
	return key[lengthSize:], int(binary.NativeEndian.Uint32(key))
}

// Same compares values.
func (t *prefixTable) Same(i, j int) bool {
	block, at := t.blocks.at(int(t.order[i]))
	return t.hasValues(int(t.order[j]), block.Value(at), false)
}

// Stays says that an entry isn't of an element that is aggregated.
func (t *prefixTable) Stays(i int) bool { return t.stays[t.order[i]] }
