// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package bpf

import (
	"context"
	"fmt"

	"github.com/bpfmap-io/bpfmap-operator/internal/bpf/sys"
)

// The names of operations in errors.
const (
	opAdd   = "add elements"
	opMerge = "change elements"
)

// AddBatch writes those of the packed elements whose keys aren't in the map, and leaves the others as they
// are. It takes a system call for each element: the kernel has no NoExist for batches. ProgArray and
// ArrayOfMaps have no NoExist at all, and LPM tries only since Linux 6.13: there, it is looked before. Arrays
// have every key at all times: ErrNotSupported.
//
// added is how many were written, also before an error. Errors are those of UpdateElem, and ctx's.
func (m *Map) AddBatch(ctx context.Context, keys, values []byte) (added int, err error) {
	if !m.traits.Update || m.traits.Keyless || m.traits.Array {
		return 0, m.unsupported(opAdd)
	}
	count, err := m.pairs(opAdd, keys, values)
	if err != nil {
		return 0, err
	}
	buffer := m.prefixBuffer()
	_, err = m.each(ctx, opAdd, count, func(i int) error {
		if there, err := m.hasPrefix(m.keyAt(keys, i), buffer); err != nil || there {
			return err
		}
		wrote, err := m.add(m.keyAt(keys, i), m.valueAt(values, i))
		if wrote {
			added++
		}
		return err
	})
	return added, err
}

// add writes an element, unless its key is there.
func (m *Map) add(key, value []byte) (wrote bool, err error) {
	err = m.elem(sys.MapUpdateElem, key, value, NoExist)
	if sys.IsInvalid(err) && m.traits.IndexKey && m.traits.Lookup {
		var id [4]byte
		if err = m.elem(sys.MapLookupElem, key, id[:], Any); sys.IsNotExist(err) {
			err = m.elem(sys.MapUpdateElem, key, value, Any)
			return err == nil, m.explained(opAdd, Any, err)
		}
		return false, m.explained(opAdd, Any, err)
	}
	if sys.IsExist(err) {
		return false, nil
	}
	return err == nil, m.explained(opAdd, NoExist, err)
}

// explained is nil for nil.
func (m *Map) explained(op string, flags ElemFlags, err error) error {
	if err == nil {
		return nil
	}
	return m.explain(op, flags, err)
}

// Merger writes some bits of values by reading and writing whole ones. What others write to an element
// between the two is lost, also in the other bits. It isn't safe for concurrent use.
type Merger struct {
	m     *Map
	mask  []byte
	flags ElemFlags
	value []byte
	// buffer is for keys of tries.
	buffer []byte
}

// NewMerger makes a Merger of the bits of mask, which is ValueStride bytes long; nil is all bits. The one
// flag is Lock: values aren't torn then, but the lock is given up between reading and writing.
// ErrNotSupported for types whose values aren't read as they are written.
func (m *Map) NewMerger(mask []byte, flags ElemFlags) (*Merger, error) {
	if !m.traits.Update || !m.traits.Lookup || m.traits.Keyless || m.traits.FDValued {
		return nil, m.unsupported(opMerge)
	}
	if mask != nil && len(mask) != m.stride {
		return nil, sizeError(opMerge, "the mask", m, len(mask), m.stride)
	}
	return &Merger{m: m, mask: mask, flags: flags, value: make([]byte, m.stride), buffer: m.prefixBuffer()}, nil
}

// Merge writes the bits of the mask from packed values to the elements with packed keys. missing is how
// many of them weren't there, which stay so. Errors are those of UpdateElem, and ctx's; some elements may
// have been written then.
func (g *Merger) Merge(ctx context.Context, keys, values []byte) (missing int, err error) {
	count, err := g.m.pairs(opMerge, keys, values)
	if err != nil {
		return 0, err
	}
	_, err = g.m.each(ctx, opMerge, count, func(i int) error {
		if g.buffer != nil {
			if there, err := g.m.hasPrefix(g.m.keyAt(keys, i), g.buffer); err != nil || !there {
				missing++ // unless it failed
				return err
			}
		}
		err := g.one(g.m.keyAt(keys, i), g.m.valueAt(values, i))
		if sys.IsNotExist(err) {
			missing++
			return nil
		}
		return g.m.explained(opMerge, g.flags, err)
	})
	return missing, err
}

func (g *Merger) one(key, value []byte) error {
	if g.mask != nil {
		if err := g.m.elem(sys.MapLookupElem, key, g.value, g.flags); err != nil {
			return err
		}
		for i, bits := range g.mask {
			g.value[i] ^= (g.value[i] ^ value[i]) & bits
		}
		value = g.value
	}
	return g.m.elem(sys.MapUpdateElem, key, value, Exist|g.flags)
}

// hasPrefix is false for all but tries, for which there is a buffer.
func (m *Map) hasPrefix(key, buffer []byte) (bool, error) {
	if buffer == nil {
		return false, nil
	}
	return m.HasPrefix(key, buffer)
}

// prefixBuffer is what HasPrefix needs; nil for other types.
func (m *Map) prefixBuffer() []byte {
	if m.typ != LPMTrie {
		return nil
	}
	return make([]byte, 2*m.key)
}

// pairs is how many elements packed keys and values are.
func (m *Map) pairs(op string, keys, values []byte) (int, error) {
	if m.key == 0 || len(keys)%m.key != 0 || len(keys)/m.key*m.stride != len(values) {
		return 0, &Error{Op: op, Map: m.describe(), Err: fmt.Errorf("%d bytes of keys and %d of values aren't packed elements", len(keys), len(values))}
	}
	return len(keys) / m.key, nil
}
