// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package bpfobject

import (
	"fmt"

	"github.com/cilium/ebpf/btf"

	"github.com/bpfmap-io/bpfmap-operator/internal/btfschema"
	"github.com/bpfmap-io/bpfmap-operator/internal/mapdef"
	"github.com/bpfmap-io/bpfmap-operator/internal/maptype"
)

// describe says what BTF says of a map's key and value.
func (o *object) describe(d *mapdef.Definition) {
	if t := maptype.ByNumber(d.Type); d.Key.Type != nil {
		o.fill(&d.Key, t != nil && t.LPM)
	}
	if d.Value.Type != nil {
		o.fill(&d.Value, false)
	}
}

func (o *object) fill(d *mapdef.Datum, isLPM bool) {
	d.Reader = btfschema.In(o.types)
	d.CType = cName(d.Type)
	d.Schema, d.Notes = d.Reader.Of(d.Type)
	if isLPM {
		d.Schema, d.Notes = d.Reader.OfLPMKey(d.Type)
	}
	if d.Schema == nil {
		d.Untyped = "its type has no size"
	}
}

// cName is how C calls a type; empty for one without a name.
func cName(t btf.Type) string {
	switch t := t.(type) {
	case *btf.Const:
		return cName(t.Type)
	case *btf.Volatile:
		return cName(t.Type)
	case *btf.Pointer:
		return "a pointer"
	case *btf.Array:
		if element := cName(t.Type); element != "" {
			return fmt.Sprintf("%s[%d]", element, t.Nelems)
		}
		return ""
	}
	name := t.TypeName()
	if name == "" {
		return ""
	}
	switch t.(type) {
	case *btf.Struct:
		return "struct " + name
	case *btf.Union:
		return "union " + name
	case *btf.Enum:
		return "enum " + name
	}
	return name
}
