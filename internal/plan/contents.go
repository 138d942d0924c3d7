// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"iter"
	"math/bits"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
)

// Contents are the declared entries of one map as this node's kernel shows them: names are resolved, and
// values of per-CPU maps have a slot for each possible CPU. An entry is known by its index, so that sets of
// entries cost a bit each, and no entry is copied before it is written.
type Contents interface {
	// Len is how many entries there are; indexes are below it.
	Len() int
	// KeySize and ValueSize are in bytes, as the kernel packs them. KeySize is 0 for keyless maps.
	KeySize() int
	ValueSize() int
	// Find is the entry with a key.
	Find(key []byte) (i int, ok bool)
	// IsPending says that the value of entry i names something that is not on the node yet. Whatever is at
	// its key stays.
	IsPending(i int) bool
	// Key is the key of entry i, not to be changed.
	Key(i int) []byte
	// AppendValue appends the value of entry i to dst.
	AppendValue(dst []byte, i int) []byte
	// InOrder yields all indexes in the order of the keys, see revision.Shape.CompareKeys.
	InOrder() iter.Seq[int]
	// Unlike yields the entries that may differ from those of other contents of the same map: here, and
	// there.
	Unlike(other Contents) (here, there iter.Seq[int])
}

// Keys is a set of packed keys.
type Keys interface {
	Has(key []byte) bool
	All() iter.Seq[[]byte]
}

// DesiredContents are what a map is to hold on this node.
type DesiredContents struct {
	Contents
	Shape revision.Shape
	Sync  v1alpha1.SyncPolicy
	// Mask are the declared bits of a value; nil if programs own none.
	Mask Mask
	// Owned are the keys that an earlier revision declared, nil for none. What is owned and not declared any
	// more is deleted; Merge leaves every other key alone. With Seed they are those that were put in.
	Owned Keys
	// Base is what was declared before, if what others changed since then is to stay; nil otherwise.
	Base Earlier
}

// Earlier is what was declared before.
type Earlier interface {
	// Has says whether a key was declared, and HasValue whether with this value, as far as that is declared.
	Has(key []byte) bool
	HasValue(key, value []byte) bool
}

// owns says whether an earlier revision declared a key.
func (d *DesiredContents) owns(key []byte) bool { return d.Owned != nil && d.Owned.Has(key) }

// Set is a set of entries: one bit for each entry of some Contents. The zero Set is empty.
type Set struct {
	words []uint64
	n     int
}

// NewSet is an empty set of at most n entries that grows no more.
func NewSet(n int) Set { return Set{words: make([]uint64, (n+63)/64)} }

// Add puts entry i into the set.
func (s *Set) Add(i int) {
	for i/64 >= len(s.words) {
		s.words = append(s.words, 0)
	}
	if bit := uint64(1) << (i % 64); s.words[i/64]&bit == 0 {
		s.words[i/64] |= bit
		s.n++
	}
}

// Has says whether entry i is in the set.
func (s *Set) Has(i int) bool { return i/64 < len(s.words) && s.words[i/64]&(1<<(i%64)) != 0 }

// Len is how many entries are in the set.
func (s *Set) Len() int { return s.n }

// All yields the entries in the order of their indexes. It steps over what is not in the set by 64.
func (s *Set) All() iter.Seq[int] {
	return func(yield func(int) bool) {
		for w, word := range s.words {
			for ; word != 0; word &= word - 1 {
				if !yield(w*64 + bits.TrailingZeros64(word)) {
					return
				}
			}
		}
	}
}
