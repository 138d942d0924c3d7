// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package inventory

import (
	"cmp"
	"context"
	"errors"
	"slices"

	"github.com/bpfmap-io/bpfmap-operator/internal/bpf"
	"github.com/bpfmap-io/bpfmap-operator/internal/bpf/counts"
	"github.com/bpfmap-io/bpfmap-operator/internal/mounts"
)

// Map is one map of this machine.
type Map struct {
	bpf.Info
	Frozen bool
	// Memlock is the map's kernel memory in bytes.
	Memlock uint64
	// Pins are its paths in the BPF file system, sorted, without those of private state.
	Pins []string
	// Owner is "namespace/name" of the BPFMap that the map belongs to; empty if it is not managed.
	Owner string
	// Record is whether the map is the private ownership record of Owner.
	Record bool
	// Entries is how many elements the map holds, as the kernel counts them without reading them: of hashes since
	// Linux 6.6, and of tries. Nil where it doesn't, and where this process may not ask.
	Entries *int64
}

// Inventory is what Read found.
type Inventory struct {
	// Maps are sorted by id.
	Maps []Map
	// Limited is why only pinned maps are listed, or nil if all of the kernel's are: enumerating
	// needs CAP_SYS_ADMIN.
	Limited error
	// Unreadable are pins and folders that couldn't be opened, sorted by path.
	Unreadable []error
}

// Read lists the maps of the kernel, or without CAP_SYS_ADMIN those that are pinned in the BPF file
// system at bpffs, a path of the node whose file system is found in root, and may be opened. It ends with ctx.
func Read(ctx context.Context, root mounts.Root, bpffs string) (Inventory, error) {
	return read(ctx, root, bpffs, Describe)
}

// ReadCounted is Read with Entries. It loads a program for each map that can be counted, which holds the map until the
// kernel frees it, some milliseconds later: who counts what holds a map does so first.
func ReadCounted(ctx context.Context, root mounts.Root, bpffs string) (Inventory, error) {
	return read(ctx, root, bpffs, func(m *bpf.Map) (Map, error) {
		described, err := Describe(m)
		if err == nil {
			described.Count(m)
		}
		return described, err
	})
}

func read(ctx context.Context, root mounts.Root, bpffs string, describe func(*bpf.Map) (Map, error)) (Inventory, error) {
	var inv Inventory
	pins := findPins(root, root.Here(bpffs), describe)
	inv.Unreadable = pins.unreadable
	all, err := enumerate(ctx, describe)
	if ctx.Err() != nil { // also where there were no maps to look at
		return Inventory{}, context.Cause(ctx)
	}
	switch {
	case errors.Is(err, bpf.ErrNotPermitted):
		inv.Limited = err
		all = pins.maps
	case err != nil:
		return Inventory{}, err
	}
	for id, m := range all {
		pins.mark(id, &m)
		inv.Maps = append(inv.Maps, m)
	}
	slices.SortFunc(inv.Maps, func(a, b Map) int { return cmp.Compare(a.ID, b.ID) })
	return inv, nil
}

func enumerate(ctx context.Context, describe func(*bpf.Map) (Map, error)) (map[uint32]Map, error) {
	all := map[uint32]Map{}
	for m, err := range bpf.Maps() {
		if err != nil {
			return nil, err
		}
		described, err := describe(m)
		if err == nil {
			err = context.Cause(ctx)
		}
		if err := errors.Join(err, m.Close()); err != nil {
			return nil, err
		}
		all[described.ID] = described
	}
	return all, nil
}

// Describe is what the kernel says about one map.
func Describe(m *bpf.Map) (Map, error) {
	info, err := m.Info()
	if err != nil {
		return Map{}, err
	}
	more, err := m.FDInfo()
	if err != nil {
		return Map{}, err
	}
	return Map{Info: info, Frozen: more.Frozen, Memlock: more.Memlock}, nil
}

// Count asks the kernel how many elements m holds, which described is of.
func (described *Map) Count(m *bpf.Map) {
	if n, err := counts.Of(m); err == nil {
		entries := int64(n)
		described.Entries = &entries
	}
}
