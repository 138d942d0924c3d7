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

// Fold breaks a line at blanks so that no part of it is wider than width columns; words that are wider are broken. Parts after
// the first one are indented by hang columns, where that leaves room. A width of 0 is any.
func Fold(line string, width, hang int) []string {
	if width <= 0 || uniseg.StringWidth(line) <= width {
		return []string{line}
	}
	if hang > width/2 {
		hang = 0
	}
	f := folder{width: width, indent: strings.Repeat(" ", hang)}
	text := strings.TrimLeft(line, " ")
	f.start(line[:min(len(line)-len(text), width/2)])
	for word := range strings.SplitSeq(text, " ") {
		f.word(word)
	}
	return append(f.parts, strings.TrimRight(f.part.String(), " "))
}

// folder makes the parts of a line.
type folder struct {
	width  int
	indent string
	parts  []string
	part   strings.Builder
	used   int
	// isEmpty says that the part has nothing but its indent.
	isEmpty bool
}

// start begins a part.
func (f *folder) start(indent string) {
	f.part.Reset()
	f.part.WriteString(indent)
	f.used, f.isEmpty = len(indent), true
}

// next ends a part and begins the next one.
func (f *folder) next() {
	f.parts = append(f.parts, strings.TrimRight(f.part.String(), " "))
	f.start(f.indent)
}

func (f *folder) word(word string) {
	w := uniseg.StringWidth(word)
	switch {
	case f.isEmpty:
	case f.used+1+w <= f.width:
		f.part.WriteByte(' ')
		f.used++
	default:
		f.next()
	}
	for rest, state := word, -1; rest != ""; {
		var cluster string
		var cw int
		cluster, rest, cw, state = uniseg.FirstGraphemeClusterInString(rest, state)
		if f.used+cw > f.width && !f.isEmpty {
			f.next()
		}
		f.part.WriteString(cluster)
		f.used += cw
		f.isEmpty = false
	}
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
