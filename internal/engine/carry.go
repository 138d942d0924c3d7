// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/maphash"
	"slices"
	"time"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/plan"
	"github.com/bpfmap-io/bpfmap-operator/internal/text"
)

// carrier copies elements that aren't ours from a map that is replaced into the new one, in windows. Of each
// element that was copied it remembers a hash of key and value, 8 bytes.
type carrier struct {
	*execution
	from, to *openMap

	start  time.Time
	seed   maphash.Seed
	copied []uint64 // sorted, each once

	// values makes values of declared entries with what programs own of them; nil if they don't. entries is how many
	// were made.
	values  *valueCarrier
	entries int
}

// noPlaceError says that an element of others has an index which the new map doesn't have.
type noPlaceError struct{ message string }

// Error says which.
func (e *noPlaceError) Error() string { return e.message }

// Reason is that of a replacement that people have to decide on.
func (e *noPlaceError) Reason() string { return v1alpha1.NodeReasonIncompatible }

// copy copies everything that the replaced map holds now. An element without a place in the new map ends
// the replacement.
func (c *carrier) copy(ctx context.Context) error {
	c.start, c.seed = time.Now(), maphash.MakeSeed()
	if c.p.CarryOver {
		c.out.count = plan.Count{} // elements of others may be among the declared ones
	}
	if c.p.CarryValues {
		c.values = c.o.newValueCarrier()
	}
	copied, noPlace, err := c.pass(ctx, c.to.Write)
	if err != nil {
		return err
	}
	if noPlace != nil {
		return noPlace
	}
	c.copied = copied
	return nil
}

// copyLate copies what others wrote to the replaced map between the copy and the switch, and says what may
// be lost: programs that hold the replaced map still write there. A frozen map takes nothing more.
func (c *carrier) copyLate(ctx context.Context) error {
	var late []uint64
	var noPlace *noPlaceError
	if !c.p.Freeze {
		var err error
		if late, noPlace, err = c.pass(ctx, c.storeValues); err != nil {
			return err
		}
	}
	old, what := c.from.info.ID, text.Count(len(c.copied)+len(late)-c.entries, "element", "elements")
	if c.values != nil {
		what += " and what programs wrote into " + text.Count(c.entries, "declared entry", "declared entries")
	}
	c.out.note = fmt.Sprintf("replaced map %d; %s moved over, %d of them written in the %s between copy and switch; later writes to map %d are not copied",
		old, what, len(late), time.Since(c.start).Round(time.Microsecond), old)
	if c.p.StartsAnew != "" {
		c.out.note += "; " + c.p.StartsAnew
	}
	if noPlace != nil {
		c.out.note += "; " + noPlace.Error() // others wrote it since the copy: it stays where it is
	}
	return nil
}

// pass reads the replaced map and copies what no earlier pass has copied. Elements without a place in the new
// map are left out; the first one is told.
func (c *carrier) pass(ctx context.Context, putValues putter) (copied []uint64, noPlace *noPlaceError, err error) {
	var scratch []byte
	var failed error
	mine := c.o.ownedKeys(ctx, c.from)
	foreign, whole, merged := c.o.foreign(c.from, mine), &window{put: c.to.Write}, &window{put: putValues}
	entries := 0
	reset := func() { copied, noPlace, entries = nil, nil, 0 }
	err = readWhole(ctx, c.from, reset, func(keys, values []byte) {
		eachElement(c.from.info.Shape, &scratch, keys, values, func(key, value []byte) {
			isEntry, isForeign := c.holdsValue(key, value), c.p.CarryOver && foreign(key, value)
			if failed != nil || !isEntry && !isForeign {
				return
			}
			sum := c.sum(key, value)
			_, before := slices.BinarySearch(c.copied, sum)
			switch {
			case before:
			case isEntry:
				failed, copied = merged.add(ctx, key, c.merged(key, value)), append(copied, sum)
				entries++
			case c.o.hasPlace(key):
				failed, copied = whole.add(ctx, key, value), append(copied, sum)
			case noPlace == nil:
				noPlace = &noPlaceError{plan.NoPlace(binary.NativeEndian.Uint32(key), c.o.rev.Shape)}
			}
		})
	})
	if err = errors.Join(err, mine.failed()); err != nil {
		return nil, nil, fmt.Errorf("read the map to be replaced: %w", err)
	}
	for _, each := range []*window{whole, merged} {
		if failed == nil {
			failed = each.flush(ctx)
		}
	}
	if failed != nil {
		return nil, nil, fmt.Errorf("copy elements into the new map: %w", failed)
	}
	c.entries += entries
	slices.Sort(copied)
	return slices.Compact(copied), noPlace, nil
}

// holdsValue says whether an element of the replaced map is one of ours in which programs may have written what they own.
func (c *carrier) holdsValue(key, value []byte) bool {
	if c.values == nil || c.from.info.Shape.IsArray() && allZero(value) {
		return false
	}
	i, declared := c.o.contents.Find(key)
	return declared && !c.o.contents.IsPending(i)
}

// merged is the value of a declared entry with what programs own as it was found.
func (c *carrier) merged(key, found []byte) []byte {
	i, _ := c.o.contents.Find(key)
	value := c.o.contents.appendWrite(nil, i)
	c.values.into(value, found)
	return value
}

// storeValues stores what programs own, in a map that they may use already. Entries that they deleted there stay so.
func (c *carrier) storeValues(ctx context.Context, keys, values []byte) error {
	stored, err := c.to.Store(ctx, keys, values, c.o.mask.Programs())
	c.out.way = c.out.way.Worse(stored.Way)
	return err
}

// sum is the hash of an element.
func (c *carrier) sum(key, value []byte) uint64 {
	var h maphash.Hash
	h.SetSeed(c.seed)
	_, _ = h.Write(key)   // never fails
	_, _ = h.Write(value) // never fails
	return h.Sum64()
}
