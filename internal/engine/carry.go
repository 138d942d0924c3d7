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
	c.out.count = plan.Count{} // elements of others may be among the declared ones
	copied, noPlace, err := c.pass(ctx)
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
		if late, noPlace, err = c.pass(ctx); err != nil {
			return err
		}
	}
	old := c.from.info.ID
	c.out.note = fmt.Sprintf("replaced map %d; %s moved over, %d of them written in the %s between copy and switch; later writes to map %d are not copied",
		old, text.Count(len(c.copied)+len(late), "element", "elements"), len(late), time.Since(c.start).Round(time.Microsecond), old)
	if noPlace != nil {
		c.out.note += "; " + noPlace.Error() // others wrote it since the copy: it stays where it is
	}
	return nil
}

// pass reads the replaced map and copies what no earlier pass has copied. Elements without a place in the new
// map are left out; the first one is told.
func (c *carrier) pass(ctx context.Context) (copied []uint64, noPlace *noPlaceError, err error) {
	var scratch []byte
	var failed error
	mine := c.o.ownedKeys(ctx, c.from)
	foreign, w := c.o.foreign(c.from, mine), &window{to: c.to.Map}
	reset := func() { copied, noPlace = nil, nil }
	err = readWhole(ctx, c.from, reset, func(keys, values []byte) {
		eachElement(c.from.info.Shape, &scratch, keys, values, func(key, value []byte) {
			if failed != nil || !foreign(key, value) {
				return
			}
			sum := c.sum(key, value)
			_, before := slices.BinarySearch(c.copied, sum)
			switch {
			case before:
			case c.o.hasPlace(key):
				failed, copied = w.add(ctx, key, value), append(copied, sum)
			case noPlace == nil:
				noPlace = &noPlaceError{plan.NoPlace(binary.NativeEndian.Uint32(key), c.o.rev.Shape)}
			}
		})
	})
	if err = errors.Join(err, mine.failed()); err != nil {
		return nil, nil, fmt.Errorf("read the map to be replaced: %w", err)
	}
	if failed == nil {
		failed = w.flush(ctx)
	}
	if failed != nil {
		return nil, nil, fmt.Errorf("copy elements into the new map: %w", failed)
	}
	slices.Sort(copied)
	return slices.Compact(copied), noPlace, nil
}

// sum is the hash of an element.
func (c *carrier) sum(key, value []byte) uint64 {
	var h maphash.Hash
	h.SetSeed(c.seed)
	_, _ = h.Write(key)   // never fails
	_, _ = h.Write(value) // never fails
	return h.Sum64()
}
