// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
)

// maxLines bounds the entries that a plan prints.
const maxLines = 100

// Formatter prints keys and values, as the layouts of package schema do.
type Formatter = revision.Formatter

// Hex is the Formatter for bytes without a schema.
type Hex struct{}

// Format is b in hex digits.
func (Hex) Format(b []byte) string { return hex.EncodeToString(b) }

// String is Text with bytes in hex.
func (p *Plan) String() string { return p.Text(Hex{}, Hex{}) }

// Text is the plan for people: a headline, then a line for each change of an entry (+ new, ~ other
// value, - deleted), at most 100 of them. It ends with a newline. key may be nil for keyless types.
func (p *Plan) Text(key, value Formatter) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s\n", p.Key, p.headline())
	for _, d := range p.Differences {
		fmt.Fprintf(&b, "  ! %s\n", d)
	}
	lines := 0
	line := func(format string, args ...any) {
		if lines++; lines <= maxLines {
			fmt.Fprintf(&b, "  "+format+"\n", args...)
		}
	}
	entries := func(sign string, e *revision.Entries) {
		for i := range e.Len {
			if e.KeySize == 0 {
				line("%s %s", sign, value.Format(e.Value(i)))
				continue
			}
			line("%s %s = %s", sign, key.Format(e.Key(i)), value.Format(e.Value(i)))
		}
	}
	entries("+", &p.Changes.Add)
	entries("~", &p.Changes.Set)
	for i := range p.Changes.Deletes() {
		line("- %s", key.Format(p.Changes.Delete[i*p.Changes.Add.KeySize:(i+1)*p.Changes.Add.KeySize]))
	}
	if lines > maxLines {
		fmt.Fprintf(&b, "  … and %d more\n", lines-maxLines)
	}
	if p.Freeze {
		b.WriteString("  freeze\n")
	}
	if p.Pin {
		b.WriteString("  pin\n")
	}
	return b.String()
}

func (p *Plan) headline() string {
	switch p.Action {
	case Stall:
		return fmt.Sprintf("stalled (%s): %s", p.Reason, p.Message)
	case None:
		return "in sync"
	}
	s := string(p.Action)
	if p.Drift != "" {
		s += " drift (" + string(p.Drift) + ")"
	}
	if !p.Changes.IsEmpty() {
		s += ": " + p.Changes.Summary()
	}
	return s
}

// Summary counts the changes: "2 entries missing, 1 changed, 3 to delete".
func (c *Changes) Summary() string {
	var parts []string
	for _, n := range []struct {
		count int
		what  string
	}{{c.Add.Len, "missing"}, {c.Set.Len, "changed"}, {c.Deletes(), "to delete"}} {
		if n.count > 0 {
			noun := ""
			if len(parts) == 0 {
				noun = "entries "
				if n.count == 1 {
					noun = "entry "
				}
			}
			parts = append(parts, fmt.Sprintf("%d %s%s", n.count, noun, n.what))
		}
	}
	if len(parts) == 0 {
		return "no changes"
	}
	return strings.Join(parts, ", ")
}
