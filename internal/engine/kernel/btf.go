// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package kernel

import (
	"fmt"

	"github.com/cilium/ebpf/btf"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/bpf"
	"github.com/bpfmap-io/bpfmap-operator/internal/maptype"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
	"github.com/bpfmap-io/bpfmap-operator/internal/schema"
)

// types are a map's key and value in loaded BTF.
type types struct {
	btf        *bpf.BTF
	key, value uint32
}

// describeTypes loads BTF of a revision's schemas; nil for types that take none.
func describeTypes(rev *revision.Revision) (*types, error) {
	if typeOfShape(rev.Shape).BTF == maptype.NoBTF {
		return nil, nil
	}
	var b btf.Builder
	var t types
	for _, part := range []struct {
		schema *v1alpha1.Schema
		name   string
		to     *uint32
	}{{rev.KeySchema, "key", &t.key}, {&rev.ValueSchema, "value", &t.value}} {
		if part.schema == nil {
			continue
		}
		layout, err := schema.New(part.schema)
		if err != nil {
			return nil, err
		}
		typ := typeOf(layout, rev.Shape.Name+"_"+part.name)
		if part.name == "key" && rev.Shape.IsLPM() {
			typ = prefixType(layout.Size() - 4)
		}
		id, err := b.Add(typ)
		if err != nil {
			return nil, fmt.Errorf("describe %s: %w", part.name, err)
		}
		*part.to = uint32(id)
	}
	raw, err := b.Marshal(nil, nil)
	if err != nil {
		return nil, fmt.Errorf("write BTF: %w", err)
	}
	if t.btf, err = bpf.LoadBTF(raw); err != nil {
		return nil, err
	}
	return &t, nil
}

var (
	cU8   = &btf.Int{Name: "unsigned char", Size: 1}
	cU32  = &btf.Int{Name: "unsigned int", Size: 4}
	cChar = &btf.Int{Name: "char", Size: 1, Encoding: btf.Char}
)

// integers are the C names of integers of either order: BTF knows none.
var integers = map[v1alpha1.ScalarType]*btf.Int{
	v1alpha1.TypeU8: cU8, v1alpha1.TypeU16: {Name: "unsigned short", Size: 2}, v1alpha1.TypeU32: cU32,
	v1alpha1.TypeU64: {Name: "unsigned long long", Size: 8},
	v1alpha1.TypeI8:  {Name: "signed char", Size: 1, Encoding: btf.Signed}, v1alpha1.TypeI16: {Name: "short", Size: 2, Encoding: btf.Signed},
	v1alpha1.TypeI32: {Name: "int", Size: 4, Encoding: btf.Signed}, v1alpha1.TypeI64: {Name: "long long", Size: 8, Encoding: btf.Signed},
	v1alpha1.TypeBE16: {Name: "unsigned short", Size: 2}, v1alpha1.TypeBE32: cU32, v1alpha1.TypeBE64: {Name: "unsigned long long", Size: 8},
	v1alpha1.TypeBool: {Name: "_Bool", Size: 1, Encoding: btf.Bool},
	v1alpha1.TypeIPv4: cU32, v1alpha1.TypeIfindex: cU32, v1alpha1.TypeMapRef: cU32, v1alpha1.TypeProgPin: cU32, v1alpha1.TypeCgroup: cU32,
	v1alpha1.TypeCgroupID: {Name: "unsigned long long", Size: 8},
}

// typeOf is the C type of a layout. name is for structs.
func typeOf(l *schema.Layout, name string) btf.Type {
	if element, n := l.Element(); n > 0 {
		return arrayOf(typeOf(element, name), n)
	}
	if members := l.Members(); len(members) > 0 {
		s := &btf.Struct{Name: name, Size: uint32(l.Size())}
		for _, m := range members {
			s.Members = append(s.Members, btf.Member{Name: m.Name, Type: typeOf(m.Layout, name+"_"+m.Name), Offset: btf.Bits(8 * m.Offset)})
		}
		return s
	}
	switch typ := l.Scalar(); typ {
	case v1alpha1.TypeSpinLock:
		return &btf.Struct{Name: "bpf_spin_lock", Size: 4, Members: []btf.Member{{Name: "val", Type: cU32}}}
	case v1alpha1.TypeIPv4Prefix, v1alpha1.TypeIPv6Prefix:
		return prefixType(l.Size() - 4)
	case v1alpha1.TypeString:
		return arrayOf(cChar, l.Size())
	default:
		if integer, ok := integers[typ]; ok {
			return integer
		}
		return arrayOf(cU8, l.Size())
	}
}

// prefixType is what the kernel demands as key of an LPM trie: a struct that begins with the length of the
// prefix.
func prefixType(size int) btf.Type {
	return &btf.Struct{Name: "bpf_lpm_trie_key", Size: uint32(4 + size), Members: []btf.Member{
		{Name: "prefixlen", Type: cU32}, {Name: "data", Type: arrayOf(cU8, size), Offset: 32},
	}}
}

func arrayOf(element btf.Type, n int) btf.Type {
	return &btf.Array{Index: cU32, Type: element, Nelems: uint32(n)}
}
