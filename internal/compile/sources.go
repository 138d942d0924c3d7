// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package compile

import (
	"errors"
	"fmt"
	"maps"
	"slices"

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

// place is what problems of a source begin with.
func (s *Source) place() string { return fmt.Sprintf("spec.entriesFrom[%d] (%s)", s.Index, s.Name) }

// run is a source's entries, packed in its order.
type run struct {
	source  *Source
	entries revision.Entries
	lines   []int32
	links   map[v1alpha1.Reference]bool
}

// fromSources packs the entries of all sources.
func (c *compiler) fromSources(shape revision.Shape, key, value *schema.Layout) []run {
	if c.problems.total == 0 {
		c.problems.reason = v1alpha1.ReasonInvalidSource
	}
	var runs []run
	for i := range c.spec.EntriesFrom {
		sources := 0
		for j := range c.sources {
			s := &c.sources[j]
			if s.Index != i {
				continue
			}
			sources++
			if r, ok := c.fromSource(s, shape, key, value); ok {
				runs = append(runs, r)
			}
		}
		if sources == 0 {
			c.problems.add(fmt.Sprintf("spec.entriesFrom[%d]", i), "can't be read here: sources are objects of a cluster")
		}
	}
	if c.problems.total == 0 {
		c.problems.reason = v1alpha1.ReasonInvalidEntry
	}
	return runs
}

// fromSource packs the entries of one source, or takes them from the cache.
func (c *compiler) fromSource(s *Source, shape revision.Shape, key, value *schema.Layout) (run, bool) {
	if s.Err != nil {
		c.problems.add(s.place(), "%v", s.Err)
		return run{}, false
	}
	from := &c.spec.EntriesFrom[s.Index]
	id := c.cache.key(s, from, c.spec)
	if r, ok := c.cache.get(id); ok {
		r.source = s
		maps.Copy(c.links, r.links)
		return r, true
	}
	all := c.links
	c.links = map[v1alpha1.Reference]bool{}
	defer func() {
		maps.Copy(all, c.links)
		c.links = all
	}()
	r := run{source: s, entries: revision.Entries{KeySize: int(shape.KeySize), ValueSize: int(shape.ValueSize)}}
	data, err := s.Load()
	var missing *MissingError
	if errors.As(err, &missing) {
		c.problems.add(s.place(), "%s", missing.Message)
		return run{}, false
	}
	if err != nil {
		c.unread = &LoadError{s.place(), err}
		return run{}, false
	}
	text, err := source.Decompress(data)
	if err != nil {
		c.problems.add(s.place(), "%v", err)
		return run{}, false
	}
	before := c.problems.total
	if from.Value != nil && (from.Format == v1alpha1.SourceJSON || from.Format == v1alpha1.SourceYAML) {
		c.problems.add(fmt.Sprintf("spec.entriesFrom[%d].value", s.Index), "is for the formats Lines and CSV: entries in %s have their own", from.Format)
		return run{}, false
	}
	p := packer{c: c, run: &r, shape: shape, key: key, value: value}
	o := source.Options{Format: from.Format, Keyless: shape.IsKeyless()}
	if from.Value != nil {
		o.Value = from.Value.Raw
		p.constant = make([]byte, value.Size())
		if err := value.Encode(p.constant, o.Value); err != nil {
			c.problems.addAt(fmt.Sprintf("spec.entriesFrom[%d].value", s.Index), err)
			return run{}, false
		}
	}
	if err := source.Read(text, o, p.add); err != nil && !errors.Is(err, errTooMany) {
		c.problems.add(s.place(), "%v", err)
	}
	if r.entries.Len == 0 && !c.spec.AllowEmptySources && c.problems.total == before {
		c.problems.add(s.place(), "holds no entries: that is refused unless spec.allowEmptySources is true")
	}
	if c.problems.total > before {
		return run{}, false
	}
	r.links = c.links
	c.cache.put(id, r)
	return r, true
}

// errTooMany ends the reading of a source that has more entries than the map has room for.
var errTooMany = errors.New("too many entries")

// packer turns what a source yields into packed entries.
type packer struct {
	c          *compiler
	run        *run
	shape      revision.Shape
	key, value *schema.Layout
	constant   []byte // the value for all, encoded
	scratch    []byte // of the key at hand
}

// problem notes what is wrong with the entry on a line.
func (p *packer) problem(line int, part, format string, args ...any) {
	p.c.problems.add(fmt.Sprintf("%s line %d%s", p.run.source.place(), line, part), format, args...)
}

func (p *packer) problemAt(line int, part string, err error) {
	p.c.problems.addAt(fmt.Sprintf("%s line %d%s", p.run.source.place(), line, part), err)
}

// add packs one entry. It goes on after a bad one, so that people see more than the first.
func (p *packer) add(e source.Entry) error {
	packed := &p.run.entries
	if packed.Len >= int(p.shape.MaxEntries) && p.c.conflictPolicy() == v1alpha1.ConflictFail {
		p.problem(e.Line, "", "is one entry more than maxEntries %d", p.shape.MaxEntries)
		return errTooMany
	}
	switch {
	case p.shape.IsKeyless() && e.Key != nil:
		p.problem(e.Line, " key", "%s has no keys: leave it out", p.shape.Type)
		return nil
	case !p.shape.IsKeyless() && e.Key == nil:
		p.problem(e.Line, " key", "is missing")
		return nil
	}
	p.scratch = slices.Grow(p.scratch[:0], packed.KeySize)[:packed.KeySize]
	k := p.scratch
	clear(k)
	if !p.shape.IsKeyless() {
		if err := p.key.Encode(k, e.Key); err != nil {
			p.problemAt(e.Line, " key", err)
			return nil
		}
		if message := keyProblem(p.shape, k); message != "" {
			p.problem(e.Line, " key", "%s", message)
			return nil
		}
	}
	p.addValue(e, k)
	return nil
}

func (p *packer) addValue(e source.Entry, k []byte) {
	packed := &p.run.entries
	switch {
	case e.Values != nil && (e.Value != nil || !p.shape.IsPerCPU()):
		p.problem(e.Line, " values", "are for per-CPU maps, and exclude value")
		return
	case e.Values != nil:
		all := make([]byte, len(e.Values)*packed.ValueSize)
		for cpu, raw := range e.Values {
			if err := p.value.Encode(all[cpu*packed.ValueSize:(cpu+1)*packed.ValueSize], raw); err != nil {
				p.problemAt(e.Line, fmt.Sprintf(" values[%d]", cpu), err)
				return
			}
		}
		packed.Append(k, all, true)
	case e.Value == nil:
		p.problem(e.Line, " value", "is missing")
		return
	default:
		v := p.constant
		if v == nil || !sameSlice(e.Value, p.c.spec.EntriesFrom[p.run.source.Index].Value.Raw) {
			v = make([]byte, packed.ValueSize)
			if err := p.value.Encode(v, e.Value); err != nil {
				p.problemAt(e.Line, " value", err)
				return
			}
		}
		packed.Append(k, v, false)
	}
	p.run.lines = append(p.run.lines, int32(e.Line))
}

// sameSlice says whether two slices are one.
func sameSlice(a, b []byte) bool { return len(a) == len(b) && len(a) > 0 && &a[0] == &b[0] }

func (c *compiler) conflictPolicy() v1alpha1.ConflictPolicy {
	if c.spec.ConflictPolicy == "" {
		return v1alpha1.ConflictFail
	}
	return c.spec.ConflictPolicy
}

// settleDuplicates drops or refuses all but one of the entries with keys that are equal once encoded,
// such as 10 and 0xa. order is where each sorted entry was before: inline first, then the runs.
func (c *compiler) settleDuplicates(shape revision.Shape, sorted *revision.Entries, order []int, key *schema.Layout, runs []run) revision.Entries {
	if shape.IsKeyless() {
		return *sorted
	}
	policy := c.conflictPolicy()
	dropped := make(map[int]bool)
	for i := 1; i < sorted.Len; i++ {
		if shape.CompareKeys(sorted.Key(i-1), sorted.Key(i)) != 0 {
			continue
		}
		switch policy {
		case v1alpha1.ConflictFirst:
			dropped[i] = true
		case v1alpha1.ConflictLast:
			dropped[i-1] = true
		default:
			c.problems.add(c.placeOf(order[i], runs), "is the same key as %s: %s", c.shortPlaceOf(order[i-1], runs), key.Format(sorted.Key(i)))
		}
	}
	if len(dropped) == 0 {
		return *sorted
	}
	return sorted.Without(func(i int) bool { return dropped[i] })
}

// placeOf is where the i-th of all entries was declared.
func (c *compiler) placeOf(i int, runs []run) string {
	if i < len(c.spec.Entries) {
		return at(i, ".key")
	}
	i -= len(c.spec.Entries)
	for _, r := range runs {
		if i < r.entries.Len {
			return fmt.Sprintf("%s line %d", r.source.place(), r.lines[i])
		}
		i -= r.entries.Len
	}
	return "spec"
}

// shortPlaceOf is placeOf within a sentence about the same spec.
func (c *compiler) shortPlaceOf(i int, runs []run) string {
	if i < len(c.spec.Entries) {
		return fmt.Sprintf("entries[%d]", i)
	}
	return c.placeOf(i, runs)
}

// sourcesToo says where entries come from, if not from the spec alone.
func sourcesToo(runs []run) string {
	if len(runs) == 0 {
		return ""
	}
	return fmt.Sprintf(", with those of %d sources", len(runs))
}
