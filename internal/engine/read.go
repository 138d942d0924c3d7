// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/plan"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
)

// readTries bounds the readings of a map whose keys are deleted so fast that a reading may miss some.
const readTries = 3

// compare streams a map's elements through a differ.
func (o *Observation) compare(ctx context.Context, m *openMap) (*plan.Changes, error) {
	mine := o.ownedKeys(ctx, m)
	want := o.desired(o.seeded(m, mine))
	before, err := o.declaredBefore(ctx, m)
	if err != nil {
		return nil, err
	}
	want.Base = before
	o.blind = o.reportsDrift() && before == nil && o.record != nil && o.record.MapID == m.info.ID && o.record.Applied != o.want.Fingerprint
	for try := 1; ; try++ {
		d := plan.NewDiffer(want, o.note)
		complete, err := o.readElements(ctx, m, d.Observe)
		if err = errors.Join(err, mine.failed()); err != nil {
			return nil, fmt.Errorf("read map %s: %w", o.rev.Key, err)
		}
		if complete || try == readTries {
			changes := d.Changes(complete)
			return &changes, nil
		}
	}
}

// question asks a filter for each declared value. What it holds beside them can't be found.
func (o *Observation) question(ctx context.Context, m *openMap) (*plan.Changes, error) {
	changes := &plan.Changes{Contents: o.contents, Shape: o.rev.Shape, Mask: o.mask}
	var value []byte // scratch
	for i := range o.contents.Len() {
		value = o.contents.AppendValue(value[:0], i)
		holds, err := m.Contains(ctx, value)
		if err != nil {
			return nil, fmt.Errorf("read map %s: %w", o.rev.Key, err)
		}
		if !holds {
			changes.Insert.Add(i)
		}
	}
	return changes, nil
}

// readWhole reads a map until a reading has missed nothing. reset comes before each reading. A map that
// can't be read so is not to be replaced: what was missed would be lost.
func readWhole(ctx context.Context, m Map, reset func(), yield func(keys, values []byte)) error {
	for range readTries {
		reset()
		if complete, err := m.Read(ctx, yield); err != nil || complete {
			return err
		}
	}
	return fmt.Errorf("its keys are deleted faster than it can be read: %d readings may have missed elements", readTries)
}

// eachElement yields each element of a batch, with its key in canonical form. The slices are valid during
// the call.
func eachElement(shape revision.Shape, scratch *[]byte, keys, values []byte, yield func(key, value []byte)) {
	size := int(shape.KeySize)
	if len(keys) == 0 {
		return
	}
	width := len(values) / (len(keys) / size)
	for ; len(keys) > 0; keys, values = keys[size:], values[width:] {
		*scratch = append((*scratch)[:0], keys[:size]...)
		yield(shape.Canonical(*scratch), values[:width])
	}
}

// losses counts what would be lost with a map: elements that aren't ours, and those of ours that are
// pending. Keys of another size than the declared ones cannot be pending entries.
func (o *Observation) losses(ctx context.Context, m *openMap) (*plan.Losses, error) {
	var found plan.Losses
	var scratch []byte
	shape, mine := m.info.Shape, o.ownedKeys(ctx, m)
	if o.record != nil && o.record.Seeded {
		mine = nil // what was seeded is the programs'
	}
	foreign := o.foreign(m, mine)
	sameKeys := shape.KeySize == o.rev.Shape.KeySize
	mirrored := o.discards(m)
	err := readWhole(ctx, m, func() { found = plan.Losses{} }, func(keys, values []byte) {
		eachElement(shape, &scratch, keys, values, func(key, value []byte) {
			if shape.IsArray() && allZero(value) {
				return // nothing is there
			}
			isTheirs := !mirrored && !mine.has(key)
			if isTheirs || sameKeys && o.isPending(key) {
				found.Elements++
			} else if sameKeys && o.holdsPrograms(key, value) {
				found.Values++
			}
			if sameKeys && found.NoPlace == nil && !o.hasPlace(key) && foreign(key, value) {
				index := binary.NativeEndian.Uint32(key)
				found.NoPlace = &index
			}
		})
	})
	if err = errors.Join(err, mine.failed()); err != nil {
		return nil, fmt.Errorf("read map %d, which would be given up: %w", m.info.ID, err)
	}
	return &found, nil
}

// foreign says of elements of a map that is replaced, with keys and values like the declared ones, whether
// the new one has to hold them, too: they aren't ours, or are pending.
func (o *Observation) foreign(m *openMap, mine *owned) func(key, value []byte) bool {
	seeded, mirrored := o.rev.Policy.Sync == v1alpha1.SyncSeed, o.discards(m)
	isArray := m.info.Shape.IsArray()
	return func(key, value []byte) bool {
		if isArray && allZero(value) {
			return false
		}
		i, declared := o.contents.Find(key)
		switch {
		case seeded:
			return true
		case declared:
			return o.contents.IsPending(i)
		}
		return !mirrored && !mine.has(key)
	}
}

// holdsPrograms says whether programs changed what they own of a declared entry.
func (o *Observation) holdsPrograms(key, value []byte) bool {
	i, declared := o.contents.Find(key)
	if o.mask == nil || !declared || len(value) != len(o.mask) {
		return false
	}
	return !plan.Mask(o.mask.Programs()).Same(value, o.contents.AppendValue(nil, i))
}

// isPending says whether the entry of a key is pending.
func (o *Observation) isPending(key []byte) bool {
	i, declared := o.contents.Find(key)
	return declared && o.contents.IsPending(i)
}

// hasPlace says whether the declared map can have an element with the key.
func (o *Observation) hasPlace(key []byte) bool {
	return !o.rev.Shape.IsIndexed() || binary.NativeEndian.Uint32(key) < o.rev.Shape.MaxEntries
}

func allZero(b []byte) bool { return len(bytes.Trim(b, "\x00")) == 0 }
