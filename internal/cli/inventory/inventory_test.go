// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package inventory

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/bpfmap-io/bpfmap-operator/internal/bpf"
	"github.com/bpfmap-io/bpfmap-operator/internal/bpf/bpftest"
	"github.com/bpfmap-io/bpfmap-operator/internal/bpf/sys"
)

// pin makes an Array of capacity elements and pins it at each path below bpffs.
func pin(t *testing.T, bpffs string, capacity uint32, paths ...string) (id uint32) {
	t.Helper()
	m, err := bpf.Create(bpf.CreateOpts{Type: bpf.Array, KeySize: 4, ValueSize: 8, MaxEntries: capacity})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = m.Close() })
	for _, path := range paths {
		path = filepath.Join(bpffs, path)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), m.Pin(path)); err != nil {
			t.Fatal(err)
		}
	}
	info, err := m.Info()
	if err != nil {
		t.Fatal(err)
	}
	return info.ID
}

// of is what an inventory says about a map, without its attributes.
func of(t *testing.T, inv Inventory, id uint32) Map {
	t.Helper()
	i := slices.IndexFunc(inv.Maps, func(m Map) bool { return m.ID == id })
	if i < 0 {
		t.Fatalf("map %d is not among the %d maps", id, len(inv.Maps))
	}
	m := inv.Maps[i]
	if m.Type != bpf.Array || m.ValueSize != 8 || m.Memlock == 0 {
		t.Errorf("map %d: %+v", id, m)
	}
	m.Info, m.Memlock = bpf.Info{}, 0
	return m
}

// TestRead lists managed maps, their private state, those of others, and those without a pin.
func TestRead(t *testing.T) {
	bpffs := bpftest.BPFFS(t)
	managed := pin(t, bpffs, 1, "bpfmap/edge/table", "bpfmap/_state/edge/table/map")
	record := pin(t, bpffs, 2, "bpfmap/_state/edge/table/record")
	foreign := pin(t, bpffs, 3, "xdp/stats", "tc/stats")
	unpinned := pin(t, bpffs, 4)

	inv, err := Read(t.Context(), "", bpffs)
	if err != nil || inv.Limited != nil || len(inv.Unreadable) != 0 {
		t.Fatalf("Read = %v, limited %v, unreadable %v", err, inv.Limited, inv.Unreadable)
	}
	if !slices.IsSortedFunc(inv.Maps, func(a, b Map) int { return int(a.ID) - int(b.ID) }) {
		t.Error("the maps aren't sorted by id")
	}
	for id, want := range map[uint32]Map{
		managed:  {Owner: "edge/table", Pins: []string{filepath.Join(bpffs, "bpfmap/edge/table")}},
		record:   {Owner: "edge/table", Record: true},
		foreign:  {Pins: []string{filepath.Join(bpffs, "tc/stats"), filepath.Join(bpffs, "xdp/stats")}},
		unpinned: {},
	} {
		if diff := cmp.Diff(want, of(t, inv, id)); diff != "" {
			t.Errorf("map %d (-want +got)\n%s", id, diff)
		}
	}
}

// TestReadWithoutCapability lists what is pinned, and says that it isn't all.
func TestReadWithoutCapability(t *testing.T) {
	bpffs := bpftest.BPFFS(t)
	pinned, unpinned := pin(t, bpffs, 1, "a"), pin(t, bpffs, 2)
	bpftest.WithCapabilities(t, []sys.Capability{sys.CapBPF}, func() {
		inv, err := Read(t.Context(), "", bpffs)
		if err != nil || !errors.Is(inv.Limited, bpf.ErrNotPermitted) {
			t.Errorf("Read = %v, limited %v", err, inv.Limited)
			return
		}
		if len(inv.Maps) != 1 || inv.Maps[0].ID != pinned {
			t.Errorf("%d maps, want only map %d (and not %d)", len(inv.Maps), pinned, unpinned)
		}
	})
}

// TestReadInterrupted ends with its context.
func TestReadInterrupted(t *testing.T) {
	bpffs := bpftest.BPFFS(t)
	pin(t, bpffs, 1, "a")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if inv, err := Read(ctx, "", bpffs); !errors.Is(err, context.Canceled) {
		t.Errorf("Read = %d maps, %v", len(inv.Maps), err)
	}
}

// TestNoFileSystem: a directory that isn't there has no pins, which takes nothing from the kernel's list.
func TestNoFileSystem(t *testing.T) {
	id := pin(t, bpftest.BPFFS(t), 1)
	inv, err := Read(t.Context(), "", filepath.Join(t.TempDir(), "none"))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(Map{}, of(t, inv, id)); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}
