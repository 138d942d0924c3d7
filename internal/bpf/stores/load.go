// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package stores

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/cilium/ebpf/asm"

	"github.com/bpfmap-io/bpfmap-operator/internal/bpf"
	"github.com/bpfmap-io/bpfmap-operator/internal/bpf/sys"
	"github.com/bpfmap-io/bpfmap-operator/internal/maptype"
)

// maxPieces bounds the programs of a Writer.
const maxPieces = 64

// load makes the programs. The error is why there are none.
func (w *Writer) load(mask []byte, flags bpf.ElemFlags) error {
	c := code{keySize: w.m.KeySize(), lockAt: -1, guarded: w.m.Type() == bpf.LPMTrie}
	slot, err := w.slotMask(&c, mask)
	if err != nil {
		return err
	}
	if flags == bpf.Lock {
		if c.lockAt, err = findLock(w.m); err != nil {
			return err
		}
		slot = bytes.Clone(slot)
		clear(slot[c.lockAt : c.lockAt+lockBytes])
	}
	parts := value{mask: slot, align: alignOf(w.m), lockAt: c.lockAt}.pieces()
	if len(parts) == 0 {
		parts = []piece{{to: min(8, len(slot))}} // which counts the keys that are missing
	}
	if len(parts) > maxPieces {
		return w.fail(fmt.Errorf("the declared bytes of a value take %d programs, more than %d", len(parts), maxPieces))
	}
	if err := w.loadPieces(parts, c); err != nil {
		return err
	}
	w.store, w.way = w.batches, ByProgram
	if c.guarded {
		w.store = w.prefixes
	}
	switch {
	case c.lockAt >= 0:
		w.way = UnderLock
	case has(parts, plain):
		w.way = ByReadModifyWrite
	}
	return nil
}

// slotMask is the mask of one CPU's value. It has to be that of every CPU.
func (w *Writer) slotMask(c *code, mask []byte) ([]byte, error) {
	size := w.m.ValueSize()
	if mask == nil {
		mask = bytes.Repeat([]byte{0xff}, w.m.ValueStride())
	}
	if !w.m.Type().Traits().PerCPU {
		return mask, nil
	}
	if !bpf.CPUsAreDense() {
		return nil, w.fail(errors.New("the numbers of this machine's possible CPUs have gaps"))
	}
	slot := maptype.Slot(size)
	c.cpus = len(mask) / slot
	for cpu := range c.cpus {
		if !bytes.Equal(mask[cpu*slot:cpu*slot+size], mask[:size]) {
			return nil, w.fail(errors.New("other bits are declared on each CPU"))
		}
	}
	return mask[:size], nil
}

// alignOf is which powers of 2 values lie at multiples of, at most 8. Those of tries follow the key, and so
// do those of hashes, after padding.
func alignOf(m *bpf.Map) int {
	if m.Type() != bpf.LPMTrie {
		return 8
	}
	align := 8
	for data := m.KeySize() - prefixBytes; data%align != 0; {
		align /= 2
	}
	return align
}

// prefixBytes is the size of the length of a prefix, which a trie keeps elsewhere.
const prefixBytes = 4

// loadPieces loads the programs, and if the kernel doesn't take the atomic operations of Linux 5.12, those
// of before. A run without records shows whether it runs programs, too.
func (w *Writer) loadPieces(parts []piece, c code) (err error) {
	for _, c.add = range []bool{false, true} {
		if err = w.tryPieces(parts, c); err == nil || !has(parts, atomic) || errors.Is(err, bpf.ErrNotPermitted) {
			return err
		}
	}
	return err
}

func (w *Writer) tryPieces(parts []piece, c code) error {
	largest := 0
	for _, c.piece = range parts {
		largest = max(largest, c.recordBytes())
	}
	a, err := newArena(largest, c.guarded)
	if err != nil {
		return err
	}
	for _, c.piece = range parts {
		if err := a.load(w.m, c); err != nil {
			return errors.Join(err, a.close())
		}
	}
	if _, err := a.programs[0].fd.RunProgram(a.packet, 1); err != nil {
		return errors.Join(w.fail(fmt.Errorf("run a program: %w", err)), a.close())
	}
	w.arena = a
	return nil
}

const (
	lockBytes = 4
	// maxLockAt bounds the search for the lock, which usually comes first.
	maxLockAt = 1024
)

// findLock is the offset of the spin lock in the values of a map. Only who may see all BTF may ask for it,
// but the kernel takes a program that locks at that offset, and at no other.
func findLock(m *bpf.Map) (at int, err error) {
	keys, err := bpf.Create(bpf.CreateOpts{Type: bpf.Array, Name: "bpfmap_keys", KeySize: 4, ValueSize: uint32(m.KeySize()), MaxEntries: 1})
	if err != nil {
		return 0, err
	}
	if err = tryLock(m, keys, 0); err == nil {
		return 0, keys.Close()
	}
	if has, capErr := sys.HasCapability(sys.CapPerfmon); capErr == nil && !has {
		// The verifier lets others not compute the address of a lock.
		err = &bpf.Error{
			Op: op, Map: m.Type().String(), Kind: bpf.ErrNotPermitted,
			Hint: "missing " + sys.CapPerfmon.String() + ", which a spin lock takes that isn't at the beginning of the value", Err: err,
		}
		return 0, errors.Join(err, keys.Close())
	}
	for at = lockBytes; at+lockBytes <= min(m.ValueSize(), maxLockAt); at += lockBytes {
		if tryLock(m, keys, at) == nil {
			return at, keys.Close()
		}
	}
	return 0, errors.Join(fmt.Errorf("find the spin lock in the value: %w", err), keys.Close())
}

// tryLock loads a program that takes the lock at an offset of a value, and gives it back.
func tryLock(m, keys *bpf.Map, at int) error {
	insns := asm.Instructions{
		asm.LoadMapPtr(asm.R1, m.FD()), asm.LoadMapValue(asm.R2, keys.FD(), 0), asm.FnMapLookupElem.Call(),
		asm.JEq.Imm(asm.R0, 0, "end"), asm.StoreMem(asm.R10, onStack, asm.R0, asm.DWord),
	}
	insns = append(append(insns, lockPointer(at)...), asm.FnSpinLock.Call())
	insns = append(append(insns, lockPointer(at)...), asm.FnSpinUnlock.Call())
	packed, err := pack(append(insns, asm.Mov.Imm(asm.R0, 1).WithSymbol("end"), asm.Return()))
	if err != nil {
		return err
	}
	fd, err := loadProgram(m, sys.ProgTypeCgroupSKB, packed)
	if err != nil {
		return err
	}
	return fd.Close()
}
