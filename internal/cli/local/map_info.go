// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package local

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/bpfmap-io/bpfmap-operator/internal/bpf"
)

func newMapFreeze() *cobra.Command {
	var t target
	c := &cobra.Command{
		Use:   "freeze",
		Short: "Make a map read-only for user space, for ever",
		Args:  cobra.NoArgs,
		RunE:  func(*cobra.Command, []string) error { return t.with(0, (*bpf.Map).Freeze) },
	}
	t.add(c)
	return c
}

func newMapPin() *cobra.Command {
	var t target
	c := &cobra.Command{
		Use:     "pin PATH",
		Short:   "Give a map a pin, or one more",
		Example: `  bpfmap map pin --id 42 /sys/fs/bpf/flags`,
		Args:    cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			return t.with(0, func(m *bpf.Map) error { return m.Pin(args[0]) })
		},
	}
	t.add(c)
	return c
}

func newMapUnpin() *cobra.Command {
	return &cobra.Command{
		Use:     "unpin PATH",
		Short:   "Remove a pin; the kernel frees a map that nobody uses",
		Example: `  bpfmap map unpin /sys/fs/bpf/flags`,
		Args:    cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			// Whatever else lies at the path is not for this command to remove.
			m, err := bpf.GetPinned(args[0], bpf.RdOnly)
			if err != nil {
				return err
			}
			if err := m.Close(); err != nil {
				return err
			}
			return bpf.Unpin(args[0])
		},
	}
}

func newMapIDs() *cobra.Command {
	var start uint32
	c := &cobra.Command{
		Use:   "ids",
		Short: "Print the ids of all maps of this machine (needs CAP_SYS_ADMIN)",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			for id := start; ; {
				next, ok, err := bpf.GetNextID(id)
				if err != nil || !ok {
					return err
				}
				if _, err := fmt.Fprintln(c.OutOrStdout(), next); err != nil {
					return err
				}
				id = next
			}
		},
	}
	c.Flags().Uint32Var(&start, "after", 0, "begin after this id")
	return c
}

// described is what map info prints.
type described struct {
	ID             uint32   `json:"id"`
	Type           string   `json:"type"`
	Name           string   `json:"name,omitempty"`
	KeySize        uint32   `json:"keySize"`
	ValueSize      uint32   `json:"valueSize"`
	MaxEntries     uint32   `json:"maxEntries"`
	Flags          []string `json:"flags,omitempty"`
	Frozen         bool     `json:"frozen"`
	MemlockBytes   uint64   `json:"memlockBytes"`
	IfIndex        uint32   `json:"ifindex,omitempty"`
	MapExtra       uint64   `json:"mapExtra,omitempty"`
	BTFID          uint32   `json:"btfId,omitempty"`
	BTFKeyTypeID   uint32   `json:"btfKeyTypeId,omitempty"`
	BTFValueTypeID uint32   `json:"btfValueTypeId,omitempty"`
	Entries        *int     `json:"entries,omitempty"`
	EntriesExact   *bool    `json:"entriesExact,omitempty"`
}

func newMapInfo() *cobra.Command {
	var t target
	var output string
	var count bool
	c := &cobra.Command{
		Use:     "info",
		Short:   "Print what the kernel tells about a map",
		Example: `  bpfmap map info --pin /sys/fs/bpf/flags --count -o json`,
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return t.with(bpf.RdOnly, func(m *bpf.Map) error {
				d, err := describe(c.Context(), m, count)
				if err != nil {
					return err
				}
				if output == "json" {
					return json.NewEncoder(c.OutOrStdout()).Encode(d)
				}
				return d.write(c.OutOrStdout())
			})
		},
	}
	t.add(c)
	addOutputFlag(c, &output, "text", "json")
	c.Flags().BoolVar(&count, "count", false, "count the entries, by reading all of them")
	return c
}

func describe(ctx context.Context, m *bpf.Map, count bool) (described, error) {
	info, err := m.Info()
	if err != nil {
		return described{}, err
	}
	more, err := m.FDInfo()
	if err != nil {
		return described{}, err
	}
	d := described{
		ID: info.ID, Type: info.Type.String(), Name: info.Name, KeySize: info.KeySize, ValueSize: info.ValueSize,
		MaxEntries: info.MaxEntries, Frozen: more.Frozen, MemlockBytes: more.Memlock, IfIndex: info.IfIndex,
		MapExtra: info.MapExtra, BTFID: info.BTFID, BTFKeyTypeID: info.BTFKeyTypeID, BTFValueTypeID: info.BTFValueTypeID,
	}
	if info.Flags != 0 {
		d.Flags = strings.Split(info.Flags.String(), "|")
	}
	if count {
		n, exact, err := m.Count(ctx)
		if err != nil {
			return described{}, err
		}
		d.Entries, d.EntriesExact = &n, &exact
	}
	return d, nil
}

func (d described) write(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	line := func(name string, value any) { _, _ = fmt.Fprintf(t, "%s:\t%v\n", name, value) }
	line("id", d.ID)
	line("type", d.Type)
	line("name", orDash(d.Name))
	line("key size", d.KeySize)
	line("value size", d.ValueSize)
	line("max entries", d.MaxEntries)
	line("flags", orDash(strings.Join(d.Flags, ",")))
	line("frozen", d.Frozen)
	line("memlock", d.MemlockBytes)
	if d.IfIndex != 0 {
		line("ifindex", d.IfIndex)
	}
	if d.MapExtra != 0 {
		line("map extra", d.MapExtra)
	}
	if d.BTFID != 0 {
		line("btf", fmt.Sprintf("id %d, key type %d, value type %d", d.BTFID, d.BTFKeyTypeID, d.BTFValueTypeID))
	}
	if d.Entries != nil {
		about := ""
		if !*d.EntriesExact {
			about = " (about: elements were deleted meanwhile)"
		}
		line("entries", fmt.Sprintf("%d%s", *d.Entries, about))
	}
	return t.Flush()
}
