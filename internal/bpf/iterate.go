// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package bpf

import (
	"context"
	"encoding/binary"
	"hash/maphash"

	"github.com/bpfmap-io/bpfmap-operator/internal/bpf/sys"
)

const opIterate = "iterate over elements"

// IterateOptions tune an iteration.
type IterateOptions struct {
	// BatchSize is how many elements one batch holds at most; 4096 if 0. Batches also hold at most 1 MiB
	// of keys and values, but at least one element, and all of a hash bucket that is larger.
	BatchSize int
	// Flags is Lock, to read each value under its spin lock, or Any.
	Flags ElemFlags
}

// Iterator streams a map's elements in packed batches:
//
//	it := m.Iterate(ctx, IterateOptions{})
//	for it.Next() {
//		use(it.Keys(), it.Values())
//	}
//	if err := it.Err(); err != nil { … }
//
// It reads with BPF_MAP_LOOKUP_BATCH where the type has it, on this kernel, and key by key elsewhere.
// Elements that come or go during the iteration may or may not be seen; Complete tells about the others.
// Its memory is bounded by a batch, not by the map.
type Iterator struct {
	ctx   context.Context
	m     *Map
	flags ElemFlags

	buffer buffer
	limit  int // elements of a batch at most
	n      int // elements in the current batch

	cursor, next []byte // of the batch command: where the kernel stands, and will stand
	started      bool
	backoff      backoff

	last    []byte // the last key that the kernel gave, if there is one
	hasLast bool

	order  func(a, b []byte) int // see keyOrder
	twice  bool                  // the walk is repeated, which tells whether keys were missed
	mark   []byte                // with an order: the greatest key that was seen, if there is one
	marked bool

	walking bool         // key by key
	walked  maphash.Hash // the keys of a walk without order, in its order
	steps   uint64       // of the walk

	read, seen uint64 // elements from the kernel, and those of them that were passed on
	restarts   int
	done       bool
	incomplete bool
	err        error

	resizing resizing // of an RHash
}

// Iterate starts an iteration, which ends with ctx's error in Err if ctx ends between two batches. Types
// that can't be iterated (Traits.Iterate) fail with ErrNotSupported in Err.
func (m *Map) Iterate(ctx context.Context, o IterateOptions) *Iterator {
	it := &Iterator{ctx: ctx, m: m, flags: o.Flags, order: keyOrder(m.typ), backoff: lockBackoff()}
	if !m.traits.Iterate || !m.traits.Lookup {
		it.err = m.unsupported(opIterate)
		return it
	}
	it.limit = batchLimit(m.key + m.stride)
	if o.BatchSize > 0 {
		it.limit = min(it.limit, o.BatchSize)
	}
	it.limit = min(it.limit, atLeastOne(int(m.max)))
	first := atLeastOne(firstBufferBytes / (m.key + m.stride))
	it.buffer.resize(m, min(it.limit, first))
	cursor := max(4, m.key) // a bucket's number, or a key
	keys := make([]byte, 2*cursor+2*m.key)
	it.cursor, it.next, keys = keys[:cursor], keys[cursor:2*cursor], keys[2*cursor:]
	it.last, it.mark = keys[:m.key], keys[m.key:]
	it.walking = !m.traits.LookupBatch
	it.twice = !it.cursorIsKey()
	if m.typ == LPMTrie && !tries().cursor {
		it.walking, it.twice = true, true
	}
	it.resizing.before, it.resizing.known = m.resizableCount()
	return it
}

// Next reads the next batch. It returns false at the end and on an error.
func (it *Iterator) Next() bool {
	for it.n = 0; it.n == 0 && it.err == nil && !it.done; {
		if it.err = it.m.stopped(it.ctx, opIterate, int(it.seen)); it.err != nil {
			break
		}
		if it.hasLast && it.buffer.size < it.limit {
			it.buffer.resize(it.m, min(it.limit, 4*it.buffer.size)) // there is more than fitted
		}
		if it.walking {
			it.walk()
		} else {
			it.batch()
		}
	}
	if it.err != nil {
		it.n = 0
	}
	it.seen += uint64(it.n)
	if it.n == 0 && it.err == nil && it.m.typ == RHash {
		it.incomplete = it.incomplete || !it.resizing.isWhole(it.m, it.seen)
	}
	return it.n > 0
}

// Keys are the packed keys of the current batch, valid until Next.
func (it *Iterator) Keys() []byte { return it.buffer.keys[:it.n*it.m.key] }

// Values are the packed values of the current batch, ValueStride bytes each, valid until Next.
func (it *Iterator) Values() []byte { return it.buffer.values[:it.n*it.m.stride] }

// Len is the number of elements in the current batch.
func (it *Iterator) Len() int { return it.n }

// Err is the error that ended the iteration, or nil.
func (it *Iterator) Err() error { return it.err }

// Complete is whether every element that was there all the time was seen, and no element twice. It means
// something once Next has returned false.
//
//   - Hash tables read by batches: always. The kernel reads bucket by bucket, each under its lock, and
//     an element never changes its bucket.
//   - RHash: if as many elements were read as the kernel counts before or after it, and the key at the cursor was there
//     at each call. While the table is resized, one that was read twice may stand for one that was missed.
//   - Arrays and other types whose key is an index: always.
//   - LPM tries and stack traces: the kernel starts over when the key at the cursor was deleted, which
//     Restarts counts. It walks in the order of the keys, so what was passed already is left out. False if
//     that happens so often that four times the map's capacity has been read. Older kernels may go on
//     elsewhere instead (maptype.TrieCursor): there, tries are walked a second time, as other types are.
//   - Other types, key by key: the kernel starts over as above, in an order that isn't that of the keys,
//     and an update moves an element within its bucket. The keys are therefore walked a second time, and
//     unless they are the same in the same order, the iteration is not complete.
//   - Hash tables with a bucket that is larger than the largest buffer (16 MiB or 16 elements): only if
//     it is the first one that holds any elements, as above.
func (it *Iterator) Complete() bool { return it.done && it.err == nil && !it.incomplete }

// Restarts is how often the kernel was seen to start over because the key that the iteration stood at had
// been deleted.
func (it *Iterator) Restarts() int { return it.restarts }

// batch reads one batch of the kernel's. Without elements and without an end or an error, there is more
// to try.
func (it *Iterator) batch() {
	var in []byte
	if it.started {
		in = it.cursor
	}
	size := it.buffer.size
	n, err := it.m.fd.Batch(sys.MapLookupBatch, in, it.next, it.buffer.keys, it.buffer.values, size, uint64(it.flags))
	switch {
	case err == nil:
		it.backoff = lockBackoff()
		it.advance()
	case sys.IsNotExist(err):
		it.done = true
	case sys.IsNoSpace(err):
		it.growForBucket()
		return
	case sys.IsNotSupp(err) && !it.started:
		it.walking = true
		return
	case sys.IsInterrupted(err) && it.cursorIsKey():
		// Linux before 6.14 gives up at a key without a value, such as an empty slot of an array of maps.
		it.walking = true
		n = it.ofError(n)
	case it.m.typ == RHash && sys.IsAgain(err):
		it.done, it.incomplete = true, true // the key at the cursor is gone: there is nowhere to go on from
		return
	case it.m.contended(err) && it.backoff.again():
		if n = it.ofError(n); n > 0 {
			it.backoff = lockBackoff()
		}
	default:
		it.err = it.m.explain(opIterate, it.flags, err)
		return
	}
	it.take(n)
}

// ofError is how many elements a call passed on that ended in an error on its way. The kernel writes count
// and cursor then; a count as it was passed in says that the call failed before.
func (it *Iterator) ofError(n int) int {
	if n >= it.buffer.size {
		return 0
	}
	if n > 0 {
		it.advance()
	}
	return n
}

// advance takes over the cursor that the kernel wrote.
func (it *Iterator) advance() {
	it.started = true
	it.cursor, it.next = it.next, it.cursor
}

// cursorIsKey says whether the cursor of batches is the last key, as for all types but hash tables.
func (it *Iterator) cursorIsKey() bool { return it.order != nil || it.m.traits.IndexKey }

// growForBucket makes room for a bucket that holds more elements than the buffer; the cursor hasn't moved.
func (it *Iterator) growForBucket() {
	elem := it.m.key + it.m.stride
	size := 2 * it.buffer.size
	if size <= max(bucketElements, maxBufferBytes/elem) {
		it.buffer.resize(it.m, size)
		return
	}
	it.walking = true
	it.incomplete = it.hasLast // an update may move the last key before elements that were seen
}

// take accounts for n elements that the kernel gave.
func (it *Iterator) take(n int) {
	it.read += uint64(n)
	if it.order != nil {
		n = it.leaveOutSeen(n)
	} else if n > 0 {
		it.setLast(it.buffer.key(it.m, n-1))
	}
	it.n = n
	it.bound()
}

// leaveOutSeen keeps those of n elements that are behind everything that was seen.
func (it *Iterator) leaveOutSeen(n int) int {
	kept := 0
	for i := range n {
		if it.isNew(it.buffer.key(it.m, i)) {
			it.buffer.move(it.m, kept, i)
			kept++
		}
	}
	return kept
}

// isNew says whether key, which the kernel gave, is behind everything that was seen, and notes it.
func (it *Iterator) isNew(key []byte) bool {
	if it.hasLast && it.order(key, it.last) <= 0 {
		it.restarts++
	}
	it.setLast(key)
	if it.marked && it.order(key, it.mark) <= 0 {
		return false
	}
	copy(it.mark, key)
	it.marked = true
	return true
}

func (it *Iterator) setLast(key []byte) {
	copy(it.last, key)
	it.hasLast = true
}

// bound ends an iteration that starts over again and again.
func (it *Iterator) bound() {
	if it.read > 4*uint64(it.m.max)+maxBatch {
		it.done, it.incomplete = true, true
	}
}

// Count streams through the map and counts its elements. exact is false when the count may be off
// because elements were deleted meanwhile. Arrays always have max_entries elements; types that can't
// be iterated can't be counted (ErrNotSupported). If ctx ends, n is how many had been counted.
func (m *Map) Count(ctx context.Context) (n int, exact bool, err error) {
	if m.traits.Array {
		return int(m.max), true, nil
	}
	it := m.Iterate(ctx, IterateOptions{})
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
