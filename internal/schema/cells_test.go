// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package schema

import (
	"encoding/hex"
	"testing"

	"github.com/bpfmap-io/bpfmap-operator/internal/nativehex"
)

// TestCells types the cells of a table, of which empty ones leave their fields out.
func TestCells(t *testing.T) {
	const (
		rule = `{fields: [{name: name, type: string, size: 4}, {name: port, type: be16}, {name: ttl, type: u16, duration: s, default: 1m}, {name: tcp, type: u8, ` + tcp + `, default: []}, {name: ports, type: u8, length: 3, default: 9}]}`
		to   = `{fields: [{name: to, union: true, fields: [{name: v4, type: ipv4}, {name: dev, fields: [{name: index, type: ifindex}, {name: name, type: string, size: 4}]}]}]}`
		text = `{fields: [{name: a, type: string, size: 8, default: none}, {name: in, fields: [{name: b, type: string, size: 8}]}]}`
	)
	for _, test := range []struct{ schema, in, want string }{
		{rule, `{"name": "ab", "port": "443", "ttl": "2m", "tcp": "syn|0x40", "ports": "[1, 2, 3]"}`, "6162000001bb<7800>42010203"},
		{rule, `{"name": "", "port": "443", "ttl": "", "tcp": "", "ports": ""}`, "0000000001bb<3c00>00090909"},
		{rule, `{"name": "true", "port": " 443 ", "ttl": "90", "tcp": "[\"syn\", 64]", "ports": "[1]"}`, "7472756501bb<5a00>42010909"},
		{rule, `{"name": "[1]", "port": "0x1bb", "ttl": "", "tcp": "3", "ports": "[]"}`, "5b315d0001bb<3c00>03090909"},
		{rule, `{"name": "ab", "port": "", "ttl": "", "tcp": "", "ports": ""}`, ".port: is missing: the cell is empty, and the field has no default"},
		{rule, `{"name": "ab", "prot": "1"}`, ".prot: unknown field (did you mean port?), must be one of name, port, ttl, tcp, ports"},
		{to, `{"to": {"v4": "192.0.2.1", "dev": {"index": "", "name": ""}}}`, "c000020100000000"},
		{to, `{"to": {"v4": "", "dev": {"index": "7", "name": ""}}}`, "<07000000>00000000"},
		{to, `{"to": {"v4": "192.0.2.1", "dev": {"index": "7", "name": ""}}}`, ".to: gives both v4 and dev: a value of a union has exactly one member"},
		{to, `{"to": {"v4": "", "dev": {"index": "", "name": " "}}}`, ".to: is missing: the cell is empty, and the field has no default"},
		{to, `{"to": {"v4": "", "dev": {"index": "", "name": "eth"}}}`, ".to.dev.index: is missing: the cell is empty, and the field has no default"},
		{text, `{"a": "", "in": {"b": ""}}`, "6e6f6e65000000000000000000000000"},
		{`{type: f32}`, `" 1.5 "`, "<0000c03f>"},
		{`{type: bool}`, `"TRUE"`, `"TRUE" is neither true nor false`},
		{`{type: u8, ` + action + `}`, `" pass "`, "01"},
		{`{type: dnsName, size: 8}`, `" Ab.c. "`, "0261620163000000"},
		{`{type: u32, time: s}`, `"2030-01-01T00:00:00Z"`, "<80d8db70>"},
		{`{type: u32}`, `"010"`, "<0a000000>"},
		{`{type: f64, length: 2}`, `"[1, \"inf\"]"`, "<000000000000f03f><000000000000f07f>"},
	} {
		l := layout(t, test.schema)
		b := make([]byte, l.Size())
		err := l.EncodeCells(b, []byte(test.in))
		got := hex.EncodeToString(b)
		if err != nil {
			got = err.Error()
		}
		if want := nativehex.Text(test.want); got != want {
			t.Errorf("%s of %s: %s\nwant %s", test.schema, test.in, got, want)
		}
	}
}

func TestLeavesOut(t *testing.T) {
	for _, test := range []struct {
		schema, cells string
		want          bool
	}{
		{`{type: u8}`, `""`, true},
		{`{type: u8}`, `"0"`, false},
		{`{type: string, size: 4}`, `""`, false},
		{`{type: string, size: 4, default: a}`, `""`, true},
		{`{fields: [{name: a, type: u8}]}`, `{"a": " "}`, true},
		{`{fields: [{name: a, type: string, size: 4}]}`, `{"a": ""}`, false},
		{`{type: u8, length: 2}`, `""`, true},
	} {
		if got := layout(t, test.schema).LeavesOut([]byte(test.cells)); got != test.want {
			t.Errorf("%s of %s: %t", test.schema, test.cells, got)
		}
	}
}
