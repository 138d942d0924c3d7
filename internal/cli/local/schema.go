// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package local

import (
	"errors"
	"fmt"
	"go/format"
	"io"
	"path"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/spf13/cobra"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/cdecl"
	"github.com/bpfmap-io/bpfmap-operator/internal/cli/structured"
	"github.com/bpfmap-io/bpfmap-operator/internal/maptype"
)

func newSchema() *cobra.Command {
	var in inputFlags
	var output, goPackage string
	c := &cobra.Command{
		Use:   "schema -f FILE",
		Short: "Print C or Go declarations of keys and values, with offsets",
		Long: `Print what a program declares to have the maps of manifests: structs with the offset and size of each member, and
assertions that hold a compiler to them. With -o c they are for a C program or its loader, and define the maps, too,
where a BPF program is compiled; with -o go they are types that encoding/binary, unsafe and cilium/ebpf take as the
kernel has them, all padding written out. -o table lists the places, and -o json and yaml have them for other
programs. It needs no privileges and touches no map.`,
		Example: `  bpfmap schema -f maps/blocklist.yaml -o table
  bpfmap schema -f maps/ -o c > maps.h
  bpfmap schema -f maps/ -o go --package firewall > maps.go
  bpfmap schema -f maps/ -o json | jq '.maps[] | {bpfMap, key: .key.size, value: .value.size}'`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			maps, ok, err := in.compile(c)
			if err != nil {
				return err
			}
			if !ok {
				return &ExitError{Code: 1}
			}
			return printSchemas(c, maps, output, goPackage)
		},
	}
	in.add(c)
	structured.AddFlag(c, &output, "c", "go", structured.Table, structured.JSON, structured.YAML)
	c.Flags().StringVar(&goPackage, "package", "maps", "name of the Go package")
	return c
}

func printSchemas(c *cobra.Command, maps []declared, output, goPackage string) error {
	w := c.OutOrStdout()
	forC := output == "c" || output == "go"
	var defs []*cdecl.Map
	names := map[string]string{}
	for _, d := range maps {
		m, err := mapOf(d)
		if err != nil {
			return fmt.Errorf("%s: %w", d.Name(), err)
		}
		if other, taken := names[m.Name]; taken && forC {
			return fmt.Errorf("BPFMaps %s and %s are both called %s in C: print them one by one", other, d.Name(), m.Name)
		}
		names[m.Name] = d.Name()
		defs = append(defs, m)
	}
	switch output {
	case "c":
		return printC(w, defs)
	case "go":
		return printGo(w, defs, goPackage)
	case structured.JSON, structured.YAML:
		return writeDocument(c, output, schemaDocument(maps, defs))
	}
	return printTables(w, maps, defs)
}

// identifiers are names that C takes.
var identifiers = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// mapOf is the map that a program defines for a manifest: called as its pin is, where C takes that name.
func mapOf(d declared) (*cdecl.Map, error) {
	shape := d.rev.Shape
	m := &cdecl.Map{
		Name: path.Base(d.rev.Pin.Path), Type: maptype.ByName(string(shape.Type)).Or(), MaxEntries: shape.MaxEntries,
		Flags: flagsOf(shape.Flags), Extra: shape.MapExtra, NUMANode: shape.NUMANode, PinRoot: filepath.Join(defaultBPFFS, path.Dir(d.rev.Pin.Path)),
	}
	if !identifiers.MatchString(m.Name) {
		m.Name, m.PinRoot = cIdentifier(m.Name), ""
	}
	var err error
	if m.Key, err = typeOf(d.rev.KeySchema, shape.KeySize); err != nil {
		return nil, fmt.Errorf("lay out spec.key: %w", err)
	}
	if m.Value, err = typeOf(&d.rev.ValueSchema, shape.ValueSize); err != nil {
		return nil, fmt.Errorf("lay out spec.value: %w", err)
	}
	if inner := shape.Inner; inner != nil {
		spec := d.Map.Spec.Inner
		t := maptype.ByName(string(inner.Type)).Or()
		all := declaredSchemas(&v1alpha1.BPFMapSpec{Key: spec.Key, Value: spec.Value}, t)
		m.Inner = &cdecl.Map{Name: m.Name + "_inner", Type: t, MaxEntries: inner.MaxEntries, Flags: flagsOf(inner.Flags)}
		if m.Inner.Key, err = typeOf(all.key, inner.KeySize); err != nil {
			return nil, fmt.Errorf("lay out spec.inner.key: %w", err)
		}
		if m.Inner.Value, err = typeOf(all.value, inner.ValueSize); err != nil {
			return nil, fmt.Errorf("lay out spec.inner.value: %w", err)
		}
	}
	return m, nil
}

// typeOf is a schema's type; nil for a size of 0.
func typeOf(s *v1alpha1.Schema, size uint32) (*cdecl.Type, error) {
	if s == nil || size == 0 {
		return nil, nil //nolint:nilnil // no schema, no type, and no error
	}
	t, err := cdecl.New(s)
	if err == nil && t.Size() != int(size) {
		err = fmt.Errorf("it has %d bytes here, and %d in the map", t.Size(), size)
	}
	return &t, err
}

func flagsOf(names []v1alpha1.MapFlag) (flags maptype.Flags) {
	for _, name := range names {
		if f, known := maptype.FlagByName(string(name)); known {
			flags |= f.Bit
		}
	}
	return flags
}

// cIdentifier is a name for C that begins with a letter.
func cIdentifier(name string) string {
	name = strings.NewReplacer("-", "_", ".", "_").Replace(name)
	if name[0] >= '0' && name[0] <= '9' {
		return "map_" + name
	}
	return name
}

func printC(w io.Writer, defs []*cdecl.Map) error {
	text := `/* Generated by bpfmap schema. */
#pragma once
#include <linux/types.h>
#include <linux/in6.h>
#include <linux/bpf.h>
#ifdef __bpf__
#include <bpf/bpf_helpers.h>
#endif
`
	for _, m := range defs {
		text += "\n" + m.C()
	}
	_, err := io.WriteString(w, text)
	return err
}

func printGo(w io.Writer, defs []*cdecl.Map, name string) error {
	if !identifiers.MatchString(name) {
		return fmt.Errorf("--package %s: is not a name of a Go package", name)
	}
	text := fmt.Sprintf("// Code generated by bpfmap schema. DO NOT EDIT.\n\npackage %s\n\nimport \"unsafe\"\n\n", name)
	types := ""
	for _, m := range defs {
		types += m.Go()
	}
	if types == "" {
		return errors.New("none of the maps has keys or values to declare")
	}
	formatted, err := format.Source([]byte(text + types))
	if err != nil {
		return fmt.Errorf("format Go: %w", err)
	}
	_, err = w.Write(formatted)
	return err
}
