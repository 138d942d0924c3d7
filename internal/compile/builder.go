// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package compile

import (
	"errors"
	"fmt"
	"slices"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
	"github.com/bpfmap-io/bpfmap-operator/internal/schema"
	"github.com/bpfmap-io/bpfmap-operator/internal/text"
)

// errStop ends the reading of a source: what is wrong with it is among the problems.
var errStop = errors.New("no more entries are read")

// builder collects the entries of a map, each key once, within the map's bounds.
type builder struct {
	c      *compiler
	shape  revision.Shape
	policy v1alpha1.ConflictPolicy
	// isKeyless, isIndexed, isLPM and isAggregated are what the shape and the spec say, looked up once for all entries.
	isKeyless, isIndexed, isLPM, isAggregated bool

	blocks blocks
	index  keyIndex
	// origins are where the entries were declared: a line of a source, or the number of an entry of the
	// spec.
	origins []int32
	// expiries are when the entries are to go, in seconds since 1970; nil as long as none does. until is that of the next
	// one that is added.
	expiries []int64
	until    int64
	// groups are the spec and its sources so far, with the number of their first entry.
	groups []group
	// owners are the elements of entries that were aggregated, see owner; nil if none were.
	owners []int16
	// document counts what becomes of the items at hand.
	document *tally
	// crossing are entries of the group at hand whose keys are those of earlier groups, too, if they are collected.
	crossing *crossing
	// overridden says that an entry of the group at hand took the place of another one of it, or didn't.
	overridden bool
	// duplicates are keys that are declared again, under the policy Fail.
	duplicates problems
	// ranged says that a declared key was several keys.
	ranged bool
	// lines says how many lines the source at hand has; nil if that isn't easily seen.
	lines func() string
}

// group is the spec (source and element are nil) or a source.
type group struct {
	source  *Source
	element *element
	first   int
}

func newBuilder(c *compiler, shape revision.Shape) *builder {
	return &builder{
		c: c, shape: shape, policy: c.conflictPolicy(),
		isKeyless: shape.IsKeyless(), isIndexed: shape.IsIndexed(), isLPM: shape.IsLPM(), isAggregated: c.aggregates(),
		blocks: newBlocks(int(shape.KeySize), int(shape.ValueSize)), until: never, document: &tally{},
	}
}

// begin says where the entries that follow are from.
func (b *builder) begin(source *Source, of *element) {
	b.groups = append(b.groups, group{source, of, b.blocks.len})
	b.document, b.crossing, b.overridden, b.until = &tally{}, nil, false, never
}

// maxReserved bounds the entries for which there is room before they are there: some 10 bytes each.
const maxReserved = 1 << 21

// reserve makes room for entries that are likely to come.
func (b *builder) reserve(n int64) {
	n = min(n, maxReserved, int64(b.shape.MaxEntries))
	if n < leastSlots || b.isAggregated {
		return
	}
	b.origins = slices.Grow(b.origins, int(n))
	if !b.isKeyless {
		b.index.reserve(&b.blocks, int(n))
	}
}

// add takes one entry. It is errStop once the map is full.
func (b *builder) add(key, values []byte, perCPU bool, origin int) error {
	var hash uint64
	if !b.isKeyless {
		var i int
		if hash, i = b.index.find(&b.blocks, key); i >= 0 {
			return b.again(i, key, values, perCPU, origin)
		}
	}
	if err := b.checkLen(); err != nil {
		return err
	}
	if err := b.checkRoom(b.blocks.packedBytes(perCPULen(values, perCPU))); err != nil {
		return err
	}
	b.blocks.append(key, values, perCPU)
	b.origins = append(b.origins, int32(origin))
	b.expire(b.blocks.len - 1)
	b.document.entries++
	if !b.isKeyless {
		b.index.add(&b.blocks, hash)
	}
	return nil
}

// again takes an entry whose key is that of entry i: keys are equal once they are encoded, such as 10 and
// 0xa.
func (b *builder) again(i int, key, values []byte, perCPU bool, origin int) error {
	isSame := b.hasValues(i, values, perCPU)
	crosses := b.crosses(i, key, values, perCPU, origin)
	switch {
	case isSame:
		b.lastLonger(i)
		b.leaveOut(crosses, v1alpha1.LeftOutRepeated, key, origin)
	case b.policy == v1alpha1.ConflictFirst:
		b.leaveOut(crosses, v1alpha1.LeftOutOverridden, key, origin)
	case b.policy == v1alpha1.ConflictLast:
		b.leaveOutEarlier(i, crosses, key)
		if err := b.checkRoom(b.blocks.packedBytes(perCPULen(values, perCPU)) - b.blocks.packedBytes(0)); err != nil {
			return err
		}
		b.blocks.set(i, values, perCPU)
		b.setExpiry(i, b.until)
	default:
		if b.duplicates.total++; len(b.duplicates.list) < maxShown {
			here, there := b.groups[len(b.groups)-1].place(origin), b.placeOf(i)
			b.duplicates.list = append(b.duplicates.list, Problem{Path: here, Message: fmt.Sprintf("%s %s%s, with another value", b.sameAs(), there, b.shownKey(i, key))})
		}
		if b.duplicates.total >= maxCounted {
			return errStop
		}
	}
	return nil
}

// sameAs says what two entries have in common: a range holds more keys than the one that is another's, too.
func (b *builder) sameAs() string {
	if b.c.key.IsPrefix() {
		return "holds the same prefix as"
	}
	return "is the same key as"
}

// keyText is an encoded key as it is written, with names for their symbols.
func (c *compiler) keyText(key []byte) string {
	return c.key.Named(func(typ v1alpha1.ScalarType, symbol uint64) (string, bool) {
		for link := range c.links {
			if link.Type == typ && uint64(schema.Symbol(link)) == symbol {
				return link.Name, true
			}
		}
		return "", false
	}).Format(key)
}

// checkRoom says whether there is room for that many more bytes.
func (b *builder) checkRoom(bytes int64) error {
	if b.blocks.bytes+bytes <= maxEntriesBytes-packedHeader {
		return nil
	}
	b.c.tooLarge(int64(b.blocks.len)+1, b.blocks.packedBytes(0), b.blocks.bytes+bytes)
	return errStop
}

// packedHeader is what packed entries take besides the entries.
var packedHeader = int64((&revision.Entries{}).PackedSize())

// tooLarge is the problem of n entries, of size bytes each or more, that are more than one map may have.
func (c *compiler) tooLarge(n, size, all int64) {
	c.full = true
	c.problems.reason = v1alpha1.ReasonTooLarge
	c.problems.add("spec.entries", "%s of %d bytes each take %d bytes, more than the %d that one map may have", text.Count(n, "entry", "entries"), size, all, maxEntriesBytes)
}

// place is where an entry of the group was declared.
func (g group) place(origin int) string {
	if g.source == nil {
		return at(origin, ".key")
	}
	return fmt.Sprintf("%s line %d", g.source.place(), origin)
}

// placeOf is where entry i was declared, within a sentence about the same spec.
func (b *builder) placeOf(i int) string {
	n := len(b.groups) - 1
	for b.groups[n].first > i {
		n--
	}
	if b.groups[n].source == nil {
		return fmt.Sprintf("entries[%d]", b.origins[i])
	}
	return b.groups[n].place(int(b.origins[i]))
}

// sourcesToo says where entries come from, if not from the spec alone.
func (b *builder) sourcesToo() string {
	if n := len(b.groups) - 1; n > 0 {
		return ", with those of " + text.Count(n, "source", "sources")
	}
	return ""
}

// rangesToo says that there are more entries than were written.
func (b *builder) rangesToo() string {
	if b.ranged {
		return ", as a range takes one for each of its prefixes"
	}
	return ""
}
