// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package source_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/bpfmap-io/bpfmap-operator/internal/source"
)

// BenchmarkFormats reads the same 100,000 prefixes in each format.
func BenchmarkFormats(b *testing.B) {
	const n = 100_000
	of := func(begin, end, between string, one func(i int, net string) string) string {
		var text strings.Builder
		text.WriteString(begin)
		for i := range n {
			if i > 0 {
				text.WriteString(between)
			}
			text.WriteString(one(i, fmt.Sprintf("10.%d.%d.%d/32", i>>16, i>>8&255, i&255)))
		}
		text.WriteString(end)
		return text.String()
	}
	line := func(format string) func(int, string) string {
		return func(_ int, net string) string { return fmt.Sprintf(format, net) }
	}
	for _, c := range []struct{ name, declared, text string }{
		{"Lines", `{format: Lines, value: 1}`, of("", "\n", "\n", line("%s"))},
		{"Lines with columns", `{format: Lines, value: 1, text: {separator: " "}}`, of("", "\n", "\n", line("%s 5 x"))},
		{"CSV", `{format: CSV, value: 1, mapping: {key: {path: network}}}`, of("network,a,b\n", "\n", "\n", line("%s,5,x"))},
		{"CSV and CEL", `{format: CSV, value: 1, mapping: {filter: item.a == "5", key: {path: network}}}`, of("network,a,b\n", "\n", "\n", line("%s,5,x"))},
		{"JSON lines", `{format: JSON, value: 1, mapping: {key: {path: cidr}}}`, of("", "\n", "\n", line(`{"cidr":"%s","sblid":"SBL1","rir":"apnic"}`))},
		{"JSON by path", `{format: JSON, value: 1, mapping: {items: "prefixes[]", key: {path: cidr}}}`, of(`{"prefixes": [`, "]}", ",\n", line(`{"cidr": "%s", "service": "EC2", "region": "x"}`))},
		{"JSON and CEL", `{format: JSON, value: 1, mapping: {items: "prefixes[]", filter: item.service == "EC2", key: {path: cidr}}}`, of(`{"prefixes": [`, "]}", ",\n", line(`{"cidr": "%s", "service": "EC2", "region": "x"}`))},
		{"JSON skipped", `{format: JSON, value: 1, mapping: {items: "other[]"}}`, of(`{"prefixes": [`, `], "other": []}`, ",\n", line(`{"cidr": "%s", "service": "EC2", "region": "x"}`))},
		{"JSON strings", `{format: JSON, value: 1, mapping: {items: "addresses[]"}}`, of(`{"addresses": [`, "]}", ",", line(`"%s"`))},
		{"YAML", `{format: YAML, value: 1, mapping: {key: {path: cidr}}}`, of("", "\n", "\n", line("- {cidr: %s}"))},
		{"Hosts", `{format: Hosts, value: 1}`, of("", "\n", "\n", func(i int, _ string) string { return fmt.Sprintf("0.0.0.0 h%d.example.com", i) })},
		{"IPSet", `{format: IPSet, value: 1}`, of("create s hash:net\n", "\n", "\n", line("add s %s timeout 5"))},
		{"NFTables", `{format: NFTables, value: 1}`, of(`{"nftables": [{"set": {"name": "s", "elem": [`, "]}}]}", ",", func(_ int, net string) string {
			return fmt.Sprintf(`{"prefix": {"addr": "%s", "len": 32}}`, strings.TrimSuffix(net, "/32"))
		})},
		{"P2P", `{format: P2P, value: 1}`, of("", "\n", "\n", func(_ int, net string) string {
			a := strings.TrimSuffix(net, "/32")
			return "x:" + a + "-" + a
		})},
	} {
		b.Run(c.name, func(b *testing.B) {
			o, data := options(b, c.declared), []byte(c.text)
			b.SetBytes(int64(len(data)))
			b.ReportAllocs()
			for b.Loop() {
				entries := 0
				if err := source.Read(data, o, func(source.Entry) error { entries++; return nil }); err != nil || entries != n && c.name != "JSON skipped" {
					b.Fatal(entries, err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/item")
		})
	}
}
