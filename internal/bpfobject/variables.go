// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package bpfobject

import (
	"cmp"
	"debug/elf"
	"fmt"
	"slices"
	"strings"

	"github.com/cilium/ebpf/btf"

	"github.com/bpfmap-io/bpfmap-operator/internal/mapdef"
	"github.com/bpfmap-io/bpfmap-operator/internal/maptype"
)

// isVariables says whether loaders make an array of a section.
func isVariables(name string) bool {
	for _, prefix := range []string{".data", ".rodata", ".bss"} {
		if name == prefix || strings.HasPrefix(name, prefix+".") {
			return true
		}
	}
	return false
}

// variables are the sections of global variables: arrays of one element. Constants are frozen, and read-only
// for programs.
func (o *object) variables() ([]Map, error) {
	var maps []Map
	for _, s := range o.file.Sections {
		if !isVariables(s.Name) || s.Size == 0 || s.Flags&elf.SHF_ALLOC == 0 {
			continue
		}
		contents, err := data(s)
		if err != nil {
			return nil, err
		}
		m := Map{
			Definition: mapdef.Definition{
				Name: s.Name, Type: arrayType, KeySize: 4, ValueSize: uint32(len(contents)), MaxEntries: 1, //nolint:gosec // bounded by maxSection
			},
			Section: true,
		}
		if !isZero(contents) {
			m.Contents = contents
		}
		o.typeSection(&m)
		if strings.HasPrefix(s.Name, ".rodata") {
			m.Frozen = true
			m.Flags |= maptype.RdOnlyProg
		}
		maps = append(maps, m)
	}
	return append(maps, o.external()...), nil
}

// arrayType is BPF_MAP_TYPE_ARRAY.
const arrayType = 2

// typeSection makes a struct of a section's variables. As libbpf does, the map can be mapped into memory if a
// variable is visible outside of the source's file.
func (o *object) typeSection(m *Map) {
	var section *btf.Datasec
	if err := o.types.TypeByName(m.Name, &section); err != nil || len(section.Vars) == 0 {
		m.Skipped = "holds no variables, but literals of the compiler's"
		return
	}
	variables := &btf.Struct{Size: m.ValueSize}
	names := map[string]int{}
	for _, info := range section.Vars {
		v, ok := info.Type.(*btf.Var)
		if !ok || info.Size == 0 {
			continue
		}
		if v.Linkage != btf.StaticVar {
			m.Flags |= maptype.Mmapable
		}
		variables.Members = append(variables.Members, btf.Member{
			Name: identifier(v.Name, names), Type: v.Type, Offset: btf.Bits(8 * info.Offset),
		})
	}
	slices.SortStableFunc(variables.Members, func(a, b btf.Member) int { return cmp.Compare(a.Offset, b.Offset) })
	m.Value.Type = variables
	o.describe(&m.Definition)
}

// identifier is a C name that wasn't given yet. Variables of functions are called function.name.
func identifier(name string, given map[string]int) string {
	name = strings.ReplaceAll(name, ".", "_")
	given[name]++
	if n := given[name]; n > 1 {
		return identifier(fmt.Sprintf("%s_%d", name, n), given)
	}
	return name
}

// external are the maps that loaders make from what they find in the kernel.
func (o *object) external() []Map {
	var maps []Map
	var section *btf.Datasec
	if err := o.types.TypeByName(".kconfig", &section); err == nil {
		maps = append(maps, Map{
			Definition: mapdef.Definition{Name: ".kconfig", Type: arrayType},
			Section:    true,
			Skipped:    "holds the configuration of the kernel, which the loader looks up on each node",
		})
	}
	for _, name := range []string{".struct_ops", ".struct_ops.link"} {
		if err := o.types.TypeByName(name, &section); err != nil {
			continue
		}
		for _, info := range section.Vars {
			if v, ok := info.Type.(*btf.Var); ok {
				maps = append(maps, Map{Definition: mapdef.Definition{Name: v.Name, Type: structOps}})
			}
		}
	}
	return maps
}

// structOps is BPF_MAP_TYPE_STRUCT_OPS.
const structOps = 26
