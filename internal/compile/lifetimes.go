// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package compile

import (
	"fmt"
	"math"
	"slices"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
	"github.com/bpfmap-io/bpfmap-operator/internal/sighting"
)

// maxSightings is sighting.Max but for tests.
var maxSightings = sighting.Max

// sightings are what is remembered of the sources with a lifetime.
type sightings struct {
	// now are the keys that they hold, with repetitions; table has each once, in order. It is set by remember.
	now   []sighting.Record
	table sighting.Table
}

// lifetime is that of the entries of an element: it begins when its source holds their key for the first time.
type lifetime struct {
	scope *sighting.Scope
	after int64 // in seconds
	// ended are the keys whose lifetime has ended since the last time, with repetitions.
	ended []uint64
}

// HasLifetimes says whether a spec has sources of which it has to be remembered when they held their keys first.
func HasLifetimes(spec *v1alpha1.BPFMapSpec) bool {
	return slices.ContainsFunc(spec.EntriesFrom, func(from v1alpha1.EntrySource) bool { return from.ExpireAfter.Duration != 0 })
}

// checkLifetime refuses a lifetime that can't be.
func (c *compiler) checkLifetime(e *element, shape revision.Shape) {
	after := e.from.ExpireAfter.Duration
	path := fmt.Sprintf("spec.entriesFrom[%d].expireAfter", e.index)
	switch {
	case after == 0:
	case after < v1alpha1.MinExpireAfter || after > v1alpha1.MaxExpireAfter:
		c.problems.add(path, "%s is out of range (1m…87600h)", after)
	case shape.IsKeyless():
		c.problems.add(path, "needs keys, of which a %s has none: leave it out, or say by mapping.expires when each item is to go", shape.Type)
	}
}

// beginLifetime prepares the lifetime of an element whose first source is about to be read. Elements are told apart by
// the names of their sources, whatever stands before them, and by their order where they have the same.
func (c *compiler) beginLifetime(e *element) {
	after := e.from.ExpireAfter.Duration
	if after == 0 || e.lifetime != nil {
		return
	}
	n := 0
	for i := range c.elements[:e.index] {
		if sameSource(c.elements[i].name, e.name) {
			n++
		}
	}
	e.lifetime = &lifetime{scope: sighting.NewScope(c.uid, generated.ReplaceAllString(e.name, "$1"), n), after: int64(math.Ceil(after.Seconds()))}
}

// packLiving adds the encoded entry under each key that the item stands for, unless the time of that key is over.
func (p *sourcePacker) packLiving(values []byte, perCPU bool, line int) error {
	own, before := p.until, p.duplicates.total
	for {
		end, err := p.c.see(p.element, p.key)
		if err != nil {
			return err
		}
		if p.until = min(own, end); p.until <= p.now {
			p.expired(line)
		} else if err := p.add(p.key, values, perCPU, line); err != nil || p.duplicates.total > before {
			return err
		}
		if !p.keys.Next(p.key) {
			return nil
		}
		p.ranged = true
	}
}

// see remembers that an element holds a key, and says when its lifetime ends, in seconds since 1970. One that has ended
// stays so, and no key was seen later than now: then the clock was put back.
func (c *compiler) see(e *element, key []byte) (end int64, err error) {
	if c.in.Now.IsZero() {
		return never, nil
	}
	now := min(max(secondOf(c.in.Now), 1), math.MaxUint32)
	seen := sighting.Record{Key: e.lifetime.scope.Hash(key), Time: uint32(now)}
	if before, found := c.in.Sightings.Find(seen.Key); found {
		seen.Time = min(seen.Time, before)
	}
	end = int64(seen.Time) + e.lifetime.after
	switch {
	case seen.Time == sighting.Over:
		end = math.MinInt64
	case end <= c.now():
		seen.Time = sighting.Over
		e.lifetime.ended = append(e.lifetime.ended, seen.Key)
	}
	c.seen.now = append(c.seen.now, seen)
	if len(c.seen.now) > 2*maxSightings {
		if c.seen.now = sighting.New(c.seen.now); len(c.seen.now) > maxSightings {
			c.tooManySightings(e)
			return 0, errStop
		}
	}
	return end, nil
}

// remember makes a table of what was seen.
func (c *compiler) remember() {
	c.seen.table, c.seen.now = sighting.New(c.seen.now), nil
	if len(c.seen.table) <= maxSightings {
		return
	}
	for i := range c.elements {
		if e := &c.elements[i]; e.lifetime != nil {
			c.tooManySightings(e)
			return
		}
	}
}

func (c *compiler) tooManySightings(e *element) {
	c.full = true
	c.refuse(e, "expireAfter %s: the sources with expireAfter hold more than %d keys, the most that are remembered for one BPFMap: "+
		"leave keys out (mapping.filter), divide the sources among several BPFMaps, or say by mapping.expires when an entry is to go", e.from.ExpireAfter.Duration, maxSightings)
}

// ended is how many keys of the element have come to the end of their lifetime since the last time.
func (e *element) ended() int64 {
	if e.lifetime == nil {
		return 0
	}
	slices.Sort(e.lifetime.ended)
	e.lifetime.ended = slices.Compact(e.lifetime.ended)
	return int64(len(e.lifetime.ended))
}

// heldBefore is how many entries the contents in use have; with a lifetime also those that they would have without it: a
// source of which most have ended doesn't change more than another one.
func (e *element) heldBefore(was *v1alpha1.SourceStatus) int64 {
	n := was.Entries
	for _, l := range was.LeftOut {
		if e.lifetime != nil && l.Reason == v1alpha1.LeftOutExpired {
			n += l.Count
		}
	}
	return n
}
