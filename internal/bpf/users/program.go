// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package users

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"github.com/cilium/ebpf/asm"
)

// The records that the iterators write, one for each object.
const (
	// maxUsedMaps is the kernel's bound on the maps of a program (MAX_USED_MAPS).
	maxUsedMaps = 64
	// programRecord: id, type, number of maps, unused, tag[8], name[16], ids of maps.
	programMaps   = 40
	programRecord = programMaps + 4*maxUsedMaps
	// mapRecord: id, type, key size, value size, capacity, unused, references, references of user space, name[16].
	mapRecord = 56
)

// scratch is how much of the stack a program has below its record.
const scratch = 8

// onEach are the instructions that begin a program on each object: its address comes to R7, that of the file
// that is read to R8, and the record at the end of the stack is zeroed. A call without an object ends the
// iteration.
func onEach(record int16) asm.Instructions {
	insns := asm.Instructions{
		asm.LoadMem(asm.R7, asm.R1, 8, asm.DWord),
		asm.JEq.Imm(asm.R7, 0, "end"),
		asm.LoadMem(asm.R8, asm.R1, 0, asm.DWord),
		asm.LoadMem(asm.R8, asm.R8, 0, asm.DWord), // struct bpf_iter_meta begins with it, as libbpf relies on, too
		asm.Mov.Imm(asm.R0, 0),
	}
	for at := -record; at < 0; at += 8 {
		insns = append(insns, asm.StoreMem(asm.RFP, at, asm.R0, asm.DWord))
	}
	return insns
}

// read are the instructions that copy size bytes from the kernel's memory at a register's address plus at to the
// stack.
func read(to int16, size int32, from asm.Register, at int32) asm.Instructions {
	return asm.Instructions{
		asm.Mov.Reg(asm.R1, asm.RFP),
		asm.Add.Imm(asm.R1, int32(to)),
		asm.Mov.Imm(asm.R2, size),
		asm.Mov.Reg(asm.R3, from),
		asm.Add.Imm(asm.R3, at),
		asm.FnProbeReadKernel.Call(),
	}
}

// write are the instructions that pass the record on and end the program.
func write(record int16) asm.Instructions {
	return asm.Instructions{
		asm.Mov.Reg(asm.R1, asm.R8).WithSymbol("write"),
		asm.Mov.Reg(asm.R2, asm.RFP),
		asm.Add.Imm(asm.R2, -int32(record)),
		asm.Mov.Imm(asm.R3, int32(record)),
		asm.FnSeqWrite.Call(),
		asm.Mov.Imm(asm.R0, 0).WithSymbol("end"),
		asm.Return(),
	}
}

// eachMap are the instructions that describe each map.
func (l *layout) eachMapProgram() asm.Instructions {
	insns := onEach(mapRecord)
	for _, m := range []struct {
		at     int16
		size   int32
		member string
	}{
		{0, 4, "id"}, {4, 4, "map_type"}, {8, 4, "key_size"}, {12, 4, "value_size"}, {16, 4, "max_entries"},
		{24, 8, "refcnt"}, {32, 8, "usercnt"}, {40, 16, "name"},
	} {
		insns = append(insns, read(m.at-mapRecord, m.size, asm.R7, l.bpfMap[m.member])...)
	}
	return append(insns, write(mapRecord)...)
}

// eachProgramProgram are the instructions that describe each program. There is one piece for each map that a
// program may use: loops would need a newer verifier.
func (l *layout) eachProgramProgram() asm.Instructions {
	const spare = -programRecord - scratch
	insns := onEach(programRecord)
	add := func(more ...asm.Instruction) { insns = append(insns, more...) }
	add(read(4-programRecord, 4, asm.R7, l.prog["type"])...)
	add(read(16-programRecord, 8, asm.R7, l.prog["tag"])...)
	add(read(spare, scratch, asm.R7, l.prog["aux"])...)
	add(asm.LoadMem(asm.R7, asm.RFP, spare, asm.DWord))
	add(read(0-programRecord, 4, asm.R7, l.aux["id"])...)
	add(read(8-programRecord, 4, asm.R7, l.aux["used_map_cnt"])...)
	add(read(24-programRecord, 16, asm.R7, l.aux["name"])...)
	add(read(spare, scratch, asm.R7, l.aux["used_maps"])...)
	add(asm.LoadMem(asm.R7, asm.RFP, spare, asm.DWord), asm.LoadMem(asm.R9, asm.RFP, 8-programRecord, asm.Word))
	for i := range int32(maxUsedMaps) {
		add(asm.JLE.Imm(asm.R9, i, "write"))
		add(read(spare, scratch, asm.R7, 8*i)...)
		add(asm.LoadMem(asm.R6, asm.RFP, spare, asm.DWord))
		add(read(programMaps+4*int16(i)-programRecord, 4, asm.R6, l.bpfMap["id"])...)
	}
	return append(insns, write(programRecord)...)
}

// pack is the program as the kernel takes it.
func pack(insns asm.Instructions) ([]byte, error) {
	order := binary.ByteOrder(binary.LittleEndian)
	if binary.NativeEndian.Uint16([]byte{1, 0}) != 1 {
		order = binary.BigEndian
	}
	var packed bytes.Buffer
	if err := insns.Marshal(&packed, order); err != nil {
		return nil, fmt.Errorf("assemble an iterator: %w", err)
	}
	return packed.Bytes(), nil
}
