// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package contents

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"iter"

	"k8s.io/apimachinery/pkg/api/equality"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/cli/element"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
	"github.com/bpfmap-io/bpfmap-operator/internal/text"
)

// Changes counts what differs between two revisions' entries.
type Changes struct {
	Added   int `json:"added"`
	Changed int `json:"changed"`
	Removed int `json:"removed"`
}

// IsEmpty says whether nothing differs.
func (c Changes) IsEmpty() bool { return c == Changes{} }

// String is "2 added, 1 changed, 3 removed".
func (c Changes) String() string {
	if c.IsEmpty() {
		return "no entry differs"
	}
	return fmt.Sprintf("%d added, %d changed, %d removed", c.Added, c.Changed, c.Removed)
}

// Diff walks over the entries of two revisions once, in the order of their keys, and writes a line for each that differs, at
// most limit of them (0 is all): "+ key = value", "~ key: field old → new", "- key = value". A nil revision has no entries.
// What comes from a Secret is counted alone. Entries of sizes that differ can't be compared: all are removed and added.
//
// reveal shows what comes from a Secret, too.
func Diff(out io.Writer, from, to *revision.Revision, limit int, reveal bool) (Changes, error) {
	d := &differ{out: out, limit: limit}
	if err := d.run(from, to, reveal); err != nil {
		return d.changes, err
	}
	if more := d.lines - limit; limit > 0 && more > 0 && !d.hidden {
		_, d.err = fmt.Fprintf(out, "  … and %s (--limit 0 shows all)\n", text.Count(more, "more line", "more lines"))
	}
	return d.changes, d.err
}

// Change is an entry that differs, with keys and values as manifests have them.
type Change struct {
	// Change is added, changed or removed.
	Change string `json:"change"`
	// Key is absent of types without keys.
	Key json.RawMessage `json:"key,omitempty"`
	// From is absent of what was added, To of what was removed. Where CPUs have values of their own it is the list of them.
	From json.RawMessage `json:"from,omitempty"`
	To   json.RawMessage `json:"to,omitempty"`
}

// Compare is Diff for programs. What comes from a Secret is counted alone: there are no entries then.
func Compare(from, to *revision.Revision, limit int, reveal bool) ([]Change, Changes, error) {
	entries := []Change{}
	d := &differ{limit: limit, collect: &entries}
	err := d.run(from, to, reveal)
	return entries, d.changes, err
}

// run compares both sides.
func (d *differ) run(from, to *revision.Revision, reveal bool) error {
	var references []v1alpha1.Reference
	for _, r := range []*revision.Revision{from, to} {
		if r != nil {
			references = append(references, r.References...)
			d.hidden = d.hidden || (r.Sensitive && !reveal)
		}
	}
	var err error
	if d.from, err = side(from, references); err != nil {
		return err
	}
	if d.to, err = side(to, references); err != nil {
		return err
	}
	d.sameSchema = from != nil && to != nil && equality.Semantic.DeepEqual(from.ValueSchema, to.ValueSchema)
	d.walk()
	return d.err
}

// half is one of two revisions.
type half struct {
	rev    *revision.Revision
	typing element.Typing
}

func side(r *revision.Revision, references []v1alpha1.Reference) (half, error) {
	if r == nil {
		return half{}, nil
	}
	t, err := typingWith(r, references)
	return half{r, t}, err
}

// inOrder are the indexes of the half's entries in the order of the keys.
func (h *half) inOrder() iter.Seq[int] {
	if h.rev == nil {
		return func(func(int) bool) {}
	}
	return h.rev.Contents.InOrder(h.rev.Shape)
}

type differ struct {
	out io.Writer
	// collect takes changes in place of lines.
	collect  *[]Change
	limit    int
	from, to half
	hidden   bool
	// sameSchema says that values of both sides have the same fields.
	sameSchema bool
	changes    Changes
	lines      int
	scratch    []byte
	err        error
}

// walk merges both sides.
func (d *differ) walk() {
	nextFrom, stopFrom := iter.Pull(d.from.inOrder())
	defer stopFrom()
	nextTo, stopTo := iter.Pull(d.to.inOrder())
	defer stopTo()
	a, hasA := nextFrom()
	b, hasB := nextTo()
	for (hasA || hasB) && d.err == nil {
		switch order := d.compare(a, hasA, b, hasB); {
		case order < 0:
			d.removed(a)
			a, hasA = nextFrom()
		case order > 0:
			d.added(b)
			b, hasB = nextTo()
		default:
			d.both(a, b)
			a, hasA = nextFrom()
			b, hasB = nextTo()
		}
	}
}

// compare says which entry comes first: that of from if negative, that of to if positive, both if zero. Elements without keys
// are compared by their places.
func (d *differ) compare(a int, hasA bool, b int, hasB bool) int {
	switch {
	case !hasA:
		return 1
	case !hasB:
		return -1
	case !d.comparable():
		return -1
	case d.to.rev.Shape.IsKeyless():
		return 0
	}
	return d.to.rev.Shape.CompareKeys(d.from.rev.Contents.Key(a), d.to.rev.Contents.Key(b))
}

// comparable says whether keys and values of both sides have the same sizes, and the same order.
func (d *differ) comparable() bool {
	a, b := &d.from.rev.Shape, &d.to.rev.Shape
	return a.Type == b.Type && a.KeySize == b.KeySize && a.ValueSize == b.ValueSize
}

func (d *differ) removed(i int) {
	d.changes.Removed++
	d.one('-', &d.from, i)
}

func (d *differ) added(i int) {
	d.changes.Added++
	d.one('+', &d.to, i)
}

func (d *differ) both(a, b int) {
	ca, cb := &d.from.rev.Contents, &d.to.rev.Contents
	cpusA, perA := ca.PerCPU(a)
	cpusB, perB := cb.PerCPU(b)
	if bytes.Equal(ca.Value(a), cb.Value(b)) && perA == perB && bytes.Equal(cpusA, cpusB) {
		return
	}
	d.changes.Changed++
	if !d.shows() {
		return
	}
	if d.collect != nil {
		c := Change{Change: "changed", Key: keyJSON(&d.to, b), From: valueJSON(&d.from, a), To: valueJSON(&d.to, b)}
		*d.collect = append(*d.collect, c)
		return
	}
	line := d.scratch[:0]
	line = append(line, "  ~ "...)
	if d.to.typing.Key != nil {
		line = append(d.to.typing.Key.AppendText(line, cb.Key(b)), ": "...)
	}
	if perA || perB || !d.sameSchema {
		line = append(value(line, &d.from.typing, ca, a), " → "...)
		line = value(line, &d.to.typing, cb, b)
	} else {
		line = d.to.typing.AppendDifference(line, ca.Value(a), cb.Value(b))
	}
	d.write(line)
}

func (d *differ) one(sign byte, h *half, i int) {
	if !d.shows() {
		return
	}
	if d.collect != nil {
		c := Change{Change: "added", Key: keyJSON(h, i), To: valueJSON(h, i)}
		if sign == '-' {
			c.Change, c.From, c.To = "removed", c.To, nil
		}
		*d.collect = append(*d.collect, c)
		return
	}
	line := d.scratch[:0]
	line = append(line, ' ', ' ', sign, ' ')
	c := &h.rev.Contents
	if h.typing.Key != nil {
		line = h.typing.Key.AppendText(line, c.Key(i))
		if c.ValueSize > 0 {
			line = append(line, " = "...)
		}
	}
	d.write(value(line, &h.typing, c, i))
}

// shows says whether one more line is written.
func (d *differ) shows() bool {
	d.lines++
	return !d.hidden && (d.limit == 0 || d.lines <= d.limit)
}

func (d *differ) write(line []byte) {
	line = append(line, '\n')
	d.scratch = line
	_, d.err = d.out.Write(line)
}

// keyJSON is the key of an entry; nil of types without.
func keyJSON(h *half, i int) json.RawMessage {
	if h.typing.Key == nil {
		return nil
	}
	return h.typing.Key.AppendJSON(nil, h.rev.Contents.Key(i))
}

// valueJSON is the value of an entry; nil of types without.
func valueJSON(h *half, i int) json.RawMessage {
	c := &h.rev.Contents
	if c.ValueSize == 0 {
		return nil
	}
	cpus, ok := c.PerCPU(i)
	if !ok {
		return h.typing.Value.AppendJSON(nil, c.Value(i))
	}
	return perCPU(nil, h.typing.Value, cpus, c.ValueSize)
}
