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

// entries packs and sorts the declared entries and finds duplicates.
func (c *compiler) entries(shape revision.Shape, key, value *schema.Layout) revision.Entries {
	declared := c.spec.Entries
	if int64(len(declared)) > c.spec.MaxEntries {
		c.problems.add("spec.entries", "holds %d entries, more than maxEntries %d", len(declared), c.spec.MaxEntries)
		return revision.Entries{}
	}
	packed := revision.Entries{
		KeySize: int(shape.KeySize), ValueSize: int(shape.ValueSize),
		Keys: make([]byte, 0, len(declared)*int(shape.KeySize)),
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
	if c.problems.total > 0 {
		return revision.Entries{}
	}
	sorted, order := packed.Sorted(shape)
	c.checkDuplicates(shape, &sorted, order, key)
	return sorted
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
	switch {
	case shape.IsArray():
		if index := binary.NativeEndian.Uint32(k); index >= shape.MaxEntries {
			c.problems.add(at(i, ".key"), "index %d is out of range (0…%d): maxEntries is %d", index, shape.MaxEntries-1, shape.MaxEntries)
		}
	case shape.IsLPM():
		c.checkPrefix(i, k)
	}
	return k
}

// checkPrefix checks an LPM key that was given in hex; typed prefixes can't fail it.
func (c *compiler) checkPrefix(i int, k []byte) {
	bits, most := binary.NativeEndian.Uint32(k), uint32(8*(len(k)-4))
	if bits > most {
		c.problems.add(at(i, ".key"), "prefix length %d is out of range (0…%d)", bits, most)
		return
	}
	masked := append([]byte(nil), k...)
	revision.MaskPrefix(masked)
	if string(masked) != string(k) {
		c.problems.add(at(i, ".key"), "%x has bits set behind its prefix length %d (did you mean %x?)", k, bits, masked)
	}
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

// checkDuplicates names both places of keys that are equal once encoded, such as 10 and 0xa.
func (c *compiler) checkDuplicates(shape revision.Shape, sorted *revision.Entries, order []int, key *schema.Layout) {
	if shape.IsKeyless() {
		return
	}
	for i := 1; i < sorted.Len; i++ {
		if shape.CompareKeys(sorted.Key(i-1), sorted.Key(i)) == 0 {
			c.problems.add(at(order[i], ".key"), "is the same key as entries[%d]: %s", order[i-1], key.Format(sorted.Key(i)))
		}
	}
}
