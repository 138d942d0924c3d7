// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package local

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/bpfmap-io/bpfmap-operator/internal/bpf"
	"github.com/bpfmap-io/bpfmap-operator/internal/cli/inventory"
)

func newMapFreeze() *cobra.Command {
	var t target
	c := &cobra.Command{
		Use:   "freeze",
		Short: "Make a map read-only for user space, permanently",
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
		Short:   "Pin a map; it may have several pins",
		Example: `  bpfmap map pin --id 42 /sys/fs/bpf/flags`,
		Args:    cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			return t.with(0, func(m *bpf.Map) error { return m.Pin(hostRoot().Here(args[0])) })
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
	c := &cobra.Command{
		Use:   "ids",
		Short: "Print the ids of all maps of this machine (needs CAP_SYS_ADMIN)",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			ctx := c.Context()
			for id := start; ; {
				if ctx.Err() != nil {
					return context.Cause(ctx)
				}
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

func newMapInfo() *cobra.Command {
	var t target
	var output string
	var count bool
	c := &cobra.Command{
		Use:     "info",
		Short:   "Print what the kernel says about a map, and which programs use it",
		Example: `  bpfmap map info --pin /sys/fs/bpf/flags --count -o json`,
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return t.with(bpf.RdOnly, func(m *bpf.Map) error {
				described, err := inventory.Describe(m)
				if err != nil {
					return err
				}
				info := infoOf(&described)
				found, err := lookAtPrograms(c)
				if err != nil {
					return err
				}
				info.usedBy(found)
				if count {
					if err := info.count(c.Context(), m); err != nil {
						return err
					}
				}
				if output == "json" {
					return json.NewEncoder(c.OutOrStdout()).Encode(info)
				}
				return info.write(c.OutOrStdout())
			})
		},
	}
	t.add(c)
	addOutputFlag(c, &output, "text", "json")
	c.Flags().BoolVar(&count, "count", false, "count the entries, by reading all of them")
	return c
}
