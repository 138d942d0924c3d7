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
	"github.com/bpfmap-io/bpfmap-operator/internal/text"
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
	// Absent says that the data are elsewhere, and that all else is to be checked without them.
	Absent bool
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
	// expiries are when they are to go; nil if none does.
	expiries []int64
	links    []v1alpha1.Reference
	text     int64 // how long it was
	// tally is what became of its items, whatever other sources have; digest and bytes are of its data.
	tally  tally
	digest string
	bytes  int64
}

// size is about what the run takes in memory, in bytes.
func (r *run) size() int64 {
	return int64(r.entries.PackedSize()) + 4*int64(len(r.lines)) + 8*int64(len(r.expiries))
}

// fromSources packs the entries of all sources.
func (c *compiler) fromSources(b *builder) {
	if c.problems.total == 0 {
		c.problems.reason = v1alpha1.ReasonInvalidSource
	}
	c.elements = make([]element, len(c.spec.EntriesFrom))
	for i := range c.elements {
		e := &c.elements[i]
		*e = newElement(i, &c.spec.EntriesFrom[i])
		e.limits = c.limitsOf(e)
		c.checkLifetime(e, b.shape)
	}
	c.checkAggregate(b.shape)
	for i := range c.elements {
		e := &c.elements[i]
		sources, isAbsent, before := 0, false, c.problems.total
		for j := range c.sources {
			s := &c.sources[j]
			if s.Index != i {
				continue
			}
			if e.name == "" {
				e.name = s.Name
			}
			if sources++; c.isFull() {
				return
			}
			if s.Absent {
				isAbsent = true
				continue
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
			b.begin(s, e)
			c.beginLifetime(e)
			c.fromSource(s, e, b)
		}
		if sources == 0 {
			c.problems.add(fmt.Sprintf("spec.entriesFrom[%d]", i), "no ConfigMap or Secret was given for this source")
		}
		if c.unread != nil {
			return
		}
		if !c.full && !isAbsent {
			c.finish(e, c.problems.total == before)
		}
		if c.problems.total > before && e.problem == "" {
			e.problem = c.lastProblem(before)
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
func (c *compiler) fromSource(s *Source, e *element, b *builder) {
	id := c.cache.key(s, c.spec)
	if r := c.cache.get(id); r != nil && r.text <= c.textLeft {
		c.textLeft -= r.text
		c.merge(r, s, e, b)
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
	p := sourcePacker{packer: newPacker(b), source: s, element: e, from: e.from, now: c.now()}
	r := run{digest: digestOf(data), bytes: int64(len(data))}
	if id != nil {
		b.crossing = &crossing{}
	}
	p.read(data)
	own := slices.Collect(maps.Keys(c.links))
	maps.Copy(all, c.links)
	c.links = all
	r.links, r.text, r.tally = own, left-c.textLeft, *b.document
	c.count(e, s, &r)
	if id == nil || c.problems.total > before || b.duplicates.total > 0 || c.isFull() || b.crossing.full || b.overridden && b.expiries != nil {
		return
	}
	if size := int64(b.blocks.len-first+b.crossing.entries.Len) * (b.blocks.packedBytes(0) + 12); c.cache.fits(id, size) {
		r.keep(b, first)
		c.cache.put(id, &r)
	}
}

// keep copies the entries from number first on, and those that cross others.
func (r *run) keep(b *builder, first int) {
	r.entries = b.blocks.slice(first)
	r.lines = slices.Clone(b.origins[first:])
	if b.expiries != nil {
		r.expiries = make([]int64, r.entries.Len, r.entries.Len+b.crossing.entries.Len)
		for i := range r.expiries {
			r.expiries[i] = never
		}
		if first < len(b.expiries) {
			copy(r.expiries, b.expiries[first:])
		}
		r.expiries = append(r.expiries, b.crossing.expiries...)
	} else if slices.ContainsFunc(b.crossing.expiries, func(until int64) bool { return until != never }) {
		r.expiries = append(slices.Repeat([]int64{never}, r.entries.Len), b.crossing.expiries...)
	}
	r.entries.AppendAll(&b.crossing.entries)
	r.lines = append(r.lines, b.crossing.lines...)
}

// count adds to its element what a source compiled to.
func (c *compiler) count(e *element, s *Source, r *run) {
	where := ""
	if e.from.ConfigMapSelector != nil {
		where = s.Name + " "
	}
	e.add(&r.tally, where)
	e.bytes += r.bytes
	e.digests = append(e.digests, r.digest)
}

// lastProblem is what the report of an element says of the first of its problems, which come after number before.
func (c *compiler) lastProblem(before int) string {
	if before >= len(c.problems.list) {
		return "is not valid"
	}
	return text.Truncate(c.problems.list[before].String(), maxProblem)
}

// merge takes the entries of a source from the cache.
func (c *compiler) merge(r *run, s *Source, e *element, b *builder) {
	for _, link := range r.links {
		c.links[link] = true
	}
	c.count(e, s, r)
	now := c.now()
	for i := range r.entries.Len {
		if r.expiries != nil {
			if b.until = r.expiries[i]; b.until <= now {
				e.entries--
				e.gone++
				e.leave(v1alpha1.LeftOutExpired, 1, nil)
				continue
			}
		}
		values, perCPU := r.entries.PerCPU[i]
		if !perCPU {
			values = r.entries.Value(i)
		}
		if b.add(r.entries.Key(i), values, perCPU, int(r.lines[i])) != nil {
			return
		}
	}
}

// sameSlice says whether two slices are one.
func sameSlice(a, b []byte) bool { return len(a) == len(b) && len(a) > 0 && &a[0] == &b[0] }

func (c *compiler) conflictPolicy() v1alpha1.ConflictPolicy {
	if c.spec.ConflictPolicy == "" {
		return v1alpha1.ConflictFail
	}
	return c.spec.ConflictPolicy
}
