// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package local

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/bpfmap-io/bpfmap-operator/internal/bpf"
	"github.com/bpfmap-io/bpfmap-operator/internal/cli/inventory"
	"github.com/bpfmap-io/bpfmap-operator/internal/cli/structured"
)

func newMapFreeze() *cobra.Command {
	var t target
	c := &cobra.Command{
		Use:   "freeze (NAMESPACE/NAME | --pin PATH | --id ID)",
		Short: "Make a map read-only for user space, permanently",
		Args:  cobra.MaximumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			if len(args) == 1 {
				if err := t.called(args[0], ""); err != nil {
					return err
				}
			}
			return t.with(0, (*bpf.Map).Freeze)
		},
	}
	t.add(c)
	return c
}

func newMapPin() *cobra.Command {
	var t target
	c := &cobra.Command{
		Use:   "pin (NAMESPACE/NAME | --pin PATH | --id ID) PATH",
		Short: "Pin a map; it may have several pins",
		Example: `  bpfmap map pin --id 42 /sys/fs/bpf/flags
  bpfmap map pin edge/blocklist /sys/fs/bpf/tc/globals/blocklist`,
		Args: cobra.RangeArgs(1, 2),
		RunE: func(_ *cobra.Command, args []string) error {
			if len(args) == 2 {
				if err := t.called(args[0], ""); err != nil {
					return err
				}
			}
			path := args[len(args)-1]
			return t.with(0, func(m *bpf.Map) error { return m.Pin(hostRoot().Here(path)) })
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
			// Anything else at the path is not removed.
			path := hostRoot().Here(args[0])
			m, err := bpf.GetPinned(path, bpf.RdOnly)
			if err != nil {
				return err
			}
			if err := m.Close(); err != nil {
				return err
			}
			return bpf.Unpin(path)
		},
	}
}

func newMapIDs() *cobra.Command {
	var start uint32
	var output string
	c := &cobra.Command{
		Use:   "ids",
		Short: "Print the ids of all maps of this machine (needs CAP_SYS_ADMIN)",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			ids := []uint32{}
			err := eachID(c.Context(), start, func(id uint32) error {
				if structured.IsDocument(output) {
					ids = append(ids, id)
					return nil
				}
				_, err := fmt.Fprintln(c.OutOrStdout(), id)
				return err
			})
			if err != nil || !structured.IsDocument(output) {
				return err
			}
			return writeDocument(c, output, struct {
				IDs []uint32 `json:"ids"`
			}{ids})
		},
	}
	structured.AddFlag(c, &output, structured.Text, structured.JSON, structured.YAML)
	c.Flags().Uint32Var(&start, "after", 0, "begin after this id")
	return c
}

// eachID calls do for the ids of all maps after one.
func eachID(ctx context.Context, after uint32, do func(id uint32) error) error {
	for id := after; ; {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		next, ok, err := bpf.GetNextID(id)
		if err != nil || !ok {
			return err
		}
		if err := do(next); err != nil {
			return err
		}
		id = next
	}
}

func newMapInfo() *cobra.Command {
	var t target
	var output string
	var count bool
	c := &cobra.Command{
		Use:   "info (NAMESPACE/NAME | --pin PATH | --id ID)",
		Short: "Print what the kernel says about a map, and what uses it",
		Example: `  bpfmap map info edge/blocklist
  bpfmap map info --pin /sys/fs/bpf/flags --count -o json`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) == 1 {
				if err := t.called(args[0], ""); err != nil {
					return err
				}
			}
			return t.with(bpf.RdOnly, func(m *bpf.Map) error {
				described, err := inventory.Describe(m)
				if err != nil {
					return err
				}
				found, err := lookAtPrograms(c)
				if err != nil {
					return err
				}
				all := []mapInfo{infoOf(&described)}
				if err := usedBy(c, all, found); err != nil {
					return err
				}
				info := &all[0]
				if count {
					if err := info.count(c.Context(), m); err != nil {
						return err
					}
				} else if described.Count(m); described.Entries != nil {
					info.EntryCount = described.Entries
				}
				if structured.IsDocument(output) {
					return writeDocument(c, output, info)
				}
				return info.write(c.OutOrStdout())
			})
		},
	}
	t.add(c)
	structured.AddFlag(c, &output, structured.Text, structured.JSON, structured.YAML)
	c.Flags().BoolVar(&count, "count", false, "count the entries, by reading all of them")
	return c
}
