// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package terminal

import (
	"regexp"
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

// flagLine is a flag as package pflag describes it on one line: its names and type, and what it is.
var flagLine = regexp.MustCompile(`^( +(?:-\w, )?--\S+(?: \S+)?) {2,}(.*)$`)

// flagIndent is where descriptions stand that have a line of their own.
const flagIndent = 10

// WrapFlags fills the descriptions of flags, which pflag.FlagSet.FlagUsages gives, to at most width columns: behind the
// names, or below them if that leaves little room.
func WrapFlags(usages string, width int) string {
	type flag struct{ names, text string }
	var flags []flag
	column := 0
	for line := range strings.Lines(usages) {
		line = strings.TrimRight(line, "\n")
		m := flagLine.FindStringSubmatch(line)
		if m == nil {
			m = []string{"", line, ""}
		}
		flags = append(flags, flag{m[1], m[2]})
		column = max(column, uniseg.StringWidth(m[1])+3)
	}
	isBelow := column > width/2
	if isBelow {
		column = flagIndent
	}
	indent := strings.Repeat(" ", column)
	var out strings.Builder
	for _, f := range flags {
		text := strings.ReplaceAll(Wrap(f.text, width-column), "\n", "\n"+indent)
		out.WriteString(f.names)
		switch {
		case text == "":
		case isBelow:
			out.WriteString("\n" + indent + text)
		default:
			out.WriteString(strings.Repeat(" ", column-uniseg.StringWidth(f.names)) + text)
		}
		out.WriteByte('\n')
	}
	return out.String()
}
