// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package plan

import "github.com/bpfmap-io/bpfmap-operator/internal/revision"

// What a resync writes again into an LRU map that is full, as a part of its capacity: each such element evicts
// another one, maybe of a program that uses it, while the kernel evicted the declared one because nobody did.
// Small maps get all at once.
const (
	evictedPart   = 16
	evictedAtOnce = 1024
)

// deferEvicted leaves some of what an LRU map has evicted to later resyncs, once everything was written. What
// has room in the map evicts nothing, and isn't left.
func (d *decision) deferEvicted() {
	c, shape := &d.plan.Changes, d.want.Revision.Shape
	if !shape.IsLRU() || !d.applied() || c.Incomplete {
		return
	}
	n := min(c.Insert.Len(), evictable(c, shape))
	if n == c.Insert.Len() {
		return
	}
	d.plan.Deferred = c.Insert.Len() - n
	c.Insert = c.Insert.some(n, int(c.Before.N))
}

// evictable is how many entries may be inserted.
func evictable(c *Changes, shape revision.Shape) int {
	room := max(0, int(shape.MaxEntries)-int(c.Before.N)+c.Deletes())
	return room + max(evictedAtOnce, int(shape.MaxEntries)/evictedPart)
}

// some are n entries of the set. Which ones depends on chance, so that one that is evicted again each time
// doesn't keep others out.
func (s *Set) some(n, chance int) Set {
	const step = 7919 // a prime number: two chances that are close give places that aren't
	skip := chance * step % max(1, s.n)
	var some Set
	for range 2 { // from the place to the end, and from the beginning
		at := 0
		for i := range s.All() {
			if some.n == n {
				return some
			}
			if at >= skip {
				some.Add(i)
			}
			at++
		}
		skip = 0
	}
	return some
}
