// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package schema

import (
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
)

// TestValuesThatAreRefused names the value, the bound and the way out.
func TestValuesThatAreRefused(t *testing.T) {
	label := strings.Repeat("a", 64)
	long := strings.Repeat(strings.Repeat("a", 63)+".", 3) + strings.Repeat("a", 62)
	for _, test := range []struct{ schema, in, want string }{
		{`{type: u128}`, `"0x100000000000000000000000000000000"`, "0x100000000000000000000000000000000 is out of range for u128 (0…2¹²⁸-1)"},
		{`{type: u128}`, `-1`, "-1 is out of range for u128 (0…2¹²⁸-1)"},
		{`{type: i128}`, `"170141183460469231731687303715884105728"`, "170141183460469231731687303715884105728 is out of range for i128 (-2¹²⁷…2¹²⁷-1)"},
		{`{type: u128}`, `"0x"`, `"0x" is not an integer`},
		{`{type: i128}`, `9223372036854775808`, "9223372036854775808 exceeds what a JSON number carries through the API server (9223372036854775807): quote it"},
		{`{type: f32}`, `1e39`, "1e39 is out of range for f32 (largest: 3.4028234663852886e+38)"},
		{`{type: f32}`, `1e-50`, "1e-50 is too small for f32 (smallest: 1.401298464324817e-45)"},
		{`{type: f64}`, `"-nan"`, `"-nan" is not a number (such as 0.5, -2e9, inf, NaN)`},
		{`{type: f64}`, `"i.nf"`, `"i.nf" is not a number (such as 0.5, -2e9, inf, NaN)`},
		{`{type: f64}`, `"0x10"`, `"0x10" is not a number (such as 0.5, -2e9, inf, NaN)`},
		{`{type: f64}`, `"--inf"`, `"--inf" is not a number (such as 0.5, -2e9, inf, NaN)`},
		{`{type: f64}`, `""`, `"" is not a number (such as 0.5, -2e9, inf, NaN)`},
		{`{type: f64}`, `true`, `true is not a number (such as 0.5, -2e9, inf, NaN)`},
		{`{type: f64}`, `"1_0"`, `"1_0" is not a number (such as 0.5, -2e9, inf, NaN)`},
		{`{type: u32}`, `"1.5"`, `"1.5" is not an integer`},
		{`{type: ip}`, `"192.0.2"`, `"192.0.2" is not a valid IP address (such as 192.0.2.1 or 2001:db8::1)`},
		{`{type: ipv4Host}`, `"::1"`, `"::1" is not an IPv4 address`},
		{`{type: ipv4}`, `"::ffff:192.0.2.1"`, `"::ffff:192.0.2.1" is not an IPv4 address`},
		{`{type: ipPrefix}`, `"10.0.0.1/8"`, `"10.0.0.1/8" has host bits set (did you mean 10.0.0.0/8, or 10.0.0.1/32?)`},
		{`{type: ipPrefix}`, `"10.0.0.0/33"`, `"10.0.0.0/33": prefix length 33 is out of range (0…32)`},
		{`{type: ipPrefix}`, `"::"`, `"::" has no prefix length (did you mean ::/128?)`},
		{`{type: ipv4Prefix}`, `"x"`, `"x" is not a valid IPv4 prefix (such as 192.0.2.0/24)`},
		{`{type: ipv6Prefix}`, `7`, `7 is not a valid IPv6 prefix (such as 2001:db8::/48)`},
		{`{type: u8, ` + action + `}`, `"pas"`, `"pas" is not a name of the enum (did you mean pass?): must be one of drop, pass, alias, redirect, or a number`},
		{`{type: u8, ` + action + `}`, `256`, "256 is out of range for u8 (0…255)"},
		{`{type: u8, ` + action + `}`, `true`, "true is not a name: quote a name that YAML takes for true or false (y, n, yes, no, on, off)"},
		{`{type: u8, ` + tcp + `}`, `["syn", "rst"]`, `"rst" is not a name of the flags: must be one of fin, syn, ack, synack, or a number`},
		{`{type: u8, ` + tcp + `}`, `["syn", 256]`, "256 is out of range for u8 (0…255)"},
		{`{type: u8, ` + tcp + `}`, `"syn|"`, `"" is not a name of the flags: must be one of fin, syn, ack, synack, or a number`},
		{`{type: u8, ` + tcp + `}`, `""`, `"" is not a name of the flags: must be one of fin, syn, ack, synack, or a number`},
		{`{type: u8, ` + tcp + `}`, `{}`, "{} is neither a list of flags nor a number"},
		{`{type: u8, duration: s}`, `"1500ms"`, "1500ms isn't a whole number of s, which the type counts"},
		{`{type: u8, duration: s}`, `"5m"`, "5m in s is out of range for u8 (0…255)"},
		{`{type: u64, duration: ns}`, `"-1s"`, "-1s in ns is out of range for u64 (0…18446744073709551615)"},
		{`{type: u8, duration: s}`, `"5 min"`, `"5 min" is neither a duration (such as 1h30m, 1.5s, 250ms, of at most 292 years) nor a number of s`},
		{`{type: u32, time: s}`, `"2030-01-01"`, `"2030-01-01" is neither a time (such as 2030-01-01T00:00:00Z) nor a number of s since 1970`},
		{`{type: u32, time: s}`, `"2106-02-07T06:28:16Z"`, "2106-02-07T06:28:16Z in s is out of range for u32 (0…4294967295)"},
		{`{type: u64, time: ns}`, `"2554-07-21T23:34:33.709551616Z"`, "2554-07-21T23:34:33.709551616Z in ns is out of range for u64 (0…18446744073709551615)"},
		{`{type: u64, time: ns}`, `"1969-12-31T23:59:59.75Z"`, "1969-12-31T23:59:59.75Z in ns is out of range for u64 (0…18446744073709551615)"},
		{`{type: countedString, size: 3}`, `"abcd"`, `"abcd" is 4 bytes long, more than size 3`},
		{`{type: countedString, size: 3}`, `5`, `5 is not a string`},
		{`{type: countedString, size: 300}`, `"` + strings.Repeat("a", 256) + `"`,
			`"` + strings.Repeat("a", 60) + `... is 256 bytes long, more than the 255 that a length of type u8 counts`},
		{`{type: dnsName, size: 16}`, `"www.example.com"`, `"www.example.com" takes 17 bytes in wire format, more than size 16`},
		{`{type: dnsName, size: 300}`, `"a..b"`, `"a..b" has an empty label between two dots`},
		{`{type: dnsName, size: 300}`, `"` + label + `"`, `"` + label[:60] + `... has a label of 64 bytes, at most 63 are possible`},
		{`{type: dnsName, size: 300}`, `"` + long + `"`, `"` + long[:60] + `... takes 256 bytes in wire format, a domain name at most 255`},
		{`{type: dnsName, size: 300}`, `"a b"`, `"a b" has ' ' in a label: letters, digits, - and _ are possible, and * as a whole label`},
		{`{type: dnsName, size: 300}`, `"a*.b"`, `"a*.b" has '*' in a label: letters, digits, - and _ are possible, and * as a whole label`},
		{`{type: dnsName, size: 300}`, `""`, `"" is not a domain name ("." is the root)`},
	} {
		l := layout(t, test.schema)
		err := l.Encode(make([]byte, l.Size()), []byte(test.in))
		if err == nil || err.Error() != test.want {
			t.Errorf("%s of %s: %v\nwant %s", test.schema, test.in, err, test.want)
		}
	}
}

// TestPropertiesBelongToTypes refuses a property that the type doesn't have, and says which have it.
func TestPropertiesBelongToTypes(t *testing.T) {
	const integers = "only for integers of up to 64 bits (u8, i8, be16, …), not "
	for schema, want := range map[string]string{
		`{type: ipv4, enum: {a: 1}}`:                                     ".enum: " + integers + "ipv4",
		`{type: u128, flags: {a: 1}}`:                                    ".flags: " + integers + "u128",
		`{type: f64, duration: s}`:                                       ".duration: " + integers + "f64",
		`{type: bool, time: s}`:                                          ".time: " + integers + "bool",
		`{type: ifindex, enum: {any: 0}}`:                                ".enum: " + integers + "ifindex",
		`{type: u8, enum: {a: 1}, flags: {b: 1}}`:                        ".flags: enum and flags exclude each other",
		`{type: u64, duration: s, time: s}`:                              ".time: duration and time exclude each other",
		`{type: u64, duration: d}`:                                       `.duration: unknown unit "d", must be one of ns, us, ms, s`,
		`{type: u8, enum: {a: 256}}`:                                     ".enum.a: 256 is out of range for u8 (0…255)",
		`{type: u32, flags: {a: -1}}`:                                    ".flags.a: -1 is out of range for u32 (0…4294967295)",
		`{type: i8, enum: {a: 128}}`:                                     ".enum.a: 128 is out of range for i8 (-128…127)",
		`{type: u8, enum: {a-b: 1}}`:                                     `.enum.a-b: "a-b" is not a name in C: letters, digits and underscores, no digit first, at most 63 characters`,
		`{type: u8, enum: {"1": 1}}`:                                     `.enum.1: "1" is not a name in C: letters, digits and underscores, no digit first, at most 63 characters`,
		`{type: u8, enum: {x: 1, y: 2}}`:                                 ".enum.true: is what YAML takes y, n, yes, no, on and off for: quote the name",
		`{type: u8, enum: {}}`:                                           ".enum: has 0 names, from 1 to 512 are possible",
		`{type: ipv4, ipv4As: First}`:                                    ".ipv4As: only for ip and ipPrefix, not ipv4",
		`{type: ip, ipv4As: Middle}`:                                     `.ipv4As: invalid place "Middle", must be one of Mapped, First, Last`,
		`{type: string, size: 4, lengthType: u8}`:                        ".lengthType: only for countedString, not string",
		`{type: countedString, size: 4, lengthType: i8}`:                 `.lengthType: invalid type "i8", must be one of u8, u16, u32, u64, be16, be32, be64`,
		`{type: countedString}`:                                          ".size: countedString needs a size from 1 to 1073741824, not 0",
		`{type: u8, union: true}`:                                        ".union: only fields can be those of a union",
		`{type: u128, size: 8}`:                                          ".size: u128 is 16 bytes long, size says 8",
		`{type: s32}`:                                                    `.type: unknown type "s32" (did you mean i32?), must be one of ` + allTypes,
		`{type: __be16}`:                                                 `.type: unknown type "__be16" (did you mean be16?), must be one of ` + allTypes,
		`{type: uint64_t}`:                                               `.type: unknown type "uint64_t" (did you mean u64?), must be one of ` + allTypes,
		`{type: IPv4}`:                                                   `.type: unknown type "IPv4" (did you mean ipv4?), must be one of ` + allTypes,
		`{type: xyzzy}`:                                                  `.type: unknown type "xyzzy", must be one of ` + allTypes,
		`{fields: [{name: a, type: u8}, {name: b, type: f32, time: s}]}`: ".fields[1].time: " + integers + "f32",
	} {
		var s v1alpha1.Schema
		if err := yaml.UnmarshalStrict([]byte(schema), &s); err != nil {
			t.Fatal(err)
		}
		if _, err := New(&s); err == nil || err.Error() != want {
			t.Errorf("%s: %v\nwant %s", schema, err, want)
		}
	}
}

// TestNewTypesAreLaidOutAsC holds sizes and alignments against those of the C types.
func TestNewTypesAreLaidOutAsC(t *testing.T) {
	for schema, want := range map[string][2]int{
		"{type: u128}":                   {16, 16},
		"{type: i128}":                   {16, 16},
		"{type: f32}":                    {4, 4},
		"{type: f64}":                    {8, 8},
		"{type: ipv4Host}":               {4, 4},
		"{type: ip}":                     {16, 4},
		"{type: ipPrefix}":               {20, 4},
		"{type: countedString, size: 5}": {6, 1},
		"{type: countedString, size: 5, lengthType: be16}":       {8, 2},
		"{type: countedString, size: 5, lengthType: u64}":        {16, 8},
		"{type: dnsName, size: 5}":                               {5, 1},
		"{fields: [{name: a, type: u8}, {name: b, type: u128}]}": {32, 16},
	} {
		if l := layout(t, schema); l.Size() != want[0] || l.Align() != want[1] {
			t.Errorf("%s has size %d, alignment %d, want %v", schema, l.Size(), l.Align(), want)
		}
	}
}
