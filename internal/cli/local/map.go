// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package local

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/bpfmap-io/bpfmap-operator/internal/bpf"
	"github.com/bpfmap-io/bpfmap-operator/internal/cli/element"
	"github.com/bpfmap-io/bpfmap-operator/internal/cli/structured"
)

func newMap() *cobra.Command {
	c := &cobra.Command{
		Use:   "map",
		Short: "Low-level operations on one map, managed or not",
		Long: `Low-level operations of the kernel's map API on one map, managed or not.

A write to a managed map is drift: it is repaired or reported, depending on the BPFMap's driftPolicy.`,
	}
	c.AddCommand(newMapCreate(), newMapUpdate(), newMapLookup(), newMapLookupDelete(), newMapDelete(),
		newMapNextKey(), newMapFreeze(), newMapInfo(), newMapPin(), newMapUnpin(), newMapIDs())
	return c
}

// elementFlags are the flags of a command on one element.
type elementFlags struct {
	targets
	output     string
	key, value []string
	flags      []string
	cpu        int
}

func (f *elementFlags) add(c *cobra.Command, value, output bool) {
	f.targets.add(c)
	c.Long = c.Short + ".\n\n" + element.Notation
	c.Args = cobra.MaximumNArgs(1)
	c.Use += " (NAMESPACE/NAME | -f FILE | --pin PATH | --id ID)"
	// A comma is part of many keys, so these are not split at it.
	c.Flags().StringArrayVarP(&f.key, "key", "k", nil, "key, or a part of it")
	if value {
		c.Flags().StringArrayVar(&f.value, "value", nil, "value, or a part of it; in a per-CPU map it is written for every CPU")
	}
	if output {
		structured.AddFlag(c, &f.output, structured.Text, structured.JSON, structured.YAML, structured.Hex)
	}
	c.Flags().StringSliceVar(&f.flags, "flags", nil, elemFlagNames())
	completeFlag(c, "flags", completeList(strings.Split(elemFlagNames(), ", ")))
	f.cpu = everyCPU
}

// addCPU adds --cpu for commands that work on one CPU's value.
func (f *elementFlags) addCPU(c *cobra.Command, usage string) {
	c.Flags().IntVar(&f.cpu, "cpu", everyCPU, usage)
}

// operation is an element command's map with everything parsed.
type operation struct {
	*bpf.Map
	element.Typing
	// value is parsed, or room for one: of all CPUs in a per-CPU map, unless flags ask for one CPU's.
	key, value []byte
	flags      bpf.ElemFlags
}

// run opens the map, parses the flags, and does the operation.
func (f *elementFlags) run(c *cobra.Command, args []string, open bpf.MapFlags, do func(operation) error) error {
	if err := f.named(args); err != nil {
		return err
	}
	t, err := f.one(c)
	if err != nil {
		return err
	}
	return t.with(open, func(m *bpf.Map) (err error) {
		op := operation{Map: m, value: make([]byte, m.ValueStride())}
		if op.Typing, err = typingOf(m, t.schemas, t.bpffs); err != nil {
			return err
		}
		if op.flags, err = parseElemFlags(f.flags); err != nil {
			return err
		}
		if err := checkCPU(f.cpu, op.CPUs, op.flags); err != nil {
			return err
		}
		if op.flags&bpf.AllCPUs != 0 {
			op.oneValue()
		}
		if op.key, err = f.parseKey(m, op.Typing); err != nil {
			return fmt.Errorf("parse --key: %w", err)
		}
		if f.value != nil {
			if err := op.parseValue(f.value); err != nil {
				return fmt.Errorf("parse --value: %w", err)
			}
		}
		return do(op)
	})
}

func (f *elementFlags) parseKey(m *bpf.Map, t element.Typing) ([]byte, error) {
	switch {
	case f.key == nil:
		return nil, nil
	case t.Key == nil:
		return nil, fmt.Errorf("map type %s has no keys", m.Type())
	}
	return element.Parse(f.key, t.Key)
}

// oneValue makes room for the value of one CPU.
func (op *operation) oneValue() {
	op.value = op.value[:op.ValueSize()]
	op.CPUs = 0
}

// parseValue fills op.value, every CPU's slot of it in a per-CPU map.
func (op operation) parseValue(parts []string) error {
	b, err := element.Parse(parts, op.Value)
	if err != nil {
		return err
	}
	slots := max(1, op.CPUs)
	for i := range slots {
		copy(op.value[i*len(op.value)/slots:], b)
	}
	return nil
}

// needKey says what is missing for an operation on an element of a map with keys.
func (op operation) needKey() error {
	if op.key == nil && op.Key != nil {
		return Usagef("--key is required")
	}
	return nil
}

// print writes the operation's value.
func (op operation) print(c *cobra.Command, output string) error {
	if structured.IsDocument(output) {
		return writeElement(c, output, op.AppendEntry(nil, op.key, op.value))
	}
	t := op.Typing
	if output == structured.Hex {
		t = t.Untyped()
	}
	_, err := fmt.Fprintf(c.OutOrStdout(), "%s\n", t.AppendValueText(nil, op.value))
	return err
}
