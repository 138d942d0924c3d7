// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package bpf

import (
	"context"
	"errors"
	"fmt"

	"github.com/bpfmap-io/bpfmap-operator/internal/bpf/sys"
)

// The names of operations in errors.
const (
	opUpdateBatch = "update elements"
	opDeleteBatch = "delete elements"
	opDrainBatch  = "look up and delete elements"
)

// UpdateBatch writes len(keys)/KeySize elements, packed without gaps in keys and values (values hold
// ValueStride bytes each), in system calls of at most 4096 elements and 1 MiB of keys and values. Where
// the type, or this kernel for it, has no batch command, they are written one by one. The one flag is
// Lock: the kernel has neither NoExist nor Exist for batches. Of equal keys the last one wins.
//
// done is how many elements, from the first one on, are surely written; on an error the element at
// done is the one that failed, or the call failed as a whole. Errors are those of UpdateElem, and ctx's if
// it ends between two system calls. BPF_MAP_UPDATE_BATCH: Linux 5.6, LPM tries and per-CPU arrays 5.13.
func (m *Map) UpdateBatch(ctx context.Context, keys, values []byte, flags ElemFlags) (done int, err error) {
	const op = opUpdateBatch
	if !m.traits.Update {
		return 0, m.unsupported(op)
	}
	if values == nil {
		values = []byte{} // no values are too few, not none asked for
	}
	width := m.width(flags)
	count, err := m.batchLen(op, keys, values, width)
	if err != nil {
		return 0, err
	}
	if m.traits.UpdateBatch {
		done, err = m.inBatches(ctx, op, flags, count, m.key+width, func(from, n int) (int, error) {
			return m.fd.Batch(sys.MapUpdateBatch, nil, nil,
				keys[from*m.key:(from+n)*m.key], values[from*width:(from+n)*width], n, uint64(flags))
		})
		if !sys.IsNotSupp(err) {
			return done, err
		}
	}
	return m.each(ctx, op, count, func(i int) error { return m.UpdateElem(m.keyAt(keys, i), values[i*width:(i+1)*width], flags) })
}

// DeleteBatch removes len(keys)/KeySize elements. The first key that doesn't exist ends it with
// ErrNotExist, and done is its place; so does ctx, if it ends between two system calls.
// BPF_MAP_DELETE_BATCH: Linux 5.6, LPM tries 5.13; one by one where there is none.
func (m *Map) DeleteBatch(ctx context.Context, keys []byte) (done int, err error) {
	const op = opDeleteBatch
	if !m.traits.Delete {
		return 0, m.unsupported(op)
	}
	count, err := m.batchLen(op, keys, nil, 0)
	if err != nil {
		return 0, err
	}
	if m.traits.DeleteBatch {
		done, err = m.inBatches(ctx, op, Any, count, m.key, func(from, n int) (int, error) {
			return m.fd.Batch(sys.MapDeleteBatch, nil, nil, keys[from*m.key:(from+n)*m.key], nil, n, 0)
		})
		if !sys.IsNotSupp(err) {
			return done, err
		}
	}
	return m.each(ctx, op, count, func(i int) error { return m.DeleteElem(m.keyAt(keys, i)) })
}

// DeleteBatchIgnoreMissing is DeleteBatch for callers that only want the keys gone: it steps over
// keys that don't exist. done counts the keys that are gone, missing ones among them.
func (m *Map) DeleteBatchIgnoreMissing(ctx context.Context, keys []byte) (done int, err error) {
	for done*m.key < len(keys) || done == 0 {
		n, err := m.DeleteBatch(ctx, keys[done*m.key:])
		done += n
		if err == nil {
			return done, nil
		}
		if !errors.Is(err, ErrNotExist) {
			return done, err
		}
		done++ // the one at done is missing, which is what the caller wants
		if done*m.key >= len(keys) {
			return done, nil
		}
	}
	return done, nil
}

// LookupAndDeleteBatch drains at most len(keys)/KeySize elements into keys and values, in one system call,
// and returns how many. more is false when the map is drained. Only the hash family has it (Linux 5.6).
//
// The kernel takes the elements of a bucket together. If the first one holds more than fit into the
// buffers, elements are taken one by one; for HashOfMaps and before Linux 5.14 there is no such command,
// and the error (ENOSPC) says so.
func (m *Map) LookupAndDeleteBatch(ctx context.Context, keys, values []byte, flags ElemFlags) (n int, more bool, err error) {
	const op = opDrainBatch
	if !m.traits.LookupAndDeleteBatch {
		return 0, false, m.unsupported(op)
	}
	count, err := m.batchLen(op, keys, values, m.stride)
	if err != nil {
		return 0, false, err
	}
	var cursor [8]byte
	for wait := lockBackoff(); ; {
		if err := m.stopped(ctx, op, 0); err != nil {
			return 0, false, err
		}
		n, err = m.fd.Batch(sys.MapLookupAndDeleteBatch, nil, cursor[:], keys, values, count, uint64(flags))
		switch {
		case err == nil:
			return n, true, nil
		case sys.IsNotExist(err):
			return n, false, nil
		case sys.IsNoSpace(err):
			return m.drainOneByOne(ctx, keys, values, count, flags)
		case m.contended(err) && n > 0 && n < count:
			return n, true, nil // they are gone from the map
		case m.contended(err) && wait.again():
			continue
		}
		return 0, false, m.explain(op, flags, err)
	}
}

// drainOneByOne takes at most count elements out, always the first one that the kernel finds.
func (m *Map) drainOneByOne(ctx context.Context, keys, values []byte, count int, flags ElemFlags) (n int, more bool, err error) {
	const op = opDrainBatch
	// Elements that others take meanwhile aren't found; that they do so again and again isn't waited for.
	for tries := 0; n < count && tries < count+checkEvery; tries++ {
		if tries%checkEvery == 0 {
			if err := m.stopped(ctx, op, n); err != nil {
				return n, true, err
			}
		}
		key := m.keyAt(keys, n)
		found, err := m.GetNextKey(nil, key)
		if err != nil || !found {
			return n, false, err
		}
		switch err := m.elem(sys.MapLookupAndDeleteElem, key, m.valueAt(values, n), flags); {
		case err == nil:
			n++
		case sys.IsNotSupp(err) || sys.IsInvalid(err):
			return n, true, &Error{
				Op: op, Map: m.describe(), Err: sys.ENOSPC,
				Hint: fmt.Sprintf("a hash bucket holds more elements than the %d that fit into the buffers: use larger ones", count),
			}
		case !sys.IsNotExist(err):
			return n, true, m.explain(op, flags, err)
		}
	}
	return n, true, nil
}

// inBatches runs a batch command over count elements of size bytes, and translates the kernel's count: it
// is the number of elements done only for errors that arise at an element. Errors before the first one
// leave the count as it was passed in, which looks like complete success.
func (m *Map) inBatches(
	ctx context.Context, op string, flags ElemFlags, count, size int, run func(from, n int) (int, error),
) (int, error) {
	limit, wait := batchLimit(size), lockBackoff()
	for done := 0; done < count; {
		if err := m.stopped(ctx, op, done); err != nil {
			return done, err
		}
		n := min(count-done, limit)
		kernelDone, err := run(done, n)
		switch {
		case err == nil:
			kernelDone = n
		case kernelDone >= n:
			kernelDone = 0
		}
		done += kernelDone
		if kernelDone > 0 {
			wait = lockBackoff()
		}
		if err != nil && (!m.contended(err) || !wait.again()) {
			return done, m.explain(op, flags, err)
		}
	}
	return count, nil
}

func (m *Map) each(ctx context.Context, op string, count int, do func(i int) error) (int, error) {
	for i := range count {
		if i%checkEvery == 0 {
			if err := m.stopped(ctx, op, i); err != nil {
				return i, err
			}
		}
		if err := do(i); err != nil {
			return i, err
		}
	}
	return count, nil
}

// batchLen is how many elements the packed buffers hold, with values of width bytes. values is nil for deletes.
func (m *Map) batchLen(op string, keys, values []byte, width int) (int, error) {
	if m.traits.Keyless {
		if keys != nil {
			return 0, sizeError(op, "the key", m, len(keys), 0)
		}
		if len(values)%width != 0 {
			return 0, &Error{Op: op, Map: m.describe(), Err: fmt.Errorf("%d bytes of values are not a multiple of %d", len(values), width)}
		}
		return len(values) / width, nil
	}
	if m.key == 0 || len(keys)%m.key != 0 {
		return 0, &Error{Op: op, Map: m.describe(), Err: fmt.Errorf("%d bytes of keys are not a multiple of %d", len(keys), m.key)}
	}
	count := len(keys) / m.key
	if values != nil && len(values) != count*width {
		return 0, &Error{Op: op, Map: m.describe(), Err: fmt.Errorf("%d keys need %d bytes of values, not %d", count, count*width, len(values))}
	}
	return count, nil
}

func (m *Map) keyAt(keys []byte, i int) []byte {
	if m.traits.Keyless {
		return nil
	}
	return keys[i*m.key : (i+1)*m.key]
}

func (m *Map) valueAt(values []byte, i int) []byte { return values[i*m.stride : (i+1)*m.stride] }
