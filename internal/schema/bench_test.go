// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package schema

import "testing"

// rules is a value as programs have it: scalars, arrays, a struct in a struct.
const (
	rules = `{fields: [{name: action, type: u8}, {name: ports, type: be16, length: 4}, {name: peer, fields: [{name: addr, type: ipv4}, {name: mac, type: mac}]},
  {name: name, type: string, size: 16}, {name: hits, type: u64}]}`
	rule = `{"action":1,"ports":[80,443,8080,0],"peer":{"addr":"192.0.2.1","mac":"02:00:5e:10:00:01"},"name":"edge-1","hits":7}`
)

func BenchmarkEncodeRule(b *testing.B) { benchmarkEncode(b, rules, rule) }

func BenchmarkDecodeRule(b *testing.B) { benchmarkDecode(b, rules, rule) }

func BenchmarkDecodePrefix(b *testing.B) {
	benchmarkDecode(b, `{type: ipv4Prefix}`, `"203.0.113.0/24"`)
}

func benchmarkDecode(b *testing.B, schema, value string) {
	l := layout(b, schema)
	content := make([]byte, l.Size())
	if err := l.Encode(content, []byte(value)); err != nil {
		b.Fatal(err)
	}
	var text []byte
	b.ReportAllocs()
	for b.Loop() {
		text = l.AppendJSON(l.AppendText(text[:0], content), content)
	}
}
