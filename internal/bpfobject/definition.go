// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package bpfobject

import (
	"debug/elf"
	"errors"
	"fmt"
	"math"

	"github.com/cilium/ebpf/btf"

	"github.com/bpfmap-io/bpfmap-operator/internal/mapdef"
	"github.com/bpfmap-io/bpfmap-operator/internal/maptype"
)

// mapsSection holds the definitions: variables of struct types whose members say it all by their types, as
// libbpf's macros __uint, __type, __array and __ulong make them.
const mapsSection = ".maps"

// definitions are the maps of the section .maps.
func (o *object) definitions() ([]Map, error) {
	_, section := o.section(mapsSection)
	if section == nil || section.Size == 0 {
		return nil, nil
	}
	var vars *btf.Datasec
	if err := o.types.TypeByName(mapsSection, &vars); err != nil {
		return nil, fmt.Errorf("read the types of section %s: %w", mapsSection, err)
	}
	var maps []Map
	seen := map[string]bool{}
	for _, info := range vars.Vars {
		v, ok := info.Type.(*btf.Var)
		if !ok {
			continue
		}
		if seen[v.Name] {
			return nil, fmt.Errorf("map %s: is defined twice", v.Name)
		}
		seen[v.Name] = true
		m, err := o.definition(v.Name, v.Type)
		if err != nil {
			return nil, fmt.Errorf("map %s: %w", v.Name, err)
		}
		maps = append(maps, *m)
	}
	return maps, nil
}

// definition is the map that a variable defines.
func (o *object) definition(name string, t btf.Type) (*Map, error) {
	s, ok := btf.UnderlyingType(t).(*btf.Struct)
	if !ok {
		return nil, fmt.Errorf("is a %T, not a struct", btf.UnderlyingType(t))
	}
	m := &Map{Definition: mapdef.Definition{Name: name}}
	for _, member := range s.Members {
		if err := m.take(member); err != nil {
			return nil, fmt.Errorf("%s: %w", member.Name, err)
		}
		if member.Name != "values" {
			continue
		}
		var err error
		if m.Slots, err = o.slots(name, member.Offset.Bytes()); err != nil {
			return nil, fmt.Errorf("values: %w", err)
		}
	}
	o.describe(&m.Definition)
	if m.Inner != nil {
		m.Inner.Name = name + ".inner" // as libbpf calls it
		o.describe(m.Inner)
	}
	return m, nil
}

// take takes one member of a definition.
func (m *Map) take(member btf.Member) error {
	var target *uint32
	switch member.Name {
	case "type":
		target = &m.Type
	case "key_size":
		target = &m.KeySize
	case "value_size":
		target = &m.ValueSize
	case "max_entries":
		target = &m.MaxEntries
	case "map_flags":
		target = (*uint32)(&m.Flags)
	case "numa_node":
		target = &m.NUMANode
	case "key":
		return takeType(member.Type, &m.Key, &m.KeySize)
	case "value":
		return takeType(member.Type, &m.Value, &m.ValueSize)
	case "map_extra":
		n, err := number(member.Type)
		m.Extra = n
		return err
	case "pinning":
		n, err := number(member.Type)
		if err == nil && n > 1 {
			err = fmt.Errorf("%d is neither LIBBPF_PIN_NONE nor LIBBPF_PIN_BY_NAME", n)
		}
		m.PinByName = n == 1
		return err
	case "values":
		return m.takeValues(member.Type)
	default:
		return errors.New("is not a known property of a map")
	}
	n, err := number(member.Type)
	if err == nil && n > math.MaxUint32 {
		err = fmt.Errorf("%d is more than %d", n, uint32(math.MaxUint32))
	}
	*target = uint32(n) //nolint:gosec // of use only without an error
	if member.Name == "numa_node" {
		m.Flags |= maptype.NUMANode
	}
	return err
}

// number is what libbpf's macros __uint (a pointer to an array of that length) and __ulong (an enumerator) say.
func number(t btf.Type) (uint64, error) {
	switch t := btf.UnderlyingType(t).(type) {
	case *btf.Pointer:
		if a, ok := btf.UnderlyingType(t.Target).(*btf.Array); ok {
			return uint64(a.Nelems), nil
		}
	case *btf.Enum:
		if len(t.Values) > 0 {
			return t.Values[0].Value, nil
		}
	}
	return 0, errors.New("is not defined by __uint or __ulong")
}

// takeType is what libbpf's macro __type says: a pointer to the type.
func takeType(t btf.Type, d *mapdef.Datum, size *uint32) error {
	p, ok := btf.UnderlyingType(t).(*btf.Pointer)
	if !ok {
		return errors.New("is not defined by __type")
	}
	n, err := btf.Sizeof(p.Target)
	fwd, isForward := btf.UnderlyingType(p.Target).(*btf.Fwd)
	switch {
	case isForward:
		return fmt.Errorf("the object's BTF names struct %s and doesn't define it: use the type in a program or a variable, too", fwd.Name)
	case err != nil:
		return fmt.Errorf("its type has no size: %w", err)
	case int64(n) > math.MaxUint32:
		return fmt.Errorf("its type has %d bytes, more than %d", n, uint32(math.MaxUint32))
	case *size != 0 && int64(*size) != int64(n):
		return fmt.Errorf("its type has %d bytes, and its size is given as %d", n, *size)
	}
	*size = uint32(n) //nolint:gosec // bounded above
	d.Type = p.Target
	return nil
}

// takeValues is what libbpf's macro __array says: an array of pointers to maps or programs.
func (m *Map) takeValues(t btf.Type) error {
	m.ValueSize = 4
	a, ok := btf.UnderlyingType(t).(*btf.Array)
	if !ok {
		return errors.New("is not defined by __array")
	}
	p, ok := btf.UnderlyingType(a.Type).(*btf.Pointer)
	if !ok {
		return errors.New("is not defined by __array")
	}
	s, ok := btf.UnderlyingType(p.Target).(*btf.Struct)
	if !ok {
		return nil // programs
	}
	inner := &Map{}
	for _, member := range s.Members {
		if member.Name == "values" || member.Name == "pinning" {
			return fmt.Errorf("inner maps have no %s", member.Name)
		}
		if err := inner.take(member); err != nil {
			return fmt.Errorf("%s: %w", member.Name, err)
		}
	}
	m.Inner = &inner.Definition
	return nil
}

// slots are the maps or programs that the source puts into a map: what the linker is told to put where.
func (o *object) slots(name string, offset uint32) ([]Slot, error) {
	index, _ := o.section(mapsSection)
	var at, end uint64
	for _, s := range o.symbols {
		if s.Name == name && s.Section == index {
			at, end = s.Value+uint64(offset), s.Value+s.Size
		}
	}
	var slots []Slot
	for _, s := range o.file.Sections {
		if s.Type != elf.SHT_REL || elf.SectionIndex(s.Info) != index {
			continue
		}
		b, err := data(s)
		if err != nil {
			return nil, err
		}
		const entry, pointer = 16, 8 // sizeof(Elf64_Rel), sizeof(void *)
		for ; len(b) >= entry; b = b[entry:] {
			where, symbol := o.file.ByteOrder.Uint64(b), o.file.ByteOrder.Uint64(b[8:])>>32
			if where < at || where >= end {
				continue
			}
			if symbol == 0 || symbol > uint64(len(o.symbols)) {
				return nil, fmt.Errorf("refers to symbol %d of %d", symbol, len(o.symbols))
			}
			slot := (where - at) / pointer
			if slot > math.MaxUint32 {
				return nil, fmt.Errorf("has a slot %d, more than %d", slot, uint32(math.MaxUint32))
			}
			slots = append(slots, Slot{Index: uint32(slot), Symbol: o.symbols[symbol-1].Name})
		}
	}
	return slots, nil
}
