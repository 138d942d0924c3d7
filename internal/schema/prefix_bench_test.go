// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package schema_test

import (
	"testing"

	"github.com/bpfmap-io/bpfmap-operator/internal/schema"
)

// BenchmarkEncodeKeys encodes keys of LPM tries as the compiler does.
func BenchmarkEncodeKeys(b *testing.B) {
	for _, c := range []struct{ name, schema, value string }{
		{"address", "{type: ipv4Prefix}", `"203.0.113.0/24"`},
		{"fields", firewallKey, `{"ifindex": 1, "addr": "172.16.0.0/24"}`},
		{"port", portKey, `{"proto": 6, "port": 443}`},
		{"ports", portKey, `{"proto": 6, "port": "8000-8999"}`},
		{"string", "{type: string, size: 256, prefix: true}", `"/etc/"`},
	} {
		b.Run(c.name, func(b *testing.B) {
			l, raw := layoutOf(b, c.schema), []byte(c.value)
			key := make([]byte, l.Size())
			b.ReportAllocs()
			for b.Loop() {
				clear(key)
				more, err := l.EncodeKeys(key, raw, schema.Reading{})
				if err != nil {
					b.Fatal(err)
				}
				for more.Next(key) {
				}
			}
		})
	}
}

// TestKeysWithoutAllocation: single addresses and numbers cost none; ranges and texts are copied.
func TestKeysWithoutAllocation(t *testing.T) {
	for _, c := range []struct {
		schema, value string
		most          float64
	}{
		{"{type: ipv4Prefix}", `"203.0.113.0/24"`, 0},
		{firewallKey, `{"ifindex": 1, "addr": "172.16.0.0/24"}`, 0},
		{firewallKey, `{"ifindex": 1, "addr": "172.16.0.0-172.16.9.255"}`, 2},
		{portKey, `{"proto": 6, "port": 443}`, 0},
		{portKey, `{"proto": 6, "port": "8000-8999"}`, 6},
		{"{type: string, size: 256, prefix: true}", `"/etc/"`, 1},
		{"{type: hex, size: 4, prefix: true}", `"0a01/16"`, 3},
	} {
		l, raw := layoutOf(t, c.schema), []byte(c.value)
		key := make([]byte, l.Size())
		n := testing.AllocsPerRun(100, func() {
			clear(key)
			more, err := l.EncodeKeys(key, raw, schema.Reading{})
			if err != nil {
				t.Fatal(err)
			}
			for more.Next(key) {
			}
		})
		if n > c.most {
			t.Errorf("%s %s: %v allocations, want %v", c.schema, c.value, n, c.most)
		}
	}
}
