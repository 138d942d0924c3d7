// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package counts

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"runtime"

	"github.com/cilium/ebpf/asm"

	"github.com/bpfmap-io/bpfmap-operator/internal/bpf"
	"github.com/bpfmap-io/bpfmap-operator/internal/bpf/sys"
	"github.com/bpfmap-io/bpfmap-operator/internal/maptype"
)

const (
	op = "count elements"
	// license admits the kfunc, which only programs under the GPL may call.
	license = "Dual BSD/GPL"
	// ethernetHeader is the least that a program on packets is run on.
	ethernetHeader = 14
)

// Of is how many elements m holds.
//
//   - Hash, LRUHash, their per-CPU variants and HashOfMaps: by the kfunc bpf_map_sum_elem_count. It
//     needs Linux 6.6 with BTF and a JIT, and CAP_BPF.
//   - LPMTrie: from the kernel's struct lpm_trie. It needs Linux 5.9 with BTF, CAP_BPF and CAP_PERFMON.
//   - Other types: bpf.ErrNotSupported.
//
// The error is a *bpf.Error that says why the count can't be had this way: bpf.ErrNotSupported, or
// bpf.ErrNotPermitted, which names the capability. The map stays as it is, frozen ones too.
func Of(m *bpf.Map) (uint64, error) {
	if m.FD() < 0 {
		return 0, &bpf.Error{Op: op, Map: m.Type().String(), Err: bpf.ErrClosed}
	}
	insns, err := program(m)
	if err != nil {
		return 0, err
	}
	fd, err := sys.LoadProgram(sys.ProgTypeSocketFilter, insns, license, "bpfmap_count", nil)
	runtime.KeepAlive(m)
	if err != nil {
		return 0, explain(m, insns, err)
	}
	n, err := fd.RunProgram(make([]byte, ethernetHeader), 1)
	if err := errors.Join(err, fd.Close()); err != nil {
		return 0, &bpf.Error{Op: op, Map: m.Type().String(), Err: err}
	}
	return uint64(n), nil
}

// countOf is how the kernel tells the number of elements of m.
func countOf(m *bpf.Map) maptype.Count { return maptype.ByNumber(uint32(m.Type())).Or().Count }

// program is what returns the count of m, packed. A map has fewer than 2³² elements, so the 32 bits that
// a program returns hold it.
func program(m *bpf.Map) ([]byte, error) {
	insns := asm.Instructions{asm.LoadMapPtr(asm.R1, m.FD())}
	known, err := kernelTypes()
	switch countOf(m) {
	case maptype.Sum:
		if known.sum == 0 {
			return nil, notSupported(m, "this kernel has no "+sumFunc+": Linux 6.6 with BTF is needed", err)
		}
		insns = append(insns,
			asm.Instruction{OpCode: asm.OpCode(asm.JumpClass).SetJumpOp(asm.Call), Src: asm.PseudoKfuncCall, Constant: int64(known.sum)},
			// The sum of counters of all CPUs may be below 0 while others add and delete.
			asm.JSGE.Imm(asm.R0, 0, "end"),
			asm.Mov.Imm(asm.R0, 0),
			asm.Return().WithSymbol("end"))
	case maptype.TrieEntries:
		if known.entriesAt == 0 {
			return nil, notSupported(m, "the kernel doesn't tell where a trie keeps its count: Linux 5.9 with BTF is needed", err)
		}
		insns = append(insns, asm.LoadMem(asm.R0, asm.R1, known.entriesAt, asm.DWord), asm.Return())
	default:
		return nil, notSupported(m, "the kernel counts only hashes and tries", nil)
	}
	var packed bytes.Buffer
	if err := insns.Marshal(&packed, byteOrder()); err != nil {
		return nil, fmt.Errorf("assemble the program that counts: %w", err)
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

func notSupported(m *bpf.Map, hint string, err error) error {
	return &bpf.Error{Op: op, Map: m.Type().String(), Kind: bpf.ErrNotSupported, Hint: hint, Err: err}
}

// maxLog holds what the verifier says of a handful of instructions.
const maxLog = 4096

// explain says why the kernel doesn't take the program: a capability, or what the verifier says.
func explain(m *bpf.Map, insns []byte, err error) error {
	needed := []sys.Capability{sys.CapBPF}
	if countOf(m) == maptype.TrieEntries {
		needed = append(needed, sys.CapPerfmon)
	}
	if hint, kind := bpf.LoadRefused(err, needed...); kind != nil {
		return &bpf.Error{Op: op, Map: m.Type().String(), Kind: kind, Hint: hint, Err: err}
	}
	e := &bpf.Error{Op: op, Map: m.Type().String(), Hint: whyRefused(m, insns), Err: err}
	if sys.IsPermission(err) || sys.IsInvalid(err) || sys.IsNotSupp(err) {
		e.Kind = bpf.ErrNotSupported
	}
	return e
}

// whyRefused is what the verifier says; empty if it has nothing to say.
func whyRefused(m *bpf.Map, insns []byte) string {
	log := make([]byte, maxLog)
	fd, err := sys.LoadProgram(sys.ProgTypeSocketFilter, insns, license, "bpfmap_count", log)
	runtime.KeepAlive(m)
	if err == nil {
		_ = fd.Close() // it was accepted the second time: the next count will succeed
		return ""
	}
	return sys.WhyRefused(log)
}
