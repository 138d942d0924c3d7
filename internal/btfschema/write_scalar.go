// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package btfschema

import (
	"strconv"

	"github.com/cilium/ebpf/btf"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
)

// The types of C that all others are made of.
var (
	cU8   = &btf.Int{Name: "unsigned char", Size: 1}
	cU16  = &btf.Int{Name: "unsigned short", Size: 2}
	cU32  = &btf.Int{Name: "unsigned int", Size: 4}
	cU64  = &btf.Int{Name: "unsigned long long", Size: 8}
	cChar = &btf.Int{Name: "char", Size: 1, Encoding: btf.Char}

	cBE16 = &btf.Typedef{Name: "__be16", Type: &btf.Typedef{Name: "__u16", Type: cU16}}
	cBE32 = &btf.Typedef{Name: "__be32", Type: &btf.Typedef{Name: "__u32", Type: cU32}}
	cBE64 = &btf.Typedef{Name: "__be64", Type: &btf.Typedef{Name: "__u64", Type: cU64}}

	cIn6Addr = &btf.Struct{Name: "in6_addr", Size: 16, Members: []btf.Member{{Name: "in6_u", Type: &btf.Union{Size: 16, Members: []btf.Member{
		{Name: "u6_addr8", Type: arrayType(cU8, 16)}, {Name: "u6_addr16", Type: arrayType(cBE16, 8)}, {Name: "u6_addr32", Type: arrayType(cBE32, 4)},
	}}}}}
	cSpinLock = &btf.Struct{Name: "bpf_spin_lock", Size: 4, Members: []btf.Member{{Name: "val", Type: cU32}}}
)

// cTypes are the types of scalars that need no more than that, but for those of network order.
var cTypes = map[v1alpha1.ScalarType]btf.Type{
	v1alpha1.TypeU8: cU8, v1alpha1.TypeU16: cU16, v1alpha1.TypeU32: cU32, v1alpha1.TypeU64: cU64,
	v1alpha1.TypeU128: &btf.Int{Name: "unsigned __int128", Size: 16},
	v1alpha1.TypeI8:   &btf.Int{Name: "signed char", Size: 1, Encoding: btf.Signed},
	v1alpha1.TypeI16:  &btf.Int{Name: "short", Size: 2, Encoding: btf.Signed},
	v1alpha1.TypeI32:  &btf.Int{Name: "int", Size: 4, Encoding: btf.Signed},
	v1alpha1.TypeI64:  &btf.Int{Name: "long long", Size: 8, Encoding: btf.Signed},
	v1alpha1.TypeI128: &btf.Int{Name: "__int128", Size: 16, Encoding: btf.Signed},
	v1alpha1.TypeBE16: cBE16, v1alpha1.TypeBE32: cBE32, v1alpha1.TypeBE64: cBE64,
	v1alpha1.TypeBool:     &btf.Int{Name: "_Bool", Size: 1, Encoding: btf.Bool},
	v1alpha1.TypeSpinLock: cSpinLock,
	v1alpha1.TypeMapRef:   cU32, v1alpha1.TypeProgPin: cU32, v1alpha1.TypeCgroup: cU32,
}

// scalar is the type of a scalar, and the tag that it needs.
func (w *Writer) scalar(s *v1alpha1.Schema, name string, in context) (btf.Type, Tag) {
	tag := Tag{Properties: map[string]string{}}
	t := w.untagged(s, name, in, &tag)
	for property, value := range map[string]string{
		tagDuration: string(s.Duration), tagTime: string(s.Time), tagIPv4As: string(s.IPv4As),
	} {
		if value != "" {
			tag.Properties[property] = value
		}
	}
	if _, isEnum := t.(*btf.Enum); len(s.Enum) > 0 && !isEnum {
		w.setNames(&tag, tagEnum, s.Enum, name)
	}
	if len(s.Flags) > 0 {
		w.setNames(&tag, tagFlags, s.Flags, name)
	}
	return t, tag
}

func (w *Writer) setNames(tag *Tag, property string, names map[string]int64, name string) {
	if enum := w.named(names, name); enum != "" {
		tag.Properties[property] = enum
	}
}

// untagged is the type of a scalar. It sets the tag's type where C's isn't enough.
func (w *Writer) untagged(s *v1alpha1.Schema, name string, in context, tag *Tag) btf.Type {
	if e := w.enum(s, name, in); e != nil {
		return e
	}
	extent := elementExtent(s)
	if extent.size > extents[s.Type].size && order(s.Type) == networkByteOrder {
		if w.Plain {
			return arrayType(cU8, extent.size)
		}
		tag.Type, tag.Properties[tagSize] = s.Type, strconv.Itoa(extent.size)
		return cU32
	}
	if t, ok := cTypes[s.Type]; ok {
		return t
	}
	switch s.Type {
	case v1alpha1.TypeString:
		return arrayType(cChar, int(s.Size))
	case v1alpha1.TypeHex:
		return arrayType(cU8, int(s.Size))
	case v1alpha1.TypeF32, v1alpha1.TypeF64:
		switch {
		case w.Plain: // without a tag, an integer would be taken for one
			return arrayType(cU8, extent.size)
		case !in.misaligned:
			return &btf.Float{Name: map[int]string{4: "float", 8: "double"}[extent.size], Size: uint32(extent.size)}
		}
	}
	tag.Type = s.Type
	switch s.Type {
	case v1alpha1.TypeIPv4Host, v1alpha1.TypeIfindex, v1alpha1.TypeF32:
		return cU32
	case v1alpha1.TypeCgroupID, v1alpha1.TypeF64:
		return cU64
	case v1alpha1.TypeIPv4, v1alpha1.TypeIPv6, v1alpha1.TypeIP:
		return address(extent, s.Type == v1alpha1.TypeIPv6, tag)
	case v1alpha1.TypeIPv4Prefix, v1alpha1.TypeIPv6Prefix, v1alpha1.TypeIPPrefix, v1alpha1.TypeCountedString:
		t, _ := w.typeOf(expanded(s), name, context{})
		return t
	}
	return arrayType(cU8, extent.size)
}

// address is a type of 4 or 16 bytes of that alignment.
func address(e extent, isIPv6 bool, tag *Tag) btf.Type {
	switch {
	case e.align == 1:
		return arrayType(cU8, e.size)
	case e.align == 2:
		return arrayType(cBE16, e.size/2)
	case e.size == 4:
		return cBE32
	}
	if isIPv6 {
		tag.Type = "" // its name says it
	}
	return cIn6Addr
}
