// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"fmt"
	"iter"
	"slices"
	"strings"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
)

// Changes are what makes a map hold what is declared.
type Changes struct {
	// Contents are the declared entries, and Shape their map's; nil if nothing was compared.
	Contents Contents
	Shape    revision.Shape
	// Mask are the declared bits of a value: what Update and Zero write. Nil are all of them.
	Mask Mask
	// Insert are the entries that the map lacks, Update those that have another value there.
	Insert, Update Set
	// Delete are packed keys to delete, and Zero those of array elements to be zeroed: an array can't lose
	// an element. Both are in the order of the shape, each key once.
	Delete, Zero []byte
	// Before is how many elements the map holds before the changes.
	Before Count
	// Foreign is how many elements stay though nobody declared them, or the declared entry is pending.
	Foreign int
	// Discards is how many of Delete and Zero are elements that no revision declared: those of others, which Mirror
	// deletes.
	Discards int
	// Incomplete says that elements may have been missed: Insert may have some that are there.
	Incomplete bool

	// Found are some of the elements that differ, as the map holds them: if there was a Base, of those that
	// others changed.
	Found []Element
	// Kept is what would undo what others changed and this revision doesn't; it isn't done. Nil if there was no
	// Base.
	Kept *Changes
	// Overwritten is how many of the changes undo what others changed since the Base.
	Overwritten int
}

// Element is one element of a map: its packed key, and its value as the kernel gives it.
type Element struct{ Key, Value []byte }

// keepNothing says that a new map gets what is declared: what others changed stays in the old one.
func (c *Changes) keepNothing() {
	if c.Kept == nil {
		return
	}
	c.Overwritten += c.Kept.Total()
	none := Changes{Contents: c.Contents, Shape: c.Shape, Mask: c.Mask}
	c.Kept = &none
}

// Keeps says that others' changes stay.
func (c *Changes) Keeps() bool { return c.Kept != nil && !c.Kept.IsEmpty() }

// Count is how many elements a map holds, and how that is known.
type Count struct {
	N     int64
	Basis Basis
}

// Basis is why a count is believed.
type Basis int

// The bases of counts.
const (
	// Unknown counts are not believed: elements were missed, or the kernel evicts some by itself.
	Unknown Basis = iota
	// Assumed counts are right unless others wrote to the map since it was compared.
	Assumed
	// Counted elements were seen or written by this run.
	Counted
)

// After is how many elements the map holds after the changes.
func (c *Changes) After() Count {
	return Count{c.Before.N + int64(c.Insert.Len()) - int64(c.Deletes()), c.Before.Basis}
}

// IsEmpty says that there is nothing to do.
func (c *Changes) IsEmpty() bool {
	return c.Insert.Len() == 0 && c.Updates() == 0 && len(c.Delete) == 0
}

// Updates is how many elements get another value, those that are zeroed among them.
func (c *Changes) Updates() int { return c.Update.Len() + c.keys(c.Zero) }

// Deletes is how many keys are to be deleted.
func (c *Changes) Deletes() int { return c.keys(c.Delete) }

// Total is how many elements are changed.
func (c *Changes) Total() int { return c.Insert.Len() + c.Updates() + c.Deletes() }

// keys is how many keys are packed.
func (c *Changes) keys(packed []byte) int {
	if len(packed) == 0 {
		return 0
	}
	return len(packed) / c.Contents.KeySize()
}

// sparse is how much fewer entries than all a set has if it is sorted rather than picked out of all.
const sparse = 16

// Ordered yields the entries of a set of c's in the order of their keys; keyless ones in their own.
func (c *Changes) Ordered(s *Set) iter.Seq[int] {
	switch {
	case s.n == 0 || c.Shape.IsKeyless():
		return s.All()
	case s.n > c.Contents.Len()/sparse:
		return func(yield func(int) bool) {
			for i := range c.Contents.InOrder() {
				if s.Has(i) && !yield(i) {
					return
				}
			}
		}
	}
	return slices.Values(slices.SortedFunc(s.All(), func(i, j int) int {
		return c.Shape.CompareKeys(c.Contents.Key(i), c.Contents.Key(j))
	}))
}

// Summary counts the changes: "2 entries missing, 1 changed, 3 to delete".
func (c *Changes) Summary() string {
	var parts []string
	for _, n := range []struct {
		count int
		what  string
	}{{c.Insert.Len(), "missing"}, {c.Updates(), "changed"}, {c.Deletes(), "to delete"}} {
		if n.count > 0 {
			noun := ""
			if len(parts) == 0 {
				noun = "entries "
				if n.count == 1 {
					noun = "entry "
				}
			}
			parts = append(parts, fmt.Sprintf("%d %s%s", n.count, noun, n.what))
		}
	}
	if len(parts) == 0 {
		return "no changes"
	}
	return strings.Join(parts, ", ")
}

// Fill is what fills an empty new map: everything, but what was seeded into the one before.
func Fill(want DesiredContents) Changes {
	c := none(want)
	c.Insert = written(want)
	if want.Sync == v1alpha1.SyncSeed && want.Owned != nil {
		all := c.Insert
		c.Insert = NewSet(want.Len())
		for i := range all.All() {
			if !want.owns(want.Key(i)) {
				c.Insert.Add(i)
			}
		}
	}
	if !want.Shape.IsLRU() {
		c.Before.Basis = Counted
	}
	return c
}

// BlindWrite is what brings a map that nobody can list to what is wanted: everything is written again, and
// what was ours is deleted.
func BlindWrite(want DesiredContents) Changes {
	c := none(want)
	c.Update = written(want)
	if want.Owned == nil {
		return c
	}
	for key := range want.Owned.All() {
		if _, declared := want.Find(key); !declared {
			c.Delete = append(c.Delete, key...)
		}
	}
	return c
}

// Between is what brings a map that holds had, and maybe elements of others, to what is wanted. Nothing is
// read, and only those entries are compared that may differ. For maps whose keys are always there, what
// leaves the declaration becomes zero. before is how many elements the map is assumed to hold, nil if nobody
// knows.
func Between(want DesiredContents, had Contents, before *int64) Changes {
	c := none(want)
	if before != nil {
		c.Before = Count{*before, Assumed}
	}
	var is, was []byte // scratch for values
	now, then := want.Unlike(had)
	for i := range now {
		if want.IsPending(i) {
			continue
		}
		j, there := had.Find(want.Key(i))
		switch {
		case there:
			is, was = want.AppendValue(is[:0], i), had.AppendValue(was[:0], j)
			if !want.Mask.Same(is, was) {
				c.Update.Add(i)
			}
		case want.Shape.IsArray():
			c.Update.Add(i)
		default:
			c.Insert.Add(i)
		}
	}
	for j := range then {
		key := had.Key(j)
		if _, declared := want.Find(key); declared {
			continue
		}
		if want.Shape.IsArray() {
			c.Zero = append(c.Zero, key...)
		} else {
			c.Delete = append(c.Delete, key...)
		}
	}
	c.Zero, c.Delete = sortedKeys(want, c.Zero), sortedKeys(want, c.Delete)
	return c
}

// none are empty changes.
func none(want DesiredContents) Changes {
	return Changes{Contents: want.Contents, Shape: want.Shape, Mask: want.Mask}
}

// written are all entries that can be written.
func written(want DesiredContents) Set {
	all := NewSet(want.Len())
	for i := range want.Len() {
		if !want.IsPending(i) {
			all.Add(i)
		}
	}
	return all
}

// ValueSize is how many bytes a value has on this node, 0 if nothing was compared.
func (c *Changes) ValueSize() int {
	if c.Contents == nil {
		return 0
	}
	return c.Contents.ValueSize()
}
