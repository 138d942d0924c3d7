// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package schema

import (
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
)

func layout(t testing.TB, text string) *Layout {
	t.Helper()
	var s v1alpha1.Schema
	if err := yaml.UnmarshalStrict([]byte(text), &s); err != nil {
		t.Fatal(err)
	}
	l, err := New(&s)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// TestLayoutIsTheCompilers holds layouts against the numbers that sizeof, _Alignof and offsetof gave
// for the C declaration in the comment (gcc 12, x86-64).
func TestLayoutIsTheCompilers(t *testing.T) {
	structA := `{fields: [{name: a, type: u8}, {name: b, type: u32}]}`
	structD := `packed: true, fields: [{name: a, type: u8}, {name: b, type: u32}, {name: c, type: u64}, {name: d, type: u8}]`
	for _, test := range []struct {
		name, schema string
		size, align  int
		offsets      []int
	}{
		{"struct A { __u8 a; __u32 b; }", structA, 8, 4, []int{0, 4}},
		{"struct B { __u8 a; __u64 b; __u16 c; }",
			`{fields: [{name: a, type: u8}, {name: b, type: u64}, {name: c, type: u16}]}`, 24, 8, []int{0, 8, 16}},
		{"struct C { char name[5]; __be16 p[3]; struct A in[2]; __u8 tail; }",
			`{fields: [{name: name, type: string, size: 5}, {name: p, type: be16, length: 3},
			  {name: in, length: 2, fields: [{name: a, type: u8}, {name: b, type: u32}]}, {name: tail, type: bool}]}`,
			32, 4, []int{0, 6, 12, 28}},
		{"struct D { … } __attribute__((packed))", "{" + structD + "}", 14, 1, []int{0, 1, 5, 13}},
		{"struct E { unsigned char mac[6]; __be32 ip; __u8 x; struct in6_addr six; }",
			`{fields: [{name: mac, type: mac}, {name: ip, type: ipv4}, {name: x, type: i8}, {name: six, type: ipv6}]}`,
			32, 4, []int{0, 8, 12, 16}},
		{"struct F { __u8 a; struct D d; __u64 e; }",
			`{fields: [{name: a, type: u8}, {name: d, ` + structD + `}, {name: e, type: be64}]}`, 24, 8, []int{0, 1, 16}},
		{"__u32 prefixlen; __u8 data[4]", `{type: ipv4Prefix}`, 8, 4, nil},
		{"__u32 prefixlen; __u8 data[16]", `{type: ipv6Prefix}`, 20, 4, nil},
	} {
		l := layout(t, test.schema)
		var offsets []int
		for _, f := range l.fields {
			offsets = append(offsets, f.offset)
		}
		if l.Size() != test.size || l.Align() != test.align || !slices.Equal(offsets, test.offsets) {
			t.Errorf("%s: size %d align %d offsets %v, the compiler has %d, %d, %v",
				test.name, l.Size(), l.Align(), offsets, test.size, test.align, test.offsets)
		}
	}
}

// allTypes are in the messages about unknown ones.
const allTypes = "be16, be32, be64, bool, bytes, cgroup, cgroupID, countedString, dnsName, f32, f64, hex, i128, i16, i32, i64, i8, " +
	"ifindex, ip, ipPrefix, ipv4, ipv4Host, ipv4Prefix, ipv6, ipv6Prefix, mac, mapRef, padding, progPin, spinLock, string, u128, u16, u32, u64, u8"

func TestNewNamesThePlace(t *testing.T) {
	deep := strings.Repeat("{name: f, fields: [", v1alpha1.MaxFieldDepth) + "{name: f, type: u8}" + strings.Repeat("]}", v1alpha1.MaxFieldDepth)
	for schema, want := range map[string]string{
		`{}`:                       "type or fields is required",
		`{type: u31}`:              `.type: unknown type "u31" (did you mean u32?), must be one of ` + allTypes,
		`{type: u8, size: 2}`:      ".size: u8 is 1 bytes long, size says 2",
		`{type: string}`:           ".size: string needs a size from 1 to 1073741824, not 0",
		`{type: u8, packed: true}`: ".packed: only a struct can be packed",
		`{type: u64, length: -1}`:  ".length: -1 is out of range (1…134217728)",
		`{type: hex, size: 1048576, length: 65536}`:                                 ".length: 65536 is out of range (1…1024)",
		`{type: u8, fields: [{name: a, type: u8}]}`:                                 "type and fields exclude each other",
		`{fields: [{name: a, type: u8}, {name: a, type: u8}]}`:                      `.fields[1].name: "a" is taken by an earlier field`,
		`{fields: [{name: a, type: u8}, {name: b, fields: [{name: c, type: u7}]}]}`: `.fields[1].fields[0].type: unknown type "u7" (did you mean u8?), must be one of ` + allTypes,
		`{fields: [` + deep + `]}`:                                                  strings.Repeat(".fields[0]", v1alpha1.MaxFieldDepth) + ".fields: structs nest to 8 levels",
	} {
		var s v1alpha1.Schema
		if err := yaml.UnmarshalStrict([]byte(schema), &s); err != nil {
			t.Fatal(err)
		}
		if _, err := New(&s); err == nil || err.Error() != want {
			t.Errorf("%s: %v, want %s", schema, err, want)
		}
	}
}
