// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package schema

import (
	"bytes"
	"encoding/hex"
	"slices"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/nativehex"
)

const (
	bitFields = `{fields: [{name: a, type: u32, bits: 3}, {name: b, type: i8, bits: 4}, {type: padding, bits: 2}, {name: c, type: bool, bits: 1}, {name: d, type: u16}]}`
	union     = `{union: true, fields: [{name: raw, type: u16}, {name: pair, fields: [{name: up, type: bool}, {name: k, type: u8}]}, {name: addr, type: ipv4}]}`
	defaults  = `{fields: [{name: id, type: u8}, {name: m, type: be16, default: 258}, {name: in, fields: [{name: x, type: u8, default: 7}, {name: z, type: bool, default: true}]}]}`
)

// TestStructs encodes, compares the bytes, and decodes again.
func TestStructs(t *testing.T) {
	for _, test := range []struct{ schema, in, bytes, json string }{
		{bitFields, `{"a": 5, "b": -3, "c": true, "d": 258}`, "<6d02|ba40><0201>", `{"a":5,"b":-3,"c":true,"d":258}`},
		{`{packed: true, fields: [{name: a, type: u8, bits: 6}, {name: b, type: u64, bits: 64}]}`, `{"a": 1, "b": "0x8000000000000001"}`,
			"<410000000000000020|060000000000000004>", `{"a":1,"b":"9223372036854775809"}`},
		{union, `{"addr": "192.0.2.1"}`, "c0000201", `{"addr":"192.0.2.1"}`},
		{union, `{"raw": 515}`, "<0302>0000", `{"raw":515}`},
		{union, `{"pair": {"up": true, "k": 1}}`, "01010000", `{"raw":257}`},
		{`{union: true, fields: [{name: b, type: bool}, {name: k, type: u8}]}`, `{"k": 1}`, "01", `{"b":true}`},
		{`{union: true, fields: [{name: b, type: bool}, {name: k, type: u8}]}`, `{"k": 2}`, "02", `{"k":2}`},
		{`{fields: [{type: padding, size: 2}, {name: a, type: u8}, {type: padding, length: 3}]}`, `{"a": 1}`, "000001000000", `{"a":1}`},
		{`{fields: [{name: a, type: u8}, {name: b, type: u8, align: 4}], align: 8, size: 8}`, `{"a": 1, "b": 2}`, "0100000002000000", `{"a":1,"b":2}`},
		{`{fields: [{name: a, type: u8}, {name: b, type: ipv4, align: 1}]}`, `{"a": 1, "b": "0.0.0.2"}`, "0100000002", `{"a":1,"b":"0.0.0.2"}`},
		{`{type: u8, dimensions: [2, 3]}`, `[[1, 2, 3], [4, 5, 6]]`, "010203040506", `[[1,2,3],[4,5,6]]`},
		{defaults, `{"id": 1}`, "010001020701", `{"id":1,"m":258,"in":{"x":7,"z":true}}`},
		{defaults, `{"id": 1, "in": {"z": false}, "m": 1}`, "010000010700", `{"id":1,"m":1,"in":{"x":7,"z":false}}`},
		{`{type: u8, length: 3, default: 9}`, `[1]`, "010909", `[1,9,9]`},
		{`{type: u8, length: 3, default: [7, 8, 9]}`, `[1]`, "010809", `[1,8,9]`},
		{`{type: u8, dimensions: [2, 2], default: 9}`, `[[], [1]]`, "09090109", `[[9,9],[1,9]]`},
		{`{length: 2, fields: [{name: a, type: u8, default: 1}, {name: b, type: u8}], default: {b: 2}}`, `[{"b": 3}]`, "01030102", `[{"a":1,"b":3},{"a":1,"b":2}]`},
		{`{length: 2, fields: [{name: a, type: u8, default: 1}]}`, `[]`, "0101", `[{"a":1},{"a":1}]`},
		{`{fields: [{name: a, type: u8, bits: 3, default: 5}, {name: b, type: u8, bits: 5}]}`, `{"b": 1}`, "<0d|a1>", `{"a":5,"b":1}`},
		{`{fields: [{name: a, type: u16, length: 2, default: [1, 2]}, {name: b, type: u8, length: 2, default: 3}]}`, `{}`, "<0100><0200>0303", `{"a":[1,2],"b":[3,3]}`},
	} {
		l := layout(t, test.schema)
		b := make([]byte, l.Size())
		if err := l.Encode(b, []byte(test.in)); err != nil {
			t.Errorf("%s of %s: %v", test.schema, test.in, err)
			continue
		}
		if got := hex.EncodeToString(b); got != nativehex.Text(test.bytes) {
			t.Errorf("%s of %s is %s, want %s", test.schema, test.in, got, test.bytes)
		}
		if got := string(l.Decode(b)); got != test.json {
			t.Errorf("%s of %s decodes to %s, want %s", test.schema, test.in, got, test.json)
		}
	}
}

// TestBytesOfNoValue prints what no value encodes to, at the innermost place.
func TestBytesOfNoValue(t *testing.T) {
	padded := `{fields: [{name: ok, type: u8}, {name: in, length: 2, fields: [{name: a, type: u8}, {name: b, type: be16}]}]}`
	for _, test := range []struct{ schema, bytes, json, text string }{
		{`{type: bool}`, "07", `{"$hex":"07"}`, "7"},
		{`{type: bool, length: 2}`, "0107", `[true,{"$hex":"07"}]`, "[true, 7]"},
		{`{type: string, size: 3}`, "610062", `{"$hex":"610062"}`, "hex:610062"},
		{`{type: string, size: 2}`, "ff00", `{"$hex":"ff00"}`, "hex:ff00"},
		{padded, "07090100000401000003", `{"$hex":"07090100000401000003"}`, "{ok: 7, in: [{a: 1, b: 4}, {a: 1, b: 3}]} (padding is not zero)"},
		{padded, "07000102000401000003", `{"ok":7,"in":[{"$hex":"01020004"},{"a":1,"b":3}]}`, "{ok: 7, in: [{a: 1, b: 4}, {a: 1, b: 3}]} (padding is not zero)"},
		{bitFields, "<ed03|bbc0><0201>", `{"$hex":"<ed03|bbc0><0201>"}`, "{a: 5, b: -3, c: true, d: 258} (padding is not zero)"},
		{bitFields, "<6d02|ba40><0201>", `{"a":5,"b":-3,"c":true,"d":258}`, "{a: 5, b: -3, c: true, d: 258}"},
		{`{union: true, fields: [{name: b, type: bool}, {name: s, type: string, size: 2}]}`, "0301", `{"s":"\u0003\u0001"}`, `{s: "\x03\x01"}`},
		{`{union: true, fields: [{name: b, type: bool}, {name: s, type: string, size: 2}]}`, "0003", `{"$hex":"0003"}`, "hex:0003"},
		{`{fields: [{name: u, union: true, fields: [{name: b, type: bool}]}, {name: c, type: u8}]}`, "0309", `{"u":{"$hex":"03"},"c":9}`, "{u: hex:03, c: 9}"},
		{`{fields: [{name: a, type: u8}, {type: padding, size: 1}]}`, "0102", `{"$hex":"0102"}`, "{a: 1} (padding is not zero)"},
		{`{type: ipv4Prefix}`, "<08000000>0a010000", `{"$hex":"<08000000>0a010000"}`, "10.1.0.0/8"},
	} {
		b, err := hex.DecodeString(nativehex.Text(test.bytes))
		if err != nil {
			t.Fatal(err)
		}
		l := layout(t, test.schema)
		if got := string(l.Decode(b)); got != nativehex.Text(test.json) {
			t.Errorf("%s of %s decodes to %s, want %s", test.bytes, test.schema, got, test.json)
		}
		if got := l.Format(b); got != test.text {
			t.Errorf("%s of %s prints as %s, want %s", test.bytes, test.schema, got, test.text)
		}
		again := make([]byte, l.Size())
		if err := l.Encode(again, l.Decode(b)); err != nil || !bytes.Equal(again, b) {
			t.Errorf("%s of %s comes back as %x, %v", test.schema, test.bytes, again, err)
		}
	}
}

func TestStructsNamePlaceValueAndBound(t *testing.T) {
	for _, test := range []struct{ schema, in, want string }{
		{bitFields, `{"a": 9, "b": 1, "c": true, "d": 1}`, ".a: 9 is out of range for 3 bits (0…7)"},
		{bitFields, `{"a": 1, "b": 8, "c": true, "d": 1}`, ".b: 8 is out of range for 4 bits (-8…7)"},
		{bitFields, `{"a": -1, "b": 8, "c": true, "d": 1}`, ".a: -1 is out of range for 3 bits (0…7)"},
		{bitFields, `{"a": {"$hex": "<08000000>"}, "b": 1, "c": true, "d": 1}`, ".a: 8 is out of range for 3 bits (0…7)"},
		{bitFields, `{"": 1}`, ".: unknown field, must be one of a, b, c, d"},
		{union, `{}`, "gives no member: a value of a union has exactly one of raw, pair, addr"},
		{union, `{"raw": 1, "addr": "0.0.0.0"}`, "gives both raw and addr: a value of a union has exactly one member"},
		{union, `{"raw": 1, "raw": 2}`, ".raw: is given twice"},
		{union, `{"rw": 1}`, ".rw: unknown member (did you mean raw?), must be one of raw, pair, addr"},
		{union, `3`, "3 is not an object with one of the members raw, pair, addr"},
		{union, `{"pair": {"up": true}}`, ".pair.k: is missing, and has no default"},
		{`{type: u8, length: 3, default: 9}`, `[1, 2, 3, 4]`, "has 4 elements, at most 3 are possible"},
		{`{type: u8, dimensions: [2, 2]}`, `[[1, 2], [3]]`, "[1]: has 1 of 2 elements, and the others have no default"},
		{`{type: u16}`, `{"$hex": "010203"}`, ".$hex: is 3 bytes long, exactly 2 are required"},
		{`{type: u16}`, `{"$hex": 1}`, ".$hex: 1 is not a string of pairs of hex digits"},
		{`{type: u16}`, `{"$hex": "0102", "a": 1}`, `{"$hex":"0102","a":1} has members beside "$hex"`},
	} {
		l := layout(t, test.schema)
		err := l.Encode(make([]byte, l.Size()), []byte(nativehex.Text(test.in)))
		if err == nil || err.Error() != test.want {
			t.Errorf("%s of %s: %v\nwant %s", test.schema, test.in, err, test.want)
		}
	}
}

func TestNewOfStructsNamesThePlace(t *testing.T) {
	for schema, want := range map[string]string{
		`{size: 48, fields: [{name: a, type: u32}, {name: b, type: u64}, {name: c, type: u8, bits: 3}]}`: ".size: is 24 bytes long, size says 48 (a at 0, b at 8, c at bit 128)",
		`{type: padding, size: 3}`:                                              ".type: padding is possible between the fields of a struct alone",
		`{type: u8, bits: 3}`:                                                   ".bits: only a field of a struct or union can be a bit-field",
		`{type: u8, union: true}`:                                               ".union: only fields can be those of a union",
		`{type: u8, align: 3}`:                                                  ".align: 3 is not a power of two from 1 to 128",
		`{type: u8, length: 2, dimensions: [2]}`:                                "length and dimensions exclude each other",
		`{type: u8, dimensions: [2, 0]}`:                                        ".dimensions: 0 is out of range (1…1073741824)",
		`{fields: [{name: a, type: u8, bits: 9}]}`:                              ".fields[0].bits: 9 is out of range for u8 (1…8)",
		`{fields: [{name: a, type: bool, bits: 2}]}`:                            ".fields[0].bits: 2 is out of range for bool (1…1)",
		`{fields: [{name: a, type: be16, bits: 2}]}`:                            ".fields[0].bits: be16 can't be a bit-field, only an integer in the node's byte order of at most 64 bits, a bool or padding can",
		`{fields: [{name: a, type: u8, bits: 2, length: 2}]}`:                   ".fields[0].length: C knows no arrays of bit-fields",
		`{fields: [{name: a, type: u8, bits: 2, align: 2}]}`:                    ".fields[0].align: a bit-field takes no alignment: put padding in front of it",
		`{fields: [{name: a, bits: 2, fields: [{name: b, type: u8}]}]}`:         ".fields[0].bits: only an integer, a bool or padding can be a bit-field",
		`{fields: [{name: a, type: padding, size: 2}]}`:                         ".fields[0].name: padding has no name",
		`{fields: [{type: padding}]}`:                                           ".fields[0]: padding needs size, bits or length",
		`{fields: [{type: padding, size: 1, bits: 1}]}`:                         ".fields[0]: padding has a size or bits, not both",
		`{fields: [{type: padding, size: 1, union: true}]}`:                     ".fields[0]: padding has a size, bits, a length and an alignment, and nothing else",
		`{fields: [{type: padding, size: 1, default: 1}]}`:                      ".fields[0].default: padding has no value",
		`{fields: [{name: a, type: u8, default: 256}]}`:                         ".fields[0].default: 256 is out of range for u8 (0…255)",
		`{fields: [{name: a, type: u8, bits: 3, default: 8}]}`:                  ".fields[0].default: 8 is out of range for 3 bits (0…7)",
		`{fields: [{name: a, type: u8, length: 2, default: [1]}]}`:              ".fields[0].default: has 1 of 2 elements, and the others have no default",
		`{fields: [{name: a, default: {c: 1}, fields: [{name: b, type: u8}]}]}`: ".fields[0].default.c: unknown field, must be one of b",
		`{fields: [{name: a, type: ifindex, default: a/b}]}`:                    `.fields[0].default: "a/b" is not the name of a network interface (at most 15 characters, without '/' and blanks), or a number`,
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

// TestDefaultsCollect collects a name that is a default where a value leaves it out, and nowhere else.
func TestDefaultsCollect(t *testing.T) {
	var s v1alpha1.Schema
	if err := yaml.UnmarshalStrict([]byte(`{fields: [{name: a, type: u32}, {name: dev, type: ifindex, default: eth0}]}`), &s); err != nil {
		t.Fatal(err)
	}
	var named []string
	l, err := NewLinked(&s, func(r v1alpha1.Reference) { named = append(named, r.Name) })
	if err != nil || len(named) > 0 {
		t.Fatal(err, named)
	}
	for _, value := range []string{`{"a": 1}`, `{"a": 2, "dev": "eth1"}`} {
		if err := l.Encode(make([]byte, l.Size()), []byte(value)); err != nil {
			t.Fatal(err)
		}
	}
	if want := []string{"eth0", "eth1"}; !slices.Equal(named, want) {
		t.Errorf("collected %v, want %v", named, want)
	}
}

// TestBitsOfBothOrders holds for machines of the other byte order as well.
func TestBitsOfBothOrders(t *testing.T) {
	for big, want := range map[bool]string{false: "d0bc0a00", true: "0abcd000"} {
		b := make([]byte, 4)
		putBits(b, 4, 16, 0xabcd, big)
		if got := hex.EncodeToString(b); got != want {
			t.Errorf("big endian %t: %s, want %s", big, got, want)
		}
		if got := getBits(b, 4, 16, big); got != 0xabcd {
			t.Errorf("big endian %t: %x of %x", big, got, b)
		}
	}
}

// TestMembers shows places as BTF has them.
func TestMembers(t *testing.T) {
	l := layout(t, `{fields: [{name: a, type: u8}, {name: b, type: u32, bits: 5}, {type: padding, bits: 3}, {name: c, type: u16, dimensions: [2, 3]}]}`)
	m := l.Members()
	for i, want := range []struct{ offset, at, bits int }{{0, 0, 0}, {1, 8, 5}, {1, 13, 3}, {2, 16, 0}} {
		if m[i].Offset != want.offset || m[i].BitOffset != want.at || m[i].Bits != want.bits {
			t.Errorf("member %d: %+v, want %+v", i, m[i], want)
		}
	}
	if got := m[3].Layout.Dimensions(); !slices.Equal(got, []int{2, 3}) || m[2].Layout.Scalar() != v1alpha1.TypePadding || m[1].Layout.Size() != 4 {
		t.Errorf("dimensions %v, %+v", got, m)
	}
}
