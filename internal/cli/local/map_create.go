// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package local

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/bpfmap-io/bpfmap-operator/internal/bpf"
	"github.com/bpfmap-io/bpfmap-operator/internal/cli/structured"
)

// createFlags are the attributes of map creation.
type createFlags struct {
	typ           string
	flags         []string
	numaNode      int32
	innerPin, pin string
	output        string
	opts          bpf.CreateOpts
}

func newMapCreate() *cobra.Command {
	var f createFlags
	c := &cobra.Command{
		Use:   "create",
		Short: "Create a map and pin it",
		Long: `Create a map and pin it. The kernel frees a map that nothing refers to, so a pin is required.

For maps with declared contents, prefer apply.`,
		Example: `  bpfmap map create --pin /sys/fs/bpf/flags --type Array --key-size 4 --value-size 1 --max-entries 64
  bpfmap map create --pin /sys/fs/bpf/routes --type LPMTrie --key-size 8 --value-size 4 \
    --max-entries 1000 --flags NoPrealloc --name routes`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return f.create(c) },
	}
	fs := c.Flags()
	fs.StringVar(&f.pin, "pin", "", "path of the pin")
	fs.StringVar(&f.typ, "type", "", "map type, as in Hash or BPF_MAP_TYPE_HASH")
	fs.StringVar(&f.opts.Name, "name", "", "the kernel's label: at most 15 of [A-Za-z0-9_.]")
	fs.Uint32Var(&f.opts.KeySize, "key-size", 0, "bytes of a key")
	fs.Uint32Var(&f.opts.ValueSize, "value-size", 0, "bytes of a value")
	fs.Uint32Var(&f.opts.MaxEntries, "max-entries", 0, "capacity in entries")
	fs.StringSliceVar(&f.flags, "flags", nil, "map flags, as in NoPrealloc,RdOnlyProg")
	fs.Int32Var(&f.numaNode, "numa-node", -1, "NUMA node of the map's memory (-1 for any)")
	fs.StringVar(&f.innerPin, "inner-pin", "", "pin of the map that is the template of inner maps")
	fs.Uint32Var(&f.opts.IfIndex, "ifindex", 0, "device that the map is offloaded to")
	fs.Uint64Var(&f.opts.MapExtra, "map-extra", 0, "number of hashes of a bloom filter, address of an arena")
	structured.AddFlag(c, &f.output, structured.Text, structured.JSON, structured.YAML)
	completeFlag(c, "type", completeMapTypes)
	completeFlag(c, "flags", completeList(mapFlagNames()))
	completeFlag(c, "pin", completePins)
	completeFlag(c, "inner-pin", completePins)
	_ = c.MarkFlagRequired("pin") // both fail only for flags that don't exist
	_ = c.MarkFlagRequired("type")
	return c
}

func (f *createFlags) create(c *cobra.Command) (err error) {
	if f.opts.Type, err = parseMapType(f.typ); err != nil {
		return err
	}
	if f.opts.Flags, err = parseMapFlags(f.flags); err != nil {
		return err
	}
	if f.numaNode >= 0 {
		f.opts.NUMANode, f.opts.Flags = uint32(f.numaNode), f.opts.Flags|bpf.NUMANode
	}
	if f.innerPin != "" {
		inner, err := bpf.GetPinned(hostRoot().Here(f.innerPin), 0)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, inner.Close()) }()
		f.opts.InnerMap = inner
	}
	m, err := bpf.Create(f.opts)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, m.Close()) }()
	if err := m.Pin(f.pin); err != nil {
		return err
	}
	info, err := m.Info()
	if err != nil {
		return err
	}
	if structured.IsDocument(f.output) {
		return writeDocument(c, f.output, struct {
			ID   uint32   `json:"id"`
			Pins []string `json:"pins"`
		}{info.ID, []string{f.pin}})
	}
	_, err = fmt.Fprintf(c.OutOrStdout(), "map id %d pinned at %s\n", info.ID, f.pin)
	return err
}
