// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package text_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/bpfmap-io/bpfmap-operator/internal/text"
)

func TestTruncate(t *testing.T) {
	for _, c := range []struct {
		s    string
		n    int
		want string
	}{
		{"", 0, ""}, {"abc", 3, "abc"}, {"abcd", 3, "…"}, {"abcdef", 5, "ab…"}, {"abc", 2, ""}, {"abc", -1, ""},
		{"aäbc", 5, "aäbc"}, {"aääää", 5, "a…"}, {"aääää", 6, "aä…"}, {"€€€", 8, "€…"},
	} {
		if got := text.Truncate(c.s, c.n); got != c.want {
			t.Errorf("Truncate(%q, %d) = %q, want %q", c.s, c.n, got, c.want)
		}
	}
	long := strings.Repeat("€", 1000)
	for n := range 100 {
		if got := text.Truncate(long, n); len(got) > n || !utf8.ValidString(got) {
			t.Fatalf("Truncate to %d bytes gives %d: %q", n, len(got), got)
		}
	}
}

func TestCount(t *testing.T) {
	for n, want := range map[int]string{0: "0 entries", 1: "1 entry", 2: "2 entries", -1: "-1 entries"} {
		if got := text.Count(n, "entry", "entries"); got != want {
			t.Errorf("%d: %q, want %q", n, got, want)
		}
	}
	if got := text.Count(int64(1), "map", "maps"); got != "1 map" {
		t.Errorf("%q", got)
	}
}
