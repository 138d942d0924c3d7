// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package compile

import (
	"fmt"
	"slices"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
	"github.com/bpfmap-io/bpfmap-operator/internal/schema"
	"github.com/bpfmap-io/bpfmap-operator/internal/text"
)

// entries packs the entries of the spec and of its sources, each key once.
func (c *compiler) entries(shape revision.Shape) revision.Entries {
	none := revision.Entries{KeySize: int(shape.KeySize), ValueSize: int(shape.ValueSize)}
	if shape.IsFilledAtRuntime() {
		if n := len(c.spec.Entries) + len(c.spec.EntriesFrom); n > 0 {
			c.problems.add("spec.entries", "the elements of a %s are created at run time: entries and entriesFrom are not allowed", shape.Type)
		}
		return none
	}
	b := newBuilder(c, shape)
	if !c.checkBounds(b) {
		return none
	}
	c.inline(b)
	c.fromSources(b)
	if c.problems.total == 0 && b.duplicates.total > 0 {
		c.problems = b.duplicates
		c.problems.reason = v1alpha1.ReasonInvalidEntry
	}
	if c.problems.total == 0 && c.unread == nil {
		c.remember()
	}
	if c.problems.total == 0 && c.unread == nil {
		c.reduce(b)
	}
	if c.problems.total > 0 || c.unread != nil {
		return none
	}
	b.index, b.origins, b.expiries, b.owners = keyIndex{}, nil, nil, nil
	return b.blocks.join()
}

// checkBounds refuses entries that are too large, or too many of the spec, before any of them is encoded.
func (c *compiler) checkBounds(b *builder) bool {
	n, size, first := int64(len(c.spec.Entries)), b.blocks.packedBytes(0), "spec.entries[0]"
	if n == 0 {
		first = "spec.entriesFrom[0]"
	}
	switch {
	case n == 0 && len(c.spec.EntriesFrom) == 0:
		return true
	case n > c.spec.MaxEntries:
		c.problems.add("spec.entries", "holds %d entries, more than maxEntries %d", n, c.spec.MaxEntries)
	case n*size > maxEntriesBytes-packedHeader:
		c.tooLarge(n, size, n*size)
	case !c.fitsChunk(first, &b.blocks, 0): // and so does none
	default:
		return true
	}
	return false
}

// fitsChunk refuses an entry that no chunk has room for, with values for some CPUs or, if cpus is 0, one for all.
func (c *compiler) fitsChunk(path string, b *blocks, cpus int) bool {
	size, parts := b.packedBytes(cpus*b.valueSize), fmt.Sprintf("key %d, value %d", b.keySize, b.valueSize)
	if size <= v1alpha1.MaxChunkBytes-packedHeader {
		return true
	}
	if cpus > 0 {
		parts = fmt.Sprintf("key %d, values of %s %d each", b.keySize, text.Count(cpus, "CPU", "CPUs"), b.valueSize)
	}
	c.problems.reason = v1alpha1.ReasonTooLarge
	c.problems.add(path, "an entry takes %d bytes (%s), more than the %d that one entry may take", size, parts, v1alpha1.MaxChunkBytes-packedHeader)
	return false
}

// inline packs the entries of the spec, in their order.
func (c *compiler) inline(b *builder) {
	b.begin(nil, nil)
	p := newPacker(b)
	for i := range c.spec.Entries {
		if c.problems.total >= maxCounted || c.isFull() {
			return
		}
		if err := p.inline(i, &c.spec.Entries[i]); err != nil {
			return
		}
	}
}

// at is a place in the declared entries.
func at(i int, suffix string) string { return fmt.Sprintf("spec.entries[%d]%s", i, suffix) }

// packer encodes entries into a builder, all of them in the same memory.
type packer struct {
	*builder
	key, value, values []byte
	keys               schema.Keys // of the declared one, behind key
}

func newPacker(b *builder) packer {
	return packer{builder: b, key: make([]byte, b.shape.KeySize), value: make([]byte, b.shape.ValueSize)}
}

// inline packs entry i of the spec.
func (p *packer) inline(i int, e *v1alpha1.Entry) error {
	c := p.c
	before := c.problems.total
	p.inlineKey(i, e.Key)
	values, perCPU := p.value, e.Values != nil
	switch {
	case e.Value != nil && perCPU:
		c.problems.add(at(i, ""), "value and values exclude each other")
	case perCPU && !p.shape.IsPerCPU():
		c.problems.add(at(i, ".values"), "%s has one value for all CPUs: use value", p.shape.Type)
	case perCPU && c.fitsChunk(at(i, ".values"), &p.blocks, len(e.Values)):
		values = p.room(len(e.Values))
		for cpu := range e.Values {
			if err := c.value.Encode(p.ofCPU(cpu), e.Values[cpu].Raw); err != nil {
				c.problems.addAt(at(i, fmt.Sprintf(".values[%d]", cpu)), err)
			}
		}
	case perCPU:
	default:
		p.inlineValue(i, e.Value)
	}
	if c.problems.total > before {
		return nil
	}
	return p.addAll(values, perCPU, i)
}

// inlineValue encodes the value of entry i of the spec, or what the schema has in its place.
func (p *packer) inlineValue(i int, declared *apiextensionsv1.JSON) {
	clear(p.value)
	var err error
	if declared == nil {
		err = p.c.value.EncodeDefault(p.value)
	} else {
		err = p.c.value.Encode(p.value, declared.Raw)
	}
	if err != nil {
		p.c.problems.addAt(at(i, ".value"), err)
	}
}

// addAll adds the encoded entry under each key that the declared one stands for. It stops at the first that another
// entry has: the others would say the same.
func (p *packer) addAll(values []byte, perCPU bool, origin int) error {
	before := p.duplicates.total
	for {
		if err := p.add(p.key, values, perCPU, origin); err != nil || p.duplicates.total > before {
			return err
		}
		if !p.keys.Next(p.key) {
			return nil
		}
		p.ranged = true
	}
}

// room makes p.values hold n values, of zeros.
func (p *packer) room(n int) []byte {
	size := n * len(p.value)
	p.values = slices.Grow(p.values[:0], size)[:size]
	clear(p.values)
	return p.values
}

// ofCPU is the place of one CPU's value in p.values.
func (p *packer) ofCPU(cpu int) []byte { return p.values[cpu*len(p.value) : (cpu+1)*len(p.value)] }

func (p *packer) inlineKey(i int, raw *apiextensionsv1.JSON) {
	c := p.c
	switch {
	case p.isKeyless && raw != nil:
		c.problems.add(at(i, ".key"), "%s has no keys: leave it out", p.shape.Type)
		return
	case p.isKeyless:
		return
	case raw == nil:
		c.problems.add(at(i, ".key"), "is missing")
		return
	}
	clear(p.key)
	var err error
	if p.keys, err = c.key.EncodeKeys(p.key, raw.Raw, schema.Reading{}); err != nil {
		c.problems.addAt(at(i, ".key"), err)
		return
	}
	if message := p.keyProblem(); message != "" {
		c.problems.add(at(i, ".key"), "%s", message)
	}
}
