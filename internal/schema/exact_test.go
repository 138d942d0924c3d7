// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package schema

import (
	"bytes"
	"encoding/hex"
	"math/rand/v2"
	"testing"

	"github.com/bpfmap-io/bpfmap-operator/internal/nativehex"
)

// TestBytesOfNoScalar shows bytes that no value encodes to as they are, and takes them back.
func TestBytesOfNoScalar(t *testing.T) {
	for _, test := range []struct{ schema, bytes, json, text string }{
		{`{type: bool}`, "07", `{"$hex":"07"}`, `7`},
		{`{type: string, size: 3}`, "610062", `{"$hex":"610062"}`, `hex:610062`},
		{`{type: string, size: 2}`, "ff00", `{"$hex":"ff00"}`, `hex:ff00`},
		{`{type: f32}`, "<0100c07f>", `{"$hex":"<0100c07f>"}`, `NaN(0x7fc00001)`},
		{`{type: f64}`, "<000000000000f8ff>", `{"$hex":"<000000000000f8ff>"}`, `NaN(0xfff8000000000000)`},
		{`{type: countedString, size: 3}`, "04616263", `{"$hex":"04616263"}`, `hex:04616263`},
		{`{type: countedString, size: 3}`, "01616200", `{"$hex":"01616200"}`, `hex:01616200`},
		{`{type: countedString, size: 3, lengthType: u16}`, "<0100>61000001", `{"$hex":"<0100>61000001"}`, `hex:<0100>61000001`},
		{`{type: dnsName, size: 4}`, "01410000", `{"$hex":"01410000"}`, `hex:01410000`},
		{`{type: dnsName, size: 4}`, "01610001", `{"$hex":"01610001"}`, `hex:01610001`},
		{`{type: dnsName, size: 4}`, "03616263", `{"$hex":"03616263"}`, `hex:03616263`},
		{`{type: ipv4Prefix}`, "<18000000>0a010203", `{"$hex":"<18000000>0a010203"}`, `10.1.2.3/24`},
		{`{type: ipv4Prefix}`, "<21000000>0a010203", `{"$hex":"<21000000>0a010203"}`, `10.1.2.3/33`},
		{`{type: ipPrefix}`, "<81000000>00000000000000000000ffff0a010203", `{"$hex":"<81000000>00000000000000000000ffff0a010203"}`, `10.1.2.3/129`},
		{`{type: ipPrefix, ipv4As: First}`, "<20000000>0a01020300000000000000000000ff00", `{"$hex":"<20000000>0a01020300000000000000000000ff00"}`, `a01:203::ff00/32`},
	} {
		json, text := nativehex.Text(test.json), nativehex.Text(test.text)
		b, err := hex.DecodeString(nativehex.Text(test.bytes))
		if err != nil {
			t.Fatal(err)
		}
		l := layout(t, test.schema)
		if got := string(l.Decode(b)); got != json {
			t.Errorf("%x of %s decodes to %s, want %s", b, test.schema, got, json)
		}
		if got := l.Format(b); got != text {
			t.Errorf("%x of %s prints as %s, want %s", b, test.schema, got, text)
		}
		checkComesBack(t, l, b)
	}
}

// TestAnyBytesOfAScalarComeBack is for random bytes of every type, in all their properties.
func TestAnyBytesOfAScalarComeBack(t *testing.T) {
	random := rand.New(rand.NewPCG(5, 6))
	schemas := []string{
		`{type: u128}`, `{type: i128}`, `{type: f32}`, `{type: f64}`, `{type: bool}`, `{type: ipv4}`, `{type: ipv4Host}`, `{type: ipv6}`,
		`{type: ip}`, `{type: ip, ipv4As: First}`, `{type: ip, ipv4As: Last}`, `{type: mac}`, `{type: ipv4Prefix}`, `{type: ipv6Prefix}`,
		`{type: ipPrefix}`, `{type: ipPrefix, ipv4As: First}`, `{type: ipPrefix, ipv4As: Last}`, `{type: string, size: 3}`,
		`{type: countedString, size: 3}`, `{type: countedString, size: 3, lengthType: be32}`, `{type: dnsName, size: 5}`,
		`{type: bytes, size: 3}`, `{type: hex, size: 3}`,
		`{fields: [{name: a, type: u16, bits: 3, enum: {x: 1, z: 7}}, {name: b, type: i16, bits: 5, flags: {p: 1, q: -16}}, {name: c, type: u16, bits: 8, duration: s}]}`,
	}
	for _, integer := range []string{"u8", "i8", "u16", "i16", "be16", "u32", "i32", "be32", "u64", "i64", "be64"} {
		for _, property := range []string{"", ", enum: {a: 1, b: 2, c: 1}", ", flags: {a: 1, ab: 3, b: 2, z: 64}",
			", duration: ns", ", duration: us", ", duration: ms", ", duration: s", ", time: ns", ", time: us", ", time: ms", ", time: s"} {
			schemas = append(schemas, "{type: "+integer+property+"}")
		}
	}
	for _, schema := range schemas {
		l := layout(t, schema)
		for range 300 {
			b := make([]byte, l.Size())
			for i := range b {
				switch random.IntN(4) {
				case 0:
					b[i] = byte(random.Uint32())
				case 1:
					b[i] = byte(random.IntN(4))
				case 2:
					b[i] = 0xff
				}
			}
			again := make([]byte, len(b))
			if err := l.Encode(again, l.Decode(b)); err != nil || !bytes.Equal(again, b) {
				t.Fatalf("%s: %x is printed as %s, which is %x (%v)", schema, b, l.Decode(b), again, err)
			}
			_ = l.Format(b)
		}
	}
}
