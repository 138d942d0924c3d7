// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package plan_test

import (
	"bytes"
	"iter"
	"slices"

	"github.com/bpfmap-io/bpfmap-operator/internal/plan"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
)

// flat are sorted entries as plan.Contents.
type flat struct {
	shape   revision.Shape
	e       revision.Entries
	pending plan.Set
}

func (f *flat) Len() int                             { return f.e.Len }
func (f *flat) KeySize() int                         { return f.e.KeySize }
func (f *flat) ValueSize() int                       { return f.e.ValueSize }
func (f *flat) Find(key []byte) (int, bool)          { return f.e.Find(f.shape, key) }
func (f *flat) IsPending(i int) bool                 { return f.pending.Has(i) }
func (f *flat) Key(i int) []byte                     { return f.e.Key(i) }
func (f *flat) AppendValue(dst []byte, i int) []byte { return append(dst, f.e.Value(i)...) }

func (f *flat) InOrder() iter.Seq[int] {
	return func(yield func(int) bool) {
		for i := range f.e.Len {
			if !yield(i) {
				return
			}
		}
	}
}

func (f *flat) Unlike(other plan.Contents) (here, there iter.Seq[int]) {
	return f.InOrder(), other.InOrder()
}

// keys are packed keys in any order.
type keys struct {
	packed []byte
	size   int
}

func (k keys) All() iter.Seq[[]byte] { return slices.Chunk(k.packed, k.size) }

func (k keys) Has(key []byte) bool {
	for one := range k.All() {
		if bytes.Equal(one, key) {
			return true
		}
	}
	return false
}
