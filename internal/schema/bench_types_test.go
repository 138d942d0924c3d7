// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package schema

import "testing"

// BenchmarkEncode is one value of each kind of type; none may allocate.
func BenchmarkEncode(b *testing.B) {
	for _, test := range []struct{ name, schema, value string }{
		{"u32", `{type: u32}`, `4294967295`},
		{"u64 text", `{type: u64}`, `"18446744073709551615"`},
		{"u128", `{type: u128}`, `"340282366920938463463374607431768211455"`},
		{"f64", `{type: f64}`, `0.1`},
		{"ipv4", `{type: ipv4}`, `"203.0.113.1"`},
		{"ip4", `{type: ip}`, `"203.0.113.1"`},
		{"ip6", `{type: ip}`, `"2001:db8::1"`},
		{"ipPrefix", `{type: ipPrefix}`, `"203.0.113.0/24"`},
		{"enum", `{type: u8, ` + action + `}`, `"redirect"`},
		{"flags", `{type: u16, ` + tcp + `}`, `["syn","ack"]`},
		{"flags text", `{type: u16, ` + tcp + `}`, `"syn|ack"`},
		{"duration", `{type: u64, duration: ns}`, `"1h30m"`},
		{"time", `{type: u64, time: s}`, `"2030-01-01T00:00:00Z"`},
		{"string", `{type: string, size: 16}`, `"edge-1"`},
		{"countedString", `{type: countedString, size: 16}`, `"edge-1"`},
		{"dnsName", `{type: dnsName, size: 32}`, `"www.example.com"`},
	} {
		b.Run(test.name, func(b *testing.B) { benchmarkEncode(b, test.schema, test.value) })
	}
}

// BenchmarkAppendJSON is the way back.
func BenchmarkAppendJSON(b *testing.B) {
	for _, test := range []struct{ name, schema, value string }{
		{"u32", `{type: u32}`, `4294967295`},
		{"ipv4", `{type: ipv4}`, `"203.0.113.1"`},
		{"ip4", `{type: ip}`, `"203.0.113.1"`},
		{"ipPrefix", `{type: ipPrefix}`, `"203.0.113.0/24"`},
		{"enum", `{type: u8, ` + action + `}`, `"redirect"`},
		{"flags", `{type: u16, ` + tcp + `}`, `["syn","ack"]`},
		{"dnsName", `{type: dnsName, size: 32}`, `"www.example.com"`},
	} {
		b.Run(test.name, func(b *testing.B) {
			l := layout(b, test.schema)
			bytes, text := make([]byte, l.Size()), make([]byte, 0, 256)
			if err := l.Encode(bytes, []byte(test.value)); err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				text = l.AppendJSON(text[:0], bytes)
			}
		})
	}
}
