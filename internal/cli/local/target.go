// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package local

import (
	"errors"
	"fmt"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/bpfmap-io/bpfmap-operator/internal/bpf"
)

// target is one existing map: --pin or --id.
type target struct {
	pin string
	id  uint32
}

func (t *target) add(c *cobra.Command) {
	c.Flags().StringVar(&t.pin, "pin", "", "path of the map's pin")
	c.Flags().Uint32Var(&t.id, "id", 0, "id of the map (needs CAP_SYS_ADMIN)")
	c.MarkFlagsMutuallyExclusive("pin", "id")
	_ = c.MarkFlagFilename("pin") // fails only for a flag that doesn't exist
}

// open opens the map; flags are bpf.RdOnly, bpf.WrOnly or 0.
func (t target) open(flags bpf.MapFlags) (*bpf.Map, error) {
	switch {
	case t.pin != "":
		return bpf.GetPinned(hostRoot().Here(t.pin), flags)
	case t.id != 0:
		return bpf.GetFDByIDOpts(t.id, bpf.OpenOpts{OpenFlags: flags})
	}
	return nil, errors.New("--pin or --id is required")
}

// with opens the map, lets do work on it, and closes it.
func (t target) with(flags bpf.MapFlags, do func(*bpf.Map) error) error {
	m, err := t.open(flags)
	if err != nil {
		return err
	}
	return errors.Join(do(m), m.Close())
}

// targets are existing maps, with the schemas of their manifests: those of -f, or the one of --pin or
// --id.
type targets struct {
	target
	in    inputFlags
	bpffs string
}

func (t *targets) add(c *cobra.Command) {
	t.target.add(c)
	t.in.add(c)
	addBPFFSFlag(c, &t.bpffs)
}

// namedTarget is a map with what a manifest says about it.
type namedTarget struct {
	target
	name    string // "namespace/name", or empty without a manifest
	schemas schemas
	bpffs   string
}

func (t *targets) all(c *cobra.Command) ([]namedTarget, error) {
	given := t.pin != "" || t.id != 0
	if len(t.in.paths) == 0 {
		if !given {
			return nil, errors.New("-f, --pin or --id is required")
		}
		return []namedTarget{{target: t.target, bpffs: rootOf(t.pin, t.bpffs)}}, nil
	}
	maps, ok, err := t.in.compile(c)
	switch {
	case err != nil:
		return nil, err
	case !ok:
		return nil, &ExitError{Code: 1}
	case given && len(maps) != 1:
		return nil, fmt.Errorf("-f has %d BPFMaps: with --pin or --id it must contain exactly one", len(maps))
	}
	var all []namedTarget
	for _, d := range maps {
		n := namedTarget{target: t.target, name: d.Name(), schemas: schemas{d.rev.KeySchema, &d.rev.ValueSchema}, bpffs: t.bpffs}
		if !given {
			n.pin = filepath.Join(t.bpffs, d.rev.Pin.Path)
		}
		all = append(all, n)
	}
	return all, nil
}

// one is for commands that work on a single map.
func (t *targets) one(c *cobra.Command) (namedTarget, error) {
	all, err := t.all(c)
	if err != nil {
		return namedTarget{}, err
	}
	if len(all) != 1 {
		return namedTarget{}, fmt.Errorf("-f has %d BPFMaps: it must contain exactly one", len(all))
	}
	return all[0], nil
}

// rootOf is the mount point of the BPF file system that holds pin, or else.
func rootOf(pin, otherwise string) string {
	root := otherwise
	if pin != "" {
		pin = hostRoot().Here(pin)
	}
	for dir := filepath.Dir(pin); pin != ""; dir = filepath.Dir(dir) {
		if is, err := bpf.IsBPFFS(dir); err != nil || !is || dir == filepath.Dir(dir) {
			break
		}
		root = dir
	}
	return root
}
