// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package terminal

import (
	"fmt"
	"unicode/utf8"
)

// Sanitize makes a text that others wrote safe to print in a line: control characters, those that turn the direction of
// text, and line breaks are written as \u001b, which is how JSON has them, and bytes that aren't UTF-8 as \xff.
func Sanitize(s string) string {
	if n := cleanLen([]byte(s)); n == len(s) && !hasBreak(s) {
		return s
	}
	return string(appendSanitized(nil, []byte(s), false))
}

func hasBreak(s string) bool {
	for i := range len(s) {
		if s[i] == '\n' || s[i] == '\t' {
			return true
		}
	}
	return false
}

// cleanLen is how many bytes at the beginning need no change where line breaks and tabs may stay.
func cleanLen(p []byte) int {
	for i := 0; i < len(p); {
		c := p[i]
		switch {
		case c >= ' ' && c < 0x7f, c == '\n', c == '\t':
			i++
			continue
		case c < utf8.RuneSelf:
			return i
		}
		r, n := utf8.DecodeRune(p[i:])
		if r == utf8.RuneError && n <= 1 || isCommand(r) {
			return i
		}
		i += n
	}
	return len(p)
}

// isCommand says whether a character is one to a terminal rather than one to be seen: C0 and C1 controls, DEL, and the
// marks that turn text around or end lines, with which a text can look like another one.
func isCommand(r rune) bool {
	switch {
	case r < ' ', r >= 0x7f && r < 0xa0:
		return true
	case r == 0x061c, r == 0x200e, r == 0x200f, r >= 0x2028 && r <= 0x202e, r >= 0x2066 && r <= 0x2069:
		return true
	}
	return false
}

// appendSanitized appends p without commands; breaks says whether line breaks and tabs are the program's own.
func appendSanitized(dst, p []byte, breaks bool) []byte {
	for len(p) > 0 {
		r, n := utf8.DecodeRune(p)
		switch {
		case r == utf8.RuneError && n <= 1:
			dst = fmt.Appendf(dst, `\x%02x`, p[0])
		case breaks && (r == '\n' || r == '\t'):
			dst = append(dst, p[0])
		case isCommand(r):
			dst = fmt.Appendf(dst, `\u%04x`, r)
		default:
			dst = append(dst, p[:n]...)
		}
		p = p[n:]
	}
	return dst
}

// completeRunes is how many bytes p has without the beginning of a character at its end.
func completeRunes(p []byte) int {
	for back := 1; back < utf8.UTFMax && back <= len(p); back++ {
		if c := p[len(p)-back]; c < utf8.RuneSelf {
			break
		} else if utf8.RuneStart(c) {
			if !utf8.FullRune(p[len(p)-back:]) {
				return len(p) - back
			}
			break
		}
	}
	return len(p)
}
