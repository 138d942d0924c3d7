// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package terminal

import (
	"strings"

	"github.com/rivo/uniseg"
)

// Wrap fills the paragraphs of a text to at most width columns. Lines that begin with a blank or a tab stay as they are, and
// so do those of a list, "- ".
func Wrap(text string, width int) string {
	var out strings.Builder
	var paragraph []string
	flush := func() {
		used := 0
		for _, word := range paragraph {
			w := uniseg.StringWidth(word)
			switch {
			case used == 0:
			case used+1+w > width:
				out.WriteByte('\n')
				used = 0
			default:
				out.WriteByte(' ')
				used++
			}
			out.WriteString(word)
			used += w
		}
		if len(paragraph) > 0 {
			out.WriteByte('\n')
		}
		paragraph = nil
	}
	for line := range strings.Lines(strings.TrimRight(text, "\n") + "\n") {
		line = strings.TrimRight(line, "\n")
		if line == "" || strings.HasPrefix(line, " ") || strings.HasPrefix(line, "\t") || strings.HasPrefix(line, "- ") {
			flush()
			out.WriteString(line + "\n")
			continue
		}
		paragraph = append(paragraph, strings.Fields(line)...)
	}
	flush()
	return strings.TrimRight(out.String(), "\n")
}
