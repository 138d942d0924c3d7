// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package stores

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"github.com/cilium/ebpf/asm"
)

// code is what a program is made from.
type code struct {
	piece
	// mapFD is that of the map whose values are changed, the others those of our own arrays of one
	// element: records holds keys and values, counters the numbers below.
	mapFD, recordsFD, countersFD int
	keySize                      int
	// records is how many fit into the array.
	records int
	// cpus is how many values an element has, 0 if it isn't per CPU.
	cpus int
	// add changes atomic words by adding the difference, for kernels before 5.12.
	add bool
	// lockAt is the offset of the spin lock in a value; -1 for none.
	lockAt int
	// guarded records hold the value that is expected to be there, behind the one to write: other values
	// stay as they are.
	guarded bool
}

// The counters: numbers of 32 bits, in this order.
const (
	cNext    = iota // the number of the next value, counted over all records and CPUs
	cEnd            // how many there are
	cMissing        // keys that weren't found
	cStored         // values that weren't as wanted, and were written
	cOther          // values that weren't as expected
	nCounters
)

// keyBytes is the room of a key in a record: values follow at a multiple of 8.
func (c *code) keyBytes() int { return roundUp8(c.keySize) }

// valueBytes is the room of a value, or of the piece of it, in a record.
func (c *code) valueBytes() int { return roundUp8(c.to - c.from) }

// values is how many values an element has.
func (c *code) values() int { return max(1, c.cpus) }

// recordBytes is the size of a record: a key and its values.
func (c *code) recordBytes() int {
	n := c.keyBytes() + c.values()*c.valueBytes()
	if c.guarded {
		n += c.valueBytes()
	}
	return n
}

func roundUp8(n int) int { return (n + 7) &^ 7 }

// The registers: those that calls leave alone.
const (
	rRecord   = asm.R6
	rValue    = asm.R7
	rCounters = asm.R8
	rCPU      = asm.R9
	rDiff     = asm.R9 // later
)

// program stores one value, the next one: it is run as many times as there are values. It always
// returns 1, which every type of program may.
func (c *code) program() asm.Instructions {
	insns := append(c.findRecord(), c.findValue()...)
	if c.lockAt >= 0 {
		insns = append(insns, asm.StoreMem(asm.R10, onStack, rValue, asm.DWord))
		insns = append(append(insns, lockPointer(c.lockAt)...), asm.FnSpinLock.Call())
	}
	if c.from > 0 {
		insns = append(insns, asm.Add.Imm(rValue, int32(c.from)))
	}
	insns = append(insns, asm.Mov.Imm(rDiff, 0))
	for _, w := range c.words {
		insns = append(insns, c.differ(w, 0)...)
	}
	insns = append(insns, asm.JEq.Imm(rDiff, 0, "stored"))
	if c.guarded {
		insns = append(insns, asm.Mov.Imm(rDiff, 0))
		for _, w := range c.words {
			insns = append(insns, c.differ(w, c.valueBytes())...)
		}
		insns = append(insns, asm.JNE.Imm(rDiff, 0, "other"), asm.Mov.Imm(rDiff, 1))
	}
	for _, w := range c.words {
		insns = append(insns, c.store(w)...)
	}
	done := asm.Instructions{asm.JEq.Imm(rDiff, 0, "end")}
	if c.lockAt >= 0 {
		done = append(append(lockPointer(c.lockAt), asm.FnSpinUnlock.Call()), done...)
	}
	insns = append(insns, labelled("stored", done)...)
	insns = append(insns, count(cStored)...)
	insns = append(insns, asm.Ja.Label("end"))
	if c.guarded {
		insns = append(insns, labelled("other", count(cOther))...)
		insns = append(insns, asm.Ja.Label("end"))
	}
	insns = append(insns, labelled("missing", c.countMissing())...)
	return append(insns, asm.Mov.Imm(asm.R0, 1).WithSymbol("end"), asm.Return())
}

// onStack is where the address of the value is.
const onStack = -8

// lockPointer lets R1 be the address of the lock.
func lockPointer(at int) asm.Instructions {
	insns := asm.Instructions{asm.LoadMem(asm.R1, asm.R10, onStack, asm.DWord)}
	if at > 0 {
		insns = append(insns, asm.Add.Imm(asm.R1, int32(at)))
	}
	return insns
}

func labelled(name string, insns asm.Instructions) asm.Instructions {
	insns[0] = insns[0].WithSymbol(name)
	return insns
}

// findRecord lets rRecord be the record of the next value, and rCPU its CPU.
func (c *code) findRecord() asm.Instructions {
	insns := asm.Instructions{
		asm.LoadMapValue(rCounters, c.countersFD, 0),
		asm.LoadMapValue(rRecord, c.recordsFD, 0),
		asm.LoadMem(asm.R1, rCounters, 4*cNext, asm.Word),
		asm.LoadMem(asm.R2, rCounters, 4*cEnd, asm.Word),
		asm.JGE.Reg(asm.R1, asm.R2, "end"),
		asm.Mov.Reg(asm.R2, asm.R1),
		asm.Add.Imm(asm.R2, 1),
		asm.StoreMem(rCounters, 4*cNext, asm.R2, asm.Word),
	}
	if c.cpus > 0 {
		insns = append(insns,
			asm.Mov.Reg(rCPU, asm.R1),
			asm.Mod.Imm(rCPU, int32(c.cpus)),
			asm.JGE.Imm(rCPU, int32(c.cpus), "end"), // not all verifiers see that
			asm.Div.Imm(asm.R1, int32(c.cpus)))
	}
	return append(insns,
		asm.JGE.Imm(asm.R1, int32(c.records), "end"),
		asm.Mul.Imm(asm.R1, int32(c.recordBytes())),
		asm.Add.Reg(rRecord, asm.R1))
}

// findValue looks the key of the record up, and lets rRecord be the value to store.
func (c *code) findValue() asm.Instructions {
	insns := asm.Instructions{asm.LoadMapPtr(asm.R1, c.mapFD), asm.Mov.Reg(asm.R2, rRecord)}
	if c.cpus > 0 {
		insns = append(insns, asm.Mov.Reg(asm.R3, rCPU), asm.FnMapLookupPercpuElem.Call())
	} else {
		insns = append(insns, asm.FnMapLookupElem.Call())
	}
	insns = append(insns, asm.JEq.Imm(asm.R0, 0, "missing"), asm.Mov.Reg(rValue, asm.R0), asm.Add.Imm(rRecord, int32(c.keyBytes())))
	if c.cpus > 0 {
		insns = append(insns, asm.Mul.Imm(rCPU, int32(c.valueBytes())), asm.Add.Reg(rRecord, rCPU))
	}
	return insns
}

// countMissing counts a key once, whatever the number of CPUs.
func (c *code) countMissing() asm.Instructions {
	if c.cpus == 0 {
		return count(cMissing)
	}
	return append(asm.Instructions{asm.JNE.Imm(rCPU, 0, "end")}, count(cMissing)...)
}

// count adds 1 to a counter.
func count(counter int) asm.Instructions {
	return asm.Instructions{
		asm.LoadMem(asm.R1, rCounters, int16(4*counter), asm.Word),
		asm.Add.Imm(asm.R1, 1),
		asm.StoreMem(rCounters, int16(4*counter), asm.R1, asm.Word),
	}
}

// load lets R1 be the bits in which the value of the map differs from the one behind bytes after the
// record's, and R2 the value of the map.
func (c *code) load(w word, behind int) asm.Instructions {
	at := int16(w.at - c.from)
	insns := asm.Instructions{
		asm.LoadMem(asm.R1, rRecord, at+int16(behind), sizeOf(w.size)),
		asm.LoadMem(asm.R2, rValue, at, sizeOf(w.size)),
		asm.Xor.Reg(asm.R1, asm.R2),
	}
	if w.how != whole {
		insns = append(insns, asm.LoadImm(asm.R3, int64(w.bits), asm.DWord), asm.And.Reg(asm.R1, asm.R3))
	}
	return insns
}

// differ adds to rDiff the bits of a word that differ.
func (c *code) differ(w word, behind int) asm.Instructions {
	return append(c.load(w, behind), asm.Or.Reg(rDiff, asm.R1))
}

// store writes the bits of a word.
func (c *code) store(w word) asm.Instructions {
	at, size := int16(w.at-c.from), sizeOf(w.size)
	switch {
	case w.how == whole:
		return asm.Instructions{asm.LoadMem(asm.R1, rRecord, at, size), asm.StoreMem(rValue, at, asm.R1, size)}
	case w.how == plain:
		return append(c.load(w, 0), asm.Xor.Reg(asm.R2, asm.R1), asm.StoreMem(rValue, at, asm.R2, size))
	case c.add:
		return asm.Instructions{
			// The difference of the bits as numbers, which carries nothing into others' bits.
			asm.LoadImm(asm.R3, int64(w.bits), asm.DWord),
			asm.LoadMem(asm.R1, rRecord, at, size),
			asm.And.Reg(asm.R1, asm.R3),
			asm.LoadMem(asm.R2, rValue, at, size),
			asm.And.Reg(asm.R2, asm.R3),
			asm.Sub.Reg(asm.R1, asm.R2),
			asm.AddAtomic.Mem(rValue, asm.R1, size, at),
		}
	}
	xor := asm.XorAtomic.Mem(rValue, asm.R1, size, at)
	xor.Constant = int64(asm.XorAtomic >> 8) // left out by the assembler, which makes it an addition
	return append(c.load(w, 0), xor)
}

func sizeOf(bytes int) asm.Size {
	return map[int]asm.Size{1: asm.Byte, 2: asm.Half, 4: asm.Word, 8: asm.DWord}[bytes]
}

// pack is the program as the kernel takes it.
func pack(insns asm.Instructions) ([]byte, error) {
	var packed bytes.Buffer
	if err := insns.Marshal(&packed, byteOrder()); err != nil {
		return nil, fmt.Errorf("assemble the program that stores: %w", err)
	}
	return packed.Bytes(), nil
}

// byteOrder is this machine's, which the assembler doesn't take by the name binary.NativeEndian.
func byteOrder() binary.ByteOrder {
	if binary.NativeEndian.Uint16([]byte{1, 0}) == 1 {
		return binary.LittleEndian
	}
	return binary.BigEndian
}
