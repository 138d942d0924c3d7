// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package bpf

import (
	"bytes"
	"encoding/binary"

	"github.com/bpfmap-io/bpfmap-operator/internal/bpf/sys"
)

// IterateOptions tune an iteration.
type IterateOptions struct {
	// BatchSize is how many elements one batch holds; 4096 if 0.
	BatchSize int
	// Flags is Lock, to read each value under its spin lock, or Any.
	Flags ElemFlags
}

// Iterator streams a map's elements in packed batches:
//
//	it := m.Iterate(IterateOptions{})
//	for it.Next() {
//		use(it.Keys(), it.Values())
//	}
//	if err := it.Err(); err != nil { … }
//
// It reads with BPF_MAP_LOOKUP_BATCH where the type has it, on this kernel, and key by key elsewhere. Elements that
// come or go during the iteration may or may not be seen. Complete tells whether elements that were
// there all the time may have been missed.
type Iterator struct {
	m            *Map
	flags        ElemFlags
	keys, values []byte // buffers of a batch
	n            int    // elements in the current batch
	cursor       []byte
	started      bool
	singles      bool // this kernel has no batch command for the type
	done         bool
	incomplete   bool
	seen         uint64 // elements so far
	first        []byte // the first key of all
	restarts     int
	err          error
}

// Iterate starts an iteration. Types that can't be iterated (Traits.Iterate) fail with
// ErrNotSupported in Err.
func (m *Map) Iterate(o IterateOptions) *Iterator {
	it := &Iterator{m: m, flags: o.Flags}
	if !m.traits.Iterate || !m.traits.Lookup {
		it.err = m.unsupported("iterate over elements")
		return it
	}
	size := o.BatchSize
	if size <= 0 {
		size = maxBatch
	}
	size = min(size, max(1, int(m.max)))
	it.keys = make([]byte, size*m.key)
	it.values = make([]byte, size*m.stride)
	it.cursor = make([]byte, max(4, m.key))
	return it
}

// Next reads the next batch. It returns false at the end and on an error.
func (it *Iterator) Next() bool {
	it.n = 0
	if it.err != nil || it.done {
		return false
	}
	if it.m.traits.LookupBatch && !it.singles {
		return it.nextBatch()
	}
	return it.nextSingles()
}

// Keys are the packed keys of the current batch, valid until Next.
func (it *Iterator) Keys() []byte { return it.keys[:it.n*it.m.key] }

// Values are the packed values of the current batch, ValueStride bytes each, valid until Next.
func (it *Iterator) Values() []byte { return it.values[:it.n*it.m.stride] }

// Len is the number of elements in the current batch.
func (it *Iterator) Len() int { return it.n }

// Err is the error that ended the iteration, or nil.
func (it *Iterator) Err() error { return it.err }

// Complete is whether every element that was there all the time was surely seen. It means something
// once Next has returned false.
func (it *Iterator) Complete() bool { return it.done && it.err == nil && !it.incomplete }

// Restarts is how often the kernel started over because the key that the iteration stood at had
// been deleted. Elements may then be seen more than once.
func (it *Iterator) Restarts() int { return it.restarts }

func (it *Iterator) nextBatch() bool {
	for {
		var in []byte
		if it.started {
			in = it.cursor
		}
		n, err := it.m.fd.Batch(sys.MapLookupBatch, in, it.cursor, it.keys, it.values, len(it.keys)/it.m.key, uint64(it.flags))
		switch {
		case err == nil:
			it.started = true
		case sys.IsNotExist(err):
			it.done = true
		case sys.IsNoSpace(err) && len(it.keys) < it.m.key<<20:
			// One bucket holds more elements than the buffers: the cursor hasn't moved.
			it.keys = make([]byte, 2*len(it.keys))
			it.values = make([]byte, 2*len(it.values))
			continue
		case sys.IsNotSupp(err) && !it.started:
			it.singles = true
			return it.nextSingles()
		default:
			it.err = it.m.explain("iterate over elements", it.flags, err)
			return false
		}
		it.n = n
		it.noteRestart()
		return it.account()
	}
}

// noteRestart sees that the kernel has started over: an LPM trie does when the key at the cursor is
// deleted. Hash tables go on by bucket.
func (it *Iterator) noteRestart() {
	switch {
	case it.n == 0:
	case it.first == nil:
		it.first = bytes.Clone(it.keys[:it.m.key])
	case bytes.Equal(it.first, it.keys[:it.m.key]):
		it.restarts++
	}
}

// account bounds the iteration: an LPM trie starts over when the key at the cursor is deleted, and
// churn can repeat that for ever.
func (it *Iterator) account() bool {
	it.seen += uint64(it.n)
	if it.seen > 4*uint64(it.m.max)+maxBatch {
		it.done, it.incomplete = true, true
	}
	if it.n == 0 && !it.done {
		return it.nextBatch()
	}
	return it.n > 0
}

// nextSingles fills a batch by walking from key to key. The successor is fetched before the value,
// so that a key which vanishes costs nothing.
func (it *Iterator) nextSingles() bool {
	size := len(it.keys) / it.m.key
	for it.n < size && !it.done {
		key := it.keys[it.n*it.m.key : (it.n+1)*it.m.key]
		var prev []byte
		if it.started {
			prev = it.cursor[:it.m.key]
		}
		ok, err := it.m.GetNextKey(prev, key)
		if err != nil {
			it.err = err
			return false
		}
		it.seen++
		if !ok {
			it.done = true
			break
		}
		if it.seen > 4*uint64(it.m.max)+maxBatch {
			it.done, it.incomplete = true, true
			break
		}
		copy(it.cursor, key)
		it.started = true
		switch {
		case it.first == nil:
			it.first = bytes.Clone(key)
		case bytes.Equal(it.first, key):
			it.restarts++
		}
		err = it.m.fd.Elem(sys.MapLookupElem, key, it.values[it.n*it.m.stride:(it.n+1)*it.m.stride], uint64(it.flags))
		switch {
		case err == nil:
			it.n++
		case !sys.IsNotExist(err):
			it.err = it.m.explain("iterate over elements", it.flags, err)
			return false
		}
	}
	return it.n > 0
}

// Count streams through the map and counts its elements. exact is false when the count may be off
// because elements were deleted meanwhile. Arrays always have max_entries elements; Keyless types
// can't be counted (ErrNotSupported).
func (m *Map) Count() (n int, exact bool, err error) {
	if m.traits.Array {
		return int(m.max), true, nil
	}
	it := m.Iterate(IterateOptions{})
	for it.Next() {
		n += it.Len()
	}
	return n, it.Complete() && it.Restarts() == 0, it.Err()
}

// IndexKey is the key of an array's element i, in buf or newly allocated.
func IndexKey(buf []byte, i uint32) []byte {
	if len(buf) < 4 {
		buf = make([]byte, 4)
	}
	binary.NativeEndian.PutUint32(buf, i)
	return buf[:4]
}
