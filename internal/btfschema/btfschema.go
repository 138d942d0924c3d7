// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package btfschema

import (
	"fmt"

	"github.com/cilium/ebpf/btf"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
)

// Of is the schema of a type. What a schema can't say (unions, bit fields, arrays of arrays, floats,
// layouts that are neither natural nor packed) becomes hex of the same size. It is nil for types
// without a size.
func Of(t btf.Type) *v1alpha1.Schema {
	return of(t, v1alpha1.MaxFieldDepth)
}

// FromKernel is the schemas of a map's key and value from the BTF object that the kernel holds under
// id; nil for a type id of 0. It needs CAP_SYS_ADMIN.
func FromKernel(id, keyType, valueType uint32) (key, value *v1alpha1.Schema, err error) {
	handle, err := btf.NewHandleFromID(btf.ID(id))
	if err != nil {
		return nil, nil, fmt.Errorf("open BTF %d: %w", id, err)
	}
	spec, err := handle.Spec(nil)
	if closeErr := handle.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return nil, nil, fmt.Errorf("read BTF %d: %w", id, err)
	}
	if key, err = typeOf(spec, keyType); err != nil {
		return nil, nil, err
	}
	value, err = typeOf(spec, valueType)
	return key, value, err
}

func typeOf(spec *btf.Spec, id uint32) (*v1alpha1.Schema, error) {
	if id == 0 {
		return nil, nil //nolint:nilnil // no type, no schema, and no error
	}
	t, err := spec.TypeByID(btf.TypeID(id))
	if err != nil {
		return nil, fmt.Errorf("read BTF type %d: %w", id, err)
	}
	return Of(t), nil
}

func of(t btf.Type, depth int) *v1alpha1.Schema {
	size, err := btf.Sizeof(t)
	if err != nil || size <= 0 {
		return nil
	}
	switch u := btf.UnderlyingType(t).(type) {
	case *btf.Int:
		if s := integer(t, u); s != "" {
			return &v1alpha1.Schema{Type: s}
		}
	case *btf.Enum:
		if s := sized(u.Signed, size); s != "" {
			return &v1alpha1.Schema{Type: s}
		}
	case *btf.Pointer:
		return &v1alpha1.Schema{Type: v1alpha1.TypeU64}
	case *btf.Array:
		if s := array(u, depth); s != nil {
			return s
		}
	case *btf.Struct:
		if s := structure(u, depth); s != nil {
			return s
		}
	}
	return &v1alpha1.Schema{Type: v1alpha1.TypeHex, Size: int32(size)}
}

// bigEndian are the kernel's names of integers in network order.
var bigEndian = map[string]v1alpha1.ScalarType{
	"__be16": v1alpha1.TypeBE16, "__be32": v1alpha1.TypeBE32, "__be64": v1alpha1.TypeBE64,
}

func integer(t btf.Type, i *btf.Int) v1alpha1.ScalarType {
	for td, ok := t.(*btf.Typedef); ok; td, ok = td.Type.(*btf.Typedef) {
		if s, ok := bigEndian[td.Name]; ok {
			return s
		}
	}
	if i.Encoding == btf.Bool && i.Size == 1 {
		return v1alpha1.TypeBool
	}
	return sized(i.Encoding == btf.Signed, int(i.Size))
}

func sized(signed bool, size int) v1alpha1.ScalarType {
	types := map[int]v1alpha1.ScalarType{1: v1alpha1.TypeU8, 2: v1alpha1.TypeU16, 4: v1alpha1.TypeU32, 8: v1alpha1.TypeU64}
	if signed {
		types = map[int]v1alpha1.ScalarType{1: v1alpha1.TypeI8, 2: v1alpha1.TypeI16, 4: v1alpha1.TypeI32, 8: v1alpha1.TypeI64}
	}
	return types[size]
}

func array(a *btf.Array, depth int) *v1alpha1.Schema {
	element := of(a.Type, depth)
	if element == nil || element.Length != 0 {
		return nil
	}
	if i, ok := btf.UnderlyingType(a.Type).(*btf.Int); ok && i.Size == 1 && (i.Encoding == btf.Char || i.Name == "char") {
		return &v1alpha1.Schema{Type: v1alpha1.TypeString, Size: int32(a.Nelems)}
	}
	if element.Type == v1alpha1.TypeU8 {
		return nil // raw bytes: hex reads better than a list of numbers
	}
	element.Length = int32(a.Nelems)
	return element
}

func structure(s *btf.Struct, depth int) *v1alpha1.Schema {
	if depth == 0 || len(s.Members) == 0 {
		return nil
	}
	schema := &v1alpha1.Schema{}
	for _, m := range s.Members {
		f := of(m.Type, depth-1)
		if m.Name == "" || f == nil || m.BitfieldSize != 0 {
			return nil
		}
		schema.Fields = append(schema.Fields, v1alpha1.Field{Name: m.Name, Schema: *f})
	}
	natural, packed := layout(s, schema.Fields)
	schema.Packed = !natural
	if !natural && !packed {
		return nil
	}
	return schema
}

// layout says whether the members of s lie where the schema's layout would put fields, and whether
// they lie without any padding.
func layout(s *btf.Struct, fields []v1alpha1.Field) (natural, packed bool) {
	natural, packed = true, true
	end, strictest := 0, 1
	for i, m := range s.Members {
		size, err := btf.Sizeof(m.Type)
		if err != nil {
			return false, false
		}
		align := alignment(fields[i])
		strictest = max(strictest, align)
		at := int(m.Offset.Bytes())
		natural = natural && at == roundUp(end, align)
		packed = packed && at == end
		end = at + size
	}
	return natural && int(s.Size) == roundUp(end, strictest), packed && int(s.Size) == end
}

// alignment is that of a field made by of: what became hex has none, whatever it is in C.
func alignment(f v1alpha1.Field) int {
	switch f.Type {
	case v1alpha1.TypeU16, v1alpha1.TypeI16, v1alpha1.TypeBE16:
		return 2
	case v1alpha1.TypeU32, v1alpha1.TypeI32, v1alpha1.TypeBE32:
		return 4
	case v1alpha1.TypeU64, v1alpha1.TypeI64, v1alpha1.TypeBE64:
		return 8
	}
	strictest := 1
	if !f.Packed {
		for _, inner := range f.Fields {
			strictest = max(strictest, alignment(inner))
		}
	}
	return strictest
}

func roundUp(n, to int) int { return (n + to - 1) / to * to }
