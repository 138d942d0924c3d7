// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package btfschema

import (
	"testing"

	"github.com/cilium/ebpf/btf"
	"github.com/google/go-cmp/cmp"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/schema"
)

var (
	u8   = &btf.Int{Name: "unsigned char", Size: 1}
	char = &btf.Int{Name: "char", Size: 1, Encoding: btf.Signed}
	u16  = &btf.Int{Name: "unsigned short", Size: 2}
	u32  = &btf.Int{Name: "unsigned int", Size: 4}
	s64  = &btf.Int{Name: "long long", Size: 8, Encoding: btf.Signed}
	be32 = &btf.Typedef{Name: "__be32", Type: &btf.Typedef{Name: "__u32", Type: u32}}
)

func member(name string, byteOffset uint32, t btf.Type) btf.Member {
	return btf.Member{Name: name, Type: t, Offset: btf.Bits(8 * byteOffset)}
}

func field(name string, s v1alpha1.Schema) v1alpha1.Field {
	return v1alpha1.Field{Name: name, Schema: s}
}

func scalar(t v1alpha1.ScalarType) v1alpha1.Schema { return v1alpha1.Schema{Type: t} }

func TestOf(t *testing.T) {
	union := &btf.Union{Size: 4, Members: []btf.Member{member("a", 0, u32), member("b", 0, u8)}}
	for _, test := range []struct {
		name string
		typ  btf.Type
		want v1alpha1.Schema
	}{
		{"integer", u32, scalar("u32")},
		{"signed", s64, scalar("i64")},
		{"boolean", &btf.Int{Name: "_Bool", Size: 1, Encoding: btf.Bool}, scalar("bool")},
		{"network order by the name of the typedef", be32, scalar("be32")},
		{"qualified", &btf.Const{Type: &btf.Volatile{Type: u16}}, scalar("u16")},
		{"pointer", &btf.Pointer{Target: u8}, scalar("u64")},
		{"enum", &btf.Enum{Name: "action", Size: 4}, scalar("u32")},
		{"signed enum", &btf.Enum{Name: "action", Size: 4, Signed: true}, scalar("i32")},
		{"128 bits", &btf.Int{Name: "__int128", Size: 16}, v1alpha1.Schema{Type: "hex", Size: 16}},
		{"float", &btf.Float{Name: "double", Size: 8}, v1alpha1.Schema{Type: "hex", Size: 8}},
		{"text", &btf.Array{Type: char, Nelems: 16}, v1alpha1.Schema{Type: "string", Size: 16}},
		{"raw bytes", &btf.Array{Type: u8, Nelems: 6}, v1alpha1.Schema{Type: "hex", Size: 6}},
		{"array", &btf.Array{Type: u16, Nelems: 8}, v1alpha1.Schema{Type: "u16", Length: 8}},
		{"array of arrays", &btf.Array{Type: &btf.Array{Type: u16, Nelems: 2}, Nelems: 3}, v1alpha1.Schema{Type: "hex", Size: 12}},
		{"union", union, v1alpha1.Schema{Type: "hex", Size: 4}},
		{
			"struct with padding",
			&btf.Struct{Size: 16, Members: []btf.Member{member("a", 0, u8), member("b", 8, s64)}},
			v1alpha1.Schema{Fields: []v1alpha1.Field{field("a", scalar("u8")), field("b", scalar("i64"))}},
		},
		{
			"packed struct",
			&btf.Struct{Size: 5, Members: []btf.Member{member("a", 0, u8), member("b", 1, u32)}},
			v1alpha1.Schema{Packed: true, Fields: []v1alpha1.Field{field("a", scalar("u8")), field("b", scalar("u32"))}},
		},
		{
			"nested struct",
			&btf.Struct{Size: 8, Members: []btf.Member{
				member("a", 0, u16),
				member("in", 4, &btf.Struct{Size: 4, Members: []btf.Member{member("x", 0, be32)}}),
			}},
			v1alpha1.Schema{Fields: []v1alpha1.Field{
				field("a", scalar("u16")), field("in", v1alpha1.Schema{Fields: []v1alpha1.Field{field("x", scalar("be32"))}}),
			}},
		},
		{
			"a union at an aligned place of a struct",
			&btf.Struct{Size: 8, Members: []btf.Member{member("a", 0, u32), member("u", 4, union)}},
			v1alpha1.Schema{Fields: []v1alpha1.Field{field("a", scalar("u32")), field("u", v1alpha1.Schema{Type: "hex", Size: 4})}},
		},
		{
			"a union whose alignment makes padding, which hex can't",
			&btf.Struct{Size: 8, Members: []btf.Member{member("a", 0, u8), member("u", 4, union)}},
			v1alpha1.Schema{Type: "hex", Size: 8},
		},
		{
			"aligned by an attribute",
			&btf.Struct{Size: 16, Members: []btf.Member{member("a", 0, u32), member("b", 8, u32)}},
			v1alpha1.Schema{Type: "hex", Size: 16},
		},
		{
			"bit field",
			&btf.Struct{Size: 4, Members: []btf.Member{{Name: "a", Type: u32, BitfieldSize: 3}}},
			v1alpha1.Schema{Type: "hex", Size: 4},
		},
		{
			"member without a name",
			&btf.Struct{Size: 4, Members: []btf.Member{member("", 0, union)}},
			v1alpha1.Schema{Type: "hex", Size: 4},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := Of(test.typ)
			if diff := cmp.Diff(&test.want, got); diff != "" {
				t.Fatalf("(-want +got)\n%s", diff)
			}
			l, err := schema.New(got)
			if err != nil {
				t.Fatal(err)
			}
			if size, err := btf.Sizeof(test.typ); err != nil || l.Size() != size {
				t.Errorf("the layout has %d bytes, the type %d (%v)", l.Size(), size, err)
			}
		})
	}
}

func TestOfDeepStruct(t *testing.T) {
	deep := &btf.Struct{Size: 4, Members: []btf.Member{member("x", 0, u32)}}
	for range v1alpha1.MaxFieldDepth + 2 {
		deep = &btf.Struct{Size: 4, Members: []btf.Member{member("in", 0, deep)}}
	}
	if _, err := schema.New(Of(deep)); err != nil {
		t.Errorf("what is deeper than a schema may be must become hex: %v", err)
	}
}

func TestOfSizeless(t *testing.T) {
	if got := Of(&btf.Void{}); got != nil {
		t.Errorf("got %v, want nil", got)
	}
}
