// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package kernel_test

import (
	"encoding/binary"
	"errors"
	"runtime"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"golang.org/x/sys/unix"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/bpf"
	"github.com/bpfmap-io/bpfmap-operator/internal/engine"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
	"github.com/bpfmap-io/bpfmap-operator/internal/series"
)

// countBy runs a program that adds 1 to the first 8 bytes of the element of a key, so often on each CPU.
func countBy(t *testing.T, pin string, key []byte, times map[int]int) {
	t.Helper()
	m, err := ebpf.LoadPinnedMap(pin, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = m.Close() }()
	padded := make([]byte, 8)
	copy(padded, key)
	p, err := ebpf.NewProgram(&ebpf.ProgramSpec{
		Name: "count", Type: ebpf.XDP, License: "GPL",
		Instructions: asm.Instructions{
			asm.LoadImm(asm.R1, int64(binary.NativeEndian.Uint64(padded)), asm.DWord),
			asm.StoreMem(asm.RFP, -8, asm.R1, asm.DWord),
			asm.LoadMapPtr(asm.R1, m.FD()),
			asm.Mov.Reg(asm.R2, asm.RFP), asm.Add.Imm(asm.R2, -8),
			asm.FnMapLookupElem.Call(),
			asm.JEq.Imm(asm.R0, 0, "end"),
			asm.Mov.Imm(asm.R1, 1),
			asm.StoreXAdd(asm.R0, asm.R1, asm.DWord),
			asm.Mov.Imm(asm.R0, 2).WithSymbol("end"),
			asm.Return(),
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = p.Close() }()
	for cpu, n := range times {
		done := make(chan error)
		go func() { // its thread ends with it: it is bound to a CPU
			runtime.LockOSThread()
			var set unix.CPUSet
			set.Set(cpu)
			err := unix.SchedSetaffinity(0, &set)
			if err == nil {
				_, _, err = p.Benchmark(make([]byte, 64), n, nil)
			}
			done <- err
		}()
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	}
}

// metricsOf are the numbers of a map's first metric by the values of its labels.
func (n *node) metricsOf(r *revision.Revision, spec *v1alpha1.MapMetrics) map[string]float64 {
	n.t.Helper()
	plan, wrong := series.New(spec, series.Subject{Type: r.Shape.Type, Key: r.KeySchema, Value: r.ValueSchema})
	if len(wrong) > 0 {
		n.t.Fatal(wrong)
	}
	table := series.NewTable(plan, nil)
	table.Begin()
	if err := n.backend.ReadMap(n.t.Context(), r.Key, r.Shape, r.HasSpinLock(), table.Add); err != nil {
		n.t.Fatal(err)
	}
	table.End()
	found := map[string]float64{}
	for _, s := range table.All() {
		found[strings.Join(s.Labels, ",")] = s.Values[0]
	}
	return found
}

// TestCountersOfPrograms lets a program count on two CPUs in a map of ours, and reads what it has counted, summed over
// the CPUs, by the names of the keys.
func TestCountersOfPrograms(t *testing.T) {
	for typ, shape := range map[string]string{
		"PerCPUHash":    "key: {type: u32, enum: {rx: 0, tx: 1}}, ",
		"LRUPerCPUHash": "key: {type: u32, enum: {rx: 0, tx: 1}}, ",
		"PerCPUArray":   "key: {type: u32, enum: {rx: 0, tx: 1}}, ",
		"Hash":          "key: {type: u32, enum: {rx: 0, tx: 1}}, ",
	} {
		node := newNode(t)
		r := declare(t, "counters", "{type: "+typ+", "+shape+"value: {fields: [{name: packets, type: u64}], owner: Program}, maxEntries: 2, entries: [{key: rx}, {key: tx}]}")
		node.sync(r, v1alpha1.NodeMapReady, engine.ActionCreated)
		spec := &v1alpha1.MapMetrics{
			Labels: []v1alpha1.MetricLabel{{Name: "direction"}},
			Values: []v1alpha1.MetricValue{{Name: "packets", Field: "packets", Type: v1alpha1.MetricCounter}},
		}
		if got := node.metricsOf(r, spec); len(got) != 2 || got["rx"] != 0 || got["tx"] != 0 {
			t.Errorf("%s: at first %v", typ, got)
		}
		times := map[int]int{0: 100}
		want := 100.0
		if runtime.NumCPU() > 1 {
			times[1], want = 23, 123
		}
		countBy(t, node.pins.Path(r.Pin.Path), []byte{1, 0, 0, 0}, times)
		if got := node.metricsOf(r, spec); got["rx"] != 0 || got["tx"] != want {
			t.Errorf("%s: after %v times %v", typ, times, got)
		}
		// What was counted is nobody's to repair.
		if report := node.Sync(t.Context(), r); report.Action != engine.ActionNone || report.Drift != nil {
			t.Errorf("%s: %s, %v", typ, report.Action, report.Drift)
		}
	}
}

// TestCountersOfOthersMaps reads a map that somebody else made, which a BPFMap without entries took over.
func TestCountersOfOthersMaps(t *testing.T) {
	node := newNode(t)
	r := declare(t, "theirs", "{type: Hash, key: {type: u32}, value: {type: u64}, maxEntries: 8, adoptionPolicy: Adopt}")
	theirs := node.theirs("theirs", "{type: u64}", true, binary.NativeEndian.AppendUint64(nil, 5))
	node.sync(r, v1alpha1.NodeMapReady, engine.ActionAdopted)
	if err := theirs.UpdateElem([]byte{7, 0, 0, 0}, binary.NativeEndian.AppendUint64(nil, 9), bpf.Any); err != nil {
		t.Fatal(err)
	}
	spec := &v1alpha1.MapMetrics{
		Labels: []v1alpha1.MetricLabel{{Name: "id"}},
		Values: []v1alpha1.MetricValue{{Name: "n", Type: v1alpha1.MetricGauge}},
	}
	if got := node.metricsOf(r, spec); len(got) != 2 || got["0"] != 5 || got["7"] != 9 {
		t.Errorf("%v", got)
	}
}

// TestReadMapTakesWhatItKnows refuses maps of other sizes and maps that aren't there.
func TestReadMapTakesWhatItKnows(t *testing.T) {
	node := newNode(t)
	r := declare(t, "m", "{type: Hash, key: {type: u32}, value: {type: u64}, maxEntries: 4}")
	nothing := func(_, _ []byte) { t.Error("something was read") }
	if err := node.backend.ReadMap(t.Context(), r.Key, r.Shape, false, nothing); !errors.Is(err, engine.ErrAbsent) {
		t.Error(err)
	}
	node.sync(r, v1alpha1.NodeMapReady, engine.ActionCreated)
	other := r.Shape
	other.ValueSize = 4
	if err := node.backend.ReadMap(t.Context(), r.Key, other, false, nothing); err == nil || !strings.Contains(err.Error(), "values of 8") {
		t.Error(err)
	}
}
