// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package stores

import (
	"context"
	"errors"
	"fmt"

	"github.com/bpfmap-io/bpfmap-operator/internal/bpf"
)

// Way is how bits were written.
type Way int

// The ways, the most exact one first.
const (
	// ByProgram: only the declared bits were stored.
	ByProgram Way = iota
	// UnderLock: so, and under the value's spin lock.
	UnderLock
	// ByReadModifyWrite: whole values were read and written, or single bytes that are shared with a program
	// where no larger word fits into the value. What others wrote between the two is lost.
	ByReadModifyWrite
)

const op = "store into elements"

// Writer stores some bits of the values of one map. It isn't safe for concurrent use.
type Writer struct {
	m      *bpf.Map
	merger *bpf.Merger
	// store is how elements are written by programs; nil without.
	store storer
	arena *arena
	way   Way
	why   error
}

// storer writes the elements that are there, by programs.
type storer func(ctx context.Context, keys, values []byte) (missing int, err error)

// New makes a Writer of the bits of mask, which is as long as a value in a system call (of all CPUs). flags
// is bpf.Lock to write under the spin lock in each value, or bpf.Any. It needs CAP_BPF; without, or where
// the kernel doesn't take the programs, the Writer reads and writes whole values, and Why says why.
// The error is bpf.ErrNotSupported for types whose values aren't read as they are written.
func New(m *bpf.Map, mask []byte, flags bpf.ElemFlags) (*Writer, error) {
	merger, err := m.NewMerger(mask, flags)
	if err != nil {
		return nil, err
	}
	w := &Writer{m: m, merger: merger, way: ByReadModifyWrite}
	if isWhole(mask) {
		w.way = ByProgram // as exact: there is nobody else in the value
		if m.Type() != bpf.LPMTrie {
			return w, nil
		}
	}
	w.why = w.load(mask, flags)
	return w, nil
}

func isWhole(mask []byte) bool {
	for _, bits := range mask {
		if bits != 0xff {
			return false
		}
	}
	return true
}

// Way is how Store writes.
func (w *Writer) Way() Way { return w.way }

// Why says why values aren't stored by programs; nil if they are, or needn't be.
func (w *Writer) Why() error { return w.why }

// Store writes the bits of the mask from packed values to the elements with packed keys. missing is how
// many of them weren't there, which stay so. Equal keys are written in their order.
//
// Errors: bpf.ErrFrozen; bpf.ErrBusy if others kept writing what was there before; that of a context that
// ends. After an error some elements may have been written.
func (w *Writer) Store(ctx context.Context, keys, values []byte) (missing int, err error) {
	if w.store == nil {
		return w.merger.Merge(ctx, keys, values)
	}
	key, stride := w.m.KeySize(), w.m.ValueStride()
	if len(keys)%key != 0 || len(keys)/key*stride != len(values) {
		return 0, w.fail(fmt.Errorf("%d bytes of keys and %d of values aren't packed elements", len(keys), len(values)))
	}
	// Programs may write to a map that is frozen for user space.
	info, err := w.m.FDInfo()
	if err != nil {
		return 0, err
	}
	if info.Frozen {
		return 0, &bpf.Error{Op: op, Map: w.m.Type().String(), Kind: bpf.ErrFrozen}
	}
	return w.store(ctx, keys, values)
}

func (w *Writer) fail(err error) error {
	return &bpf.Error{Op: op, Map: w.m.Type().String(), Err: err}
}

// Close gives up the programs, not the map.
func (w *Writer) Close() error {
	if w.arena == nil {
		return nil
	}
	return w.arena.close()
}

// maxPasses bounds how often the values of a batch are stored until a pass finds all of them as wanted. A
// program that adds to a byte by loading, adding and storing puts back the declared bits that it has
// loaded before.
const maxPasses = 32

// errPutBack is the cause of bpf.ErrBusy.
var errPutBack = errors.New("others kept writing back what was there before")

// batches stores elements by the programs of an arena, as many in a pass as fit.
func (w *Writer) batches(ctx context.Context, keys, values []byte) (missing int, err error) {
	key, stride := w.m.KeySize(), w.m.ValueStride()
	for count, at := len(keys)/key, 0; at < count; {
		if err := ctx.Err(); err != nil {
			return missing, w.fail(err)
		}
		n := min(w.arena.records, count-at)
		gone, err := w.batch(keys[at*key:(at+n)*key], values[at*stride:(at+n)*stride], n)
		if err != nil {
			return missing, err
		}
		missing += gone
		at += n
	}
	return missing, nil
}

// batch stores n elements, piece by piece.
func (w *Writer) batch(keys, values []byte, n int) (missing int, err error) {
	for i := range w.arena.programs {
		p := &w.arena.programs[i]
		for j := range n {
			w.arena.put(p, j, keys, values)
		}
		if err := w.arena.send(n * p.recordBytes()); err != nil {
			return 0, err
		}
		for pass := 0; ; pass++ {
			c, err := w.arena.run(p, n)
			if err != nil {
				return 0, w.fail(err)
			}
			missing = int(c[cMissing])
			if c[cStored] == 0 {
				break
			}
			if pass == maxPasses {
				return 0, &bpf.Error{Op: op, Map: w.m.Type().String(), Kind: bpf.ErrBusy, Hint: fmt.Sprintf("%d elements", c[cStored]), Err: errPutBack}
			}
		}
	}
	return missing, nil
}
