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

func padding(size int32) v1alpha1.Field {
	return field("", v1alpha1.Schema{Type: "padding", Size: size})
}

func paddingBits(n int32) v1alpha1.Field { return field("", v1alpha1.Schema{Type: "padding", Bits: n}) }

func scalar(t v1alpha1.ScalarType) v1alpha1.Schema { return v1alpha1.Schema{Type: t} }

// eitherSchema is that of the union in the tests.
var eitherSchema = v1alpha1.Schema{Union: true, Fields: []v1alpha1.Field{field("a", scalar("u32")), field("b", scalar("u8"))}}

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
		{"enum", &btf.Enum{Name: "action", Size: 4, Values: []btf.EnumValue{{Name: "DROP", Value: 1}}}, v1alpha1.Schema{Type: "u32", Enum: map[string]int64{"DROP": 1}}},
		{
			"signed enum, whose numbers may have lost their sign",
			&btf.Enum{Name: "action", Size: 4, Signed: true, Values: []btf.EnumValue{{Name: "NONE", Value: 1<<32 - 1}, {Name: "ALL", Value: 1<<64 - 2}}},
			v1alpha1.Schema{Type: "i32", Enum: map[string]int64{"NONE": -1, "ALL": -2}},
		},
		{"enum of a byte", &btf.Enum{Name: "verdict", Size: 1, Values: []btf.EnumValue{{Name: "PASS", Value: 255}}}, v1alpha1.Schema{Type: "u8", Enum: map[string]int64{"PASS": 255}}},
		{"enum of 64 bits", &btf.Enum{Name: "big", Size: 8, Values: []btf.EnumValue{{Name: "TOP", Value: 1 << 63}}}, v1alpha1.Schema{Type: "u64", Enum: map[string]int64{"TOP": -1 << 63}}},
		{"128 bits", &btf.Int{Name: "__int128", Size: 16}, scalar("u128")},
		{"float", &btf.Float{Name: "double", Size: 8}, scalar("f64")},
		{"long double", &btf.Float{Name: "long double", Size: 16}, v1alpha1.Schema{Type: "hex", Size: 16}},
		{"text", &btf.Array{Type: char, Nelems: 16}, v1alpha1.Schema{Type: "string", Size: 16}},
		{"raw bytes", &btf.Array{Type: u8, Nelems: 6}, v1alpha1.Schema{Type: "hex", Size: 6}},
		{"array", &btf.Array{Type: u16, Nelems: 8}, v1alpha1.Schema{Type: "u16", Length: 8}},
		{"array of arrays", &btf.Array{Type: &btf.Array{Type: u16, Nelems: 2}, Nelems: 3}, v1alpha1.Schema{Type: "u16", Dimensions: []int32{3, 2}}},
		{"array of texts", &btf.Array{Type: &btf.Array{Type: char, Nelems: 16}, Nelems: 3}, v1alpha1.Schema{Type: "string", Size: 16, Length: 3}},
		{"union", union, eitherSchema},
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
			"a union in a struct, with the padding in front of it",
			&btf.Struct{Size: 8, Members: []btf.Member{member("a", 0, u8), member("u", 4, union)}},
			v1alpha1.Schema{Fields: []v1alpha1.Field{field("a", scalar("u8")), field("u", eitherSchema)}},
		},
		{
			"aligned by an attribute",
			&btf.Struct{Size: 16, Members: []btf.Member{member("a", 0, u32), member("b", 8, u32)}},
			v1alpha1.Schema{Fields: []v1alpha1.Field{field("a", scalar("u32")), padding(4), field("b", scalar("u32")), padding(4)}},
		},
		{
			"packed with a gap",
			&btf.Struct{Size: 8, Members: []btf.Member{member("a", 0, u8), member("b", 3, u32)}},
			v1alpha1.Schema{Packed: true, Fields: []v1alpha1.Field{field("a", scalar("u8")), padding(2), field("b", scalar("u32")), padding(1)}},
		},
		{
			"bit-fields, with bits that no member has",
			&btf.Struct{Size: 4, Members: []btf.Member{
				{Name: "a", Type: u32, BitfieldSize: 3}, {Name: "b", Type: u32, Offset: 10, BitfieldSize: 5}, member("c", 2, u8),
			}},
			v1alpha1.Schema{Fields: []v1alpha1.Field{
				field("a", v1alpha1.Schema{Type: "u32", Bits: 3}), paddingBits(7),
				field("b", v1alpha1.Schema{Type: "u32", Bits: 5}), field("c", scalar("u8")),
			}},
		},
		{
			"members without a name",
			&btf.Struct{Size: 12, Members: []btf.Member{member("anon1", 0, u32), member("", 4, union), member("", 8, union)}},
			v1alpha1.Schema{Fields: []v1alpha1.Field{field("anon1", scalar("u32")), field("anon2", eitherSchema), field("anon3", eitherSchema)}},
		},
		{
			"an array without elements",
			&btf.Struct{Size: 4, Members: []btf.Member{member("a", 0, u32), member("rest", 4, &btf.Array{Type: u8})}},
			v1alpha1.Schema{Fields: []v1alpha1.Field{field("a", scalar("u32"))}},
		},
		{
			"a piece that no schema can say is hex, and nothing else",
			&btf.Struct{Size: 32, Members: []btf.Member{member("a", 0, u32), member("x", 16, &btf.Float{Name: "long double", Size: 16})}},
			v1alpha1.Schema{Fields: []v1alpha1.Field{field("a", scalar("u32")), padding(12), field("x", v1alpha1.Schema{Type: "hex", Size: 16})}},
		},
		{
			"what the kernel knows by name",
			&btf.Struct{Size: 56, Members: []btf.Member{
				member("lock", 0, &btf.Struct{Name: "bpf_spin_lock", Size: 4, Members: []btf.Member{member("val", 0, u32)}}),
				member("v4", 4, &btf.Struct{Name: "in_addr", Size: 4, Members: []btf.Member{member("s_addr", 0, be32)}}),
				member("v6", 8, &btf.Struct{Name: "in6_addr", Size: 16, Members: []btf.Member{member("in6_u", 0, union)}}),
				member("timer", 24, &btf.Struct{Name: "bpf_timer", Size: 16, Members: []btf.Member{member("a", 0, s64), member("b", 8, s64)}}),
				member("task", 40, &btf.Pointer{Target: &btf.TypeTag{Value: "kptr", Type: u8}}),
				member("plain", 48, &btf.Pointer{Target: u8}),
			}},
			v1alpha1.Schema{Fields: []v1alpha1.Field{
				field("lock", scalar("spinLock")), field("v4", scalar("ipv4")), field("v6", scalar("ipv6")),
				padding(16), padding(8), field("plain", scalar("u64")),
			}},
		},
		{
			"global variables",
			&btf.Datasec{Name: ".bss", Size: 16, Vars: []btf.VarSecinfo{
				{Type: &btf.Var{Name: "main.count", Type: s64}, Offset: 8, Size: 8}, {Type: &btf.Var{Name: "flag", Type: u8}, Offset: 0, Size: 1},
			}},
			v1alpha1.Schema{Fields: []v1alpha1.Field{field("flag", scalar("u8")), field("main_count", scalar("i64"))}},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := Of(test.typ)
			if diff := cmp.Diff(&test.want, got); diff != "" {
				t.Fatalf("(-want +got)\n%s", diff)
			}
			if size := sizeOf(test.typ); extentOf(got).size != size {
				t.Errorf("the layout has %d bytes, the type %d", extentOf(got).size, size)
			}
		})
	}
}

func TestOfDeepStruct(t *testing.T) {
	deep := &btf.Struct{Size: 4, Members: []btf.Member{member("x", 0, u32)}}
	for range v1alpha1.MaxFieldDepth + 2 {
		deep = &btf.Struct{Size: 4, Members: []btf.Member{member("in", 0, deep)}}
	}
	s, notes := Reader{}.Of(deep)
	if _, err := schema.New(s); err != nil {
		t.Errorf("what is deeper than a schema may be must become hex: %v", err)
	}
	if len(notes) != 1 || notes[0] != "in.in.in.in.in.in.in.in: structs nest deeper than 8 levels: the rest is hex" {
		t.Errorf("notes: %q", notes)
	}
}

func TestOfSizeless(t *testing.T) {
	if got := Of(&btf.Void{}); got != nil {
		t.Errorf("got %v, want nil", got)
	}
}

// TestNoSchemaOfTwoGigabytes reads types whose size a schema can't count.
func TestNoSchemaOfTwoGigabytes(t *testing.T) {
	for name, typ := range map[string]btf.Type{
		"array": &btf.Array{Index: u32, Type: u8, Nelems: 1 << 31}, "struct": &btf.Struct{Name: "huge", Size: 1 << 31},
		"section": &btf.Datasec{Name: ".bss", Size: 1 << 31},
	} {
		if got := Of(typ); got != nil {
			t.Errorf("%s: got %+v, want none", name, got)
		}
	}
	if got := Of(&btf.Array{Index: u32, Type: u8, Nelems: 1<<31 - 1}); got == nil || got.Size != 1<<31-1 {
		t.Errorf("one byte less: got %+v", got)
	}
}
