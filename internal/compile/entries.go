// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package compile

import (
	"encoding/binary"
	"fmt"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"

	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
	"github.com/bpfmap-io/bpfmap-operator/internal/schema"
)

// entries packs and sorts the entries of the spec and of its sources, and settles duplicates.
func (c *compiler) entries(shape revision.Shape, key, value *schema.Layout) revision.Entries {
	if shape.IsFilledAtRuntime() {
		if n := len(c.spec.Entries) + len(c.spec.EntriesFrom); n > 0 {
			c.problems.add("spec.entries", "what a %s holds is put in by programs and processes: leave out entries and entriesFrom", shape.Type)
		}
		return revision.Entries{KeySize: int(shape.KeySize), ValueSize: int(shape.ValueSize)}
	}
	all := c.inline(shape, key, value)
	runs := c.fromSources(shape, key, value)
	if c.problems.total > 0 || c.unread != nil {
		return revision.Entries{}
	}
	for _, r := range runs {
		all.AppendAll(&r.entries)
	}
	sorted, order := all.Sorted(shape)
	sorted = c.settleDuplicates(shape, &sorted, order, key, runs)
	if uint32(sorted.Len) > shape.MaxEntries {
		c.problems.add("spec.maxEntries", "%d is less than the %d entries that are declared%s", shape.MaxEntries, sorted.Len, sourcesToo(runs))
	}
	return sorted
}

// inline packs the entries of the spec, in their order.
func (c *compiler) inline(shape revision.Shape, key, value *schema.Layout) revision.Entries {
	declared := c.spec.Entries
	packed := revision.Entries{
		KeySize: int(shape.KeySize), ValueSize: int(shape.ValueSize),
		Keys: make([]byte, 0, len(declared)*int(shape.KeySize)),
	}
	if int64(len(declared)) > c.spec.MaxEntries {
		c.problems.add("spec.entries", "holds %d entries, more than maxEntries %d", len(declared), c.spec.MaxEntries)
		return packed
	}
	for i := range declared {
		e := &declared[i]
		k := c.entryKey(i, e.Key, shape, key)
		switch {
		case e.Value != nil && e.Values != nil:
			c.problems.add(at(i, ""), "value and values exclude each other")
		case e.Values != nil:
			packed.Append(k, c.perCPUValues(i, e.Values, shape, value), true)
		case e.Value != nil:
			packed.Append(k, c.encode(at(i, ".value"), value, e.Value), false)
		default:
			c.problems.add(at(i, ".value"), "is missing")
		}
	}
	return packed
}

// at is a place in the declared entries.
func at(i int, suffix string) string { return fmt.Sprintf("spec.entries[%d]%s", i, suffix) }

// encode is the bytes of one value; zeros after a problem.
func (c *compiler) encode(path string, l *schema.Layout, raw *apiextensionsv1.JSON) []byte {
	b := make([]byte, l.Size())
	if err := l.Encode(b, raw.Raw); err != nil {
		c.problems.addAt(path, err)
	}
	return b
}

func (c *compiler) entryKey(i int, raw *apiextensionsv1.JSON, shape revision.Shape, key *schema.Layout) []byte {
	switch {
	case shape.IsKeyless() && raw != nil:
		c.problems.add(at(i, ".key"), "%s has no keys: leave it out", shape.Type)
		return nil
	case shape.IsKeyless():
		return nil
	case raw == nil:
		c.problems.add(at(i, ".key"), "is missing")
		return make([]byte, shape.KeySize)
	}
	k := c.encode(at(i, ".key"), key, raw)
	if message := keyProblem(shape, k); message != "" {
		c.problems.add(at(i, ".key"), "%s", message)
	}
	return k
}

// keyProblem is what is wrong with an encoded key for its type; empty if nothing is.
func keyProblem(shape revision.Shape, k []byte) string {
	switch {
	case shape.IsIndexed():
		if index := binary.NativeEndian.Uint32(k); index >= shape.MaxEntries {
			return fmt.Sprintf("index %d is out of range (0…%d): maxEntries is %d", index, shape.MaxEntries-1, shape.MaxEntries)
		}
	case shape.IsLPM():
		return prefixProblem(k)
	}
	return ""
}

// prefixProblem checks an LPM key that was given in hex; typed prefixes can't fail it.
func prefixProblem(k []byte) string {
	bits, most := binary.NativeEndian.Uint32(k), uint32(8*(len(k)-4))
	if bits > most {
		return fmt.Sprintf("prefix length %d is out of range (0…%d)", bits, most)
	}
	if revision.IsMasked(k) {
		return ""
	}
	masked := append([]byte(nil), k...)
	revision.MaskPrefix(masked)
	return fmt.Sprintf("%x has bits set behind its prefix length %d (did you mean %x?)", k, bits, masked)
}

func (c *compiler) perCPUValues(i int, raw []apiextensionsv1.JSON, shape revision.Shape, value *schema.Layout) []byte {
	if !shape.IsPerCPU() {
		c.problems.add(at(i, ".values"), "%s has one value for all CPUs: use value", shape.Type)
		return make([]byte, value.Size())
	}
	var all []byte
	for cpu := range raw {
		all = append(all, c.encode(at(i, fmt.Sprintf(".values[%d]", cpu)), value, &raw[cpu])...)
	}
	return all
}
