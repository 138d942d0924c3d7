// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package kernel_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"golang.org/x/sys/unix"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/bpf"
	"github.com/bpfmap-io/bpfmap-operator/internal/bpf/bpftest"
	"github.com/bpfmap-io/bpfmap-operator/internal/engine"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
)

// TestFrozenArrayByHash verifies a frozen array in the few calls of a map of one element, and finds what a program
// writes into it.
func TestFrozenArrayByHash(t *testing.T) {
	n := newNode(t)
	calls := func(r *revision.Revision) uint64 {
		t.Helper()
		before := bpf.SystemCalls()
		if report := n.Sync(t.Context(), r); report.Err != nil || report.Action != engine.ActionNone {
			t.Fatalf("%s: %v", report.Action, report.Err)
		}
		return bpf.SystemCalls() - before
	}
	frozen := func(name string, entries int) *revision.Revision {
		r := declare(t, name, fmt.Sprintf("{type: Array, value: {type: u64}, maxEntries: %d, freeze: true, entries: [{key: 0, value: 7}]}", entries))
		n.sync(r, v1alpha1.NodeMapReady, engine.ActionCreated)
		return r
	}
	small, large := frozen("small", 1), frozen("large", 100_000)
	few, many := calls(small), calls(large)
	disable(t, "ArrayHash")
	read := calls(large)
	if err := bpf.Disable(); err != nil {
		t.Fatal(err)
	}
	t.Logf("a frozen array of 100,000 elements takes %d calls of bpf(2) by its hash, %d read", many, read)
	if has := bpftest.Since(t, 6, 18); has != (many <= few) || read < many+20 && has {
		t.Errorf("%d calls for one element, %d for 100,000, %d if they are read", few, many, read)
	}
	m, err := ebpf.LoadPinnedMap(n.pins.Path(large.Pin.Path), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	program, _, err := storing(m)
	if err != nil {
		t.Fatal(err)
	}
	defer program.Close()
	if ret, err := program.Run(&ebpf.RunOptions{Data: make([]byte, 64)}); err != nil || ret != 1 {
		t.Fatalf("the program returns %d, %v", ret, err)
	}
	report := n.Sync(t.Context(), large)
	if report.State != v1alpha1.NodeMapStalled || !strings.Contains(report.Message, "1 update") && !strings.Contains(report.Message, "other contents") {
		t.Errorf("after a program wrote: %s %s: %s", report.State, report.Reason, report.Message)
	}
}

// storing loads a program that writes 1 into the element 0 of an array of u64, and returns 1, and its hash.
func storing(m *ebpf.Map) (*ebpf.Program, [32]byte, error) {
	instructions := asm.Instructions{
		asm.StoreImm(asm.RFP, -4, 0, asm.Word), asm.Mov.Reg(asm.R2, asm.RFP), asm.Add.Imm(asm.R2, -4),
		asm.LoadMapPtr(asm.R1, m.FD()), asm.FnMapLookupElem.Call(),
		{OpCode: asm.JEq.Imm(asm.R0, 0, "").OpCode, Dst: asm.R0, Offset: 3}, // over the next three
		asm.StoreImm(asm.R0, 0, 1, asm.Word), asm.Mov.Imm(asm.R0, 1), asm.Return(),
		asm.Mov.Imm(asm.R0, 0), asm.Return(),
	}
	bare := append(asm.Instructions{}, instructions...)
	bare[3] = asm.LoadMapPtr(asm.R1, 0) // the descriptor isn't part of the hash
	var raw bytes.Buffer
	var order binary.ByteOrder = binary.LittleEndian
	if revision.NativeByteOrder() != v1alpha1.LittleEndian {
		order = binary.BigEndian
	}
	if err := bare.Marshal(&raw, order); err != nil {
		return nil, [32]byte{}, err
	}
	p, err := ebpf.NewProgram(&ebpf.ProgramSpec{Name: "storing", Type: ebpf.SocketFilter, License: "GPL", Instructions: instructions})
	return p, sha256.Sum256(raw.Bytes()), err
}

// TestExclusiveMap makes a map for one program: the kernel loads that one with it and no other; user space writes, freezes
// and repairs it as ever, and a map of which it isn't known whose it is isn't taken for it.
func TestExclusiveMap(t *testing.T) {
	n := newNode(t)
	spec := func(hash, more string) string {
		return fmt.Sprintf("{type: Array, value: {type: u64}, maxEntries: 4, entries: [{key: 0, value: 7}], exclusiveProgramHash: %s%s}", hash, more)
	}
	any4, err := ebpf.NewMap(&ebpf.MapSpec{Type: ebpf.Array, KeySize: 4, ValueSize: 8, MaxEntries: 4})
	if err != nil {
		t.Fatal(err)
	}
	defer any4.Close()
	program, sum, err := storing(any4)
	if err != nil {
		t.Fatal(err)
	}
	if info, err := program.Info(); err != nil || bpftest.Since(t, 6, 18) && info.Tag != fmt.Sprintf("%x", sum[:8]) {
		t.Errorf("the program's tag is %s (%v), its hash %x", info.Tag, err, sum)
	}
	program.Close()
	right, wrong := fmt.Sprintf("%x", sum), strings.Repeat("ab", 32)
	if !bpftest.Since(t, 6, 18) {
		report := n.Sync(t.Context(), declare(t, "mine", spec(right, "")))
		if report.Reason != v1alpha1.NodeReasonNotSupported || !strings.Contains(report.Message, "Linux 6.18") {
			t.Errorf("%s: %s", report.Reason, report.Message)
		}
		return
	}
	load := func(r *revision.Revision) error {
		t.Helper()
		m, err := ebpf.LoadPinnedMap(n.pins.Path(r.Pin.Path), nil)
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close()
		p, _, err := storing(m)
		if err != nil {
			return err
		}
		defer p.Close()
		if ret, err := p.Run(&ebpf.RunOptions{Data: make([]byte, 64)}); err != nil || ret != 1 {
			t.Errorf("the program returns %d, %v", ret, err)
		}
		return nil
	}
	mine, others := declare(t, "mine", spec(right, "")), declare(t, "others", spec(wrong, ""))
	n.sync(mine, v1alpha1.NodeMapReady, engine.ActionCreated)
	n.sync(others, v1alpha1.NodeMapReady, engine.ActionCreated)
	if err := load(mine); err != nil {
		t.Errorf("the program whose map it is: %v", err)
	}
	if err := load(others); !errors.Is(err, unix.EACCES) {
		t.Errorf("another program: %v", err)
	}
	if report := n.Sync(t.Context(), mine); report.Action != engine.ActionRepaired || report.Err != nil {
		t.Errorf("what the program wrote: %s, %v", report.Action, report.Err)
	}
	// Another hash, or none, is another map; the record tells whose it was.
	for _, to := range []string{wrong, ""} {
		text := strings.Replace(spec(to, ""), ", exclusiveProgramHash: }", "}", 1)
		n.stalls(declare(t, "mine", text), v1alpha1.NodeReasonIncompatible, "exclusiveProgramHash: have "+right, "replacePolicy is Never")
	}
	swapped := declare(t, "mine", spec(wrong, ", replacePolicy: Swap"))
	n.sync(swapped, v1alpha1.NodeMapReady, engine.ActionReplaced)
	if err := load(swapped); !errors.Is(err, unix.EACCES) {
		t.Errorf("after the swap: %v", err)
	}
	// One that somebody else made can't be told.
	theirs := declare(t, "theirs", spec(right, ""))
	if err := any4.Pin(n.pins.Path(theirs.Pin.Path)); err != nil {
		t.Fatal(err)
	}
	n.stalls(theirs, v1alpha1.NodeReasonIncompatible, "exclusiveProgramHash: have unknown (the kernel doesn't tell it of a map that others made), want "+right)
	// The operator's own program isn't the map's: what programs own is left alone by reading and writing.
	n.sync(declare(t, "owned", "{type: Hash, key: {type: u32}, value: {fields: [{name: a, type: u32}, {name: b, type: u32, owner: Program}]}, maxEntries: 4, exclusiveProgramHash: "+right+", entries: [{key: 1, value: {a: 1}}]}"),
		v1alpha1.NodeMapReady, engine.ActionCreated)
	if report := n.Sync(t.Context(), declare(t, "owned", "{type: Hash, key: {type: u32}, value: {fields: [{name: a, type: u32}, {name: b, type: u32, owner: Program}]}, maxEntries: 4, exclusiveProgramHash: "+right+", entries: [{key: 1, value: {a: 2}}]}")); report.Err != nil || report.Action != engine.ActionUpdated {
		t.Errorf("values with two owners: %s, %v", report.Action, report.Err)
	}
	// Inner maps can't be exclusive.
	tables := declare(t, "tables", "{type: ArrayOfMaps, maxEntries: 1, inner: {type: Array, value: {type: u64}, maxEntries: 4}, entries: [{key: 0, value: mine}]}")
	if r := n.Sync(t.Context(), tables); r.Reason != v1alpha1.NodeReasonInvalidReference || !strings.Contains(r.Message, "takes no exclusive map") {
		t.Errorf("an exclusive map in a map of maps: %s %s: %s", r.State, r.Reason, r.Message)
	}
}
