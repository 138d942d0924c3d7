// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package nativehex

import (
	"encoding/binary"
	"encoding/hex"
	"testing"
)

func TestTextOfBothOrders(t *testing.T) {
	for _, c := range []struct{ text, little, big string }{
		{"0102", "0102", "0102"},
		{"01<07000000>", "0107000000", "0100000007"},
		{"<0100><0200>", "01000200", "00010002"},
		{"<6d02|ba40>", "6d02", "ba40"},
		{`{"$hex":"<28000000>0a"}`, `{"$hex":"280000000a"}`, `{"$hex":"000000280a"}`},
		{"a < b, c > d, <07>, <no>, <123>", "a < b, c > d, 07, <no>, <123>", "a < b, c > d, 07, <no>, <123>"},
	} {
		for big, want := range map[bool]string{false: c.little, true: c.big} {
			if got := textFor(c.text, big); got != want {
				t.Errorf("%s, big endian %t: %s, want %s", c.text, big, got, want)
			}
		}
	}
	if got, want := Text("<04030201>"), hex.EncodeToString(binary.NativeEndian.AppendUint32(nil, 0x01020304)); got != want {
		t.Errorf("a number of this machine is %s, want %s", got, want)
	}
}
