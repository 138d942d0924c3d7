// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"
)

func TestPrefixes(t *testing.T) {
	for _, c := range []struct {
		first, last uint64
		want        string
	}{
		{0, 1<<32 - 1, "[0.0.0.0/0]"},
		{16777216, 16777471, "[1.0.0.0/24]"},
		{1, 6, "[0.0.0.1/32 0.0.0.2/31 0.0.0.4/31 0.0.0.6/32]"},
		{1<<32 - 1, 1<<32 - 1, "[255.255.255.255/32]"},
	} {
		if got := fmt.Sprint(prefixes(c.first, c.last)); got != c.want {
			t.Errorf("%d-%d: %s, want %s", c.first, c.last, got, c.want)
		}
	}
}

// TestPrefixesCoverTheRange checks that the prefixes follow each other without gaps or host bits.
func TestPrefixesCoverTheRange(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		first := r.Uint64N(1 << 32)
		last := first + r.Uint64N(1<<32-first)
		at := first
		for _, p := range prefixes(first, last) {
			b := p.Addr().As4()
			if start := uint64(b[0])<<24 | uint64(b[1])<<16 | uint64(b[2])<<8 | uint64(b[3]); start != at || p.Masked() != p {
				t.Fatalf("%d-%d: %s doesn't begin at %d", first, last, p, at)
			}
			at += 1 << (32 - p.Bits())
		}
		if at != last+1 {
			t.Fatalf("%d-%d: the prefixes end at %d", first, last, at-1)
		}
	}
}

func TestRead(t *testing.T) {
	var got []string
	add := func(p netip.Prefix, country string) error {
		got = append(got, p.String()+" "+country)
		return nil
	}
	if err := read(strings.NewReader("# header\n\n16777216,16777471,AU\n16777472,16778239,CN\n"), add); err != nil {
		t.Fatal(err)
	}
	if want := "[1.0.0.0/24 AU 1.0.1.0/24 CN 1.0.2.0/23 CN]"; fmt.Sprint(got) != want {
		t.Errorf("%v, want %s", got, want)
	}
	for _, bad := range []string{"1,2", "1,2,AUS", "x,2,AU", "1,4294967296,AU"} {
		if err := read(strings.NewReader(bad), add); err == nil || !strings.Contains(err.Error(), "line 1") {
			t.Errorf("%q: %v", bad, err)
		}
	}
}
