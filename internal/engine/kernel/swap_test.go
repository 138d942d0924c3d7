// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package kernel_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/vishvananda/netlink"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/bpf/bpftest"
	"github.com/bpfmap-io/bpfmap-operator/internal/engine"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
	"github.com/bpfmap-io/bpfmap-operator/test/await"
)

// The elements of the counters of tableReader.
const (
	counterPackets = iota
	counterMixed
	counterAbsent
	counters
)

// lookup are instructions that look key up in the map in R1 and leave the address of the value in R0.
func lookup(key int64, missing string) asm.Instructions {
	return asm.Instructions{
		asm.StoreImm(asm.RFP, -4, key, asm.Word), asm.Mov.Reg(asm.R2, asm.RFP), asm.Add.Imm(asm.R2, -4),
		asm.FnMapLookupElem.Call(), asm.JEq.Imm(asm.R0, 0, missing),
	}
}

// count are instructions that add 1 to a counter; without it they go to the label exit.
func count(in *ebpf.Map, which int64, label string) asm.Instructions {
	return slices.Concat(
		asm.Instructions{asm.LoadMapPtr(asm.R1, in.FD()).WithSymbol(label)}, lookup(which, "exit"),
		asm.Instructions{asm.Mov.Imm(asm.R1, 1), asm.StoreXAdd(asm.R0, asm.R1, asm.DWord)})
}

// tableReader is an XDP program that reads both values of the table in outer[0], and counts packets, those
// that saw two values of different tables, and those that saw no table.
func tableReader(t *testing.T, outer, in *ebpf.Map) *ebpf.Program {
	t.Helper()
	exit := asm.Instructions{asm.Mov.Imm(asm.R0, 2).WithSymbol("exit"), asm.Return()} // XDP_PASS
	p, err := ebpf.NewProgram(&ebpf.ProgramSpec{Name: "table_reader", Type: ebpf.XDP, License: "GPL", Instructions: slices.Concat(
		count(in, counterPackets, "start"),
		asm.Instructions{asm.LoadMapPtr(asm.R1, outer.FD())}, lookup(0, "absent"),
		asm.Instructions{asm.Mov.Reg(asm.R6, asm.R0), asm.Mov.Reg(asm.R1, asm.R6)}, lookup(0, "absent"),
		asm.Instructions{asm.LoadMem(asm.R7, asm.R0, 0, asm.DWord), asm.Mov.Reg(asm.R1, asm.R6)}, lookup(1, "absent"),
		asm.Instructions{asm.LoadMem(asm.R8, asm.R0, 0, asm.DWord), asm.JEq.Reg(asm.R7, asm.R8, "exit")},
		count(in, counterMixed, "mixed"), asm.Instructions{asm.Ja.Label("exit")},
		count(in, counterAbsent, "absent"), exit)})
	if err != nil {
		t.Fatalf("load the XDP program: %+v", err)
	}
	t.Cleanup(func() { p.Close() })
	return p
}

// The senders rest between bursts of packets: where the CPUs are emulated by turns, ones that are never idle keep a
// swap, which waits for all of them several times, for many seconds.
const (
	burst = 32
	rest  = 100 * time.Microsecond
)

// traffic attaches an XDP program to one end of a pair of interfaces and sends packets into the other,
// from two sockets, until the function that it returns is called.
func traffic(t *testing.T, p *ebpf.Program) (stop func()) {
	t.Helper()
	bpftest.AddInterface(t, "xdp")
	var peer netlink.Link
	for _, name := range []string{"xdp", "xdpp"} {
		link, err := netlink.LinkByName(name)
		if err == nil {
			err = netlink.LinkSetUp(link)
		}
		if err == nil && name == "xdp" {
			err = netlink.LinkSetXdpFd(link, p.FD())
		}
		if err != nil {
			t.Fatal(err)
		}
		peer = link
	}
	ctx, cancel := context.WithCancel(t.Context())
	var senders sync.WaitGroup
	for range 2 {
		fd, err := syscall.Socket(syscall.AF_PACKET, syscall.SOCK_RAW, 0)
		if err != nil {
			t.Fatal(err)
		}
		to := &syscall.SockaddrLinklayer{Ifindex: peer.Attrs().Index}
		frame := make([]byte, 64)
		binary.BigEndian.PutUint16(frame[12:], 0x88b5) // for local experiments
		senders.Go(func() {
			defer syscall.Close(fd)
			for i := 1; ctx.Err() == nil; i++ {
				if i%burst == 0 {
					time.Sleep(rest)
				}
				if err := syscall.Sendto(fd, frame, 0, to); err != nil && err != syscall.ENOBUFS {
					t.Errorf("send: %v", err)
					return
				}
			}
		})
	}
	return func() {
		cancel()
		senders.Wait()
	}
}

// The table is replaced under traffic until one of both is reached: a slow machine gets through fewer swaps.
const (
	mostSwaps   = 1000
	enoughSwaps = 20 * time.Second
)

// TestSwapUnderTraffic replaces an inner map again and again while a program reads it through the outer one:
// each packet sees the whole old table or the whole new one.
func TestSwapUnderTraffic(t *testing.T) {
	bpftest.InNetwork(t)
	n := newNode(t)
	table := func(version int) *revision.Revision {
		r := declare(t, "table", fmt.Sprintf(`{type: Array, value: {type: u64}, maxEntries: 2, freeze: true, replacePolicy: Swap,
			entries: [{key: 0, value: %d}, {key: 1, value: %d}]}`, version, version))
		r.Number = int64(version)
		return r
	}
	tables := declare(t, "tables", `{type: ArrayOfMaps, inner: {type: Array, value: {type: u64}, maxEntries: 2}, maxEntries: 1, entries: [{key: 0, value: table}]}`)
	n.sync(table(1), v1alpha1.NodeMapReady, engine.ActionCreated)
	n.sync(tables, v1alpha1.NodeMapReady, engine.ActionCreated)

	outer, err := ebpf.LoadPinnedMap(n.pins.Path(tables.Pin.Path), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { outer.Close() })
	counted, err := ebpf.NewMap(&ebpf.MapSpec{Type: ebpf.Array, KeySize: 4, ValueSize: 8, MaxEntries: counters})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { counted.Close() })
	value := func(which uint32) (v uint64) {
		if err := counted.Lookup(which, &v); err != nil {
			t.Fatal(err)
		}
		return v
	}
	stop := traffic(t, tableReader(t, outer, counted))
	before := value(counterPackets)
	swaps := 0
	for start := time.Now(); swaps < mostSwaps && (swaps == 0 || time.Since(start) < enoughSwaps); swaps++ {
		version := swaps + 2
		if r := n.Sync(t.Context(), table(version)); r.Err != nil || r.Action != engine.ActionReplaced {
			t.Fatalf("version %d: action %q, %v", version, r.Action, r.Err)
		}
		if r := n.Sync(t.Context(), tables); r.Err != nil || r.Action != engine.ActionUpdated {
			t.Fatalf("version %d: action %q, %v", version, r.Action, r.Err)
		}
	}
	packets := value(counterPackets) - before
	stop()
	if packets < uint64(swaps) {
		t.Errorf("%d packets came during %d swaps", packets, swaps)
	}
	if mixed, absent := value(counterMixed), value(counterAbsent); mixed != 0 || absent != 0 {
		t.Errorf("of %d packets, %d saw a mixed table and %d none", packets, mixed, absent)
	}
	t.Logf("%d packets during %d swaps", packets, swaps)
}

// TestUsersOfReplacedMap tells of a program that still reads a map that was replaced, until it is gone.
func TestUsersOfReplacedMap(t *testing.T) {
	n := newNode(t)
	small := declare(t, "limits", `{type: Array, value: {type: u64}, maxEntries: 3, replacePolicy: Swap}`)
	large := declare(t, "limits", `{type: Array, value: {type: u64}, maxEntries: 5, replacePolicy: Swap}`)
	old := n.sync(small, v1alpha1.NodeMapReady, engine.ActionCreated)
	if len(old.Replaced) != 0 {
		t.Errorf("replaced %+v", old.Replaced)
	}
	m, err := ebpf.LoadPinnedMap(n.pins.Path(small.Pin.Path), nil)
	if err != nil {
		t.Fatal(err)
	}
	p, err := ebpf.NewProgram(&ebpf.ProgramSpec{Name: "old_reader", Type: ebpf.SocketFilter, License: "GPL",
		Instructions: slices.Concat(count(m, 0, "start"), asm.Instructions{asm.Mov.Imm(asm.R0, 0).WithSymbol("exit"), asm.Return()})})
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	r := n.sync(large, v1alpha1.NodeMapReady, engine.ActionReplaced)
	if len(r.Replaced) != 1 || r.Replaced[0].ID != old.MapID || len(r.Replaced[0].Users) != 1 || !strings.HasPrefix(r.Replaced[0].Users[0], "old_reader (id ") {
		t.Errorf("replaced %+v, want map %d in use by old_reader", r.Replaced, old.MapID)
	}
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	await.Nil(t, time.Minute, func() error { // the kernel frees programs and maps some time later
		if r = n.Sync(t.Context(), large); len(r.Replaced) > 0 {
			return fmt.Errorf("replaced %+v, though nobody uses it", r.Replaced)
		}
		return nil
	})
}
