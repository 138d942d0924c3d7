// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package bpf

import (
	"hash/maphash"

	"github.com/bpfmap-io/bpfmap-operator/internal/bpf/sys"
)

// walk fills a batch by going from key to key.
func (it *Iterator) walk() {
	for it.n < it.buffer.size && !it.done && it.err == nil {
		if it.steps++; it.steps%checkEvery == 0 {
			if it.err = it.m.stopped(it.ctx, opIterate, int(it.seen)+it.n); it.err != nil {
				return
			}
		}
		it.step()
	}
}

// step adds the element behind the last key, unless it was seen before or vanishes meanwhile.
func (it *Iterator) step() {
	key := it.buffer.key(it.m, it.n)
	found, err := it.m.GetNextKey(it.lastKey(), key)
	switch {
	case err != nil:
		it.err = err
		return
	case !found:
		it.done = true
		it.incomplete = it.incomplete || !it.walksAgain()
		return
	}
	it.read++
	it.bound()
	if it.order == nil {
		it.setLast(key)
	} else if !it.isNew(key) {
		return
	}
	if it.twice {
		_, _ = it.walked.Write(key) // never fails
	}
	err = it.m.elem(sys.MapLookupElem, key, it.buffer.value(it.m, it.n), it.flags)
	switch {
	case err == nil:
		it.n++
	case !sys.IsNotExist(err):
		it.err = it.m.explain(opIterate, it.flags, err)
	}
}

func (it *Iterator) lastKey() []byte {
	if it.hasLast {
		return it.last
	}
	return nil
}

// walksAgain says whether the keys are the same in the same order if they are walked once more. It is
// true where nothing else is possible.
func (it *Iterator) walksAgain() bool {
	if !it.twice || it.incomplete {
		return true
	}
	// The end leaves room in the buffer for a key, and another one is in the cursors, which a walk doesn't use.
	key, prev := it.buffer.key(it.m, it.n), it.cursor[:it.m.key]
	var again maphash.Hash
	again.SetSeed(it.walked.Seed())
	for n := uint64(0); ; n++ {
		if n%checkEvery == 0 {
			if it.err = it.m.stopped(it.ctx, opIterate, int(it.seen)+it.n); it.err != nil {
				return false
			}
		}
		from := prev
		if n == 0 {
			from = nil
		}
		found, err := it.m.GetNextKey(from, key)
		switch {
		case err != nil:
			it.err = err
			return false
		case !found:
			return again.Sum64() == it.walked.Sum64()
		case n == it.read:
			return false // more than before
		}
		_, _ = again.Write(key) // never fails
		copy(prev, key)
	}
}

// buffer holds packed elements in one allocation.
type buffer struct {
	size         int // elements
	keys, values []byte
}

// resize makes a buffer for size elements. What was in it is lost.
func (b *buffer) resize(m *Map, size int) {
	keys := roundUp8(size * m.key)
	all := make([]byte, keys+size*m.stride)
	*b = buffer{size: size, keys: all[: size*m.key : keys], values: all[keys:]}
}

func (b *buffer) key(m *Map, i int) []byte { return b.keys[i*m.key : (i+1)*m.key] }

func (b *buffer) value(m *Map, i int) []byte { return b.values[i*m.stride : (i+1)*m.stride] }

// move copies element from to the place of element to.
func (b *buffer) move(m *Map, to, from int) {
	if to != from {
		copy(b.key(m, to), b.key(m, from))
		copy(b.value(m, to), b.value(m, from))
	}
}
