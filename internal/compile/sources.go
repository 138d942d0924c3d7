// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package compile

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
	"github.com/bpfmap-io/bpfmap-operator/internal/schema"
	"github.com/bpfmap-io/bpfmap-operator/internal/source"
)

// Source is the data of one object that an element of spec.entriesFrom names.
type Source struct {
	// Index is that of the element. A selector has one Source for each object and key.
	Index int
	// Name says where the data are from, for example "ConfigMap feed, key drop.txt".
	Name string
	// Version changes when the data do; empty if that isn't known.
	Version string
	// Bytes is how long the data are that Load reads, if they may be long; 0 if they aren't.
	Bytes int64
	// Load reads the data, which may be gzipped. It isn't called for data that the cache knows.
	Load func() ([]byte, error)
	// Err is why there are no data.
	Err error
}

// LoadError is a source that can't be read for now, through no fault of the spec.
type LoadError struct {
	Place string
	Err   error
}

// Error is the place and the cause.
func (e *LoadError) Error() string { return e.Place + ": " + e.Err.Error() }

// Unwrap is the cause.
func (e *LoadError) Unwrap() error { return e.Err }

// MissingError is what Load returns if the object has no such data: a problem of the spec.
type MissingError struct{ Message string }

// Error is the message.
func (e *MissingError) Error() string { return e.Message }

// PendingError is a source that is about to be fetched for the first time, or again after its contents were lost.
type PendingError struct{ Message string }

// Error is the message.
func (e *PendingError) Error() string { return e.Message }

// Place is what problems and the status of a source begin with: "spec.entriesFrom[0] (ConfigMap feed, key drop.txt)".
func (s *Source) Place() string { return s.place() }

// place is what problems of a source begin with.
func (s *Source) place() string { return fmt.Sprintf("spec.entriesFrom[%d] (%s)", s.Index, s.Name) }

// run is what a source compiles to: its entries in its order, with their lines.
type run struct {
	entries revision.Entries
	lines   []int32
	links   []v1alpha1.Reference
	text    int64 // how long it was
}

// bytes is about what the run takes in memory.
func (r *run) bytes() int64 { return int64(r.entries.PackedSize()) + 4*int64(len(r.lines)) }

// fromSources packs the entries of all sources.
func (c *compiler) fromSources(b *builder) {
	if c.problems.total == 0 {
		c.problems.reason = v1alpha1.ReasonInvalidSource
	}
	for i := range c.spec.EntriesFrom {
		sources := 0
		for j := range c.sources {
			s := &c.sources[j]
			if s.Index != i {
				continue
			}
			if sources++; c.isFull() {
				return
			}
			var pending *PendingError
			if errors.As(s.Err, &pending) {
				c.unread = &LoadError{s.place(), s.Err}
				return
			}
			if s.Err != nil {
				c.problems.add(s.place(), "%v", s.Err)
				continue
			}
			b.begin(s)
			c.fromSource(s, b)
		}
		if sources == 0 {
			c.problems.add(fmt.Sprintf("spec.entriesFrom[%d]", i), "no ConfigMap or Secret was given for this source")
		}
	}
	if c.problems.total == 0 {
		c.problems.reason = v1alpha1.ReasonInvalidEntry
	}
}

// isFull says whether more entries wouldn't change the verdict: the map has no room, or they name too many
// objects.
func (c *compiler) isFull() bool {
	return c.full || len(c.links) > v1alpha1.MaxReferences
}

// fromSource packs the entries of one source, or takes them from the cache.
func (c *compiler) fromSource(s *Source, b *builder) {
	id := c.cache.key(s, c.spec)
	if r := c.cache.get(id); r != nil && r.text <= c.textLeft {
		c.textLeft -= r.text
		c.merge(r, b)
		return
	}
	if c.textLeft < 0 {
		return // a source before has the problem
	}
	data, err := s.Load()
	var missing *MissingError
	if errors.As(err, &missing) {
		c.problems.add(s.place(), "%s", missing.Message)
		return
	}
	if err != nil {
		c.unread = &LoadError{s.place(), err}
		return
	}
	all := c.links
	c.links = map[v1alpha1.Reference]bool{}
	before, first, left := c.problems.total, b.blocks.len, c.textLeft
	p := sourcePacker{packer: newPacker(b), source: s, from: &c.spec.EntriesFrom[s.Index]}
	p.read(data)
	own := slices.Collect(maps.Keys(c.links))
	maps.Copy(all, c.links)
	c.links = all
	if c.problems.total > before || b.duplicates.total > 0 || b.crossed || c.isFull() {
		return
	}
	if size := int64(b.blocks.len-first) * (b.blocks.packedBytes(0) + 4); c.cache.fits(id, size) {
		c.cache.put(id, &run{b.blocks.slice(first), slices.Clone(b.origins[first:]), own, left - c.textLeft})
	}
}

// merge takes the entries of a source from the cache.
func (c *compiler) merge(r *run, b *builder) {
	for _, link := range r.links {
		c.links[link] = true
	}
	for i := range r.entries.Len {
		values, perCPU := r.entries.PerCPU[i]
		if !perCPU {
			values = r.entries.Value(i)
		}
		if b.add(r.entries.Key(i), values, perCPU, int(r.lines[i])) != nil {
			return
		}
	}
}

// sourcePacker turns what a source yields into packed entries.
type sourcePacker struct {
	packer
	source   *Source
	from     *v1alpha1.EntrySource
	fallback []byte // stands for the value of entries without one; nil if they need one
	constant []byte // that value, encoded
	count    int    // entries so far
}

// options say how the source is read. They are false if the spec is wrong.
func (p *sourcePacker) options() (source.Options, bool) {
	c, from := p.c, p.from
	o := source.Options{Format: from.Format, Keyless: p.shape.IsKeyless()}
	path := fmt.Sprintf("spec.entriesFrom[%d].value", p.source.Index)
	p.constant = make([]byte, len(p.value))
	switch {
	case from.Value == nil && !c.value.HasDefault():
		return o, true
	case from.Value == nil:
		o.Value = []byte("null") // which no value is
	case from.Format == v1alpha1.SourceJSON || from.Format == v1alpha1.SourceYAML:
		c.problems.add(path, "is for the formats Lines and CSV: entries in %s have their own", from.Format)
		return o, false
	default:
		o.Value = from.Value.Raw
	}
	p.fallback = o.Value
	if err := encodeConstant(c.value, p.constant, from.Value); err != nil {
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
	o.Left = &c.textLeft
	if err := source.Read(data, o, p.entry); err != nil && !errors.Is(err, errStop) {
		c.problems.add(p.source.place(), "%v", err)
	}
	if p.count == 0 && !c.spec.AllowEmptySources && c.problems.total == before {
		c.problems.add(p.source.place(), "holds no entries: that is refused unless spec.allowEmptySources is true")
	}
}

// checkCount counts the entries of a source that may be too large for a map before they are packed. Under
// First and Last there may be fewer than it has: then they are bounded while they are packed.
func (p *sourcePacker) checkCount(data []byte, o source.Options) bool {
	size, have := p.blocks.packedBytes(0), p.blocks.bytes
	most := min(source.MostEntries(data), int64(p.shape.MaxEntries))
	if p.policy != v1alpha1.ConflictFail || have+most*size <= maxEntriesBytes-packedHeader {
		return true
	}
	n := int64(p.blocks.len)
	err := source.Read(data, o, func(source.Entry) error {
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

// problem notes what is wrong with the entry on a line.
func (p *sourcePacker) problem(line int, where, format string, args ...any) error {
	p.c.problems.add(fmt.Sprintf("%s line %d%s", p.source.place(), line, where), format, args...)
	return p.enough()
}

func (p *sourcePacker) problemAt(line int, where string, err error) error {
	p.c.problems.addAt(fmt.Sprintf("%s line %d%s", p.source.place(), line, where), err)
	return p.enough()
}

// enough ends the reading of a source that is all wrong.
func (p *sourcePacker) enough() error {
	if p.c.problems.total >= maxCounted {
		return errStop
	}
	return nil
}

// entry packs one entry. A bad one doesn't end the reading, so that people see more than the first.
func (p *sourcePacker) entry(e source.Entry) error {
	if p.count++; p.count > int(p.shape.MaxEntries) && p.policy == v1alpha1.ConflictFail {
		_ = p.problem(e.Line, "", "is one entry more than maxEntries %d", p.shape.MaxEntries)
		return errStop
	}
	if c := p.c; c.isFull() {
		return errStop
	}
	switch {
	case p.shape.IsKeyless() && e.Key != nil:
		return p.problem(e.Line, " key", "%s has no keys: leave it out", p.shape.Type)
	case !p.shape.IsKeyless() && (e.Key == nil || e.Cells && p.c.key.LeavesOut(e.Key)):
		return p.problem(e.Line, " key", "is missing")
	}
	if !p.shape.IsKeyless() {
		clear(p.key)
		var err error
		if p.keys, err = p.c.key.EncodeKeys(p.key, e.Key, e.Cells); err != nil {
			return p.problemAt(e.Line, " key", err)
		}
		if message := keyProblem(p.shape, p.c.key, p.key); message != "" {
			return p.problem(e.Line, " key", "%s", message)
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
		return p.problem(e.Line, " values", "are for per-CPU maps, and exclude value")
	case e.Values != nil:
		path := fmt.Sprintf("%s line %d values", p.source.place(), e.Line)
		if !p.c.fitsChunk(path, &p.blocks, len(e.Values)) {
			return errStop
		}
		values := p.room(len(e.Values))
		for cpu, raw := range e.Values {
			if err := encode(p.c.value, p.ofCPU(cpu), raw, e.Cells); err != nil {
				return p.problemAt(e.Line, fmt.Sprintf(" values[%d]", cpu), err)
			}
		}
		return p.addAll(values, true, e.Line)
	case e.Value == nil:
		return p.problem(e.Line, " value", "is missing")
	case p.constant != nil && sameSlice(e.Value, p.fallback):
		return p.addAll(p.constant, false, e.Line)
	}
	clear(p.value)
	if err := encode(p.c.value, p.value, e.Value, e.Cells); err != nil {
		return p.problemAt(e.Line, " value", err)
	}
	return p.addAll(p.value, false, e.Line)
}

// sameSlice says whether two slices are one.
func sameSlice(a, b []byte) bool { return len(a) == len(b) && len(a) > 0 && &a[0] == &b[0] }

func (c *compiler) conflictPolicy() v1alpha1.ConflictPolicy {
	if c.spec.ConflictPolicy == "" {
		return v1alpha1.ConflictFail
	}
	return c.spec.ConflictPolicy
}
