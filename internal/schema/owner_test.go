// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package schema

import (
	"encoding/hex"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/nativehex"
)

func ownedLayout(t *testing.T, text string) (*Layout, error) {
	t.Helper()
	var s v1alpha1.Schema
	if err := yaml.UnmarshalStrict([]byte(text), &s); err != nil {
		t.Fatal(err)
	}
	return New(&s)
}

// TestDeclared: which bits are the declaration's, what an entry may leave out, and what is written then.
func TestDeclared(t *testing.T) {
	for name, c := range map[string]struct{ schema, mask, value, want string }{
		"nothing":        {`{type: u64}`, "", "7", "<0700000000000000>"},
		"the whole":      {`{type: u64, owner: Program}`, "0000000000000000", "", "0000000000000000"},
		"a first value":  {`{type: u64, owner: Program}`, "0000000000000000", "5", "<0500000000000000>"},
		"a default":      {`{type: u32, owner: Program, default: 9}`, "00000000", "", "<09000000>"},
		"a field":        {`{fields: [{name: a, type: u8}, {name: hits, type: u32, owner: Program}]}`, "ffffffff00000000", `{"a": 1}`, "0100000000000000"},
		"a bit-field":    {`{fields: [{name: flags, type: u64, bits: 6}, {name: hits, type: u64, bits: 58, owner: Program}]}`, "<3f00000000000000|fc00000000000000>", `{"flags": 5}`, "<0500000000000000|1400000000000000>"},
		"bits, a value":  {`{fields: [{name: flags, type: u64, bits: 6}, {name: hits, type: u64, bits: 58, owner: Program}]}`, "<3f00000000000000|fc00000000000000>", `{"flags": 5, "hits": 1}`, "<4500000000000000|1400000000000001>"},
		"a lock":         {`{fields: [{name: lock, type: spinLock}, {name: rate, type: u32}, {name: tokens, type: u32, owner: Program}]}`, "00000000ffffffff00000000", `{"rate": 2}`, "00000000<02000000>00000000"},
		"an array":       {`{fields: [{name: a, type: u8}, {name: cnt, type: u8, length: 3, owner: Program}]}`, "ff000000", `{"a": 1, "cnt": [7]}`, "01070000"},
		"in an array":    {`{length: 2, fields: [{name: a, type: u8}, {name: cnt, type: u8, owner: Program}]}`, "ff00ff00", `[{"a": 1}, {"a": 2, "cnt": 3}]`, "01000203"},
		"a union":        {`{fields: [{name: u, union: true, owner: Program, fields: [{name: x, type: u16}, {name: z, type: u8}]}]}`, "0000", `{}`, "0000"},
		"a nested one":   {`{fields: [{name: a, type: u8}, {name: s, owner: Program, fields: [{name: x, type: u8}, {name: z, type: u16, default: 3}]}]}`, "ffff00000000", `{"a": 1}`, "01000000<0300>"},
		"its default":    {`{owner: Program, fields: [{name: x, type: u8}, {name: z, type: u16}], default: {x: 1}}`, "00000000", "", "01000000"},
		"an enum with 0": {`{type: u8, owner: Program, enum: {new: 0, old: 1}}`, "00", "", "00"},
		"its name":       {`{type: u8, owner: Program, enum: {old: 1}, default: old}`, "00", "", "01"},
	} {
		t.Run(name, func(t *testing.T) {
			l, err := ownedLayout(t, c.schema)
			if err != nil {
				t.Fatal(err)
			}
			if got := hex.EncodeToString(l.Declared()); got != nativehex.Text(c.mask) {
				t.Errorf("the mask is %s, want %s", got, c.mask)
			}
			b := make([]byte, l.Size())
			if c.value == "" {
				err = l.EncodeDefault(b)
			} else {
				err = l.Encode(b, []byte(c.value))
			}
			if got := hex.EncodeToString(b); err != nil || got != nativehex.Text(c.want) {
				t.Errorf("%q is %s, %v, want %s", c.value, got, err, c.want)
			}
		})
	}
}

// TestOwnersThatCannotBe: each error says where, and what to do.
func TestOwnersThatCannotBe(t *testing.T) {
	for schema, want := range map[string]string{
		`{type: u8, owner: Git}`:                                `.owner: "Git" is not a valid owner: leave it out, or set it to Program`,
		`{fields: [{name: l, type: spinLock, owner: Program}]}`: ".fields[0].owner: spinLock has no value",
		`{union: true, fields: [{name: a, type: u8}, {name: b, fields: [{name: c, type: u8, owner: Program}]}]}`: ".fields[1].fields[0].owner: members of a union share their bytes and have one owner: set owner at the union",
		`{type: u8, owner: Program, enum: {old: 1}}`:                                                             ".default: is missing: entries may leave out what the program owns, and its enum has no name for 0: set default",
		`{owner: Program, fields: [{name: e, type: u8, enum: {old: 1}}]}`:                                        ".fields[0].default: is missing",
		`{type: ipv4, prefix: true, owner: Program}`:                                                             ".owner: keys can't be owned by programs",
	} {
		if _, err := ownedLayout(t, schema); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s: %v, want %s…", schema, err, want)
		}
	}
}

// TestCarry: what programs own is found again by its name in another layout.
func TestCarry(t *testing.T) {
	for name, c := range map[string]struct{ from, to, src, dst, want, lost string }{
		"the same":       {`{fields: [{name: a, type: u8}, {name: cnt, type: u8, owner: Program}]}`, `{fields: [{name: a, type: u8}, {name: cnt, type: u8, owner: Program}]}`, "0102", "0500", "0502", ""},
		"another place":  {`{fields: [{name: cnt, type: u8, owner: Program}, {name: a, type: u8}]}`, `{fields: [{name: a, type: u8}, {name: b, type: u8}, {name: cnt, type: u8, owner: Program}]}`, "0201", "050600", "050602", ""},
		"was declared":   {`{fields: [{name: cnt, type: u8}]}`, `{fields: [{name: cnt, type: u8, owner: Program}]}`, "07", "00", "07", ""},
		"another type":   {`{fields: [{name: cnt, type: u8, owner: Program}]}`, `{fields: [{name: cnt, type: u16, owner: Program}, {name: m, type: u8, owner: Program}]}`, "07", "00000000", "00000000", "cnt m"},
		"bits":           {`{fields: [{name: f, type: u16, bits: 6}, {name: h, type: u16, bits: 10, owner: Program}]}`, `{fields: [{name: g, type: u16, bits: 2}, {name: f, type: u16, bits: 4}, {name: h, type: u16, bits: 10, owner: Program}]}`, "<c5ff|17ff>", "<2500|6400>", "<e5ff|67ff>", ""},
		"in an array":    {`{length: 2, fields: [{name: cnt, type: u8, owner: Program}]}`, `{length: 2, fields: [{name: a, type: u8}, {name: cnt, type: u8, owner: Program}]}`, "0708", "01000200", "01070208", ""},
		"a scalar":       {`{type: u32}`, `{type: u32, owner: Program}`, "01020304", "00000000", "01020304", ""},
		"scalar, struct": {`{type: u32}`, `{fields: [{name: cnt, type: u32, owner: Program}]}`, "01020304", "00000000", "00000000", "."},
	} {
		t.Run(name, func(t *testing.T) {
			from, err := ownedLayout(t, c.from)
			if err != nil {
				t.Fatal(err)
			}
			to, err := ownedLayout(t, c.to)
			if err != nil {
				t.Fatal(err)
			}
			src, _ := hex.DecodeString(nativehex.Text(c.src))
			dst, _ := hex.DecodeString(nativehex.Text(c.dst))
			carry := NewCarry(from, to)
			carry.Copy(dst, src)
			if lost := strings.Join(carry.Lost, " "); hex.EncodeToString(dst) != nativehex.Text(c.want) || lost != strings.Trim(c.lost, ".") {
				t.Errorf("%x, lost %q; want %s, %q", dst, lost, c.want, c.lost)
			}
		})
	}
}

// TestWithoutProgram leaves out what is the program's.
func TestWithoutProgram(t *testing.T) {
	l, err := ownedLayout(t, `{fields: [{name: a, type: u8}, {name: cnt, type: u8, owner: Program}, {name: s, length: 1, fields: [{name: x, type: u8, owner: Program}, {name: z, type: u8}]}]}`)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := l.WithoutProgram().Format([]byte{1, 2, 3, 4}), "{a: 1, s: [{z: 4}]}"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}
