// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"context"
	"fmt"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/plan"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
)

// observe looks at everything that is cheap to see: both pins, the record, and what the names in the
// entries stand for. The caller closes the Observation.
func observe(ctx context.Context, b Backend, rev *revision.Revision, last *applied) (o *Observation, err error) {
	found, err := lookupTargets(ctx, b, rev)
	if err != nil {
		return nil, err
	}
	o = &Observation{rev: rev, backend: b, last: last}
	var state *State
	defer func() {
		if err == nil {
			return
		}
		found.close()
		if state != nil {
			state.close()
		}
	}()
	if o.contents, err = newContents(rev, b.PossibleCPUs(), found); err != nil {
		return nil, fmt.Errorf("resolve entries: %w", err)
	}
	if o.mask, err = maskOf(rev, b.PossibleCPUs()); err != nil {
		return nil, fmt.Errorf("lay out values: %w", err)
	}
	if state, err = b.Open(ctx, rev.Key, &rev.Pin); err != nil {
		return nil, fmt.Errorf("open map %s: %w", rev.Key, err)
	}
	o.record, o.pinPath = state.Record, state.PinPath
	o.bases = newBases(b, rev.Key, o.record)
	for _, m := range []struct {
		from Map
		to   **openMap
	}{{state.Pinned, &o.pinned}, {state.KeepAlive, &o.keepAlive}} {
		if *m.to, err = describeMap(ctx, locked(rev, m.from)); err != nil {
			return nil, fmt.Errorf("observe map %s: %w", rev.Key, err)
		}
	}
	o.pin, o.found = o.wantedPin(state.Found), state.Found
	o.forPlan(found)
	return o, nil
}

// forPlan puts down what the plan is made from.
func (o *Observation) forPlan(found *targets) {
	o.want = plan.DesiredMap{
		Revision: o.rev, Fingerprint: o.rev.Fingerprint() + found.trace, Resolved: found.trace, Contents: o.contents, CPUs: o.contents.cpus, Pin: o.pin,
		Mask: o.mask,
	}
	o.have = plan.Observed{Pinned: o.planned(o.pinned), KeepAlive: o.planned(o.keepAlive), Found: o.found}
	if o.last != nil {
		o.have.Last = &o.last.Applied
	}
	rec := o.record
	if rec == nil {
		return
	}
	o.have.Recorded = &plan.Recorded{
		MapID: rec.MapID, PreviousMapID: rec.PreviousMapID, Applied: rec.Applied, Digest: rec.Digest, Resolved: rec.Linked, PinPath: rec.Pin.Path, Inner: rec.Inner,
		Exclusive: rec.Exclusive, PreviousExclusive: rec.PreviousExclusive,
		Checked: isChecked(rec, o.rev), LeftOut: rec.LeftOut,
	}
	if o.mask != nil && o.replaced() != nil {
		carry, otherKeys := o.programValues()
		o.have.Recorded.Lost, o.have.Recorded.OtherKeys = carry.Lost, otherKeys
	}
	if rec.UID != o.rev.UID {
		o.have.Recorded.Applied = "" // for an earlier BPFMap of that name: the record is to name this one
	}
}

// answer observes what the plan needs to know.
func (o *Observation) answer(ctx context.Context, need plan.Need) (err error) {
	m := o.base(need.Of)
	switch need.What {
	case plan.NeedOwners:
		o.have.Owners, err = o.owners(ctx)
	case plan.NeedFit:
		o.have.Fit, err = o.fit(ctx, m)
	case plan.NeedLosses:
		o.have.Losses, err = o.losses(ctx, m)
	case plan.NeedComparison:
		o.have.Changes, err = o.compare(ctx, m)
	case plan.NeedQuestions:
		o.have.Changes, err = o.question(ctx, m)
	case plan.NeedDifference:
		changes := plan.Between(o.desired(nil), o.last.contents, o.last.count)
		o.have.Changes = &changes
	case plan.NeedBlindWrite:
		mine := o.ownedKeys(ctx, m)
		changes := plan.BlindWrite(o.desired(mine.forPlan()))
		o.have.Changes, err = &changes, mine.failed()
	}
	return err
}

// owners finds out whether another BPFMap's record names our pin, or the map that is there.
func (o *Observation) owners(ctx context.Context) (*plan.Owners, error) {
	ofPin, ofMap, err := o.backend.Owners(ctx, o.rev.Key, o.rev.Pin.Path, o.pinned.id())
	if err != nil {
		return nil, fmt.Errorf("look up the owner of pin %s: %w", o.rev.Pin.Path, err)
	}
	owners := &plan.Owners{}
	if ofPin != nil {
		owners.OfPin = ofPin.String()
	}
	if ofMap != nil {
		owners.OfMap = ofMap.String()
	}
	return owners, nil
}

// clusterOwned refuses local work on a map of a cluster.
func clusterOwned(r *Record) error {
	return &Error{v1alpha1.NodeReasonPinConflict, fmt.Errorf("map %s belongs to a BPFMap of a cluster (uid %s): change it there", r.Key, r.UID)}
}
