// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package local

import (
	"cmp"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/bpfmap-io/bpfmap-operator/internal/bpf"
	"github.com/bpfmap-io/bpfmap-operator/internal/pinstore"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
	"github.com/bpfmap-io/bpfmap-operator/internal/schema"
)

// target is one existing map: one of a BPFMap, --pin or --id.
type target struct {
	pin   string
	id    uint32
	bpffs string
}

func (t *target) add(c *cobra.Command) {
	c.Flags().StringVar(&t.pin, "pin", "", "path of the map's pin")
	c.Flags().Uint32Var(&t.id, "id", 0, "id of the map (needs CAP_SYS_ADMIN)")
	c.MarkFlagsMutuallyExclusive("pin", "id")
	completeFlag(c, "pin", completePins)
	addBPFFSFlag(c, &t.bpffs)
	if c.ValidArgsFunction == nil {
		c.ValidArgsFunction = completeNames(1)
	}
}

// given says whether --pin or --id names a map.
func (t *target) given() bool { return t.pin != "" || t.id != 0 }

// called makes the managed map of a BPFMap, NAMESPACE/NAME or NAME in a namespace, the target, wherever it is pinned.
func (t *target) called(name, namespace string) error {
	if t.given() {
		return Usagef("%s: give either the name of a BPFMap, or --pin or --id", name)
	}
	key, err := parseName(name, namespace)
	if err != nil {
		return err
	}
	records, err := pinstore.New(hostRoot().Here(t.bpffs), pinstore.Options{}).Records()
	if err != nil {
		return fmt.Errorf("look for the map of BPFMap %s: %w", key, err)
	}
	var known []string
	for i := range records {
		if records[i].Key == key {
			t.pin = filepath.Join(t.bpffs, records[i].Pin.Path)
			return nil
		}
		known = append(known, records[i].Key.String())
	}
	return fmt.Errorf("no map of a BPFMap %s is on this machine%s: see bpfmap list --managed", key, schema.Suggest(key.String(), known))
}

// parseName reads NAMESPACE/NAME, or NAME in a namespace.
func parseName(name, namespace string) (revision.Key, error) {
	before, after, ok := strings.Cut(name, "/")
	if !ok {
		before, after = cmp.Or(namespace, defaultNamespace), name
	}
	key := revision.Key{Namespace: before, Name: after}
	if err := key.Check(); err != nil {
		return revision.Key{}, Usagef("%q is not NAMESPACE/NAME of a BPFMap: %w", name, err)
	}
	if namespace != "" && namespace != before {
		return revision.Key{}, Usagef("%s is not in namespace %s, which --namespace names", name, namespace)
	}
	return key, nil
}

// open opens the map; flags are bpf.RdOnly, bpf.WrOnly or 0.
func (t target) open(flags bpf.MapFlags) (*bpf.Map, error) {
	switch {
	case t.pin != "":
		return bpf.GetPinned(hostRoot().Here(t.pin), flags)
	case t.id != 0:
		return bpf.GetFDByIDOpts(t.id, bpf.OpenOpts{OpenFlags: flags})
	}
	return nil, Usagef("a map is needed: NAMESPACE/NAME, --pin or --id")
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
	in inputFlags
}

func (t *targets) add(c *cobra.Command) {
	t.target.add(c)
	t.in.add(c)
}

// named takes the name that may be the argument of a command.
func (t *targets) named(args []string) error {
	switch {
	case len(args) == 0:
		return nil
	case len(t.in.paths) > 0:
		return Usagef("%s: give either the name of a BPFMap or -f", args[0])
	}
	return t.called(args[0], t.in.namespace)
}

// namedTarget is a map with what a manifest says about it.
type namedTarget struct {
	target
	name    string // "namespace/name", or empty without a manifest
	schemas schemas
}

func (t *targets) all(c *cobra.Command) ([]namedTarget, error) {
	given := t.given()
	if len(t.in.paths) == 0 {
		if !given {
			return nil, Usagef("a map is needed: NAMESPACE/NAME, -f, --pin or --id")
		}
		n := namedTarget{target: t.target}
		n.bpffs = rootOf(t.pin, t.bpffs)
		return []namedTarget{n}, nil
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
		n := namedTarget{target: t.target, name: d.Name(), schemas: schemas{d.rev.KeySchema, &d.rev.ValueSchema}}
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
