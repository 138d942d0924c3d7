// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"bytes"
	"slices"
	"sort"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
)

// Desired is what a map is to hold on this node.
type Desired struct {
	Shape revision.Shape
	Sync  v1alpha1.SyncPolicy
	// Entries are sorted and linked: each value has as many bytes as the kernel takes.
	Entries revision.Entries
	// Owned are the keys that an earlier revision declared, packed and sorted. What is in Owned and
	// not in Entries was ours and is to go; Merge leaves every other key alone.
	Owned []byte
	// Held are the keys, packed and sorted, of entries that wait for what their values name. What is at
	// them stays as it is.
	Held []byte
}

// Differ compares what a map holds with what it is to hold. Elements are added in any order, also
// more than once; nothing is allocated for elements that are as they should be.
type Differ struct {
	want    Desired
	seen    []uint64 // one bit for each desired entry
	keySize int
	changes Changes
	mask    []byte // scratch for masked LPM keys
}

// Changes are what makes a map hold what is declared.
type Changes struct {
	// Add are the declared entries that aren't there, Set those that have another value (and, in
	// arrays, the elements to be zeroed), both in the order of the shape.
	Add, Set revision.Entries
	// Delete are the packed keys to delete.
	Delete []byte
	// Observed is how many elements were seen, Foreign how many of them stay though nobody declared
	// them.
	Observed, Foreign int
	// Incomplete says that elements may have been missed: Add may hold some that are there.
	Incomplete bool
}

// IsEmpty says that there is nothing to do.
func (c *Changes) IsEmpty() bool { return c.Add.Len == 0 && c.Set.Len == 0 && len(c.Delete) == 0 }

// Deletes is how many keys are to be deleted.
func (c *Changes) Deletes() int {
	if c.Add.KeySize == 0 {
		return 0
	}
	return len(c.Delete) / c.Add.KeySize
}

// NewDiffer starts a comparison. Keyless maps can't be compared.
func NewDiffer(want Desired) *Differ {
	return &Differ{
		want: want, keySize: want.Entries.KeySize,
		seen:    make([]uint64, (want.Entries.Len+63)/64),
		changes: Changes{Add: none(want.Entries), Set: none(want.Entries)},
		mask:    make([]byte, want.Entries.KeySize),
	}
}

// Add takes a batch of elements that the map holds: packed keys, and packed values as the kernel
// gives them.
func (d *Differ) Add(keys, values []byte) {
	valueSize := d.want.Entries.ValueSize
	for len(keys) > 0 {
		d.add(keys[:d.keySize], values[:valueSize])
		keys, values = keys[d.keySize:], values[valueSize:]
	}
}

func (d *Differ) add(key, value []byte) {
	if d.want.Shape.IsLPM() {
		copy(d.mask, key)
		revision.MaskPrefix(d.mask)
		key = d.mask
	}
	d.changes.Observed++
	i, declared := d.want.Entries.Find(d.want.Shape, key)
	switch {
	case declared:
		d.seen[i/64] |= 1 << (i % 64)
		if d.want.Sync != v1alpha1.SyncSeed && !bytes.Equal(value, d.want.Entries.Value(i)) {
			d.changes.Set.Append(key, d.want.Entries.Value(i), false)
		}
	case !d.surplus(key):
		d.changes.Foreign++
	case d.want.Shape.IsArray():
		// An array can't lose an element. Zero is its nothing.
		if !isZero(value) {
			d.changes.Set.Append(key, make([]byte, len(value)), false)
		}
	default:
		d.changes.Delete = append(d.changes.Delete, key...)
	}
}

// surplus says whether an element that isn't declared is to go.
func (d *Differ) surplus(key []byte) bool {
	switch d.want.Sync {
	case v1alpha1.SyncMirror:
		return !d.want.holds(d.want.Held, key)
	case v1alpha1.SyncMerge:
		return d.want.holds(d.want.Owned, key) && !d.want.holds(d.want.Held, key)
	}
	return false
}

// holds says whether key is among packed, sorted keys.
func (d *Desired) holds(keys, key []byte) bool {
	size := d.Entries.KeySize
	if size == 0 || len(keys) == 0 {
		return false
	}
	_, found := sort.Find(len(keys)/size, func(i int) int {
		return d.Shape.CompareKeys(key, keys[i*size:(i+1)*size])
	})
	return found
}

// Changes ends the comparison. complete says that every element of the map was added.
func (d *Differ) Changes(complete bool) Changes {
	c := d.changes
	c.Incomplete = !complete
	if d.want.Sync != v1alpha1.SyncSeed {
		for i := range d.want.Entries.Len {
			if d.seen[i/64]&(1<<(i%64)) == 0 {
				c.Add.Append(d.want.Entries.Key(i), d.want.Entries.Value(i), false)
			}
		}
	}
	c.Set, _ = c.Set.Sorted(d.want.Shape)
	c.Delete = sortedKeys(d.want.Shape, c.Delete, d.keySize)
	return c
}

// sortedKeys are packed keys in the order of the shape, each once: a map may have been read twice in
// parts.
func sortedKeys(shape revision.Shape, keys []byte, size int) []byte {
	if len(keys) <= size {
		return keys
	}
	list := slices.SortedStableFunc(slices.Chunk(keys, size), shape.CompareKeys)
	list = slices.CompactFunc(list, bytes.Equal)
	return slices.Concat(list...)
}

// Between is what brings a map that holds had, and maybe elements of others, to what is wanted. Nothing
// is read: both are sorted, and one walk over them finds the difference. For maps whose keys are always
// there, what leaves the declaration becomes zero.
func Between(want Desired, had revision.Entries) Changes {
	c := Changes{Add: none(want.Entries), Set: none(want.Entries)}
	w := &want.Entries
	for i, j := 0, 0; i < w.Len || j < had.Len; {
		var order int
		switch {
		case i == w.Len:
			order = 1
		case j == had.Len:
			order = -1
		default:
			order = want.Shape.CompareKeys(w.Key(i), had.Key(j))
		}
		switch {
		case order < 0 && want.Shape.IsArray():
			c.Set.Append(w.Key(i), w.Value(i), false)
		case order < 0:
			c.Add.Append(w.Key(i), w.Value(i), false)
		case order > 0 && want.holds(want.Held, had.Key(j)):
		case order > 0 && want.Shape.IsArray():
			c.Set.Append(had.Key(j), make([]byte, had.ValueSize), false)
		case order > 0:
			c.Delete = append(c.Delete, had.Key(j)...)
		case !bytes.Equal(w.Value(i), had.Value(j)):
			c.Set.Append(w.Key(i), w.Value(i), false)
		}
		if order <= 0 {
			i++
		}
		if order >= 0 {
			j++
		}
	}
	return c
}

// Unread is what brings a map to what is wanted that nobody can list: everything is written again, and
// what was ours is deleted.
func Unread(want Desired) Changes {
	c := Changes{Add: none(want.Entries), Set: want.Entries}
	for owned := want.Owned; len(owned) > 0; owned = owned[want.Entries.KeySize:] {
		key := owned[:want.Entries.KeySize]
		if _, declared := want.Entries.Find(want.Shape, key); !declared && !want.holds(want.Held, key) {
			c.Delete = append(c.Delete, key...)
		}
	}
	return c
}

// Fill is what fills an empty new map.
func Fill(want Desired) Changes {
	return Changes{Add: want.Entries, Set: none(want.Entries)}
}

// none is no entries of the same sizes.
func none(e revision.Entries) revision.Entries {
	return revision.Entries{KeySize: e.KeySize, ValueSize: e.ValueSize}
}

func isZero(b []byte) bool {
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}
