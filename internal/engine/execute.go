// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"context"
	"fmt"

	"github.com/bpfmap-io/bpfmap-operator/internal/plan"
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
	all := plan.Fill(o.desired(nil))
	if err := x.write(ctx, m, &all, &all.Insert); err != nil {
		return fmt.Errorf("fill new map: %w", err)
	}
	x.out.count = all.After()
	carried := &carrier{execution: x, from: o.replaced(), to: m}
	if p.CarryOver {
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
	case p.CarryOver:
		if err := carried.copyLate(ctx); err != nil {
			return err
		}
	case p.Abandons:
		x.out.note = fmt.Sprintf("replaced map %d; what programs and processes put into that stays there", o.replaced().info.ID)
	}
	return x.commitRecord(ctx, m, &keys)
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
	if err := x.writeChanges(ctx, m); err != nil {
		return err
	}
	x.out.count = p.Changes.After()
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
	verified := o.verified(x.p)
	if !o.record.DriftReported && o.record.Revision == o.rev.Name && o.record.SchemaVerified == verified {
		return nil
	}
	rec := *o.record
	rec.DriftReported, rec.Revision, rec.SchemaVerified = false, o.rev.Name, verified
	return x.save(ctx, &rec)
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

// writeChanges makes the changes of the contents. What is missing is added before anything is deleted, so
// that no reader finds neither, unless the map has no room for both.
func (x *execution) writeChanges(ctx context.Context, m *openMap) error {
	c := &x.p.Changes
	puts := func() error {
		for _, set := range []*plan.Set{&c.Update, &c.Insert} {
			if err := x.write(ctx, m, c, set); err != nil {
				return fmt.Errorf("write entries: %w", err)
			}
		}
		if err := x.zero(ctx, m, c.Zero); err != nil {
			return fmt.Errorf("zero elements: %w", err)
		}
		return nil
	}
	deletes := func() error {
		if err := x.delete(ctx, m, c.Delete); err != nil {
			return fmt.Errorf("delete entries: %w", err)
		}
		return nil
	}
	steps := []func() error{puts, deletes}
	if x.p.DeleteFirst {
		steps = []func() error{deletes, puts}
	}
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
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
	if x.p.Changes.Incomplete {
		rec.Keys = keys.before // some may still be there: the next run looks again
		return x.save(ctx, rec)
	}
	if rec.Keys, err = keys.after(ctx, x.o.bases); err != nil {
		return err
	}
	rec.Applied = x.o.want.Fingerprint
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
