// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package local

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/spf13/cobra"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/bpf"
	"github.com/bpfmap-io/bpfmap-operator/internal/cli/element"
	"github.com/bpfmap-io/bpfmap-operator/internal/cli/interrupt"
	"github.com/bpfmap-io/bpfmap-operator/internal/cli/structured"
	"github.com/bpfmap-io/bpfmap-operator/internal/maptype"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
	"github.com/bpfmap-io/bpfmap-operator/internal/schema"
	"github.com/bpfmap-io/bpfmap-operator/internal/text"
)

// dumper prints maps' elements.
type dumper struct {
	targets
	output  string
	sorted  bool
	nonzero bool
	// node and declared are for agents: the node's name, and that what programs own of values is left out.
	node     string
	declared bool
	masking  []byte // of one value: 0 for bits that programs own
	printed  interrupt.Count
	masked   []byte // scratch
}

func newDump() *cobra.Command {
	var d dumper
	c := &cobra.Command{
		Use:               "dump (NAMESPACE/NAME | -f FILE | --pin PATH | --id ID)",
		Short:             "Print a map's elements, typed where the schema is known",
		ValidArgsFunction: completeNames(1),
		Long: `Print a map's elements: typed by the manifest, by the record of a managed map, or by the map's BTF,
and in hex elsewhere. With -o yaml they are entries as a manifest has them; interfaces and managed maps
have their names, programs and cgroups, whose names the kernel doesn't know, their ids. What no value of the
schema makes, such as padding that isn't zero, is {"$hex": "0102"} there, and can be applied again. With -o json
the output is one document: an object, or with -f a list of them.

Elements that are added or deleted meanwhile may or may not be printed. If the output may miss or repeat
others, a message says so and the exit code is 1. Queues and stacks can't be read without emptying
them: see "bpfmap map lookup", which peeks.`,
		Example: `  bpfmap dump edge/blocklist
  kubectl exec -n bpfmap-system ds/bpfmap-bpfmap-operator-agent -- /bpfmap dump edge/blocklist
  bpfmap dump -f maps/blocklist.yaml
  bpfmap dump --pin /sys/fs/bpf/bpfmap/edge/blocklist --sort -o yaml
  bpfmap dump --pin /sys/fs/bpf/xdp-filter/filter_ports --nonzero
  bpfmap dump --id 42 -o hex`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if err := d.named(args); err != nil {
				return err
			}
			return d.run(c)
		},
	}
	d.add(c)
	structured.AddFlag(c, &d.output, string(element.Text), string(element.JSON), string(element.YAML), string(element.Hex))
	c.Flags().BoolVar(&d.sorted, "sort", false, "sort by key, which takes memory for all elements")
	c.Flags().BoolVar(&d.nonzero, "nonzero", false, "leave out elements whose value is all zeros, as most of an array's are; the output says how many")
	return c
}

func (d *dumper) run(c *cobra.Command) error {
	ctx := c.Context()
	interrupt.Report(ctx, func() string {
		return "the output is incomplete (" + text.Count(d.printed.N(), "element", "elements") + ")"
	})
	all, err := d.all(c)
	if err != nil {
		return err
	}
	list := d.output == string(element.JSON) && len(d.in.paths) > 0 && d.pin == "" && d.id == 0
	d.print(c, list, "[")
	failed, begun := error(nil), false
	for i, t := range all {
		begin := func() {
			if begun {
				d.print(c, list, ",")
			}
			begun = true
		}
		if len(all) > 1 && d.output != string(element.JSON) {
			d.heading(c, i, t)
		}
		err := t.with(bpf.RdOnly, func(m *bpf.Map) error { return d.dump(ctx, c.OutOrStdout(), t, m, begin) })
		switch {
		case ctx.Err() != nil:
			d.print(c, list, "]\n")
			return context.Cause(ctx)
		case err != nil:
			printError(c, err)
			failed = &ExitError{Code: 1}
		}
	}
	d.print(c, list, "]\n")
	return failed
}

// print prints what is between the maps of a JSON list.
func (d *dumper) print(c *cobra.Command, list bool, text string) {
	if list {
		_, _ = fmt.Fprint(c.OutOrStdout(), text) // a broken pipe ends the dump
	}
}

// heading tells several maps apart; in YAML each is a document.
func (d *dumper) heading(c *cobra.Command, i int, t namedTarget) {
	separator := ""
	switch {
	case d.output == string(element.YAML):
		separator = "---\n"
	case i > 0:
		separator = "\n"
	}
	_, _ = fmt.Fprintf(c.OutOrStdout(), "%s# %s (%s)\n", separator, t.name, t.pin) // a broken pipe ends the dump
}

// dumpHeader are the fields that JSON begins with.
type dumpHeader struct {
	// Node is the node's name, if an agent answers.
	Node string `json:"node,omitempty"`
	// BPFMap is the manifest's namespace/name, if the map was found by a manifest.
	BPFMap string `json:"bpfMap,omitempty"`
	ID     uint32 `json:"id"`
	Type   string `json:"type"`
	Name   string `json:"name,omitempty"`
}

// dump prints one map. begin is called before anything is.
func (d *dumper) dump(ctx context.Context, out io.Writer, t namedTarget, m *bpf.Map, begin func()) error {
	info, err := m.Info()
	if err != nil {
		return err
	}
	typing, err := typingOf(m, t.schemas, t.bpffs)
	if err != nil {
		return err
	}
	nameLinks(&typing, t.bpffs)
	d.leaveOut(&typing)
	it := m.Iterate(ctx, bpf.IterateOptions{})
	if err := it.Err(); err != nil {
		return err // before anything is printed
	}
	begin()
	header := dumpHeader{Node: d.node, BPFMap: t.name, ID: info.ID, Type: info.Type.String(), Name: info.Name}
	w, err := element.NewWriter(out, element.Format(d.output), typing, header)
	if err != nil {
		return err
	}
	if err := d.copy(ctx, w, it, m); err != nil {
		if d.output == string(element.JSON) {
			return errors.Join(err, w.Close(false)) // what was printed is a document all the same
		}
		return err
	}
	if err := w.Close(it.Complete()); err != nil {
		return err
	}
	if !it.Complete() {
		return fmt.Errorf("map id %d: it changed while it was read: the output may miss or repeat elements", info.ID)
	}
	return nil
}

// copy writes all elements, in the order of the kernel or sorted.
func (d *dumper) copy(ctx context.Context, w *element.Writer, it *bpf.Iterator, m *bpf.Map) error {
	w.NonZero = d.nonzero
	if d.sorted {
		return d.copySorted(ctx, w, it, m)
	}
	for it.Next() {
		for i := range it.Len() {
			key, value := elementOf(it, m, i)
			d.mask(value)
			if err := w.Write(d.canonical(m, key), value); err != nil {
				return err
			}
		}
		d.printed.Add(it.Len())
	}
	return it.Err()
}

func elementOf(it *bpf.Iterator, m *bpf.Map, i int) (key, value []byte) {
	k, v := m.KeySize(), m.ValueStride()
	return it.Keys()[i*k : (i+1)*k], it.Values()[i*v : (i+1)*v]
}

// leaveOut lets a typing write no fields that programs own, if they are to be left out.
func (d *dumper) leaveOut(t *element.Typing) {
	if l, ok := t.Value.(*schema.Layout); ok && d.declared {
		d.masking = l.Declared()
		t.Value = l.WithoutProgram()
	}
}

// mask clears what programs own of an element's value, or of those of all CPUs.
func (d *dumper) mask(value []byte) {
	if d.masking == nil {
		return
	}
	slot := maptype.Slot(len(d.masking))
	for at := 0; at < len(value); at += slot {
		for i, m := range d.masking {
			value[at+i] &= m
		}
	}
}

// canonical is the key as a manifest has it, in the formats that are read again: the kernel keeps the bits behind a
// prefix, and doesn't look at them.
func (d *dumper) canonical(m *bpf.Map, key []byte) []byte {
	if m.Type() != bpf.LPMTrie || d.output != string(element.YAML) && d.output != string(element.JSON) {
		return key
	}
	d.masked = append(d.masked[:0], key...)
	revision.MaskPrefix(d.masked)
	return d.masked
}

// sortedBatch is after how many sorted elements a context is looked at, on average.
const sortedBatch = 4096

func (d *dumper) copySorted(ctx context.Context, w *element.Writer, it *bpf.Iterator, m *bpf.Map) error {
	all := revision.Entries{KeySize: m.KeySize(), ValueSize: m.ValueStride()}
	for it.Next() {
		all.Keys = append(all.Keys, it.Keys()...)
		all.Values = append(all.Values, it.Values()...)
		all.Len += it.Len()
	}
	if err := it.Err(); err != nil {
		return err
	}
	// What orders keys is the type alone.
	order := revision.Shape{Type: v1alpha1.MapType(m.Type().String())}
	indexes := make([]int, all.Len)
	for i := range indexes {
		indexes[i] = i
	}
	slices.SortStableFunc(indexes, func(a, b int) int { return order.CompareKeys(all.Key(a), all.Key(b)) })
	for _, i := range indexes {
		if i%sortedBatch == 0 && ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err := w.Write(d.canonical(m, all.Key(i)), all.Value(i)); err != nil {
			return err
		}
		d.printed.Add(1)
	}
	return nil
}
