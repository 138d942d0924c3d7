// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package compile

import (
	"errors"
	"fmt"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/expression"
	"github.com/bpfmap-io/bpfmap-operator/internal/schema"
	"github.com/bpfmap-io/bpfmap-operator/internal/source"
	"github.com/bpfmap-io/bpfmap-operator/internal/text"
)

// sourcePacker turns what a source yields into packed entries.
type sourcePacker struct {
	packer
	source   *Source
	element  *element
	from     *v1alpha1.EntrySource
	now      int64
	most     int64  // invalid items, from which on the others don't change the verdict
	fallback []byte // stands for the value of entries without one; nil if they need one
	constant []byte // that value, encoded
}

// options say how the source is read. They are false if the spec is wrong.
func (p *sourcePacker) options() (source.Options, bool) {
	c, from := p.c, p.from
	o := source.Options{
		Format: from.Format, Text: from.Text, Mapping: c.mappings[p.source.Index], Budget: c.budget,
		Keyless: p.isKeyless, Words: isWord(c.key),
	}
	path := fmt.Sprintf("spec.entriesFrom[%d].value", p.source.Index)
	p.constant = make([]byte, len(p.value))
	switch {
	case from.Value == nil && !c.value.HasDefault():
		return o, true
	case from.Value == nil:
		o.Value = []byte("null") // which no value is
	default:
		o.Value = from.Value.Raw
	}
	p.fallback = o.Value
	err := encodeConstant(c.value, p.constant, from.Value)
	if p.completes(err) {
		p.constant = nil
		return o, true
	}
	if err != nil {
		c.problems.addAt(path, err)
		return o, false
	}
	return o, true
}

// encodeConstant encodes the value for all entries of a source, or the default if none is given.
func encodeConstant(l *schema.Layout, dst []byte, value *apiextensionsv1.JSON) error {
	if value == nil {
		return l.EncodeDefault(dst)
	}
	return l.Encode(dst, value.Raw)
}

func (p *sourcePacker) read(data []byte) {
	o, ok := p.options()
	if !ok || !p.checkCount(data, o) {
		return
	}
	c := p.c
	before := c.problems.total
	p.most = p.element.limits.tolerated(source.MostEntries(data)) + maxCounted
	o.Left, o.LeaveOut = &c.textLeft, p.leftOut
	p.reserve(source.LikelyEntries(data, o.Format))
	p.lines = func() string {
		n := source.Lines(data, o.Format)
		if n == 0 {
			return ""
		}
		return fmt.Sprintf("; %s has %s", p.source.place(), text.Count(n, "line", "lines"))
	}
	if err := source.Read(data, o, p.entry); err != nil && !errors.Is(err, errStop) {
		c.problems.add(p.source.place(), "%s", p.unreadable(err))
	}
	p.lines = nil
	d := p.document
	isTold := d.invalid.total > 0 && p.element.limits.invalid == 0
	if d.entries+d.gone > 0 || isTold || c.problems.total > before || p.duplicates.total > 0 {
		return
	}
	if others := d.of(v1alpha1.LeftOutOtherFamily); others > 0 {
		c.problems.add(p.source.place(), "holds %s of the other address family and none of the one that the keys have (%s)", text.Count(others, "entry", "entries"), c.key.Scalar())
		return
	}
	if c.spec.AllowEmptySources {
		return
	}
	all := ""
	if d.items > 0 {
		all = fmt.Sprintf(" (left out: %s)", summary(d.told()))
	}
	c.problems.add(p.source.place(), "holds no entries%s: that is refused unless spec.allowEmptySources is true", all)
}

// leftOut takes an item that makes no entry from the reader.
func (p *sourcePacker) leftOut(line int, reason, what string) error {
	p.document.items++
	if reason == v1alpha1.LeftOutInvalid {
		if p.element.isSecret {
			what = "is not valid" + notShown
		}
		return p.invalid(line, "", what)
	}
	p.document.leave(reason, 1, func() string {
		if p.element.isSecret {
			return fmt.Sprintf("line %d", line)
		}
		return fmt.Sprintf("line %d: %s", line, what)
	})
	return nil
}

// checkCount counts the entries of a source that may be too large for a map before they are packed, those with the same
// text as their key once. Where it counts too few, and under First and Last, they are bounded while they are packed.
func (p *sourcePacker) checkCount(data []byte, o source.Options) bool {
	size, have := p.blocks.packedBytes(0), p.blocks.bytes
	most := min(source.MostEntries(data), int64(p.shape.MaxEntries))
	if p.policy != v1alpha1.ConflictFail || have+most*size <= maxEntriesBytes-packedHeader {
		return true
	}
	n, seen := int64(p.blocks.len), newFilter()
	o.LeaveOut = func(int, string, string) error { return nil }
	o.Budget = expression.NewBudget() // what the map may cost is spent once
	err := source.Read(data, o, func(e source.Entry) error {
		if seen.add(e.Key) {
			return nil
		}
		n++
		if have += size; have > maxEntriesBytes-packedHeader {
			return errStop
		}
		return nil
	})
	if errors.Is(err, errStop) {
		p.c.tooLarge(n, size, have)
		return false
	}
	return true // what else is wrong is found with its entry
}

// entry packs one entry. A bad one doesn't end the reading, so that people see more than the first.
func (p *sourcePacker) entry(e source.Entry) error {
	p.document.items++
	if c := p.c; c.isFull() {
		return errStop
	}
	switch {
	case p.isKeyless && e.Key != nil:
		return p.invalid(e.Line, " key", fmt.Sprintf("%s has no keys: leave it out", p.shape.Type))
	case !p.isKeyless && (e.Key == nil || e.Cells && p.c.key.LeavesOut(e.Key)):
		return p.invalid(e.Line, " key", "is missing")
	}
	p.until = never
	if e.Expires != nil {
		var err error
		if p.until, err = expiryOf(e.Expires); err != nil {
			return p.invalidPart(e.Line, " expires", nil, err)
		}
	}
	if !p.isKeyless {
		clear(p.key)
		var err error
		if p.keys, err = p.c.key.EncodeKeys(p.key, e.Key, p.reading(e.Cells)); err != nil {
			if p.isOtherFamily(e) {
				p.document.items--
				return p.leftOut(e.Line, v1alpha1.LeftOutOtherFamily, string(e.Key))
			}
			return p.invalidPart(e.Line, " key", p.c.key, p.hinted(e, err))
		}
		if message := p.keyProblem(); message != "" {
			return p.invalidPart(e.Line, " key", p.c.key, errors.New(message))
		}
	}
	return p.withValues(e)
}

// encode encodes a part of an entry.
func encode(l *schema.Layout, dst, raw []byte, cells bool) error {
	if cells {
		return l.EncodeCells(dst, raw)
	}
	return l.Encode(dst, raw)
}

func (p *sourcePacker) withValues(e source.Entry) error {
	if e.Cells && e.Value != nil && p.c.value.LeavesOut(e.Value) {
		e.Value = nil
	}
	if e.Value == nil && e.Values == nil {
		e.Value = p.fallback
	}
	switch {
	case e.Values != nil && (e.Value != nil || !p.shape.IsPerCPU()):
		return p.invalid(e.Line, " values", "are for per-CPU maps, and exclude value")
	case e.Values != nil:
		path := fmt.Sprintf("%s line %d values", p.source.place(), e.Line)
		if !p.c.fitsChunk(path, &p.blocks, len(e.Values)) {
			return errStop
		}
		values := p.room(len(e.Values))
		for cpu, raw := range e.Values {
			if err := encode(p.c.value, p.ofCPU(cpu), raw, e.Cells); err != nil {
				return p.invalidPart(e.Line, fmt.Sprintf(" values[%d]", cpu), p.c.value, err)
			}
		}
		return p.pack(values, true, e.Line)
	case e.Value == nil:
		return p.invalid(e.Line, " value", "is missing")
	case p.constant != nil && sameSlice(e.Value, p.fallback):
		return p.pack(p.constant, false, e.Line)
	}
	clear(p.value)
	if err := encode(p.c.value, p.value, e.Value, e.Cells); err != nil {
		return p.invalidPart(e.Line, " value", p.c.value, err)
	}
	return p.pack(p.value, false, e.Line)
}

// pack adds the encoded entry, unless its time is over.
func (p *sourcePacker) pack(values []byte, perCPU bool, line int) error {
	switch {
	case p.element.lifetime != nil:
		return p.packLiving(values, perCPU, line)
	case p.until > p.now:
		return p.addAll(values, perCPU, line)
	}
	p.expired(line)
	return nil
}

// expired counts the entry at hand as one whose time is over.
func (p *sourcePacker) expired(line int) {
	p.document.gone++
	p.document.leave(v1alpha1.LeftOutExpired, 1, func() string { return fmt.Sprintf("line %d", line) })
}
