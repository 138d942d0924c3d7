// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"iter"
	"maps"
	"slices"
	"sort"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/ownership"
	"github.com/bpfmap-io/bpfmap-operator/internal/plan"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
	"github.com/bpfmap-io/bpfmap-operator/internal/schema"
	"github.com/bpfmap-io/bpfmap-operator/internal/text"
)

// contents are a revision's entries as this node's kernel shows them, see plan.Contents. Values are resolved
// and spread over the CPUs each time that they are asked for, so that they are never all in memory.
type contents struct {
	shape  revision.Shape
	from   *revision.Contents
	cpus   int
	stride int // of a value on this node

	targets    *targets
	valueLinks []schema.ReferenceField

	// keys and order are there if keys name something: the resolved keys, packed and sorted, and the entry of
	// the revision that each belongs to. Entries whose keys name something absent are left out.
	keys  []byte
	order []int

	// pending are the entries whose values name something absent. waiting is how many entries name something
	// absent at all, and waits what, sorted.
	pending plan.Set
	waiting int
	waits   []string
}

// newContents resolves a revision.
func newContents(rev *revision.Revision, cpus int, found *targets) (*contents, error) {
	c := &contents{shape: rev.Shape, from: &rev.Contents, cpus: cpus, stride: plan.Stride(rev.Shape, cpus), targets: found}
	if err := c.checkCPUs(); err != nil {
		return nil, err
	}
	if len(rev.References) == 0 {
		return c, nil
	}
	keyLinks, err := linksOf(rev.KeySchema)
	if err != nil {
		return nil, err
	}
	if c.valueLinks, err = linksOf(&rev.ValueSchema); err != nil {
		return nil, err
	}
	absent := map[string]bool{}
	if len(keyLinks) > 0 {
		if err := c.resolveKeys(rev.KeySchema, keyLinks, absent); err != nil {
			return nil, err
		}
	}
	if err := c.findPending(absent); err != nil {
		return nil, err
	}
	c.waits = slices.Sorted(maps.Keys(absent))
	return c, nil
}

// linksOf are the places of names in a key or value.
func linksOf(s *v1alpha1.Schema) ([]schema.ReferenceField, error) {
	if s == nil {
		return nil, nil
	}
	layout, err := schema.New(s)
	if err != nil {
		return nil, &Error{v1alpha1.NodeReasonInvalidRevision, err}
	}
	return layout.References(), nil
}

// checkCPUs refuses entries that list values for another number of CPUs.
func (c *contents) checkCPUs() error {
	if !c.shape.IsPerCPU() {
		return nil
	}
	for n, part := range c.from.Parts() {
		for _, i := range slices.Sorted(maps.Keys(part.PerCPU)) {
			if each := part.PerCPU[i]; len(each) != c.cpus*c.from.ValueSize {
				return &Error{v1alpha1.NodeReasonInvalidRevision, fmt.Errorf("entry %d lists the values of %s, this node has %s",
					c.from.Start(n)+i, text.Count(len(each)/c.from.ValueSize, "CPU", "CPUs"), text.Count(c.cpus, "possible CPU", "possible CPUs"))}
			}
		}
	}
	return nil
}

// resolveKeys finds the keys of this node and their order.
func (c *contents) resolveKeys(s *v1alpha1.Schema, fields []schema.ReferenceField, absent map[string]bool) error {
	size := c.from.KeySize
	resolved := make([]byte, 0, c.from.Len*size)
	entries := make([]int, 0, c.from.Len) // by place in resolved
	for i := range c.from.Len {
		resolved = append(resolved, c.from.Key(i)...)
		there, err := c.targets.resolve(fields, resolved[len(resolved)-size:], false, absent)
		if err != nil {
			return err
		}
		if !there {
			resolved = resolved[:len(resolved)-size]
			c.waiting++
			if err := c.noteAbsent(i, absent); err != nil {
				return err
			}
			continue
		}
		entries = append(entries, i)
	}
	key := func(at int) []byte { return resolved[at*size : (at+1)*size] }
	places := make([]int, len(entries))
	for i := range places {
		places[i] = i
	}
	slices.SortFunc(places, func(a, b int) int { return c.shape.CompareKeys(key(a), key(b)) })
	c.keys, c.order = make([]byte, 0, len(resolved)), make([]int, 0, len(entries))
	for n, at := range places {
		if n > 0 && bytes.Equal(key(places[n-1]), key(at)) {
			return &Error{v1alpha1.NodeReasonInvalidReference, fmt.Errorf("two entries have the same key %s on this node: both names resolve to the same object", keyText(s, key(at)))}
		}
		c.keys, c.order = append(c.keys, key(at)...), append(c.order, entries[at])
	}
	return nil
}

// keyText is a key as people read it.
func keyText(s *v1alpha1.Schema, key []byte) string {
	layout, err := schema.New(s)
	if err != nil {
		return hex.EncodeToString(key)
	}
	return layout.Format(key)
}

// noteAbsent notes what the value of an entry of the revision names that is absent.
func (c *contents) noteAbsent(entry int, absent map[string]bool) error {
	_, err := c.resolveValue(c.raw(nil, entry), absent)
	return err
}

// findPending finds the entries whose values name something absent.
func (c *contents) findPending(absent map[string]bool) error {
	if len(c.valueLinks) == 0 {
		return nil
	}
	var value []byte // scratch
	for i := range c.Len() {
		value = c.raw(value[:0], c.entry(i))
		there, err := c.resolveValue(value, absent)
		if err != nil {
			return err
		}
		if !there {
			c.pending.Add(i)
			c.waiting++
		}
	}
	return nil
}

// raw appends the value of an entry of the revision, or the values of all CPUs that it lists.
func (c *contents) raw(dst []byte, entry int) []byte {
	if each, listed := c.from.PerCPU(entry); listed {
		return append(dst, each...)
	}
	return append(dst, c.from.Value(entry)...)
}

// resolveValue replaces the symbols in a raw value.
func (c *contents) resolveValue(value []byte, absent map[string]bool) (there bool, err error) {
	there = true
	for at := 0; at < len(value); at += c.from.ValueSize {
		all, err := c.targets.resolve(c.valueLinks, value[at:at+c.from.ValueSize], false, absent)
		if err != nil {
			return false, err
		}
		there = there && all
	}
	return there, nil
}

// entry is the entry of the revision that entry i is.
func (c *contents) entry(i int) int {
	if c.order != nil {
		return c.order[i]
	}
	return i
}

// Len is how many entries there are.
func (c *contents) Len() int {
	if c.order != nil {
		return len(c.order)
	}
	return c.from.Len
}

// KeySize is 0 for keyless maps.
func (c *contents) KeySize() int { return c.from.KeySize }

// ValueSize is that of all CPUs' values together.
func (c *contents) ValueSize() int { return c.stride }

// IsPending says whether entry i names something absent.
func (c *contents) IsPending(i int) bool { return c.pending.Has(i) }

// Find is the entry with a key.
func (c *contents) Find(key []byte) (i int, ok bool) {
	if c.order == nil {
		return c.from.Find(c.shape, key)
	}
	return sort.Find(len(c.order), func(i int) int { return c.shape.CompareKeys(key, c.Key(i)) })
}

// Key is the key of entry i.
func (c *contents) Key(i int) []byte {
	if c.order != nil {
		return c.keys[i*c.from.KeySize : (i+1)*c.from.KeySize]
	}
	return c.from.Key(i)
}

// AppendValue appends the value of entry i as readers see it.
func (c *contents) AppendValue(dst []byte, i int) []byte { return c.append(dst, i, false) }

// appendWrite appends the value of entry i as the kernel takes it: where it takes file descriptors, those
// and not the ids that it shows.
func (c *contents) appendWrite(dst []byte, i int) []byte { return c.append(dst, i, c.shape.TakesFDs()) }

func (c *contents) append(dst []byte, i int, write bool) []byte {
	entry := c.entry(i)
	if !c.shape.IsPerCPU() {
		return c.appendOne(dst, c.from.Value(entry), c.stride, write)
	}
	each, listed := c.from.PerCPU(entry)
	for cpu := range c.cpus {
		value := c.from.Value(entry)
		if listed {
			value = each[cpu*c.from.ValueSize : (cpu+1)*c.from.ValueSize]
		}
		dst = c.appendOne(dst, value, c.stride/c.cpus, write)
	}
	return dst
}

// appendOne appends one CPU's value, with zeros up to the size of its slot.
func (c *contents) appendOne(dst, value []byte, slot int, write bool) []byte {
	at := len(dst)
	dst = append(dst, value...)
	if len(c.valueLinks) > 0 {
		// Every symbol is known since newContents; pending entries are never written.
		_, _ = c.targets.resolve(c.valueLinks, dst[at:], write, nil)
	}
	for len(dst) < at+slot {
		dst = append(dst, 0)
	}
	return dst
}

// InOrder yields all entries in the order of their keys.
func (c *contents) InOrder() iter.Seq[int] {
	if c.order == nil {
		return c.from.InOrder(c.shape)
	}
	return span(0, len(c.order))
}

// span yields the numbers from one up to, but not including, another.
func span(from, to int) iter.Seq[int] {
	return func(yield func(int) bool) {
		for i := from; i < to; i++ {
			if !yield(i) {
				return
			}
		}
	}
}

// Unlike yields the entries that may differ from those of other contents: those of parts that changed, if
// names stand for the same in both.
func (c *contents) Unlike(other plan.Contents) (here, there iter.Seq[int]) {
	if o, ok := other.(*contents); ok && c.order == nil && o.order == nil && c.targets.trace == o.targets.trace {
		if parts, known := c.from.Changed(o.from); known {
			return inParts(c.from, parts), inParts(o.from, parts)
		}
	}
	return span(0, c.Len()), span(0, other.Len())
}

// inParts yields the entries of some parts.
func inParts(c *revision.Contents, parts []int) iter.Seq[int] {
	return func(yield func(int) bool) {
		for _, n := range parts {
			for i := range c.Parts()[n].Len {
				if !yield(c.Start(n) + i) {
					return
				}
			}
		}
	}
}

// packedKeys are the keys of all entries in bytewise order, without those of pending ones unless they are asked for.
func (c *contents) packedKeys(pending bool) []byte {
	keys := make([]byte, 0, c.Len()*c.KeySize())
	for i := range c.InOrder() {
		if pending || !c.IsPending(i) {
			keys = append(keys, c.Key(i)...)
		}
	}
	return ownership.SortKeys(c.KeySize(), keys)
}
