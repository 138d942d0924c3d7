// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"context"
	"errors"
	"fmt"

	"github.com/bpfmap-io/bpfmap-operator/internal/plan"
)

// inspect looks at the map in the end. It changes nothing. A failure to look is a failure of the run, as
// nobody could say how the map is; but the first failure is the one that is told.
func inspect(ctx context.Context, b Backend, o *Observation, p *plan.Plan, out *Outcome) {
	m := out.made
	for _, other := range []*openMap{o.base(p.Base), o.pinned} {
		if m == nil {
			m = other
		}
	}
	if m == nil {
		return
	}
	if ctx.Err() != nil {
		out.after.info = m.info // as it was seen before
	}
	err := out.look(ctx, b, o, m)
	if out.err == nil && p.Action != plan.Stall {
		out.err = err
	}
}

func (out *Outcome) look(ctx context.Context, b Backend, o *Observation, m *openMap) error {
	info, err := m.Info(ctx)
	if err != nil {
		return fmt.Errorf("describe map %s: %w", o.rev.Key, err)
	}
	out.after.info = info
	out.after.entries = count(ctx, m, info, out.count)
	rec := out.record
	if rec == nil {
		rec = o.record
	}
	if rec != nil {
		out.after.replaced = replacedMaps(ctx, b, rec)
	}
	return nil
}

// replacedMaps are the maps that ours took the pin of and that aren't known to be gone. Where programs
// can't be asked for, that is the last one.
func replacedMaps(ctx context.Context, b Backend, rec *Record) []ReplacedMap {
	var maps []ReplacedMap
	for i, id := range rec.Replaced {
		users, err := b.Users(ctx, id)
		switch {
		case err == nil:
			maps = append(maps, ReplacedMap{id, users, true})
		case !errors.Is(err, ErrAbsent) && i == 0:
			maps = append(maps, ReplacedMap{ID: id})
		}
	}
	return maps
}

// count is how many elements m holds: as this run has seen it, as the kernel says, as this run assumes, or
// by reading, the first of them that is to be had. It is nil for types that can't be counted.
func count(ctx context.Context, m Map, info MapInfo, known plan.Count) *int64 {
	if info.Shape.IsArray() || info.Shape.IsHidden() {
		return nil
	}
	if known.Basis == plan.Counted {
		return &known.N
	}
	if n, ok := m.Count(ctx); ok {
		return &n
	}
	if known.Basis == plan.Assumed {
		return &known.N
	}
	var n int64
	_, err := m.Read(ctx, func(keys, _ []byte) { n += int64(len(keys)) / int64(info.Shape.KeySize) })
	if err != nil {
		return nil
	}
	return &n
}
