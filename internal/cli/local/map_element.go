// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package local

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/bpfmap-io/bpfmap-operator/internal/bpf"
	"github.com/bpfmap-io/bpfmap-operator/internal/cli/element"
	"github.com/bpfmap-io/bpfmap-operator/internal/cli/structured"
)

func newMapUpdate() *cobra.Command {
	var f elementFlags
	c := &cobra.Command{
		Use:   "update",
		Short: "Write one element; push onto a queue or stack",
		Example: `  bpfmap map update --pin /sys/fs/bpf/flags --key u32:3 --value u8:1
  bpfmap map update -f blocklist.yaml --pin /sys/fs/bpf/bpfmap/edge/blocklist \
    --key 198.51.100.0/24 --value '{action: 1, rule: 7}' --flags NoExist`,
		RunE: func(c *cobra.Command, args []string) error {
			return f.run(c, args, 0, func(op operation) error {
				if f.value == nil {
					return Usagef("--value is required")
				}
				if err := op.needKey(); err != nil {
					return err
				}
				if f.cpu != everyCPU {
					return op.updateOn(f.cpu)
				}
				return op.UpdateElem(op.key, op.value, op.flags)
			})
		},
	}
	f.add(c, true, false)
	f.addCPU(c, "write the value of this CPU only, in a per-CPU map (newer kernels than Linux 6.18)")
	return c
}

// updateOn writes one CPU's value.
func (op operation) updateOn(cpu int) error {
	op.oneValue()
	err := op.UpdateElem(op.key, op.value, op.flags|bpf.OnCPU(cpu))
	if errors.Is(err, bpf.ErrNotSupported) {
		return fmt.Errorf("%w; without --cpu the value is written for every CPU", err)
	}
	return err
}

func newMapLookup() *cobra.Command {
	var f elementFlags
	c := &cobra.Command{
		Use:   "lookup",
		Short: "Print one element's value; peek at a queue or stack",
		Example: `  bpfmap map lookup --pin /sys/fs/bpf/flags --key u32:3
  bpfmap map lookup edge/blocklist --key 198.51.100.7/32
  bpfmap map lookup --id 42 --key ipv4Prefix:198.51.100.7/32 -o json`,
		RunE: func(c *cobra.Command, args []string) error {
			return f.run(c, args, bpf.RdOnly, func(op operation) error {
				if err := op.needKey(); err != nil {
					return err
				}
				if err := op.LookupElemFlags(op.key, op.value, op.flags); err != nil {
					return err
				}
				if f.cpu != everyCPU { // every kernel can read the values of all CPUs
					op.value = op.value[f.cpu*len(op.value)/op.CPUs:]
					op.oneValue()
				}
				return op.print(c, f.output)
			})
		},
	}
	f.add(c, false, true)
	f.addCPU(c, "print the value of this CPU only, of a per-CPU map")
	return c
}

func newMapLookupDelete() *cobra.Command {
	var f elementFlags
	c := &cobra.Command{
		Use:     "lookup-delete",
		Short:   "Remove one element and print its value; pop from a queue",
		Example: `  bpfmap map lookup-delete --pin /sys/fs/bpf/ports`,
		RunE: func(c *cobra.Command, args []string) error {
			return f.run(c, args, 0, func(op operation) error {
				if err := op.needKey(); err != nil {
					return err
				}
				if err := op.LookupAndDeleteElemFlags(op.key, op.value, op.flags); err != nil {
					return err
				}
				return op.print(c, f.output)
			})
		},
	}
	f.add(c, false, true)
	return c
}

func newMapDelete() *cobra.Command {
	var f elementFlags
	c := &cobra.Command{
		Use:     "delete",
		Short:   "Remove one element",
		Example: `  bpfmap map delete --pin /sys/fs/bpf/bpfmap/edge/blocklist --key 203.0.113.0/24`,
		RunE: func(c *cobra.Command, args []string) error {
			return f.run(c, args, 0, func(op operation) error {
				if err := op.needKey(); err != nil {
					return err
				}
				return op.DeleteElemFlags(op.key, op.flags)
			})
		},
	}
	f.add(c, false, false)
	return c
}

func newMapNextKey() *cobra.Command {
	var f elementFlags
	c := &cobra.Command{
		Use:   "next-key",
		Short: "Print the key after --key, or the first; exit code 1 at the end",
		Example: `  bpfmap map next-key --pin /sys/fs/bpf/flags
  bpfmap map next-key --pin /sys/fs/bpf/flags --key u32:3 -o hex`,
		RunE: func(c *cobra.Command, args []string) error {
			return f.run(c, args, bpf.RdOnly, func(op operation) error {
				next := make([]byte, op.KeySize())
				found, err := op.GetNextKey(op.key, next)
				if err != nil {
					return err
				}
				if !found {
					return &ExitError{Code: 1}
				}
				if structured.IsDocument(f.output) {
					return writeElement(c, f.output, op.Key.AppendJSON(nil, next))
				}
				_, err = fmt.Fprintf(c.OutOrStdout(), "%s\n", keyText(op.Key, next, f.output))
				return err
			})
		},
	}
	f.add(c, false, true)
	return c
}

// keyText is a key in a form that --key accepts, except for strings with quotes in text.
func keyText(c element.Codec, key []byte, output string) []byte {
	_, untyped := c.(element.Bytes)
	if output == structured.Hex || untyped {
		return fmt.Appendf(nil, "hex:%x", key)
	}
	return c.AppendText(nil, key)
}
