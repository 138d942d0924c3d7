// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package btfschema

import (
	"strings"
	"testing"

	"github.com/cilium/ebpf/btf"
	"sigs.k8s.io/yaml"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
)

func parse(t *testing.T, text string) *v1alpha1.Schema {
	t.Helper()
	s := &v1alpha1.Schema{}
	if err := yaml.UnmarshalStrict([]byte(text), s); err != nil {
		t.Fatal(err)
	}
	return s
}

func structOf(size uint32, members ...btf.Member) *btf.Struct {
	return &btf.Struct{Name: "s", Size: size, Members: members}
}

func arrayOfType(t btf.Type, n uint32) btf.Type { return &btf.Array{Index: u32, Type: t, Nelems: n} }

// texts are differences, one a line.
func texts(all []Difference) string {
	lines := make([]string, len(all))
	for i, d := range all {
		lines[i] = d.String()
	}
	return strings.Join(lines, "\n")
}

func TestCompare(t *testing.T) {
	be16 := &btf.Typedef{Name: "__be16", Type: u16}
	u64 := &btf.Int{Name: "unsigned long long", Size: 8}
	rule := structOf(12, member("action", 0, u8), member("ports", 2, arrayOfType(u16, 3)), member("id", 8, u32))
	in6 := &btf.Struct{Name: "in6_addr", Size: 16, Members: []btf.Member{member("in6_u", 0, arrayOfType(be32, 4))}}
	spin := &btf.Struct{Name: "bpf_spin_lock", Size: 4, Members: []btf.Member{member("val", 0, u32)}}
	either := &btf.Union{Size: 16, Members: []btf.Member{member("v4", 0, be32), member("v6", 0, arrayOfType(be32, 4))}}
	bits := structOf(8,
		btf.Member{Name: "mode", Type: u32, BitfieldSize: 3}, btf.Member{Name: "level", Type: u32, Offset: 3, BitfieldSize: 5}, member("count", 4, u32))
	verdict := &btf.Enum{Name: "verdict", Size: 4, Values: []btf.EnumValue{{Name: "PASS", Value: 0}, {Name: "DROP", Value: 1}}}
	for _, test := range []struct {
		name, schema string
		typ          btf.Type
		misfits      string
		notes        string
	}{
		{"the same", `{fields: [{name: action, type: u8}, {name: ports, type: u16, length: 3}, {name: id, type: u32}]}`, rule, "", ""},
		{
			"another order of equal size",
			`{fields: [{name: id, type: u32}, {name: ports, type: u16, length: 3}, {name: action, type: u8}]}`, rule,
			"id: u32 id at byte 0 (4 bytes), u16[3] ports at byte 4 (6 bytes), u8 action at byte 10 (1 byte): the program has " +
				"u8 action at byte 0 (1 byte), u16[3] ports at byte 2 (6 bytes), u32 id at byte 8 (4 bytes)", "",
		},
		{
			"another order of equal types",
			`{fields: [{name: to, type: u32}, {name: from, type: u32}]}`, structOf(8, member("from", 0, u32), member("to", 4, u32)),
			"to: is declared at byte 0, where the program has from; its to is at byte 4\n" +
				"from: is declared at byte 4, where the program has to; its from is at byte 0", "",
		},
		{
			"an address that C has as bytes, and aligns otherwise",
			`{fields: [{name: flag, type: u8}, {name: six, type: ipv6}, {name: id, type: u32}]}`,
			structOf(24, member("flag", 0, u8), member("six", 1, arrayOfType(u8, 16)), member("id", 20, u32)),
			"six: ipv6 six at byte 4 (16 bytes): the program has hex(16) six at byte 1 (16 bytes)", "",
		},
		{
			"an address where C has it",
			`{fields: [{name: flag, type: u8}, {name: six, type: ipv6, align: 1}, {name: id, type: u32}]}`,
			structOf(24, member("flag", 0, u8), member("six", 1, arrayOfType(u8, 16)), member("id", 20, u32)), "", "",
		},
		{
			"other names",
			`{fields: [{name: verdict, type: u8}, {name: ports, type: u16, length: 3}, {name: id, type: u32}]}`, rule,
			"", "verdict: the program calls it action",
		},
		{"a shorter value", `{fields: [{name: action, type: u8}, {name: ports, type: u16, length: 3}]}`, rule,
			"is 8 bytes long, the program's type 12\nid: the program's u32 id at byte 8 (4 bytes) isn't declared", ""},
		{"hex for all", `{type: hex, size: 12}`, rule, "", ""},
		{"bytes for a part", `{fields: [{name: action, type: u8}, {name: rest, type: hex, size: 11}]}`, rule, "", ""},
		{"an address over a plain integer", `{type: ipv4}`, u32, "", ""},
		{"an address over one in network order", `{type: ipv4}`, be32, "", ""},
		{"network order over a plain integer", `{type: be32}`, u32, "", ""},
		{"a plain integer over network order", `{type: u32}`, be32,
			"u32 at byte 0 (4 bytes) is in the node's byte order: the program has be32 at byte 0 (4 bytes), in network byte order", ""},
		{"an address in the node's order over network order", `{fields: [{name: a, type: ipv4Host}]}`, structOf(4, member("a", 0, be32)),
			"a: ipv4Host a at byte 0 (4 bytes) is in the node's byte order: the program has be32 a at byte 0 (4 bytes), in network byte order", ""},
		{"a list of the wrong order", `{fields: [{name: ports, type: u16, length: 4}]}`, structOf(8, member("ports", 0, arrayOfType(be16, 4))),
			"ports[]: u16 ports[] at byte 0 (2 bytes) is in the node's byte order: the program has be16 ports[] at byte 0 (2 bytes), in network byte order", ""},
		{"a list of other elements", `{fields: [{name: list, type: u32, length: 2}]}`, structOf(8, member("list", 0, arrayOfType(u16, 4))),
			"list[0]: u32 list[0] at byte 0 (4 bytes): the program has u16 list[0] at byte 0 (2 bytes), u16 list[1] at byte 2 (2 bytes)\n" +
				"list[1]: u32 list[1] at byte 4 (4 bytes): the program has u16 list[2] at byte 4 (2 bytes), u16 list[3] at byte 6 (2 bytes)", ""},
		{"without a sign", `{type: u64}`, s64, "", "the program has i64"},
		{"text over bytes", `{type: string, size: 16}`, arrayOfType(u8, 16), "", ""},
		{"text over a number", `{type: string, size: 8}`, u64, "string(8) at byte 0 (8 bytes): the program has u64 at byte 0 (8 bytes)", ""},
		{"an address of both families over a union", `{type: ip, ipv4As: First}`, either, "", ""},
		{"an address over the kernel's struct", `{type: ipv6}`, in6, "", ""},
		{"an address over words", `{type: ipv6}`, arrayOfType(be32, 4), "", ""},
		{"a union", `{union: true, fields: [{name: v4, type: ipv4}, {name: v6, type: ipv6}]}`, either, "", ""},
		{"a union over words", `{union: true, fields: [{name: v4, type: ipv4}, {name: v6, type: ipv6}]}`, arrayOfType(be32, 4), "", ""},
		{"a member of a union in the wrong order", `{union: true, fields: [{name: v4, type: u32}, {name: v6, type: ipv6}]}`, either,
			"v4: u32 v4 at byte 0 (4 bytes) is in the node's byte order: the program has be32 v4 at byte 0 (4 bytes), in network byte order", ""},
		{
			"bit-fields",
			`{fields: [{name: mode, type: u32, bits: 3}, {name: level, type: u32, bits: 5}, {name: count, type: u32}]}`, bits, "", "",
		},
		{
			"bit-fields of other widths",
			`{fields: [{name: mode, type: u32, bits: 4}, {name: level, type: u32, bits: 4}, {name: count, type: u32}]}`, bits,
			"mode: u32 mode at bit 0 of byte 0 (4 bits), u32 level at bit 4 of byte 0 (4 bits): the program has u32 mode at bit 0 of byte 0 (3 bits), u32 level at bit 3 of byte 0 (5 bits)", "",
		},
		{
			"bit-fields packed by hand", `{fields: [{name: packed, type: u8}, {type: padding, size: 3}, {name: count, type: u32}]}`, bits,
			"", "packed: the program has bit-fields there: mode, level",
		},
		{
			"bit-fields of a number", `{fields: [{name: flags, type: u64, bits: 6}, {name: hits, type: u64, bits: 58}]}`, u64, "", "",
		},
		{"a lock", `{fields: [{name: lock, type: spinLock}, {name: count, type: u32}]}`, structOf(8, member("lock", 0, spin), member("count", 4, u32)), "", ""},
		{"a lock as a number", `{fields: [{name: lock, type: u32}, {name: count, type: u32}]}`, structOf(8, member("lock", 0, spin), member("count", 4, u32)),
			"lock: u32 lock at byte 0 (4 bytes): the program has spinLock lock at byte 0 (4 bytes), and a spin lock takes the type spinLock", ""},
		{"a lock as bytes", `{type: hex, size: 8}`, structOf(8, member("lock", 0, spin), member("count", 4, u32)),
			"hex(8) at byte 0 (8 bytes): the program has spinLock lock at byte 0 (4 bytes), which takes the type spinLock", ""},
		{"names of an enum", `{type: u32, enum: {DROP: 1, OTHER: 7}}`, verdict, "", ""},
		{"another number of a name", `{type: u32, enum: {DROP: 2}}`, verdict, "enum DROP is 2: the program has 1", ""},
		{"a float as an integer", `{type: u64}`, &btf.Float{Name: "double", Size: 8}, "u64 at byte 0 (8 bytes): the program has f64 at byte 0 (8 bytes)", ""},
		{
			"padding with a name", `{fields: [{name: a, type: u8}, {name: pad0, type: u8, length: 3}, {name: b, type: u32}]}`,
			structOf(8, member("a", 0, u8), member("b", 4, u32)), "", "pad0: the program has padding there",
		},
		{
			"a field in the program's padding", `{fields: [{name: a, type: u8}, {name: x, type: u8}, {name: b, type: u32}]}`,
			structOf(8, member("a", 0, u8), member("b", 4, u32)), "x: u8 x at byte 1 (1 byte): the program has no member there", "",
		},
		{
			"a member that nobody declared", `{fields: [{name: a, type: u8}, {name: b, type: u32}]}`,
			structOf(8, member("a", 0, u8), member("x", 2, u16), member("b", 4, u32)), "x: the program's u16 x at byte 2 (2 bytes) isn't declared", "",
		},
		{
			"a member that is declared as padding", `{fields: [{name: a, type: u8}, {type: padding, size: 3}, {name: b, type: u32}]}`,
			structOf(8, member("a", 0, u8), member("x", 2, u16), member("b", 4, u32)), "", "the program has u16 x at byte 2 (2 bytes) there",
		},
		{
			"one member of a nested array", `{fields: [{name: rules, length: 2, fields: [{name: from, type: be16}, {name: to, type: u16}]}]}`,
			structOf(8, member("rules", 0, arrayOfType(structOf(4, member("from", 0, be16), member("to", 2, be16)), 2))),
			"rules[].to: u16 rules[].to at byte 2 (2 bytes) is in the node's byte order: the program has be16 rules[].to at byte 2 (2 bytes), in network byte order", "",
		},
		{
			"a struct that is flat in the program", `{fields: [{name: head, fields: [{name: a, type: u32}]}, {name: b, type: u32}]}`,
			structOf(8, member("a", 0, u32), member("b", 4, u32)), "", "",
		},
		{"counted text over its parts", `{type: countedString, size: 7}`, structOf(8, member("len", 0, u8), member("text", 1, arrayOfType(char, 7))), "", "length: the program calls it len"},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := Compare(parse(t, test.schema), test.typ)
			if got := texts(c.Misfits); got != test.misfits {
				t.Errorf("misfits:\n%s\nwant:\n%s\n%s", got, test.misfits, c.SideBySide())
			}
			if got := texts(c.Notes); got != test.notes {
				t.Errorf("notes:\n%s\nwant:\n%s", got, test.notes)
			}
			if c.Fits() != (test.misfits == "") {
				t.Errorf("fits: %t", c.Fits())
			}
		})
	}
}

// TestSideBySide shows both layouts, and what is in arrays and unions.
func TestSideBySide(t *testing.T) {
	either := &btf.Union{Size: 4, Members: []btf.Member{member("v4", 0, be32), member("raw", 0, arrayOfType(u8, 4))}}
	inner := structOf(4, btf.Member{Name: "mode", Type: u16, BitfieldSize: 3}, member("port", 2, u16))
	c := Compare(parse(t, `{fields: [{name: action, type: u8}, {name: name, type: string, size: 8}]}`),
		structOf(20, member("action", 0, u8), member("to", 4, either), member("rules", 8, arrayOfType(inner, 3))))
	const want = ` byte  size  declared          byte  size  in the program
    0     1  u8 action            0     1  u8 action
    1     8  string(8) name       4     4  union to
                                  4     4  | be32 to.v4
                                  4     4  | hex(4) to.raw
                                  8    12  struct[3] rules
                                0:0    :3    u16 rules[].mode
                                  2     2    u16 rules[].port
`
	if got := c.SideBySide(); got != want {
		t.Errorf("got\n%s", got)
	}
}
