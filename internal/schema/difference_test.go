// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package schema

import (
	"encoding/hex"
	"testing"

	"github.com/bpfmap-io/bpfmap-operator/internal/nativehex"
)

func TestDifference(t *testing.T) {
	nested := `{fields: [{name: hits, type: u8}, {name: peer, length: 2, packed: true, fields: [{name: addr, type: ipv4}, {name: port, type: be16}]}]}`
	for _, test := range []struct{ schema, from, to, want string }{
		{`{type: u32}`, "<05000000>", "00000000", "5 → 0"},
		{nested, "05 0a000001 0050 0a000002 01bb", "00 0a000001 0050 0a000003 01bb", "hits 5 → 0, peer[1].addr 10.0.0.2 → 10.0.0.3"},
		{bitFields, "<6d02|ba40><0201>", "<6c02|9a40><0301>", "a 5 → 4, d 258 → 259"},
		{bitFields, "<ed02|bb40><0201>", "<6d02|ba40><0201>", "padding not zero → zero"},
		{union, "<0302>0000", "<0402>0000", "raw 515 → 516"},
		{union, "02020000", "02020001", "{raw: 514} → {addr: 2.2.0.1}"},
		{`{fields: [{name: u, ` + union[1:] + `]}`, "<0302>0000", "<0402>0000", "u.raw 515 → 516"},
		{`{type: u8, length: 10}`, "00000000000000000000", "01010101010101010101",
			"[0] 0 → 1, [1] 0 → 1, [2] 0 → 1, [3] 0 → 1, [4] 0 → 1, [5] 0 → 1, [6] 0 → 1, [7] 0 → 1, and 2 more"},
	} {
		from, err := hex.DecodeString(hexSeparators.Replace(nativehex.Text(test.from)))
		if err != nil {
			t.Fatal(err)
		}
		to, err := hex.DecodeString(hexSeparators.Replace(nativehex.Text(test.to)))
		if err != nil {
			t.Fatal(err)
		}
		if got := string(layout(t, test.schema).AppendDifference(nil, from, to)); got != test.want {
			t.Errorf("%s of %s and %s: %s\nwant %s", test.schema, test.from, test.to, got, test.want)
		}
	}
}

func TestCPUDifference(t *testing.T) {
	one := layout(t, `{type: u8}`).AppendDifference
	spread := func(values ...byte) (all []byte) {
		for _, v := range values {
			all = append(all, v, 0, 0, 0, 0, 0, 0, 0)
		}
		return all
	}
	for _, test := range []struct {
		from, to []byte
		want     string
	}{
		{spread(1, 1), spread(0, 0), "1 → 0 on every CPU"},
		{spread(1, 2), spread(0, 0), "cpu0: 1 → 0; cpu1: 2 → 0"},
		{spread(1, 2), spread(1, 1), "cpu1: 2 → 1"},
	} {
		if got := string(AppendCPUDifference(nil, test.from, test.to, 1, 2, one)); got != test.want {
			t.Errorf("%x and %x: %s, want %s", test.from, test.to, got, test.want)
		}
	}
}
