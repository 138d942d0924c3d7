// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package terminal

import "strings"

// Style is how text looks on a terminal: the parameters of SGR (ECMA-48, 8.3.117).
type Style string

// The styles. Colours are those of the terminal's own theme.
const (
	Plain   Style = ""
	Bold    Style = "1"
	Faint   Style = "2"
	Red     Style = "31"
	Green   Style = "32"
	Yellow  Style = "33"
	Cyan    Style = "36"
	Inverse Style = "7"
)

// append appends text, with the style if there are colours.
func (s Style) append(dst []byte, text string, colour bool) []byte {
	if !colour || s == Plain || text == "" {
		return append(dst, text...)
	}
	dst = append(append(append(dst, "\x1b["...), s...), 'm')
	return append(append(dst, text...), "\x1b[0m"...)
}

// hanging is by how much the parts of a folded line are indented more than its beginning.
const hanging = 4

// styleLines appends text, sanitised, each of its lines in the style that styleOf gives it, and folded to a width.
func styleLines(dst []byte, text string, styleOf func(line string) Style, width int, colour bool) []byte {
	for line := range strings.Lines(text) {
		body, isWhole := strings.CutSuffix(line, "\n")
		safe := string(appendSanitized(nil, []byte(body), true))
		indent := len(safe) - len(strings.TrimLeft(safe, " "))
		for i, part := range Fold(safe, width, indent+hanging) {
			if i > 0 {
				dst = append(dst, '\n')
			}
			dst = styleOf(body).append(dst, part, colour)
		}
		if isWhole {
			dst = append(dst, '\n')
		}
	}
	return dst
}
