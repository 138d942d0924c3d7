// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package schema

import (
	"bytes"
	"encoding/hex"
	"testing"

	"github.com/bpfmap-io/bpfmap-operator/internal/nativehex"
)

// TestRoundTrip encodes, compares the bytes, and decodes again.
func TestRoundTrip(t *testing.T) {
	for _, test := range []struct{ schema, in, bytes, json, text string }{
		{`{type: u8}`, `255`, "ff", `255`, `255`},
		{`{type: u16}`, `"0x1f"`, "<1f00>", `31`, `31`},
		{`{type: u32}`, `4294967295`, "ffffffff", `4294967295`, `4294967295`},
		{`{type: u64}`, `"18446744073709551615"`, "ffffffffffffffff", `"18446744073709551615"`, `18446744073709551615`},
		{`{type: u64}`, `1e3`, "<e803000000000000>", `1000`, `1000`},
		{`{type: i8}`, `-128`, "80", `-128`, `-128`},
		{`{type: i16}`, `"-0x10"`, "<f0ff>", `-16`, `-16`},
		{`{type: i64}`, `-9223372036854775808`, "<0000000000000080>", `-9223372036854775808`, `-9223372036854775808`},
		{`{type: be16}`, `443`, "01bb", `443`, `443`},
		{`{type: be32}`, `1`, "00000001", `1`, `1`},
		{`{type: be64}`, `1`, "0000000000000001", `1`, `1`},
		{`{type: bool}`, `true`, "01", `true`, `true`},
		{`{type: ipv4}`, `"192.0.2.1"`, "c0000201", `"192.0.2.1"`, `192.0.2.1`},
		{`{type: ipv6}`, `"2001:db8::1"`, "20010db8000000000000000000000001", `"2001:db8::1"`, `2001:db8::1`},
		{`{type: mac}`, `"02-00-5E-10-00-01"`, "02005e100001", `"02:00:5e:10:00:01"`, `02:00:5e:10:00:01`},
		{`{type: ipv4Prefix}`, `"203.0.113.0/24"`, "<18000000>cb007100", `"203.0.113.0/24"`, `203.0.113.0/24`},
		{`{type: ipv4Prefix}`, `"0.0.0.0/0"`, "0000000000000000", `"0.0.0.0/0"`, `0.0.0.0/0`},
		{`{type: ipv6Prefix}`, `"2001:db8::/32"`, "<20000000>20010db8000000000000000000000000", `"2001:db8::/32"`, `2001:db8::/32`},
		{`{type: string, size: 4}`, `"ab"`, "61620000", `"ab"`, `ab`},
		{`{type: string, size: 4}`, `"a b,"`, "6120622c", `"a b,"`, `"a b,"`},
		{`{type: string, size: 4}`, `"\u00e9\"x"`, "c3a92278", `"é\"x"`, `"é\"x"`},
		{`{type: bytes, size: 3}`, `"AQID"`, "010203", `"AQID"`, `AQID`},
		{`{type: hex, size: 4}`, `"0xde:ad be-ef"`, "deadbeef", `"deadbeef"`, `deadbeef`},
		{`{type: u16, length: 2}`, `[1, "0x2"]`, "<0100><0200>", `[1,2]`, `[1, 2]`},
		{`{fields: [{name: action, type: u8}, {name: rule, type: u32}]}`, `{"rule": 7, "action": 1}`,
			"01000000<07000000>", `{"action":1,"rule":7}`, `{action: 1, rule: 7}`},
		{`{length: 2, fields: [{name: a, type: u8}, {name: b, type: be16}]}`, `[{"a": 1, "b": 2}, {"a": 3, "b": 4}]`,
			"0100000203000004", `[{"a":1,"b":2},{"a":3,"b":4}]`, `[{a: 1, b: 2}, {a: 3, b: 4}]`},
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
		if got := l.Format(b); got != test.text {
			t.Errorf("%s of %s prints as %s, want %s", test.schema, test.in, got, test.text)
		}
		again := make([]byte, l.Size())
		if err := l.Encode(again, l.Decode(b)); err != nil || !bytes.Equal(again, b) {
			t.Errorf("%s of %s comes back as %x, %v", test.schema, test.in, again, err)
		}
	}
}

func TestEncodeNamesPlaceValueAndBound(t *testing.T) {
	rule := `{fields: [{name: action, type: u8}, {name: ports, type: be16, length: 2}]}`
	for _, test := range []struct{ schema, in, want string }{
		{rule, `{"action": 300, "ports": [1, 2]}`, ".action: 300 is out of range for u8 (0…255)"},
		{rule, `{"action": 1, "ports": [1, 65536]}`, ".ports[1]: 65536 is out of range for be16 (0…65535)"},
		{rule, `{"action": 1, "ports": [1]}`, ".ports: has 1 of 2 elements, and the others have no default"},
		{rule, `{"action": 1, "ports": 5}`, ".ports: 5 is not a list: a list of 2 elements is required"},
		{rule, `{"action": 1}`, ".ports: is missing, and has no default"},
		{rule, `{"action": 1, "port": [1, 2]}`, ".port: unknown field (did you mean ports?), must be one of action, ports"},
		{rule, `7`, "7 is not an object with the fields action, ports"},
		{`{type: i8}`, `-129`, "-129 is out of range for i8 (-128…127)"},
		{`{type: i8}`, `128`, "128 is out of range for i8 (-128…127)"},
		{`{type: u64}`, `-1`, "-1 is out of range for u64 (0…18446744073709551615)"},
		{`{type: u64}`, `"18446744073709551616"`, "18446744073709551616 is out of range for u64 (0…18446744073709551615)"},
		{`{type: u64}`, `1.8446744073709552e+19`,
			"1.8446744073709552e+19 was rounded on its way here: the API server carries JSON numbers up to 9223372036854775807; quote a larger integer"},
		{`{type: u64}`, `9223372036854775808`,
			"9223372036854775808 exceeds what a JSON number carries through the API server (9223372036854775807): quote it"},
		{`{type: u32}`, `1.5`, "1.5 is not an integer"},
		{`{type: u32}`, `"1_000"`, `"1_000" is not an integer`},
		{`{type: u32}`, `true`, "true is not an integer"},
		{`{type: bool}`, `2`, "2 is neither true nor false"},
		{`{type: bool}`, `"yes"`, `"yes" is neither true nor false`},
		{`{type: ipv4}`, `"2001:db8::1"`, `"2001:db8::1" is not an IPv4 address`},
		{`{type: ipv4}`, `"192.0.2.256"`, `"192.0.2.256" is not a valid IPv4 address (such as 192.0.2.1)`},
		{`{type: ipv4}`, `3221225985`, "3221225985 is not a valid IPv4 address (such as 192.0.2.1)"},
		{`{type: ipv6}`, `"fe80::1%eth0"`, `"fe80::1%eth0" has a zone, which a map can't hold`},
		{`{type: ipv4Prefix}`, `"203.0.113.5/24"`, `"203.0.113.5/24" has host bits set (did you mean 203.0.113.0/24, or 203.0.113.5/32?)`},
		{`{type: ipv4Prefix}`, `"203.0.113.5"`, `"203.0.113.5" has no prefix length (did you mean 203.0.113.5/32?)`},
		{`{type: ipv4Prefix}`, `"203.0.113.0/33"`, `"203.0.113.0/33": prefix length 33 is out of range (0…32)`},
		{`{type: ipv4Prefix}`, `"2001:db8::/32"`, `"2001:db8::/32" is not an IPv4 address`},
		{`{type: mac}`, `"02:00:5e:10:00"`, `"02:00:5e:10:00" is not a valid MAC address (such as 02:00:5e:10:00:01)`},
		{`{type: string, size: 2}`, `"abc"`, `"abc" is 3 bytes long, more than size 2`},
		{`{type: string, size: 2}`, `"\u0000"`, `"\u0000" contains a NUL byte, which ends a string (use hex or bytes)`},
		{`{type: bytes, size: 2}`, `"AQID"`, `"AQID" is 3 bytes long, exactly size 2 is required`},
		{`{type: hex, size: 2}`, `"abc"`, `"abc" is not a string of pairs of hex digits`},
		{`{type: hex, size: 2}`, `10`, "10 is not a string of hex digits (quote it)"},
		{`{type: u8}`, `{`, "is not valid JSON: unexpected end of JSON input"},
	} {
		l := layout(t, test.schema)
		err := l.Encode(make([]byte, l.Size()), []byte(test.in))
		if err == nil || err.Error() != test.want {
			t.Errorf("%s of %s: %v\nwant %s", test.schema, test.in, err, test.want)
		}
	}
}

func TestBytesThatNothingEncodesTo(t *testing.T) {
	for _, test := range []struct{ schema, bytes, text string }{
		{`{type: bool}`, "07", "7"},
		{`{type: string, size: 3}`, "610062", "hex:610062"},
		{`{fields: [{name: a, type: u8}, {name: b, type: u16}]}`, "01ff<0200>", "{a: 1, b: 2} (padding is not zero)"},
		{`{fields: [{name: a, type: u8}, {name: b, type: u16}]}`, "0100<0200>", "{a: 1, b: 2}"},
	} {
		b, err := hex.DecodeString(nativehex.Text(test.bytes))
		if err != nil {
			t.Fatal(err)
		}
		if got := layout(t, test.schema).Format(b); got != test.text {
			t.Errorf("%s of %s prints as %s, want %s", test.bytes, test.schema, got, test.text)
		}
	}
}

func BenchmarkEncodePrefix(b *testing.B) {
	benchmarkEncode(b, `{type: ipv4Prefix}`, `"203.0.113.0/24"`)
}

func BenchmarkEncodeStruct(b *testing.B) {
	benchmarkEncode(b, `{fields: [{name: action, type: u8}, {name: rule, type: u32}]}`, `{"action":1,"rule":7}`)
}

func benchmarkEncode(b *testing.B, schema, value string) {
	l := layout(b, schema)
	dst, raw := make([]byte, l.Size()), []byte(value)
	b.ReportAllocs()
	for b.Loop() {
		if err := l.Encode(dst, raw); err != nil {
			b.Fatal(err)
		}
	}
}
