// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package cdecl

import (
	"fmt"
	"strings"

	"github.com/bpfmap-io/bpfmap-operator/internal/maptype"
)

// Map is the definition of a map in a program.
type Map struct {
	// Name is C's.
	Name string
	Type *maptype.Type
	// Key and Value are the types, declared as the map's name with _key and _value; nil for a map without.
	Key, Value *Type
	MaxEntries uint32
	Flags      maptype.Flags
	Extra      uint64
	NUMANode   *int32
	// PinRoot is where a loader that pins by name has to look; empty for a map that isn't pinned by its name.
	PinRoot string
	// Inner is what the maps in a map of maps look like.
	Inner *Map

	// template says that it is such an inner map.
	template bool
}

// keyName and valueName are how C declares the types of a map.
func (m *Map) keyName() string   { return m.Name + "_key" }
func (m *Map) valueName() string { return m.Name + "_value" }

// C declares the types of key and value, and, for BPF programs alone, the map, as libbpf's macros do. It needs
// <bpf/bpf_helpers.h>.
func (m *Map) C() string {
	var b strings.Builder
	m.types(&b)
	if m.Inner != nil {
		m.Inner.types(&b)
	}
	b.WriteString("#ifdef __bpf__\n")
	if m.Inner != nil {
		b.WriteString("struct " + m.Inner.Name + " {\n")
		m.Inner.template = true
		m.Inner.members(&b)
		b.WriteString("};\n\n")
	}
	b.WriteString("struct {\n")
	m.members(&b)
	fmt.Fprintf(&b, "} %s SEC(\".maps\");\n#endif\n", identifier(m.Name))
	return b.String()
}

func (m *Map) types(b *strings.Builder) {
	if m.Key != nil {
		b.WriteString(C(m.keyName(), *m.Key) + "\n")
	}
	if m.Value != nil {
		b.WriteString(C(m.valueName(), *m.Value) + "\n")
	}
}

func (m *Map) members(b *strings.Builder) {
	line := func(format string, args ...any) { fmt.Fprintf(b, "\t"+format+"\n", args...) }
	line("__uint(type, %s);", m.Type.UAPIName())
	datum := func(what, name string, t *Type) {
		switch {
		case t == nil:
		case m.template && t.element().isStruct(): // of types behind two pointers, BTF has the names alone
			line("__uint(%s_size, sizeof(%s));", what, CName(name, *t))
		default:
			line("__type(%s, %s);", what, CName(name, *t))
		}
	}
	datum("key", m.keyName(), m.Key)
	if m.Inner == nil {
		datum("value", m.valueName(), m.Value)
	}
	if m.MaxEntries > 0 {
		line("__uint(max_entries, %d);", m.MaxEntries)
	}
	if flags := m.Flags.Split(); len(flags) > 0 {
		names := make([]string, len(flags))
		for i, f := range flags {
			names[i] = f.UAPIName()
		}
		line("__uint(map_flags, %s);", strings.Join(names, " | "))
	}
	if m.Extra > 0 {
		line("__uint(map_extra, %d);", m.Extra)
	}
	if m.NUMANode != nil {
		line("__uint(numa_node, %d);", *m.NUMANode)
	}
	if m.PinRoot != "" {
		line("__uint(pinning, LIBBPF_PIN_BY_NAME); /* with pin_root_path %s */", m.PinRoot)
	}
	if m.Inner != nil {
		line("__array(values, struct %s);", m.Inner.Name)
	}
}

// Go declares the types of key and value.
func (m *Map) Go() string {
	var b strings.Builder
	for _, t := range []struct {
		name string
		typ  *Type
	}{{m.keyName(), m.Key}, {m.valueName(), m.Value}} {
		if t.typ != nil {
			b.WriteString(Go(GoName(t.name), *t.typ) + "\n")
		}
	}
	if m.Inner != nil {
		b.WriteString(m.Inner.Go())
	}
	return b.String()
}
