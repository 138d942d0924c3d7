// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package inventory

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"github.com/bpfmap-io/bpfmap-operator/internal/bpf"
	"github.com/bpfmap-io/bpfmap-operator/internal/mounts"
	"github.com/bpfmap-io/bpfmap-operator/internal/pinstore"
)

// pins are the maps pinned in one BPF file system.
type pins struct {
	root       mounts.Root
	paths      map[uint32][]string
	owners     map[uint32]string
	records    map[uint32]bool
	maps       map[uint32]Map
	unreadable []error
	describe   func(*bpf.Map) (Map, error)
}

// findPins looks at the BPF file system that this process finds at bpffs.
func findPins(root mounts.Root, bpffs string, describe func(*bpf.Map) (Map, error)) *pins {
	p := &pins{
		root: root, describe: describe,
		paths: map[uint32][]string{}, owners: map[uint32]string{},
		records: map[uint32]bool{}, maps: map[uint32]Map{},
	}
	// The function never fails: what can't be read is noted and passed over.
	_ = filepath.WalkDir(bpffs, func(path string, d fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist):
			// Gone since its folder was read.
		case err != nil:
			p.unreadable = append(p.unreadable, fmt.Errorf("read %s: %w", p.root.Node(path), errors.Unwrap(err)))
		case strings.Contains(d.Name(), "."):
			// The kernel's own maps.debug and progs.debug: no pin has a dot.
		case d.Type().IsRegular():
			p.add(bpffs, path)
		}
		return nil
	})
	return p
}

func (p *pins) add(bpffs, path string) {
	m, err := bpf.GetPinned(path, bpf.RdOnly)
	if err != nil {
		// Pins of programs and links are not maps, and a pin may vanish.
		if errors.Is(err, bpf.ErrNotPermitted) {
			p.unreadable = append(p.unreadable, err)
		}
		return
	}
	described, err := p.describe(m)
	if err := errors.Join(err, m.Close()); err != nil {
		p.unreadable = append(p.unreadable, err)
		return
	}
	p.maps[described.ID] = described
	rel, err := filepath.Rel(bpffs, path)
	if err != nil {
		p.unreadable = append(p.unreadable, err)
		return
	}
	owner, part := pinstore.StatePart(rel)
	if part == pinstore.PartNone {
		p.paths[described.ID] = append(p.paths[described.ID], p.root.Node(path))
		return
	}
	p.owners[described.ID] = owner
	p.records[described.ID] = part == pinstore.PartRecord
}

func (p *pins) mark(id uint32, m *Map) {
	m.Pins = slices.Sorted(slices.Values(p.paths[id]))
	m.Owner = p.owners[id]
	m.Record = p.records[id]
}
