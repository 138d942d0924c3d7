// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package stores_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cilium/ebpf/asm"
	"golang.org/x/sys/unix"

	"github.com/bpfmap-io/bpfmap-operator/internal/bpf"
	"github.com/bpfmap-io/bpfmap-operator/internal/bpf/stores"
	"github.com/bpfmap-io/bpfmap-operator/internal/bpf/sys"
)

// A value of the traffic's maps: a lock where there is one, a number of ours, one of the program's, a word in
// which the program counts above bits of ours, and a number of ours.
const (
	trafficSize  = 32
	ourFirst     = 4  // 4 bytes
	itsCount     = 8  // 8 bytes
	sharedWord   = 16 // 4 bytes
	ourBits      = 3  // in the lowest byte of sharedWord
	itsBits      = ourBits + 1
	ourSecond    = 24 // 8 bytes
	trafficRuns  = 2_000_000
	trafficCalls = 20
	trafficTime  = 2 * time.Second
)

// trafficMask is what is ours, of one CPU: whole fields, and bits.
func trafficMask(bits bool) []byte {
	mask := make([]byte, trafficSize)
	for _, at := range []int{ourFirst, ourFirst + 1, ourFirst + 2, ourFirst + 3} {
		mask[at] = 0xff
	}
	for at := ourSecond; at < trafficSize; at++ {
		mask[at] = 0xff
	}
	if bits {
		binary.NativeEndian.PutUint32(mask[sharedWord:], ourBits)
	}
	return mask
}

// traffic is a program that counts in the value of a key, in both places, with instructions that are not
// atomic, as compilers make them of ++. It also counts its own runs, per CPU, in the map runs, which nothing else
// writes: it may run more often than it was asked to, because BPF_PROG_TEST_RUN starts anew when a signal
// interrupts it.
func traffic(t *testing.T, m, outer, runs *bpf.Map, key []byte, locks bool) *sys.FD {
	t.Helper()
	insns := asm.Instructions{
		asm.StoreImm(asm.R10, -4, 0, asm.Word), asm.LoadMapPtr(asm.R1, runs.FD()), asm.Mov.Reg(asm.R2, asm.R10), asm.Add.Imm(asm.R2, -4),
		asm.FnMapLookupElem.Call(), asm.JEq.Imm(asm.R0, 0, "end"),
		asm.LoadMem(asm.R1, asm.R0, 0, asm.DWord), asm.Add.Imm(asm.R1, 1), asm.StoreMem(asm.R0, 0, asm.R1, asm.DWord),
	}
	for at := 0; at < len(key); at += 4 {
		insns = append(insns, asm.StoreImm(asm.R10, int16(at-32), int64(int32(binary.NativeEndian.Uint32(key[at:]))), asm.Word))
	}
	lookUp := func(load ...asm.Instruction) {
		insns = append(append(insns, load...), asm.Mov.Reg(asm.R2, asm.R10), asm.Add.Imm(asm.R2, -32), asm.FnMapLookupElem.Call(), asm.JEq.Imm(asm.R0, 0, "end"))
	}
	if outer != nil {
		lookUp(asm.LoadMapPtr(asm.R1, outer.FD()))
		lookUp(asm.Mov.Reg(asm.R1, asm.R0))
	} else {
		lookUp(asm.LoadMapPtr(asm.R1, m.FD()))
	}
	insns = append(insns, asm.Mov.Reg(asm.R6, asm.R0))
	if locks {
		insns = append(insns, asm.Mov.Reg(asm.R1, asm.R6), asm.FnSpinLock.Call())
	}
	insns = append(insns,
		asm.LoadMem(asm.R1, asm.R6, itsCount, asm.DWord), asm.Add.Imm(asm.R1, 1), asm.StoreMem(asm.R6, itsCount, asm.R1, asm.DWord),
		asm.LoadMem(asm.R1, asm.R6, sharedWord, asm.Word), asm.Add.Imm(asm.R1, itsBits), asm.StoreMem(asm.R6, sharedWord, asm.R1, asm.Word))
	if locks {
		insns = append(insns, asm.Mov.Reg(asm.R1, asm.R6), asm.FnSpinUnlock.Call())
	}
	insns = append(insns, asm.Mov.Imm(asm.R0, 1).WithSymbol("end"), asm.Return())
	var packed bytes.Buffer
	must(t, insns.Marshal(&packed, binary.LittleEndian))
	typ := uint32(sys.ProgTypeSocketFilter)
	if locks {
		typ = sys.ProgTypeCgroupSKB
	}
	fd, err := sys.LoadProgram(typ, packed.Bytes(), "GPL", "traffic", nil)
	must(t, err)
	t.Cleanup(func() { must(t, fd.Close()) })
	return fd
}

// run runs the traffic, on each of some CPUs, while write is called again and again, with another number each
// time. It returns the number of writes, and of the runs that were asked for: fewer on a slow machine.
func run(t *testing.T, fd *sys.FD, cpus int, write func(n int) error) (writes, asked int) {
	t.Helper()
	var busy sync.WaitGroup
	var running, calls atomic.Int64
	running.Store(int64(cpus))
	for cpu := range cpus {
		busy.Go(func() {
			defer running.Add(-1)
			runtime.LockOSThread() // never unlocked: the thread is bound to a CPU
			var set unix.CPUSet
			set.Set(cpu)
			if err := unix.SchedSetaffinity(0, &set); err != nil {
				t.Error(err)
			}
			start := time.Now()
			for call := range trafficCalls {
				if call > 1 && time.Since(start) > trafficTime {
					break // a slow machine
				}
				calls.Add(1)
				if _, err := fd.RunProgram(make([]byte, 64), trafficRuns/trafficCalls); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for running.Load() > 0 {
		writes++
		if err := write(writes); err != nil {
			t.Error(err)
			break
		}
	}
	busy.Wait()
	return writes, int(calls.Load()) * trafficRuns / trafficCalls
}

// sumOf is the sum of a per-CPU counter.
func sumOf(t *testing.T, counter *bpf.Map) (sum int) {
	t.Helper()
	values := make([]byte, counter.ValueStride())
	must(t, counter.LookupElem(make([]byte, 4), values))
	for ; len(values) > 0; values = values[8:] {
		sum += int(binary.NativeEndian.Uint64(values))
	}
	return sum
}

// mapInTraffic is a map and how it is counted in.
type mapInTraffic struct {
	name  string
	m     *bpf.Map
	outer *bpf.Map
	flags bpf.ElemFlags
}

func mapsInTraffic(t *testing.T) (all []mapInTraffic) {
	for _, typ := range plainTypes {
		all = append(all, mapInTraffic{name: typ.String(), m: create(t, optsOf(typ, 4, trafficSize))})
	}
	inner := create(t, bpf.CreateOpts{Type: bpf.Array, KeySize: 4, ValueSize: trafficSize, MaxEntries: 64})
	outer := create(t, bpf.CreateOpts{Type: bpf.ArrayOfMaps, KeySize: 4, ValueSize: 4, MaxEntries: 4, InnerMap: inner})
	must(t, outer.UpdateElem(keyOf(outer, 1), binary.NativeEndian.AppendUint32(nil, uint32(inner.FD())), bpf.Any))
	all = append(all, mapInTraffic{name: "Array in an ArrayOfMaps", m: inner, outer: outer})
	for _, typ := range []bpf.MapType{bpf.Hash, bpf.Array} {
		all = append(all, mapInTraffic{name: typ.String() + " with spin locks", m: lockedMap(t, typ, trafficSize, 0), flags: bpf.Lock})
	}
	return all
}

// merging is what the system calls alone can do.
func merging(t *testing.T, x mapInTraffic, mask []byte) func(context.Context, []byte, []byte) (int, error) {
	g, err := x.m.NewMerger(mask, x.flags)
	must(t, err)
	return g.Merge
}

// TestTraffic stores into a value while a program counts in it as fast as it can: no count may be lost, and
// what was stored last is there. Beside it, it tells how many are lost when whole values are read and written.
func TestTraffic(t *testing.T) {
	for _, x := range mapsInTraffic(t) {
		if mustRead(t, x.m) {
			continue
		}
		for _, bits := range []bool{false, true} {
			slots := x.m.ValueStride() / x.m.ValueSize()
			mask := bytes.Repeat(trafficMask(bits), slots)
			what := "fields"
			if bits {
				what = "fields, bits"
			}
			w := writer(t, x.m, mask, x.flags)
			if w.Why() != nil {
				t.Fatal(w.Why())
			}
			lost, runs, writes := lostIn(t, x, mask, w.Store)
			t.Logf("| %s | %s | %s | %d | %d | %d |", x.name, what, wayNames[w.Way()], runs, writes, lost)
			if lost != 0 || w.Way() == stores.ByReadModifyWrite {
				t.Errorf("%s, %s: %d of %d counts are lost", x.name, what, lost, runs)
			}
			lost, runs, writes = lostIn(t, x, mask, merging(t, x, mask))
			t.Logf("| %s | %s | %s | %d | %d | %d |", x.name, what, wayNames[stores.ByReadModifyWrite], runs, writes, lost)
		}
	}
}

var wayNames = []string{"program", "program, under the lock", "read-modify-write"}

// lostIn is how many counts are lost while store is called again and again.
func lostIn(t *testing.T, x mapInTraffic, mask []byte, store func(context.Context, []byte, []byte) (int, error)) (lost, runs, writes int) {
	t.Helper()
	key, stride := keyOf(x.m, 1), x.m.ValueStride()
	slots, cpus := stride/trafficSize, 1
	if slots > 1 {
		cpus = slots
	}
	must(t, x.m.UpdateElem(key, make([]byte, stride), bpf.Any))
	counter := create(t, bpf.CreateOpts{Type: bpf.PerCPUArray, KeySize: 4, ValueSize: 8, MaxEntries: 1})
	fd := traffic(t, x.m, x.outer, counter, append(slices.Clone(key), make([]byte, (4-len(key)%4)%4)...), x.flags == bpf.Lock)
	value := make([]byte, stride)
	writes, asked := run(t, fd, cpus, func(n int) error {
		for at := 0; at < stride; at += trafficSize {
			binary.NativeEndian.PutUint32(value[at+ourFirst:], uint32(n))
			binary.NativeEndian.PutUint32(value[at+sharedWord:], uint32(n)&ourBits)
			binary.NativeEndian.PutUint64(value[at+ourSecond:], uint64(n))
		}
		_, err := store(t.Context(), key, value)
		return err
	})
	if runs = sumOf(t, counter); runs < asked {
		t.Errorf("%s: the program ran %d times, not %d", x.name, runs, asked)
	}
	got := make([]byte, stride)
	must(t, x.m.LookupElemFlags(key, got, x.flags))
	counted, shared := 0, 0
	for at := 0; at < stride; at += trafficSize {
		counted += int(binary.NativeEndian.Uint64(got[at+itsCount:]))
		shared += int(binary.NativeEndian.Uint32(got[at+sharedWord:]) / itsBits)
		if declared := merged(make([]byte, trafficSize), got[at:at+trafficSize], mask[:trafficSize]); !bytes.Equal(declared, merged(make([]byte, trafficSize), value[at:at+trafficSize], mask[:trafficSize])) {
			t.Errorf("%s: what was stored last is %x, the value is %x", x.name, value[at:at+trafficSize], got[at:at+trafficSize])
		}
	}
	if strings.HasPrefix(x.name, "LPM") && counted == 0 {
		t.Error("the traffic doesn't reach the prefix")
	}
	return max(runs-counted, runs-shared), runs, writes
}
