// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package text bounds what is written for people, and counts in it.
//
// Out of scope: what messages say; that is decided where they are made.
package text

import (
	"fmt"
	"unicode/utf8"
)

// mark stands where something was cut off.
const mark = "…"

// Truncate cuts s to at most n bytes, at the border of a character, and marks the cut. A bound that is
// smaller than the mark leaves nothing.
func Truncate(s string, n int) string {
	if len(s) <= n {
		return s
	}
	if n -= len(mark); n < 0 {
		return ""
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n] + mark
}

// Count is a number of things: "1 entry", "2 entries".
func Count[N ~int | ~int64](n N, one, many string) string {
	if n == 1 {
		many = one
	}
	return fmt.Sprintf("%d %s", n, many)
}
