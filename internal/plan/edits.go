// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package plan

import "iter"

// Sign is what happens to an element.
type Sign byte

// The signs.
const (
	Added   Sign = '+'
	Changed Sign = '~'
	Deleted Sign = '-'
)

// Edit is one changed element. Its slices are valid until the next one.
type Edit struct {
	Sign Sign
	// Key is nil for types without keys.
	Key []byte
	// From is the value that was found, nil where it wasn't noted and for one that is added. To is the value that the
	// element gets, with what programs own as it was found; nil for one that is deleted.
	From, To []byte
}

// Edits are all changes of elements: first those that are added, then those that are changed, what is zeroed among them,
// and last those that are deleted, each in the order of their keys.
func (c *Changes) Edits() iter.Seq[Edit] {
	return func(yield func(Edit) bool) {
		if c.Contents == nil {
			return
		}
		found := c.found()
		_ = c.yieldAdded(yield) && c.yieldChanged(found, yield) && c.yieldDeleted(found, yield)
	}
}

// found are the values that were noted, by their keys.
func (c *Changes) found() map[string][]byte {
	found := make(map[string][]byte, len(c.Found))
	for _, e := range c.Found {
		found[string(e.Key)] = e.Value
	}
	return found
}

// keyOf is the key of a declared entry, nil for types without keys.
func (c *Changes) keyOf(i int) []byte {
	if c.Contents.KeySize() == 0 {
		return nil
	}
	return c.Contents.Key(i)
}

func (c *Changes) yieldAdded(yield func(Edit) bool) bool {
	var to []byte
	for i := range c.Ordered(&c.Insert) {
		to = c.Contents.AppendValue(to[:0], i)
		if !yield(Edit{Sign: Added, Key: c.keyOf(i), To: to}) {
			return false
		}
	}
	return true
}

func (c *Changes) yieldChanged(found map[string][]byte, yield func(Edit) bool) bool {
	change := func(key, to []byte) bool {
		e := Edit{Sign: Changed, Key: key, To: to}
		if from, ok := found[string(key)]; ok && key != nil {
			e.From, e.To = from, c.Mask.Merge(nil, to, from)
		}
		return yield(e)
	}
	// What is zeroed comes where its key belongs.
	zero, size := c.Zero, c.Contents.KeySize()
	zeros := func(before []byte) bool {
		for len(zero) > 0 && (before == nil || c.Shape.CompareKeys(zero[:size], before) < 0) {
			if !change(zero[:size], make([]byte, c.Contents.ValueSize())) {
				return false
			}
			zero = zero[size:]
		}
		return true
	}
	var to []byte
	for i := range c.Ordered(&c.Update) {
		if len(zero) > 0 && !zeros(c.Contents.Key(i)) {
			return false
		}
		to = c.Contents.AppendValue(to[:0], i)
		if !change(c.keyOf(i), to) {
			return false
		}
	}
	return zeros(nil)
}

func (c *Changes) yieldDeleted(found map[string][]byte, yield func(Edit) bool) bool {
	size := c.Contents.KeySize()
	for i := range c.Deletes() {
		key := c.Delete[i*size : (i+1)*size]
		if !yield(Edit{Sign: Deleted, Key: key, From: found[string(key)]}) {
			return false
		}
	}
	return true
}
