// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package kernel_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cilium/ebpf/asm"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/bpf"
	"github.com/bpfmap-io/bpfmap-operator/internal/bpf/bpftest"
	"github.com/bpfmap-io/bpfmap-operator/internal/bpf/sys"
	"github.com/bpfmap-io/bpfmap-operator/internal/engine"
	"github.com/bpfmap-io/bpfmap-operator/internal/engine/kernel"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
)

// million is a revision of n entries, with values of one byte repeated, in a map with room for others' elements.
func million(b testing.TB, typ v1alpha1.MapType, flags []v1alpha1.MapFlag, n, capacity int, value byte) *revision.Revision {
	b.Helper()
	rev := &revision.Revision{
		Key: revision.Key{Namespace: "edge", Name: "bench"}, UID: "u", Name: fmt.Sprintf("bench-%d", value), Number: int64(value) + 1,
		Shape:  revision.Shape{Type: typ, KeySize: 8, ValueSize: 8, MaxEntries: uint32(capacity), Name: "bench", Flags: flags},
		Policy: revision.Policy{Sync: v1alpha1.SyncMerge, Drift: v1alpha1.DriftRepair, Replace: v1alpha1.ReplaceNever, Deletion: v1alpha1.DeletionDelete},
		Pin:    revision.Pin{Path: "bpfmap/edge/bench", Mode: 0o600},
	}
	e := revision.Entries{KeySize: 8, ValueSize: 8}
	for i := range uint64(n) {
		e.Append(binary.BigEndian.AppendUint64(nil, i), bytes.Repeat([]byte{value}, 8), false)
	}
	var err error
	if rev.Contents, err = revision.NewContents(rev.Shape, &e); err != nil {
		b.Fatal(err)
	}
	rev.Digest = rev.ContentDigest()
	return rev
}

// flows is a program that puts elements with keys of its own into a map and takes them out again.
type flows struct {
	program  *sys.FD
	counters *bpf.Map
}

// The counters of flows: runs, and failed insertions by errno.
const (
	flowRuns = iota
	flowBusy
	flowNoMemory
	flowFull
	flowOther
	flowCounters
)

// flowKeys are the keys of flows: the first one, and how many there are.
const (
	flowFirst = 1 << 40
	flowCount = 1 << 14
)

func startFlows(b testing.TB, m *bpf.Map, remove bool) *flows {
	b.Helper()
	counters, err := bpf.Create(bpf.CreateOpts{Type: bpf.Array, KeySize: 4, ValueSize: 8 * flowCounters, MaxEntries: 1})
	if err != nil {
		b.Fatal(err)
	}
	count := func(i int16) []asm.Instruction {
		return []asm.Instruction{asm.LoadMem(asm.R1, asm.R6, 8*i, asm.DWord), asm.Add.Imm(asm.R1, 1), asm.StoreMem(asm.R6, 8*i, asm.R1, asm.DWord)}
	}
	insns := asm.Instructions{
		asm.LoadMapValue(asm.R6, counters.FD(), 0),
		asm.LoadMem(asm.R7, asm.R6, 8*flowRuns, asm.DWord),
	}
	insns = append(insns, count(flowRuns)...)
	if remove {
		insns = append(insns, asm.And.Imm(asm.R7, flowCount-1))
	}
	insns = append(insns,
		asm.LoadImm(asm.R1, flowFirst, asm.DWord), asm.Add.Reg(asm.R7, asm.R1),
		asm.StoreMem(asm.R10, -8, asm.R7, asm.DWord), asm.StoreMem(asm.R10, -16, asm.R7, asm.DWord),
		asm.LoadMapPtr(asm.R1, m.FD()), asm.Mov.Reg(asm.R2, asm.R10), asm.Add.Imm(asm.R2, -8), asm.Mov.Reg(asm.R3, asm.R10), asm.Add.Imm(asm.R3, -16),
		asm.Mov.Imm(asm.R4, 0), asm.FnMapUpdateElem.Call(),
		asm.JEq.Imm(asm.R0, 0, "inserted"))
	for counter, errno := range map[int16]int32{flowBusy: 16, flowNoMemory: 12, flowFull: 7} {
		next := fmt.Sprintf("not %d", errno)
		insns = append(insns, asm.JNE.Imm(asm.R0, -errno, next))
		insns = append(append(insns, count(counter)...), asm.Ja.Label("end"), asm.Mov.Reg(asm.R0, asm.R0).WithSymbol(next))
	}
	insns = append(append(insns, count(flowOther)...), asm.Ja.Label("end"))
	insns = append(insns, asm.LoadMapPtr(asm.R1, m.FD()).WithSymbol("inserted"))
	if remove {
		insns = append(insns, asm.Mov.Reg(asm.R2, asm.R10), asm.Add.Imm(asm.R2, -8), asm.FnMapDeleteElem.Call())
	}
	insns = append(insns, asm.Mov.Imm(asm.R0, 1).WithSymbol("end"), asm.Return())
	var packed bytes.Buffer
	if err := insns.Marshal(&packed, binary.LittleEndian); err != nil {
		b.Fatal(err)
	}
	log := make([]byte, 4096)
	fd, err := sys.LoadProgram(sys.ProgTypeSocketFilter, packed.Bytes(), "GPL", "flows", log)
	if err != nil {
		b.Fatal(err, sys.WhyRefused(log))
	}
	return &flows{fd, counters}
}

func (f *flows) close(b testing.TB) {
	b.Helper()
	for _, err := range []error{f.program.Close(), f.counters.Close()} {
		if err != nil {
			b.Error(err)
		}
	}
}

// during runs the program, on another thread, until do is done, and returns its counters and how long it
// ran.
func (f *flows) during(b testing.TB, do func()) (counts [flowCounters]uint64, took time.Duration) {
	b.Helper()
	var stop atomic.Bool
	ended := make(chan error)
	go func() {
		for !stop.Load() {
			if _, err := f.program.RunProgram(make([]byte, 64), 20000); err != nil {
				ended <- err
				return
			}
		}
		ended <- nil
	}()
	before := f.read(b)
	start := time.Now()
	do()
	took = time.Since(start)
	after := f.read(b)
	stop.Store(true)
	if err := <-ended; err != nil {
		b.Fatal(err)
	}
	for i := range counts {
		counts[i] = after[i] - before[i]
	}
	return counts, took
}

func (f *flows) read(b testing.TB) (counts [flowCounters]uint64) {
	b.Helper()
	raw := make([]byte, 8*flowCounters)
	if err := f.counters.LookupElem(make([]byte, 4), raw); err != nil {
		b.Fatal(err)
	}
	for i := range counts {
		counts[i] = binary.NativeEndian.Uint64(raw[8*i:])
	}
	return counts
}

// BenchmarkProgramsDuringResync tells what a program that inserts and deletes elements of its own sees of a
// resync of a million entries: failed insertions, and what one pair takes.
func BenchmarkProgramsDuringResync(b *testing.B) {
	const n = 1000000
	for _, c := range []struct {
		typ   v1alpha1.MapType
		flags []v1alpha1.MapFlag
	}{
		{v1alpha1.MapTypeHash, nil}, {v1alpha1.MapTypeHash, []v1alpha1.MapFlag{v1alpha1.FlagNoPrealloc}}, {v1alpha1.MapTypePerCPUHash, nil},
		{v1alpha1.MapTypeLRUHash, nil},
	} {
		dir := bpftest.BPFFS(b)
		backend, err := kernel.New(dir, kernel.Options{})
		if err != nil {
			b.Fatal(err)
		}
		e := engine.New(backend, engine.Options{})
		sync := func(value byte) {
			if r := e.Sync(b.Context(), million(b, c.typ, c.flags, n, n+n/4, value)); r.Err != nil {
				b.Fatal(r.Action, r.Err)
			}
		}
		sync(0)
		m, err := bpf.GetPinned(dir+"/bpfmap/edge/bench", 0)
		if err != nil {
			b.Fatal(err)
		}
		f := startFlows(b, m, true)
		measure := func(name string, do func()) {
			b.Run(fmt.Sprintf("%s%v/%s", c.typ, c.flags, name), func(b *testing.B) {
				for b.Loop() {
					counts, took := f.during(b, do)
					b.ReportMetric(float64(counts[flowRuns]), "inserts")
					b.ReportMetric(float64(took.Nanoseconds())/float64(counts[flowRuns]), "ns/insert")
					for counter, name := range map[int]string{flowBusy: "EBUSY", flowNoMemory: "ENOMEM", flowFull: "full", flowOther: "other"} {
						b.ReportMetric(float64(counts[counter]), name)
					}
				}
			})
		}
		measure("alone", func() { time.Sleep(time.Second) })
		measure("resync that reads", func() { sync(0) })
		value := byte(0)
		measure("resync that writes", func() { value++; sync(value) })
		f.close(b)
		if err := m.Close(); err != nil {
			b.Fatal(err)
		}
		if r := e.Remove(b.Context(), revision.Key{Namespace: "edge", Name: "bench"}); r.Err != nil {
			b.Fatal(r.Err)
		}
	}
}

// BenchmarkLRUResync tells what a resync costs programs whose elements share an LRU map at its capacity with
// declared ones: how many declared keys were evicted and are written again, and how many of the program's
// that evicts. Before each resync but the second of each pair, the program inserts as many new keys as the
// map holds.
func BenchmarkLRUResync(b *testing.B) {
	const capacity = 100000
	for _, declared := range []int{10000, 50000, 90000} {
		for _, flags := range [][]v1alpha1.MapFlag{nil, {v1alpha1.FlagNoCommonLRU}} {
			b.Run(fmt.Sprintf("%d of %d%v", declared, capacity, flags), func(b *testing.B) {
				dir := bpftest.BPFFS(b)
				backend, err := kernel.New(dir, kernel.Options{})
				if err != nil {
					b.Fatal(err)
				}
				e := engine.New(backend, engine.Options{})
				sync := func() {
					if r := e.Sync(b.Context(), million(b, v1alpha1.MapTypeLRUHash, flags, declared, capacity, 0)); r.Err != nil {
						b.Fatal(r.Action, r.Err)
					}
				}
				sync()
				m, err := bpf.GetPinned(dir+"/bpfmap/edge/bench", 0)
				if err != nil {
					b.Fatal(err)
				}
				f := startFlows(b, m, false)
				for b.Loop() {
					for round := range 4 {
						if round%2 == 0 {
							if _, err := f.program.RunProgram(make([]byte, 64), capacity); err != nil {
								b.Fatal(err)
							}
						}
						ours, theirs := shares(b, m)
						sync()
						oursAfter, theirsAfter := shares(b, m)
						b.Logf("resync %d: %d of ours and %d of the program's before, %d and %d after", round, ours, theirs, oursAfter, theirsAfter)
					}
				}
				f.close(b)
				if err := m.Close(); err != nil {
					b.Fatal(err)
				}
			})
		}
	}
}

// shares is how many elements of a map are declared, and how many the program's.
func shares(b testing.TB, m *bpf.Map) (ours, theirs int) {
	b.Helper()
	it := m.Iterate(b.Context(), bpf.IterateOptions{})
	for it.Next() {
		for keys := it.Keys(); len(keys) > 0; keys = keys[8:] {
			if binary.NativeEndian.Uint64(keys) >= flowFirst && binary.BigEndian.Uint64(keys) >= capacityOfKeys {
				theirs++
			} else {
				ours++
			}
		}
	}
	if it.Err() != nil {
		b.Fatal(it.Err())
	}
	return ours, theirs
}

// capacityOfKeys is above the numbers of declared keys, which are big endian.
const capacityOfKeys = 1 << 20
