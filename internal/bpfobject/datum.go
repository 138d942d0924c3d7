// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package bpfobject

import (
	"fmt"

	"github.com/cilium/ebpf/btf"

	"github.com/bpfmap-io/bpfmap-operator/internal/btfschema"
	"github.com/bpfmap-io/bpfmap-operator/internal/mapdef"
)

// datum is what BTF says of a key or value.
func datum(t btf.Type) mapdef.Datum {
	d := mapdef.Datum{CType: cName(t), Schema: btfschema.Of(t)}
	if d.Schema == nil {
		d.Untyped = "its type has no size"
	}
	return d
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
