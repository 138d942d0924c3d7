// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"bytes"
	"sort"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
)

// Differ compares what a map holds with what it is to hold. Elements are observed in any order, also
// more than once; nothing is allocated for declared entries, whatever is to be done about them.
type Differ struct {
	want    DesiredContents
	note    int // how many elements to note in Changes.Found
	seen    Set
	changes Changes
	mask    []byte // scratch for masked LPM keys
	value   []byte // scratch for a declared value
}

// NewDiffer starts a comparison. Keyless maps can't be compared. note is how many of the elements that differ
// are kept as they are found.
func NewDiffer(want DesiredContents, note int) *Differ {
	d := &Differ{
		want: want, note: note, seen: NewSet(want.Len()), changes: none(want),
		mask: make([]byte, want.KeySize()), value: make([]byte, 0, want.ValueSize()),
	}
	if want.Base != nil {
		kept := none(want)
		d.changes.Kept = &kept
	}
	return d
}

// Observe takes a batch of elements that the map holds: packed keys, and packed values as the kernel
// gives them.
func (d *Differ) Observe(keys, values []byte) {
	keySize, valueSize := d.want.KeySize(), d.want.ValueSize()
	for len(keys) > 0 {
		d.observe(keys[:keySize], values[:valueSize])
		keys, values = keys[keySize:], values[valueSize:]
	}
}

func (d *Differ) observe(key, value []byte) {
	if d.want.Shape.IsLPM() {
		copy(d.mask, key)
		revision.MaskPrefix(d.mask)
		key = d.mask
	}
	c := &d.changes
	c.Before.N++
	i, declared := d.want.Find(key)
	switch {
	case declared && d.want.IsPending(i):
		c.Foreign++
	case declared:
		d.value = d.want.AppendValue(d.value[:0], i)
		if d.want.Sync == v1alpha1.SyncSeed {
			if !d.isUnused(value) || isZero(d.value) {
				d.seen.Add(i)
			}
			return
		}
		d.seen.Add(i)
		if !d.want.Mask.Same(value, d.value) {
			d.blame(key, value, d.value).Update.Add(i)
		}
	case !d.surplus(key):
		c.Foreign++
	case d.want.Shape.IsArray():
		if !d.want.Mask.IsZero(value) {
			to := d.blame(key, value, nil)
			to.Zero = append(to.Zero, key...)
		}
	default:
		to := d.blame(key, value, nil)
		to.Delete = append(to.Delete, key...)
		if to != c {
			c.Foreign++
		}
	}
}

// blame says to which changes the one of an element belongs that is to have the value want, nil to go: to those
// that are made, or to those that are not, because others changed the element and the declaration didn't. found is nil for an element that
// is missing.
func (d *Differ) blame(key, found, want []byte) *Changes {
	c := &d.changes
	if d.want.Base == nil {
		d.noteFound(key, found)
		return c
	}
	was := d.want.Base.Has(key)
	switch {
	case was && want != nil && d.want.Base.HasValue(key, want): // the declaration is the same, the element isn't
	case !was && want == nil && !d.want.owns(key): // nobody ever declared it
	case was && (found == nil || !d.want.Base.HasValue(key, found)):
		d.noteFound(key, found)
		c.Overwritten++
		return c
	default:
		return c // the declaration changed
	}
	d.noteFound(key, found)
	return c.Kept
}

// blameMissing is blame of an entry that is missing. An LRU map forgets by itself.
func (d *Differ) blameMissing(i int) *Changes {
	if d.want.Base == nil || d.want.Shape.IsLRU() {
		return &d.changes
	}
	d.value = d.want.AppendValue(d.value[:0], i)
	return d.blame(d.want.Key(i), nil, d.value)
}

// noteFound keeps an element as it was found; nil is one that is missing.
func (d *Differ) noteFound(key, value []byte) {
	if c := &d.changes; value != nil && len(c.Found) < d.note {
		c.Found = append(c.Found, Element{bytes.Clone(key), bytes.Clone(value)})
	}
}

// isUnused says of an element that is there whether nothing was ever put in: those of arrays always are there.
func (d *Differ) isUnused(value []byte) bool { return d.want.Shape.IsArray() && isZero(value) }

// wasSeeded says of an entry that is missing whether it was put in once, and so is the programs' business.
func (d *Differ) wasSeeded(i int) bool {
	return d.want.Sync == v1alpha1.SyncSeed && d.want.owns(d.want.Key(i))
}

// surplus says whether an element that isn't declared is to go.
func (d *Differ) surplus(key []byte) bool {
	switch d.want.Sync {
	case v1alpha1.SyncMirror:
		return true
	case v1alpha1.SyncMerge:
		return d.want.owns(key)
	}
	return false
}

// Changes ends the comparison. complete says that every element of the map was observed.
func (d *Differ) Changes(complete bool) Changes {
	c := d.changes
	c.Incomplete = !complete
	if complete && !d.want.Shape.IsLRU() {
		c.Before.Basis = Counted
	}
	for i := range d.want.Len() {
		if d.seen.Has(i) || d.want.IsPending(i) || d.wasSeeded(i) {
			continue
		}
		switch to := d.blameMissing(i); {
		case to == &d.changes:
			c.Insert.Add(i)
		case complete: // otherwise the next reading tells
			to.Insert.Add(i)
		}
	}
	c.Overwritten = d.changes.Overwritten
	for _, each := range []*Changes{&c, c.Kept} {
		if each != nil {
			each.Zero, each.Delete = sortedKeys(d.want, each.Zero), sortedKeys(d.want, each.Delete)
		}
	}
	c.Discards = d.discards(c.Zero) + d.discards(c.Delete)
	return c
}

// discards is how many of some packed keys no revision declared.
func (d *Differ) discards(keys []byte) (n int) {
	if d.want.Sync != v1alpha1.SyncMirror {
		return 0 // only what was declared goes
	}
	for size := d.want.KeySize(); len(keys) > 0; keys = keys[size:] {
		if !d.want.owns(keys[:size]) {
			n++
		}
	}
	return n
}

// packedKeys sorts packed keys in place.
type packedKeys struct {
	keys  []byte
	size  int
	shape revision.Shape
	swap  []byte // scratch
}

func (p *packedKeys) at(i int) []byte { return p.keys[i*p.size : (i+1)*p.size] }

// Len, Less and Swap are those of sort.Interface.
func (p *packedKeys) Len() int           { return len(p.keys) / p.size }
func (p *packedKeys) Less(i, j int) bool { return p.shape.CompareKeys(p.at(i), p.at(j)) < 0 }
func (p *packedKeys) Swap(i, j int) {
	copy(p.swap, p.at(i))
	copy(p.at(i), p.at(j))
	copy(p.at(j), p.swap)
}

// sortedKeys are packed keys in the order of the shape, each once: a map may have been read twice in
// parts.
func sortedKeys(want DesiredContents, keys []byte) []byte {
	size := want.KeySize()
	if len(keys) <= size {
		return keys
	}
	p := &packedKeys{keys, size, want.Shape, make([]byte, size)}
	if !sort.IsSorted(p) {
		sort.Sort(p)
	}
	unique := keys[:size]
	for at := size; at < len(keys); at += size {
		if next := keys[at : at+size]; !bytes.Equal(next, unique[len(unique)-size:]) {
			unique = append(unique, next...)
		}
	}
	return unique
}

func isZero(b []byte) bool {
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}
