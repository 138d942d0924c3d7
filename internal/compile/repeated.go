// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package compile

import (
	"bytes"
	"fmt"
	"iter"
	"slices"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
)

// crossing are entries whose keys are those of earlier groups, too, for the cache: they belong to what a source
// compiles to, whatever stands before it.
type crossing struct {
	entries  revision.Entries
	lines    []int32
	expiries []int64
	full     bool // there are more than the cache keeps
}

// hasValues says whether entry i has these values.
func (b *builder) hasValues(i int, values []byte, perCPU bool) bool {
	block, at := b.blocks.at(i)
	mine, mineIsPerCPU := block.PerCPU[at]
	if perCPU || mineIsPerCPU {
		return perCPU == mineIsPerCPU && bytes.Equal(mine, values)
	}
	return bytes.Equal(block.Value(at), values)
}

// crosses says whether entry i is of an earlier group, and collects the one at hand then.
func (b *builder) crosses(i int, key, values []byte, perCPU bool, origin int) bool {
	if i >= b.groups[len(b.groups)-1].first {
		return false
	}
	b.document.entries++
	c := b.crossing
	if c == nil || c.full {
		return true
	}
	if c.entries.Len*(int(b.blocks.packedBytes(0))+12) > MaxCacheBytes/2 {
		*c = crossing{full: true}
		return true
	}
	c.entries.KeySize, c.entries.ValueSize = b.blocks.keySize, b.blocks.valueSize
	c.entries.Append(key, values, perCPU)
	c.lines, c.expiries = append(c.lines, int32(origin)), append(c.expiries, b.until)
	return true
}

// leaveOut counts the entry at hand as one that makes none.
func (b *builder) leaveOut(crosses bool, reason string, key []byte, origin int) {
	g := b.groups[len(b.groups)-1]
	of := b.document
	if crosses && g.element != nil { // which isn't a matter of the source alone
		of = &g.element.tally
	}
	b.overridden = b.overridden || reason == v1alpha1.LeftOutOverridden
	of.leave(reason, 1, func() string { return g.example(b.c, key, origin) })
}

// leaveOutEarlier counts entry i, whose place another one takes.
func (b *builder) leaveOutEarlier(i int, crosses bool, key []byte) {
	b.overridden = true
	if !crosses {
		b.leaveOut(false, v1alpha1.LeftOutOverridden, key, int(b.origins[i]))
		return
	}
	if g := b.groupOf(i); g.element != nil {
		g.element.leave(v1alpha1.LeftOutOverridden, 1, func() string { return g.example(b.c, key, int(b.origins[i])) })
	}
}

// example is what is told of an entry that is left out.
func (g group) example(c *compiler, key []byte, line int) string {
	switch {
	case g.element == nil:
		return ""
	case g.element.isSecret:
		return fmt.Sprintf("line %d", line)
	}
	return fmt.Sprintf("line %d: %s", line, c.keyText(key))
}

// shownKey is a key that entry i has, too, for a message, unless one of the two is from a Secret.
func (b *builder) shownKey(i int, key []byte) string {
	if b.groups[len(b.groups)-1].isSecret() || b.groupOf(i).isSecret() {
		return ""
	}
	return ": " + b.c.keyText(key)
}

func (g group) isSecret() bool { return g.element != nil && g.element.isSecret }

// groupOf is the group of entry i.
func (b *builder) groupOf(i int) group {
	n, _ := slices.BinarySearchFunc(b.groups, i, func(g group, i int) int {
		if g.first <= i {
			return -1
		}
		return 1
	})
	return b.groups[n-1]
}

// fromSpec is the owner of entries that the spec has itself.
const fromSpec = -1

// owner is the index of the element that entry i is from, or fromSpec.
func (b *builder) owner(i int) int {
	if b.owners != nil {
		return int(b.owners[i])
	}
	if g := b.groupOf(i); g.element != nil {
		return g.element.index
	}
	return fromSpec
}

// entriesOf are the numbers of the entries of an element.
func (b *builder) entriesOf(e *element) iter.Seq[int] {
	return func(yield func(int) bool) {
		for i := range b.blocks.len {
			if b.owner(i) == e.index && !yield(i) {
				return
			}
		}
	}
}

// expire notes when entry i, which was appended last, is to go.
func (b *builder) expire(i int) {
	if b.expiries != nil || b.until != never {
		b.setExpiry(i, b.until)
	}
}

func (b *builder) setExpiry(i int, until int64) {
	if b.expiries == nil && until == never {
		return
	}
	for len(b.expiries) <= i {
		b.expiries = append(b.expiries, never)
	}
	b.expiries[i] = until
}

// lastLonger lets entry i stay as long as its repetition.
func (b *builder) lastLonger(i int) {
	if i < len(b.expiries) && b.expiries[i] < b.until {
		b.expiries[i] = b.until
	}
}

// checkLen says whether the map has room for one more entry.
func (b *builder) checkLen() error {
	n := uint64(b.blocks.len)
	switch {
	case b.isAggregated && n >= maxAggregated:
		b.c.problems.add("spec.entriesFrom", "has more than %d entries, the most that can be aggregated", maxAggregated)
	case b.isAggregated || n < uint64(b.shape.MaxEntries):
		return nil
	default:
		b.tooMany(b.blocks.len + 1)
	}
	b.c.full = true
	b.c.problems.reason = v1alpha1.ReasonInvalidEntry
	return errStop
}

// tooMany is the problem of n entries or more, for which the map has no room.
func (b *builder) tooMany(n int) {
	lines := ""
	if b.lines != nil {
		lines = b.lines()
	}
	b.c.problems.add("spec.maxEntries", "%d is less than the number of entries that are declared (at least %d%s%s)%s",
		b.shape.MaxEntries, n, b.sourcesToo(), b.rangesToo(), lines)
}
