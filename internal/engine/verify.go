// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"iter"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
)

// maxHashed bounds the arrays that the kernel is asked to hash, in bytes of values: that is one system call, which
// nothing interrupts, at some hundred MB/s.
const maxHashed = 16 << 20

// readElements is Map.Read for the comparison with what is declared. A frozen array that holds exactly that, and zeros
// in the other elements, isn't read: the kernel's hash of it says so, and the same elements come from the declaration.
func (o *Observation) readElements(ctx context.Context, m *openMap, yield func(keys, values []byte)) (complete bool, err error) {
	if !o.isAsDeclared(ctx, m) {
		return m.Read(ctx, yield)
	}
	size := o.contents.ValueSize()
	w := &window{put: func(_ context.Context, keys, values []byte) error {
		yield(keys, values)
		return nil
	}}
	key := make([]byte, 0, 4)
	index := uint32(0)
	for value := range o.declaredArray(size) {
		key = binary.NativeEndian.AppendUint32(key[:0], index)
		if err := w.add(ctx, key, value); err != nil {
			return false, err
		}
		index++
	}
	err = w.flush(ctx)
	return err == nil, err
}

// isAsDeclared says whether the kernel vouches that a map holds the declared values and zeros. false is no answer.
func (o *Observation) isAsDeclared(ctx context.Context, m *openMap) bool {
	const word = 8 // of which the kernel's elements are multiples
	shape := m.info.Shape
	slot := (int(shape.ValueSize) + word - 1) / word * word
	if !m.info.Frozen || shape.Type != v1alpha1.MapTypeArray || shape.KeySize != o.rev.Shape.KeySize || shape.ValueSize != o.rev.Shape.ValueSize ||
		shape.MaxEntries != o.rev.Shape.MaxEntries || o.mask != nil || o.contents.pending.Len() > 0 || int64(slot)*int64(shape.MaxEntries) > maxHashed {
		return false
	}
	have, known := m.Hash(ctx)
	if !known {
		return false
	}
	sum := sha256.New()
	padded := make([]byte, slot)
	for value := range o.declaredArray(int(shape.ValueSize)) {
		clear(padded[copy(padded, value):])
		_, _ = sum.Write(padded) // never fails
	}
	return [sha256.Size]byte(sum.Sum(nil)) == have
}

// declaredArray are the values of an array that holds what is declared, and zeros in the other elements, by index.
func (o *Observation) declaredArray(size int) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		zeros := make([]byte, size)
		var value []byte // scratch
		next := uint32(0)
		for i := range o.contents.InOrder() {
			index := binary.NativeEndian.Uint32(o.contents.Key(i))
			for ; next < index; next++ {
				if !yield(zeros) {
					return
				}
			}
			value = o.contents.AppendValue(value[:0], i)
			if !yield(value) {
				return
			}
			next++
		}
		for ; next < o.rev.Shape.MaxEntries; next++ {
			if !yield(zeros) {
				return
			}
		}
	}
}
