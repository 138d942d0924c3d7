// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
)

// MaxLines bounds the entries that Text prints.
const MaxLines = 100

// Formatter prints keys and values, as the layouts of package schema do.
type Formatter = revision.Formatter

// Differencer is a Formatter that says what differs between two values: "hits 5 → 0, action 1 → 2".
type Differencer interface {
	Difference(from, to []byte) string
}

// DeclaredFormatter is a Formatter that leaves out what programs own.
type DeclaredFormatter interface {
	FormatDeclared(b []byte) string
}

// declared is a value without what programs own, if f can do that.
func declared(f Formatter, b []byte) string {
	if d, ok := f.(DeclaredFormatter); ok {
		return d.FormatDeclared(b)
	}
	return f.Format(b)
}

// difference is what differs between two values, or both of them.
func difference(f Formatter, from, to []byte) string {
	if d, ok := f.(Differencer); ok {
		return d.Difference(from, to)
	}
	return f.Format(from) + " → " + f.Format(to)
}

// Hex is the Formatter for bytes without a schema.
type Hex struct{}

// Format is b in hex digits.
func (Hex) Format(b []byte) string { return hex.EncodeToString(b) }

// String is Text with bytes in hex.
func (p *Plan) String() string { return p.Text(Hex{}, Hex{}) }

// Text is the plan for people: a headline, then one line per changed entry, at most 100 of them: "+ key = value" for
// a new one, "~ key: hits 5 → 0" for another value, by fields if value is a Differencer ("~ key = value" where it
// isn't known what was found), "- key = value" for one that is deleted. It ends with a newline. key may be nil for
// keyless types.
func (p *Plan) Text(key, value Formatter) string { return p.TextOf(key, value, MaxLines) }

// TextOf is Text with at most maxLines lines of entries; below 0 with all of them.
func (p *Plan) TextOf(key, value Formatter, maxLines int) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s\n", p.Key, p.headline())
	for _, d := range p.Differences {
		fmt.Fprintf(&b, "  ! %s\n", d)
	}
	for line := range strings.Lines(p.Layouts) {
		b.WriteString("  " + line)
	}
	for _, note := range []string{p.Unverified, p.Suspicion, p.StartsAnew, p.LeavesOut()} {
		if note != "" {
			b.WriteString("  " + note + "\n")
		}
	}
	if p.Action == Stall && p.Adoption != nil {
		fmt.Fprintf(&b, "  adopting it would change: %s\n", p.Changes.Summary())
	}
	if p.Adoption != nil {
		p.Adoption.lines(func(format string, args ...any) { fmt.Fprintf(&b, "  "+format+"\n", args...) })
	}
	lines, total := 0, p.Changes.Total()
	for e := range p.Changes.Edits() {
		if lines == maxLines {
			break
		}
		lines++
		b.WriteString("  " + p.Changes.line(&e, key, value, p.CarryValues) + "\n")
	}
	if lines < total {
		fmt.Fprintf(&b, "  … and %d more\n", total-lines)
	}
	for _, note := range []struct {
		isSo bool
		text string
	}{{p.DeleteFirst, "delete first"}, {p.CarryOver, "carry over what is not declared"}, {p.CarryValues, "carry over what programs wrote into declared entries"}, {p.Abandons, "leave behind what programs and processes put in"}} {
		if note.isSo {
			b.WriteString("  " + note.text + "\n")
		}
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

// line is one changed element. carried says that what programs own comes from elsewhere.
func (c *Changes) line(e *Edit, key, value Formatter, carried bool) string {
	at := ""
	if e.Key != nil {
		at = " " + key.Format(e.Key)
	}
	switch {
	case e.Sign == Deleted && e.From != nil:
		return "-" + at + " = " + value.Format(e.From)
	case e.Sign == Deleted:
		return "-" + at
	case e.Key == nil:
		return string(e.Sign) + " " + value.Format(e.To)
	case e.Sign == Changed && e.From != nil:
		return "~" + at + ": " + difference(value, e.From, e.To)
	case e.Sign == Changed && c.Mask != nil, e.Sign == Added && carried:
		return string(e.Sign) + at + " = " + declared(value, e.To)
	}
	return string(e.Sign) + at + " = " + value.Format(e.To)
}
