// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/bpf"
	"github.com/bpfmap-io/bpfmap-operator/internal/bpf/bpftest"
	"github.com/bpfmap-io/bpfmap-operator/internal/bpf/counts"
	"github.com/bpfmap-io/bpfmap-operator/internal/bpf/sys"
	"github.com/bpfmap-io/bpfmap-operator/internal/cli/inventory"
)

func TestSummarize(t *testing.T) {
	mapOf := func(id uint32, owner string, record bool, pins ...string) inventory.Map {
		return inventory.Map{Info: bpf.Info{ID: id, Type: bpf.Hash}, Memlock: 512, Owner: owner, Record: record, Pins: pins}
	}
	got := summarize([]inventory.Map{
		mapOf(1, "", false),
		mapOf(2, "", false, "/bpf/xdp/stats"),
		mapOf(3, "edge/table", false, "/bpf/bpfmap/edge/table"),
		mapOf(4, "edge/table", true),
		mapOf(5, "", false, "/bpf/bpfmap/edge/retained", "/bpf/elsewhere"),
		mapOf(6, "", false, "/bpf/bpfmap/a"),
	}, "/bpf/bpfmap/")
	want := v1alpha1.NodeInventory{
		Maps: 6, Pinned: 4, Managed: 1, MemlockBytes: 3072, Memory: "3Ki", OrphanCount: 2,
		Orphans: []v1alpha1.OrphanMap{
			{PinPath: "/bpf/bpfmap/a", MapID: 6, Type: "Hash", MemlockBytes: 512},
			{PinPath: "/bpf/bpfmap/edge/retained", MapID: 5, Type: "Hash", MemlockBytes: 512},
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	var many []inventory.Map
	for i := range uint32(100) {
		many = append(many, mapOf(i+1, "", false, fmt.Sprintf("/bpf/bpfmap/%03d", i)))
	}
	if got := summarize(many, "/bpf/bpfmap/"); got.OrphanCount != 100 || len(got.Orphans) != v1alpha1.MaxOrphans {
		t.Errorf("%d orphans, %d listed", got.OrphanCount, len(got.Orphans))
	}
}

func TestHost(t *testing.T) {
	h := &host{bpffs: bpftest.BPFFS(t)}
	facts, err := h.Facts()
	if err != nil || facts.KernelRelease == "" || len(facts.BootID) != 36 || facts.PossibleCPUs < 1 || len(facts.Features) < 5 {
		t.Errorf("facts %+v, %v", facts, err)
	}
	if !slices.IsSorted(facts.Features) || !slices.Contains(facts.Features, counts.FeatureLPMTrie) {
		t.Errorf("features %v", facts.Features)
	}
	m, err := bpf.Create(bpf.CreateOpts{Type: bpf.Array, KeySize: 4, ValueSize: 4, MaxEntries: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = m.Close() }()
	if err := m.Pin(filepath.Join(h.bpffs, "lonely")); err != nil {
		t.Fatal(err)
	}
	if total, err := h.Inventory(); err != nil || total.Maps < 1 || total.Pinned != 1 || total.OrphanCount != 0 {
		t.Errorf("inventory %+v, %v", total, err)
	}
	bpftest.WithCapabilities(t, []sys.Capability{sys.CapBPF}, func() {
		if _, err := h.Inventory(); err == nil || !strings.Contains(err.Error(), "CAP_SYS_ADMIN") {
			t.Errorf("inventory without CAP_SYS_ADMIN: %v", err)
		}
	})
	if err := h.Probe(t.Context()); err != nil {
		t.Error(err)
	}
}
