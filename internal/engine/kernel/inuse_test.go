// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package kernel_test

import (
	"errors"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/bpf/bpftest"
	"github.com/bpfmap-io/bpfmap-operator/internal/bpf/sys"
	"github.com/bpfmap-io/bpfmap-operator/internal/engine"
	"github.com/bpfmap-io/bpfmap-operator/internal/engine/kernel"
	"github.com/bpfmap-io/bpfmap-operator/internal/inuse"
	"github.com/bpfmap-io/bpfmap-operator/internal/status"
	"github.com/bpfmap-io/bpfmap-operator/test/await"
)

// watched is a node whose maps are looked at as an agent does it.
type watched struct {
	*node
	tracker inuse.Tracker
	maps    []v1alpha1.NodeMap
	now     time.Time
}

// report takes in what the engine reports of the one map; nil for a map that is gone.
func (w *watched) report(r *engine.Report) {
	if r == nil {
		w.maps = nil
		return
	}
	m := status.FromReport(*r)
	if len(w.maps) > 0 && w.maps[0].MapID == m.MapID {
		m.Usage = w.maps[0].Usage
	}
	w.maps = []v1alpha1.NodeMap{m}
}

// look looks twice, an hour after the last time.
func (w *watched) look() *v1alpha1.MapUsage {
	w.t.Helper()
	w.now = w.now.Add(time.Hour)
	for range 2 {
		w.now = w.now.Add(5 * time.Second)
		found, err := kernel.Programs(w.t.Context())
		if err != nil {
			w.t.Fatal(err)
		}
		news, _ := w.tracker.Update(w.maps, found, nil, w.now)
		for _, u := range news {
			w.maps[0].Usage = u
		}
	}
	if len(w.maps) == 0 {
		return nil
	}
	return w.maps[0].Usage
}

// await looks until the usage is so: the kernel frees programs and maps some time later.
func (w *watched) await(when string, state v1alpha1.MapUsageState, programs int32, others ...v1alpha1.OtherMap) {
	w.t.Helper()
	await.Nil(w.t, time.Minute, func() error {
		u := w.look()
		if u == nil || u.State != state || u.ProgramCount != programs || len(u.OtherMaps) != len(others) {
			return fmt.Errorf("%s: %+v, want %s, %d programs, other maps %+v", when, u, state, programs, others)
		}
		for i, want := range others {
			if got := u.OtherMaps[i]; got.MapID != want.MapID || got.Kind != want.Kind || len(got.Programs) != 1 || got.Programs[0].Name != "block_v4" || got.Programs[0].Type != "xdp" {
				return fmt.Errorf("%s: other map %+v, want %+v and its program", when, got, want)
			}
		}
		return nil
	})
}

// load loads a program that uses the map at a pin, as a loader does.
func load(t *testing.T, pin string) *ebpf.Program {
	t.Helper()
	m, err := ebpf.LoadPinnedMap(pin, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = m.Close() }()
	return loadWith(t, m)
}

func loadWith(t *testing.T, m *ebpf.Map) *ebpf.Program {
	t.Helper()
	p, err := ebpf.NewProgram(&ebpf.ProgramSpec{
		Name: "block_v4", Type: ebpf.XDP, License: "GPL",
		Instructions: asm.Instructions{asm.LoadMapPtr(asm.R1, m.FD()), asm.Mov.Imm(asm.R0, 2), asm.Return()},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close() })
	return p
}

func closeProgram(t *testing.T, p *ebpf.Program) {
	t.Helper()
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
}

const blocklist = `{type: Hash, key: {type: u32}, value: {type: u8}, maxEntries: %d, replacePolicy: Swap}`

// TestInUse follows a map with real programs: not used yet, in use, left, deleted and made again under a
// program, and replaced under one.
func TestInUse(t *testing.T) {
	w := &watched{node: newNode(t), now: time.Now()}
	small, large := declare(t, "blocklist", fmt.Sprintf(blocklist, 3)), declare(t, "blocklist", fmt.Sprintf(blocklist, 5))
	pin := w.pins.Path(small.Pin.Path)

	first := w.sync(small, v1alpha1.NodeMapReady, engine.ActionCreated)
	w.report(&first)
	w.await("new", v1alpha1.MapNeverUsed, 0)
	p := load(t, pin)
	w.await("a program was loaded", v1alpha1.MapUsed, 1)
	closeProgram(t, p)
	w.await("it is gone", v1alpha1.MapUnused, 0)

	// Somebody deletes the BPFMap and makes it again. The program keeps the map that it has.
	p = load(t, pin)
	w.await("a program was loaded again", v1alpha1.MapUsed, 1)
	if r := w.Remove(t.Context(), small.Key); r.Err != nil {
		t.Fatal(r.Err)
	}
	w.report(nil)
	w.look()
	second := w.sync(small, v1alpha1.NodeMapReady, engine.ActionCreated)
	w.report(&second)
	w.await("deleted and made again", v1alpha1.MapUnused, 0, v1alpha1.OtherMap{MapID: int64(first.MapID), Kind: v1alpha1.OtherMapEarlier})
	closeProgram(t, p)
	p = load(t, pin)
	w.await("the loader ran again", v1alpha1.MapUsed, 1)

	third := w.sync(large, v1alpha1.NodeMapReady, engine.ActionReplaced)
	w.report(&third)
	w.await("swapped", v1alpha1.MapUnused, 0, v1alpha1.OtherMap{MapID: int64(second.MapID), Kind: v1alpha1.OtherMapEarlier})
	both := load(t, pin)
	w.await("one of two programs was loaded again", v1alpha1.MapUsed, 1, v1alpha1.OtherMap{MapID: int64(second.MapID), Kind: v1alpha1.OtherMapEarlier})
	closeProgram(t, p)
	w.await("the other one is gone", v1alpha1.MapUsed, 1)
	closeProgram(t, both)
	w.await("both are gone", v1alpha1.MapUnused, 0)
}

// TestPinnedElsewhere hints at a map of the same name that a loader pinned elsewhere.
func TestPinnedElsewhere(t *testing.T) {
	w := &watched{node: newNode(t), now: time.Now()}
	rev := declare(t, "block4", fmt.Sprintf(blocklist, 3))
	r := w.sync(rev, v1alpha1.NodeMapReady, engine.ActionCreated)
	w.report(&r)
	other, err := ebpf.NewMap(&ebpf.MapSpec{Name: "block4", Type: ebpf.Hash, KeySize: 4, ValueSize: 1, MaxEntries: 1000})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = other.Close() }()
	if err := other.Pin(filepath.Join(w.bpffs, "block4")); err != nil {
		t.Fatal(err)
	}
	info, err := other.Info()
	if err != nil {
		t.Fatal(err)
	}
	id, _ := info.ID()
	w.await("nobody uses the other map", v1alpha1.MapNeverUsed, 0)
	p := loadWith(t, other)
	w.await("a program uses the other map", v1alpha1.MapNeverUsed, 0, v1alpha1.OtherMap{MapID: int64(id), Kind: v1alpha1.OtherMapSameName})
	closeProgram(t, p)
	w.await("it is gone", v1alpha1.MapNeverUsed, 0)
}

// TestProgramsWithCapabilities tells with PERFMON beside the agent's capabilities, and says so without.
func TestProgramsWithCapabilities(t *testing.T) {
	n := newNode(t)
	rev := declare(t, "blocklist", fmt.Sprintf(blocklist, 3))
	r := n.sync(rev, v1alpha1.NodeMapReady, engine.ActionCreated)
	load(t, n.pins.Path(rev.Pin.Path))
	agent := []sys.Capability{sys.CapBPF, sys.CapChown, sys.CapDACOverride}
	bpftest.WithCapabilities(t, agent, func() {
		if found, err := kernel.Programs(t.Context()); !errors.Is(err, engine.ErrUnknown) {
			t.Errorf("without PERFMON: %v, %v, want ErrUnknown", found, err)
		}
	})
	for _, more := range []sys.Capability{sys.CapPerfmon, sys.CapSysAdmin} {
		bpftest.WithCapabilities(t, append(agent[:3:3], more), func() {
			found, err := kernel.Programs(t.Context())
			if err != nil {
				t.Errorf("with %s: %v", more, err)
			} else if users := found.Users(r.MapID); len(users) != 1 || users[0].Name != "block_v4" {
				t.Errorf("with %s: used by %v, want block_v4", more, users)
			}
		})
	}
}
