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
func (p *Plan) Text(key, value Formatter) string {
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
	lines := 0
	line := func(format string, args ...any) {
		if lines++; lines <= maxLines {
			fmt.Fprintf(&b, "  "+format+"\n", args...)
		}
	}
	p.Changes.lines(line, key, value, p.CarryValues)
	if lines > maxLines {
		fmt.Fprintf(&b, "  … and %d more\n", lines-maxLines)
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

// lines prints each changed element. What is zeroed is among what is updated, in the order of the keys. carried says that
// what programs own comes from elsewhere.
func (c *Changes) lines(line func(format string, args ...any), key, value Formatter, carried bool) {
	var scratch []byte
	changed := func(k, to []byte) {
		if found, ok := c.FoundAt(k); ok {
			line("~ %s: %s", key.Format(k), difference(value, found, c.Mask.Merge(nil, to, found)))
			return
		}
		if c.Mask != nil {
			line("~ %s = %s", key.Format(k), declared(value, to))
			return
		}
		line("~ %s = %s", key.Format(k), value.Format(to))
	}
	entry := func(sign string, i int) {
		switch scratch = c.Contents.AppendValue(scratch[:0], i); {
		case c.Contents.KeySize() == 0:
			line("%s %s", sign, value.Format(scratch))
		case sign == "~":
			changed(c.Contents.Key(i), scratch)
		case carried:
			line("%s %s = %s", sign, key.Format(c.Contents.Key(i)), declared(value, scratch))
		default:
			line("%s %s = %s", sign, key.Format(c.Contents.Key(i)), value.Format(scratch))
		}
	}
	for i := range c.Ordered(&c.Insert) {
		entry("+", i)
	}
	zero := c.Zero
	zeros := func(before []byte) {
		for size := c.Contents.KeySize(); len(zero) > 0 && (before == nil || c.Shape.CompareKeys(zero[:size], before) < 0); zero = zero[size:] {
			changed(zero[:size], make([]byte, c.Contents.ValueSize()))
		}
	}
	for i := range c.Ordered(&c.Update) {
		if len(zero) > 0 {
			zeros(c.Contents.Key(i))
		}
		entry("~", i)
	}
	if len(zero) > 0 {
		zeros(nil)
	}
	for i := range c.Deletes() {
		size := c.Contents.KeySize()
		k := c.Delete[i*size : (i+1)*size]
		if found, ok := c.FoundAt(k); ok {
			line("- %s = %s", key.Format(k), value.Format(found))
			continue
		}
		line("- %s", key.Format(k))
	}
}
