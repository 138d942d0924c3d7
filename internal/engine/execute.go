// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"context"
	"fmt"

	"github.com/bpfmap-io/bpfmap-operator/internal/plan"
	"github.com/bpfmap-io/bpfmap-operator/internal/text"
)

// execution carries a plan out.
type execution struct {
	backend Backend
	o       *Observation
	p       *plan.Plan
	out     Outcome
}

// execute carries a plan out. It is the one function of this package, besides Engine.Remove, that changes
// anything on the node. Whichever of its steps is the last one before a crash, or before ctx ends, the next
// run continues from what the node shows then: the record is written ahead of the elements.
func execute(ctx context.Context, b Backend, o *Observation, p *plan.Plan) Outcome {
	x := &execution{backend: b, o: o, p: p}
	do := x.changeExisting
	switch {
	case p.Action == plan.Stall:
		return x.out
	case p.Action == plan.Report:
		do = x.countDrift
	case p.Action == plan.None:
		do = x.tidyUp
	case p.Base == plan.BaseNew:
		do = x.makeNew
	}
	if x.out.err = do(ctx); x.out.err != nil {
		x.out.count = plan.Count{} // what was written is not known
	}
	return x.out
}

// makeNew makes a map, fills it, freezes it, and only then lets it be seen. The record comes first,
// without the mark "applied": a process that finds the pin can tell who owns it.
func (x *execution) makeNew(ctx context.Context) error {
	o, p := x.o, x.p
	created, err := x.backend.Create(ctx, o.rev)
	if err != nil {
		return fmt.Errorf("create map: %w", err)
	}
	m := &openMap{Map: locked(o.rev, created)}
	x.out.made = m
	all, err := x.fill(ctx)
	if err != nil {
		return err
	}
	if err := x.write(ctx, m.Write, &all, &all.Insert); err != nil {
		return fmt.Errorf("fill new map: %w", err)
	}
	x.out.count = all.After()
	carried := &carrier{execution: x, from: o.replaced(), to: m}
	if p.CarryOver || p.CarryValues {
		if err := carried.copy(ctx); err != nil {
			return err
		}
	}
	if p.Freeze {
		if err := m.Freeze(ctx); err != nil {
			return fmt.Errorf("freeze new map: %w", err)
		}
	}
	if m.info, err = m.Info(ctx); err != nil {
		return fmt.Errorf("describe new map: %w", err)
	}
	keys, err := newKeyLogs(ctx, o, nil)
	if err != nil {
		return err
	}
	rec := newRecord(o, p, m.info.ID)
	rec.Keys = keys.before
	if p.Action == plan.Replace {
		keepPrevious(o, rec, o.replaced())
	}
	if err := x.save(ctx, rec); err != nil {
		return err
	}
	if err := x.backend.Publish(ctx, o.rev.Key, m.Map, o.pin, replaces(o, p)...); err != nil {
		return fmt.Errorf("pin new map: %w", err)
	}
	switch {
	case p.CarryOver || p.CarryValues:
		if err := carried.copyLate(ctx); err != nil {
			return err
		}
	case p.Abandons:
		x.out.note = fmt.Sprintf("replaced map %d; what programs and processes put into that stays there", o.replaced().info.ID)
	}
	return x.commitRecord(ctx, m, &keys)
}

// fill is what a new map gets before it is seen: what was seeded into the one that it replaces comes from there, if
// programs left it.
func (x *execution) fill(ctx context.Context) (plan.Changes, error) {
	o := x.o
	if !o.seeds() || !x.p.CarryOver {
		return plan.Fill(o.desired(nil)), nil
	}
	mine := o.ownedKeys(ctx, o.replaced())
	all := plan.Fill(o.desired(o.seeded(o.replaced(), mine)))
	return all, mine.failed()
}

// changeExisting brings our or an adopted map to what is declared.
func (x *execution) changeExisting(ctx context.Context) error {
	o, p := x.o, x.p
	m, own := o.base(p.Base), o.keepAlive
	keys, err := newKeyLogs(ctx, o, m)
	if err != nil {
		return err
	}
	rec := newRecord(o, p, m.info.ID)
	rec.Keys = keys.before
	if own != nil && own.info.ID != m.info.ID && o.have.Recorded.Owns(own.info.ID) {
		keepPrevious(o, rec, own) // ours until the one at the pin is: that may still be removed
	}
	if err := x.save(ctx, rec); err != nil {
		return err
	}
	w := &writer{x, m, &p.Changes}
	if err := w.all(ctx); err != nil {
		return err
	}
	x.out.count = p.Changes.After()
	if p.Deferred > 0 {
		x.out.note = fmt.Sprintf("%s that the map evicted wait for later resyncs: each would evict another element now", text.Count(p.Deferred, "entry", "entries"))
	}
	if p.Freeze {
		if err := m.Freeze(ctx); err != nil {
			return fmt.Errorf("freeze map: %w", err)
		}
	}
	if p.Pin || own.id() != m.info.ID {
		if err := x.backend.Publish(ctx, o.rev.Key, m.Map, o.pin); err != nil {
			return fmt.Errorf("pin map: %w", err)
		}
	}
	return x.commitRecord(ctx, m, &keys)
}

// tidyUp ends a run that found a map as declared: others may have removed the keep-alive pin, without which
// a removed pin would be the end of the map, drift that was reported may be over, and the revision may be
// another one with the same contents: the record tells how far this node is.
func (x *execution) tidyUp(ctx context.Context) error {
	o := x.o
	m := o.base(x.p.Base)
	x.out.count = x.p.Changes.After()
	if o.keepAlive.id() != m.info.ID {
		if err := x.backend.Publish(ctx, o.rev.Key, m.Map, o.pin); err != nil {
			return fmt.Errorf("renew the keep-alive pin: %w", err)
		}
	}
	verified, isKnown := o.verified(x.p), o.isNoted(o.record) && o.record.Seeded == o.seeds()
	if !o.record.DriftReported && o.record.Revision == o.rev.Name && o.record.SchemaVerified == verified && isKnown {
		return nil
	}
	rec := *o.record
	rec.DriftReported, rec.Revision, rec.SchemaVerified = false, o.rev.Name, verified
	rec.KeySchema, rec.ValueSchema = o.rev.KeySchema, o.rev.ValueSchema
	if err := x.upgrade(ctx, &rec, m); err != nil {
		return err
	}
	return x.save(ctx, &rec)
}

// upgrade adds to the record of a map that is as declared what records from before don't have.
func (x *execution) upgrade(ctx context.Context, rec *Record, m *openMap) error {
	o := x.o
	if o.seeds() && !rec.Seeded {
		keys, err := newKeyLogs(ctx, o, m)
		if err != nil {
			return err
		}
		rec.Seeded, rec.Keys = true, keys.before
	}
	if o.isNoted(rec) {
		return nil
	}
	return o.noteDeclared(ctx, rec)
}

// countDrift notes drift that is only reported, once for each time that it appears.
func (x *execution) countDrift(ctx context.Context) error {
	rec := *x.o.record
	if rec.DriftReported {
		return nil
	}
	rec.DriftCount++
	rec.DriftReported = true
	return x.save(ctx, &rec)
}

// commitRecord removes the pins of earlier paths and marks the revision as applied.
func (x *execution) commitRecord(ctx context.Context, m *openMap, keys *keyLogs) (err error) {
	rec := newRecord(x.o, x.p, m.info.ID)
	for _, path := range rec.PreviousPaths {
		if err := x.backend.Unpin(ctx, x.o.rev.Key, path, append(rec.EarlierMaps, m.info.ID)...); err != nil {
			return fmt.Errorf("remove the pin at the earlier path: %w", err)
		}
	}
	rec.PreviousPaths, rec.EarlierMaps = nil, nil
	if x.out.way != "" {
		rec.Stored = string(x.out.way)
	}
	if x.p.Changes.Incomplete {
		rec.Keys = keys.before // some may still be there: the next run looks again
		return x.save(ctx, rec)
	}
	if rec.Keys, err = keys.after(ctx, x.o.bases); err != nil {
		return err
	}
	if err := x.o.noteDeclared(ctx, rec); err != nil {
		return err
	}
	rec.Applied, rec.Sensitive = x.o.want.Fingerprint, x.o.rev.Sensitive
	return x.save(ctx, rec)
}

// replaces are the maps that a new one may take the pin of.
func replaces(o *Observation, p *plan.Plan) []uint32 {
	if p.Action != plan.Replace || o.pinned == nil {
		return nil
	}
	return []uint32{o.pinned.info.ID}
}

func (x *execution) save(ctx context.Context, r *Record) error {
	if err := x.backend.SaveRecord(ctx, r); err != nil {
		return fmt.Errorf("save record: %w", err)
	}
	x.out.record = r
	return nil
}
