// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package schema

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"strings"
	"testing"

	"github.com/bpfmap-io/bpfmap-operator/internal/nativehex"
)

const (
	action = `enum: {drop: 0, pass: 1, redirect: 4, alias: 4}`
	tcp    = `flags: {fin: 1, syn: 2, ack: 16, synack: 18}`
)

// TestValues encodes, compares the bytes, decodes, and encodes the result again.
func TestValues(t *testing.T) {
	for _, test := range []struct{ schema, in, bytes, json, text string }{
		{`{type: u128}`, `1`, "<01000000000000000000000000000000>", `1`, `1`},
		{`{type: u128}`, `"340282366920938463463374607431768211455"`, strings.Repeat("ff", 16), `"340282366920938463463374607431768211455"`, `340282366920938463463374607431768211455`},
		{`{type: u128}`, `"0x10000000000000000"`, "<00000000000000000100000000000000>", `"18446744073709551616"`, `18446744073709551616`},
		{`{type: u128}`, `"100000000000000000000000000000000000000"`, "<0000000040228a097ac4865aa84c3b4b>", `"100000000000000000000000000000000000000"`, `100000000000000000000000000000000000000`},
		{`{type: u128}`, `9223372036854775807`, "<ffffffffffffff7f0000000000000000>", `9223372036854775807`, `9223372036854775807`},
		{`{type: i128}`, `-1`, strings.Repeat("ff", 16), `-1`, `-1`},
		{`{type: i128}`, `"-170141183460469231731687303715884105728"`, "<" + strings.Repeat("00", 15) + "80>", `"-170141183460469231731687303715884105728"`, `-170141183460469231731687303715884105728`},
		{`{type: i128}`, `"-9223372036854775809"`, "<ffffffffffffff7fffffffffffffffff>", `"-9223372036854775809"`, `-9223372036854775809`},
		{`{type: f32}`, `0.1`, "<cdcccc3d>", `0.1`, `0.1`},
		{`{type: f32}`, `"3.4028235e38"`, "<ffff7f7f>", `3.4028235e+38`, `3.4028235e+38`},
		{`{type: f32}`, `"NaN"`, "<0000c07f>", `"NaN"`, `NaN`},
		{`{type: f64}`, `1`, "<000000000000f03f>", `1`, `1`},
		{`{type: f64}`, `"-0"`, "<0000000000000080>", `"-0"`, `-0`},
		{`{type: f64}`, `"-inf"`, "<000000000000f0ff>", `"-inf"`, `-inf`},
		{`{type: f64}`, `".inf"`, "<000000000000f07f>", `"inf"`, `inf`},
		{`{type: f64}`, `".NaN"`, "<000000000000f87f>", `"NaN"`, `NaN`},
		{`{type: f64}`, `"010"`, "<0000000000002440>", `10`, `10`},
		{`{type: f64}`, `5e-324`, "<0100000000000000>", `5e-324`, `5e-324`},
		{`{type: u64}`, `"1e3"`, "<e803000000000000>", `1000`, `1000`},
		{`{type: u32}`, `"010"`, "<0a000000>", `10`, `10`},
		{`{type: u32}`, `"+5"`, "<05000000>", `5`, `5`},
		{`{type: u32}`, `"5.0"`, "<05000000>", `5`, `5`},
		{`{type: ipv4Host}`, `"192.0.2.1"`, "<010200c0>", `"192.0.2.1"`, `192.0.2.1`},
		{`{type: u8, ` + action + `}`, `"pass"`, "01", `"pass"`, `pass`},
		{`{type: u8, ` + action + `}`, `"redirect"`, "04", `"alias"`, `alias`},
		{`{type: be16, ` + action + `}`, `4`, "0004", `"alias"`, `alias`},
		{`{type: u8, ` + action + `}`, `"0x9"`, "09", `9`, `9`},
		{`{type: i8, enum: {none: -1}}`, `"none"`, "ff", `"none"`, `none`},
		{`{type: u64, enum: {most: -1}}`, `"18446744073709551615"`, strings.Repeat("ff", 8), `"most"`, `most`},
		{`{type: u8, ` + action + `, length: 2}`, `["drop", 7]`, "0007", `["drop",7]`, `[drop, 7]`},
		{`{type: u16, ` + tcp + `}`, `["syn", "fin"]`, "<0300>", `["fin","syn"]`, `fin|syn`},
		{`{type: u16, ` + tcp + `}`, `["ack", "syn", 64, "0x80"]`, "<d200>", `["synack",192]`, `synack|0xc0`},
		{`{type: be16, ` + tcp + `}`, `"fin | 0x40"`, "0041", `["fin",64]`, `fin|0x40`},
		{`{type: u16, ` + tcp + `}`, `[]`, "<0000>", `[]`, `0`},
		{`{type: u16, ` + tcp + `}`, `3`, "<0300>", `["fin","syn"]`, `fin|syn`},
		{`{type: u8, flags: {none: 0, a: 1}}`, `"none"`, "00", `["none"]`, `none`},
		{`{type: i8, flags: {a: 1, sign: -128}}`, `["sign", 2]`, "82", `["sign",2]`, `sign|2`},
		{`{type: i8, flags: {a: 1}}`, `[-128, "a"]`, "81", `["a",-128]`, `a|-128`},
		{`{type: u64, flags: {a: 1}}`, `"18446744073709551615"`, strings.Repeat("ff", 8), `["a","18446744073709551614"]`, `a|0xfffffffffffffffe`},
		{`{type: u64, duration: ns}`, `"1h30m"`, native64(5400e9), `"1h30m"`, `1h30m`},
		{`{type: u32, duration: ms}`, `"1.5s"`, "<dc050000>", `"1.5s"`, `1.5s`},
		{`{type: be32, duration: s}`, `90`, "0000005a", `"1m30s"`, `1m30s`},
		{`{type: u32, duration: us}`, `"7"`, "<07000000>", `"7us"`, `7us`},
		{`{type: i16, duration: s}`, `"-2h"`, "<e0e3>", `"-2h"`, `-2h`},
		{`{type: i32, duration: ms}`, `"-1.25s"`, "<1efbffff>", `"-1.25s"`, `-1.25s`},
		{`{type: u64, duration: s}`, `"18446744073709551615"`, strings.Repeat("ff", 8), `"18446744073709551615"`, `18446744073709551615`},
		{`{type: u32, time: s}`, `"2030-01-01T00:00:00Z"`, "<80d8db70>", `"2030-01-01T00:00:00Z"`, `2030-01-01T00:00:00Z`},
		{`{type: u64, time: ns}`, `"2030-01-01T01:00:00.000000001+01:00"`, native64(1893456000e9 + 1), `"2030-01-01T00:00:00.000000001Z"`, `2030-01-01T00:00:00.000000001Z`},
		{`{type: u64, time: ns}`, `"2554-07-21T23:34:33.709551615Z"`, strings.Repeat("ff", 8), `"2554-07-21T23:34:33.709551615Z"`, `2554-07-21T23:34:33.709551615Z`},
		{`{type: i64, time: ms}`, `"1969-12-31T23:59:59.75Z"`, "<06ffffffffffffff>", `"1969-12-31T23:59:59.75Z"`, `1969-12-31T23:59:59.75Z`},
		{`{type: u64, time: s}`, `0`, "<0000000000000000>", `0`, `0`},
		{`{type: u64, time: s}`, `253402300800`, native64(253402300800), `253402300800`, `253402300800`},
		{`{type: countedString, size: 6}`, `"abc"`, "03616263000000", `"abc"`, `abc`},
		{`{type: countedString, size: 5, lengthType: u32}`, `"abc"`, "<03000000>6162630000000000", `"abc"`, `abc`},
		{`{type: countedString, size: 2, lengthType: be16}`, `"a\u0000"`, "00026100", `"a\u0000"`, `"a\x00"`},
		{`{type: dnsName, size: 18}`, `"wWw.Example.com."`, "03777777076578616d706c6503636f6d0000", `"www.example.com"`, `www.example.com`},
		{`{type: dnsName, size: 3}`, `"."`, "000000", `"."`, `.`},
		{`{type: dnsName, size: 12}`, `"*.a._b"`, "012a0161025f620000000000", `"*.a._b"`, `*.a._b`},
		{`{type: dnsName, size: 18}`, `"Bücher.de"`, "0d786e2d2d62636865722d6b766102646500", `"xn--bcher-kva.de"`, `xn--bcher-kva.de`},
	} {
		checkValue(t, test.schema, test.in, test.bytes, test.json, test.text)
	}
}

// native64 is a number of eight bytes in the node's order.
func native64(n uint64) string { return hex.EncodeToString(binary.NativeEndian.AppendUint64(nil, n)) }

// checkValue compares a value's bytes, as nativehex has them, JSON and text.
func checkValue(t *testing.T, schema, in, want, json, text string) {
	t.Helper()
	want = nativehex.Text(want)
	l := layout(t, schema)
	b := make([]byte, l.Size())
	if err := l.Encode(b, []byte(in)); err != nil {
		t.Errorf("%s of %s: %v", schema, in, err)
		return
	}
	if got := hex.EncodeToString(b); got != want {
		t.Errorf("%s of %s is %s, want %s", schema, in, got, want)
	}
	if got := string(l.Decode(b)); got != json {
		t.Errorf("%s of %s decodes to %s, want %s", schema, in, got, json)
	}
	if got := l.Format(b); got != text {
		t.Errorf("%s of %s prints as %s, want %s", schema, in, got, text)
	}
	again := make([]byte, l.Size())
	if err := l.Encode(again, l.Decode(b)); err != nil || !bytes.Equal(again, b) {
		t.Errorf("%s of %s comes back as %x, %v", schema, in, again, err)
	}
}
