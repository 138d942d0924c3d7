// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package schema_test

import (
	"maps"
	"slices"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/schema"
)

// cTypes are the types in C of one size. The others are arrays of characters.
var cTypes = map[v1alpha1.ScalarType]string{
	v1alpha1.TypeU8: "__u8", v1alpha1.TypeU16: "__u16", v1alpha1.TypeU32: "__u32", v1alpha1.TypeU64: "__u64",
	v1alpha1.TypeI8: "__s8", v1alpha1.TypeI16: "__s16", v1alpha1.TypeI32: "__s32", v1alpha1.TypeI64: "__s64",
	v1alpha1.TypeU128: "unsigned __int128", v1alpha1.TypeI128: "__int128", v1alpha1.TypeF32: "float", v1alpha1.TypeF64: "double",
	v1alpha1.TypeBE16: "__be16", v1alpha1.TypeBE32: "__be32", v1alpha1.TypeBE64: "__be64", v1alpha1.TypeBool: "_Bool",
	v1alpha1.TypeIPv4: "__be32", v1alpha1.TypeIPv4Host: "__u32", v1alpha1.TypeIPv6: "struct in6_addr", v1alpha1.TypeIP: "struct in6_addr",
	v1alpha1.TypeMAC: "struct { unsigned char b[6]; }", v1alpha1.TypeIPv4Prefix: "struct { __u32 len; __be32 addr; }",
	v1alpha1.TypeIPv6Prefix: "struct { __u32 len; struct in6_addr addr; }", v1alpha1.TypeIPPrefix: "struct { __u32 len; struct in6_addr addr; }",
	v1alpha1.TypeIfindex: "__u32", v1alpha1.TypeCgroupID: "__u64",
}

// asBytes are the types that are arrays of bytes in C where their alignment is lowered: their sizes.
var asBytes = map[v1alpha1.ScalarType]int{
	v1alpha1.TypeIPv4: 4, v1alpha1.TypeIPv6: 16, v1alpha1.TypeIP: 16,
	v1alpha1.TypeIPv4Prefix: 8, v1alpha1.TypeIPv6Prefix: 20, v1alpha1.TypeIPPrefix: 20,
}

// scalarTypes are all that a program can initialize.
var scalarTypes = append(slices.Sorted(maps.Keys(cTypes)), v1alpha1.TypeString, v1alpha1.TypeCountedString, v1alpha1.TypeDNSName,
	v1alpha1.TypeHex, v1alpha1.TypeBytes, v1alpha1.TypePadding)

// lengthTypes are those in front of a counted string.
var lengthTypes = []v1alpha1.ScalarType{v1alpha1.TypeU8, v1alpha1.TypeU16, v1alpha1.TypeU32, v1alpha1.TypeU64, v1alpha1.TypeBE16, v1alpha1.TypeBE32}

// meaning says what an integer is of, which changes nothing of its place and bytes.
func (g *generator) meaning(s *v1alpha1.Schema) {
	switch g.r.IntN(8) {
	case 0:
		s.Enum = map[string]int64{"zero": 0, "one": 1}
	case 1:
		s.Flags = map[string]int64{"a": 1, "ab": 3, "c": 4}
	case 2:
		s.Duration = v1alpha1.UnitMilliseconds
	case 3:
		s.Time = v1alpha1.UnitNanoseconds
	}
	if _, err := schema.New(&v1alpha1.Schema{Fields: []v1alpha1.Field{{Name: "f", Schema: *s}}}); err != nil {
		s.Enum, s.Flags, s.Duration, s.Time = nil, nil, "", "" // not of this type, or too wide for these bits
	}
}
