// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package kernel_test

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/bpf"
	"github.com/bpfmap-io/bpfmap-operator/internal/bpf/bpftest"
	"github.com/bpfmap-io/bpfmap-operator/internal/engine"
	"github.com/bpfmap-io/bpfmap-operator/internal/engine/kernel"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
)

// contents are the elements of a map of 4-byte keys and values.
func (n *node) contents(r *revision.Revision) map[uint32]uint32 {
	n.t.Helper()
	m, err := bpf.GetPinned(n.pins.Path(r.Pin.Path), 0)
	if err != nil {
		n.t.Fatal(err)
	}
	defer m.Close()
	all := map[uint32]uint32{}
	it := m.Iterate(n.t.Context(), bpf.IterateOptions{})
	for it.Next() {
		for i := range it.Len() {
			all[binary.NativeEndian.Uint32(it.Keys()[4*i:])] = binary.NativeEndian.Uint32(it.Values()[i*m.ValueStride():])
		}
	}
	if err := it.Err(); err != nil {
		n.t.Fatal(err)
	}
	return all
}

func (n *node) holds(r *revision.Revision, want map[uint32]uint32) {
	n.t.Helper()
	got := n.contents(r)
	same := len(got) == len(want)
	for k, v := range want {
		same = same && got[k] == v
	}
	if !same {
		n.t.Errorf("%s holds %v, want %v", r.Key, got, want)
	}
}

// pinProgram loads a program that returns 0 and pins it. It returns its id.
func (n *node) pinProgram(path string, typ ebpf.ProgramType, attach ebpf.AttachType) uint32 {
	n.t.Helper()
	at := filepath.Join(n.bpffs, path)
	if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
		n.t.Fatal(err)
	}
	p, err := ebpf.NewProgram(&ebpf.ProgramSpec{
		Type: typ, AttachType: attach, License: "GPL", Instructions: asm.Instructions{asm.Mov.Imm(asm.R0, 0), asm.Return()},
	})
	if err != nil {
		n.t.Fatal(err)
	}
	defer p.Close()
	if err := p.Pin(at); err != nil {
		n.t.Fatal(err)
	}
	info, err := p.Info()
	if err != nil {
		n.t.Fatal(err)
	}
	id, _ := info.ID()
	return uint32(id)
}

func TestProgArray(t *testing.T) {
	n := newNode(t)
	calls := declare(t, "calls", `{type: ProgArray, maxEntries: 4, entries: [{key: 0, value: bpfmap/edge/p0}, {key: 3, value: xdp/p3}]}`)
	n.sync(calls, v1alpha1.NodeMapPending, engine.ActionCreated)
	n.holds(calls, nil)
	p0 := n.pinProgram("bpfmap/edge/p0", ebpf.SocketFilter, 0)
	if r := n.sync(calls, v1alpha1.NodeMapPending, engine.ActionUpdated); !strings.Contains(r.Message, "1 of 2 entries pending: a program pinned at xdp/p3 not found") {
		t.Errorf("message %q", r.Message)
	}
	n.holds(calls, map[uint32]uint32{0: p0})
	p3 := n.pinProgram("xdp/p3", ebpf.SocketFilter, 0)
	n.sync(calls, v1alpha1.NodeMapReady, engine.ActionUpdated)
	n.holds(calls, map[uint32]uint32{0: p0, 3: p3})

	// Another program takes the pin: the next look follows.
	if err := os.Remove(filepath.Join(n.bpffs, "xdp/p3")); err != nil {
		t.Fatal(err)
	}
	p3 = n.pinProgram("xdp/p3", ebpf.SocketFilter, 0)
	n.sync(calls, v1alpha1.NodeMapReady, engine.ActionUpdated)
	n.holds(calls, map[uint32]uint32{0: p0, 3: p3})

	// Programs of one array are alike, and a pinned map is not a program.
	n.pinProgram("xdp/other", ebpf.XDP, ebpf.AttachXDP)
	n.stalls(declare(t, "calls", `{type: ProgArray, maxEntries: 4, entries: [{key: 0, value: bpfmap/edge/p0}, {key: 1, value: xdp/other}]}`),
		v1alpha1.NodeReasonInvalidReference, "programs in one ProgArray are all of one type")
	n.stalls(declare(t, "calls", `{type: ProgArray, maxEntries: 4, entries: [{key: 0, value: bpfmap/edge/calls}]}`),
		v1alpha1.NodeReasonInvalidReference, "is not a program")
	n.holds(calls, map[uint32]uint32{0: p0, 3: p3})
}

func (n *node) stalls(r *revision.Revision, reason string, words ...string) {
	n.t.Helper()
	report := n.Sync(n.t.Context(), r)
	if report.State != v1alpha1.NodeMapStalled || report.Reason != reason {
		n.t.Errorf("%s: %s (%s: %s), want it stalled with the reason %s", r.Key, report.State, report.Reason, report.Message, reason)
	}
	for _, word := range words {
		if !strings.Contains(report.Message, word) {
			n.t.Errorf("message %q, want %q in it", report.Message, word)
		}
	}
}

// TestPrograms forbids programs outside of the namespace's directory unless the administrator allows it.
func TestPrograms(t *testing.T) {
	n := newNode(t)
	prefixes, err := engine.ParsePinPrefixes([]string{"edge=xdp"})
	if err != nil {
		t.Fatal(err)
	}
	b, err := kernel.New(n.bpffs, kernel.Options{References: kernel.ReferenceOptions{AllowProgram: prefixes.Allow}})
	if err != nil {
		t.Fatal(err)
	}
	n.Engine = engine.New(b, engine.Options{})
	n.pinProgram("bpfmap/other/secret", ebpf.SocketFilter, 0)
	n.pinProgram("xdp/mine", ebpf.SocketFilter, 0)
	n.stalls(declare(t, "calls", `{type: ProgArray, maxEntries: 4, entries: [{key: 0, value: bpfmap/other/secret}]}`),
		v1alpha1.NodeReasonPinNotAllowed, "bpfmap/other/secret is not below bpfmap/edge")
	n.sync(declare(t, "calls", `{type: ProgArray, maxEntries: 4, entries: [{key: 0, value: xdp/mine}]}`), v1alpha1.NodeMapReady, engine.ActionCreated)
}

func TestDevMaps(t *testing.T) {
	bpftest.InNetwork(t)
	n := newNode(t)
	for _, spec := range []string{
		`{type: DevMap, maxEntries: 8, entries: [{key: 1, value: left}, {key: 2, value: right}]}`,
		`{type: DevMapHash, maxEntries: 8, entries: [{key: 1, value: left}, {key: 2, value: right}]}`,
	} {
		uplinks := declare(t, "uplinks", spec)
		left := bpftest.AddInterface(t, "left")
		if r := n.sync(uplinks, v1alpha1.NodeMapPending, engine.ActionCreated); !strings.Contains(r.Message, "interface right not found") {
			t.Errorf("message %q", r.Message)
		}
		right := bpftest.AddInterface(t, "right")
		n.sync(uplinks, v1alpha1.NodeMapReady, engine.ActionUpdated)
		n.holds(uplinks, map[uint32]uint32{1: left, 2: right})

		// The kernel drops what points to an interface that goes; it comes back with another index.
		bpftest.RemoveInterface(t, "right")
		n.sync(uplinks, v1alpha1.NodeMapPending, engine.ActionUpdated)
		n.holds(uplinks, map[uint32]uint32{1: left})
		again := bpftest.AddInterface(t, "right")
		if again == right {
			t.Fatalf("interface right has the index %d again", again)
		}
		n.sync(uplinks, v1alpha1.NodeMapReady, engine.ActionUpdated)
		n.holds(uplinks, map[uint32]uint32{1: left, 2: again})

		// Somebody takes an entry away: that is drift.
		m, err := bpf.GetPinned(n.pins.Path(uplinks.Pin.Path), 0)
		if err != nil {
			t.Fatal(err)
		}
		if err := m.DeleteElem([]byte{2, 0, 0, 0}); err != nil {
			t.Fatal(err)
		}
		if err := m.Close(); err != nil {
			t.Fatal(err)
		}
		if r := n.Sync(t.Context(), uplinks); r.Drift == nil || !r.Drift.Repaired {
			t.Errorf("drift %+v", r.Drift)
		}
		n.holds(uplinks, map[uint32]uint32{1: left, 2: again})
		if r := n.Remove(t.Context(), uplinks.Key); r.Err != nil {
			t.Error(r.Err)
		}
		bpftest.RemoveInterface(t, "left")
		bpftest.RemoveInterface(t, "right")
	}
}

// TestDevMapPrograms gives the entry of an interface a program, which is written as a descriptor and read
// as an id.
func TestDevMapPrograms(t *testing.T) {
	bpftest.InNetwork(t)
	n := newNode(t)
	index := bpftest.AddInterface(t, "left")
	n.pinProgram("bpfmap/edge/egress", ebpf.XDP, ebpf.AttachXDPDevMap)
	spec := `{type: DevMapHash, maxEntries: 8, value: {fields: [{name: ifindex, type: ifindex}, {name: prog, type: progPin}]},
		entries: [{key: 7, value: {ifindex: left, prog: %s}}]}`
	with := declare(t, "egress-ports", strings.Replace(spec, "%s", "bpfmap/edge/egress", 1))
	n.sync(with, v1alpha1.NodeMapReady, engine.ActionCreated)
	n.holds(with, map[uint32]uint32{7: index})
	without := declare(t, "egress-ports", strings.Replace(spec, "%s", `""`, 1))
	if r := n.sync(without, v1alpha1.NodeMapReady, engine.ActionUpdated); r.Plan.Changes.Update.Len() != 1 {
		t.Errorf("plan %s", r.Plan.String())
	}
}

func TestCgroups(t *testing.T) {
	n := newNode(t)
	name := "bpfmap-test-" + filepath.Base(filepath.Dir(n.bpffs))
	groups := declare(t, "groups", `{type: CGroupArray, maxEntries: 2, entries: [{key: 0, value: `+name+`}]}`)
	budgets := declare(t, "budgets", `{type: Hash, key: {type: cgroupID}, value: {type: u64}, maxEntries: 4, entries: [{key: /`+name+`, value: 5}]}`)
	for _, r := range []*revision.Revision{groups, budgets} {
		if report := n.sync(r, v1alpha1.NodeMapPending, engine.ActionCreated); !strings.Contains(report.Message, name+" not found") {
			t.Errorf("message %q", report.Message)
		}
	}
	dir := filepath.Join(n.cgroups, name)
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.Remove(dir); err != nil {
			t.Error(err)
		}
	})
	for _, r := range []*revision.Revision{groups, budgets} {
		n.sync(r, v1alpha1.NodeMapReady, engine.ActionUpdated)
	}
	if report := n.Sync(t.Context(), budgets); *report.Entries != 1 {
		t.Errorf("%d entries", *report.Entries)
	}

	elsewhere := t.TempDir()
	b, err := kernel.New(n.bpffs, kernel.Options{References: kernel.ReferenceOptions{Cgroups: elsewhere}})
	if err != nil {
		t.Fatal(err)
	}
	n.Engine = engine.New(b, engine.Options{})
	n.stalls(groups, v1alpha1.NodeReasonNotSupported, "no cgroup2 file system is mounted at "+elsewhere)
}
