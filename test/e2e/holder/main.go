// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Command holder loads a BPF program that looks up key 1 of the map pinned at its argument, runs it each
// second, and prints the value when it changes: a program that uses a managed map, in a pod.
package main

import (
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
)

func main() {
	if err := run(os.Args[1], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(pin string, out io.Writer) error {
	table, err := ebpf.LoadPinnedMap(pin, nil)
	if err != nil {
		return err
	}
	// r0 = *map_lookup_elem(table, &1), or 0
	program, err := ebpf.NewProgram(&ebpf.ProgramSpec{Type: ebpf.SocketFilter, License: "Dual BSD/GPL", Instructions: asm.Instructions{
		asm.StoreImm(asm.RFP, -4, 1, asm.Word),
		asm.LoadMapPtr(asm.R1, table.FD()),
		asm.Mov.Reg(asm.R2, asm.RFP),
		asm.Add.Imm(asm.R2, -4),
		asm.FnMapLookupElem.Call(),
		asm.JEq.Imm(asm.R0, 0, "out"),
		asm.LoadMem(asm.R0, asm.R0, 0, asm.Word),
		asm.Return().WithSymbol("out"),
	}})
	if err != nil {
		return err
	}
	// The program alone holds the map from here on.
	if err := table.Close(); err != nil {
		return err
	}
	ended := make(chan os.Signal, 1)
	signal.Notify(ended, syscall.SIGTERM)
	last := uint32(0)
	for {
		value, _, err := program.Test(make([]byte, 64))
		if err != nil {
			return err
		}
		if value != last {
			if _, err := fmt.Fprintln(out, "the program sees", value); err != nil {
				return err
			}
			last = value
		}
		select {
		case <-ended:
			return program.Close()
		case <-time.After(100 * time.Millisecond):
		}
	}
}
