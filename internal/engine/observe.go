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

// Observation is what was seen of one map on one node, and what its revision asks for there. Observing only
// reads.
type Observation struct {
	rev     *revision.Revision
	backend Backend
	// contents are those that the map is to hold.
	contents *contents

	// pinned and keepAlive are the open maps behind both pins, nil if there are none.
	pinned, keepAlive *openMap
	record            *Record
	bases             *bases
	pinPath           string
	// last is what this engine brought to the map before, nil if it doesn't know.
	last *applied

	// want and have are the same for the plan; have gets the answers to what that asks for.
	want plan.DesiredMap
	have plan.Observed
}

// openMap is a map and what the kernel shows of it.
type openMap struct {
	Map
	info MapInfo
}

// describeMap asks the kernel for what it shows of a map; nil for no map.
func describeMap(ctx context.Context, m Map) (*openMap, error) {
	if m == nil {
		return nil, nil
	}
	info, err := m.Info(ctx)
	if err != nil {
		return nil, err
	}
	return &openMap{m, info}, nil
}

// id is 0 for no map.
func (m *openMap) id() uint32 {
	if m == nil {
		return 0
	}
	return m.info.ID
}

// planned is m for the plan.
func (m *openMap) planned() *plan.Map {
	if m == nil {
		return nil
	}
	return &plan.Map{ID: m.info.ID, Shape: m.info.Shape, Frozen: m.info.Frozen}
}

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
	o.forPlan(found, state.PinDiffers)
	return o, nil
}

// forPlan puts down what the plan is made from.
func (o *Observation) forPlan(found *targets, pinDiffers bool) {
	o.want = plan.DesiredMap{
		Revision: o.rev, Fingerprint: o.rev.Fingerprint() + found.trace, Resolved: found.trace, Contents: o.contents, CPUs: o.contents.cpus,
	}
	o.have = plan.Observed{Pinned: o.pinned.planned(), KeepAlive: o.keepAlive.planned(), PinDiffers: pinDiffers}
	if o.last != nil {
		o.have.Last = &o.last.Applied
	}
	rec := o.record
	if rec == nil {
		return
	}
	o.have.Recorded = &plan.Recorded{
		MapID: rec.MapID, PreviousMapID: rec.PreviousMapID, Applied: rec.Applied, Digest: rec.Digest, Resolved: rec.Linked, PinPath: rec.Pin.Path,
	}
	if rec.UID != o.rev.UID {
		o.have.Recorded.Applied = "" // for an earlier BPFMap of that name: the record is to name this one
	}
}

// close gives up what was opened to be observed.
func (o *Observation) close() {
	o.contents.targets.close()
	for _, m := range []*openMap{o.pinned, o.keepAlive} {
		if m != nil {
			_ = m.Close() // what was written through it is in the kernel
		}
	}
}

// base is the existing map that a plan works on, nil for none.
func (o *Observation) base(b plan.Base) *openMap {
	switch b {
	case plan.BasePinned:
		return o.pinned
	case plan.BaseKeepAlive:
		return o.keepAlive
	}
	return nil
}

// replaced is the map that a new one takes the pin of, nil for none.
func (o *Observation) replaced() *openMap {
	if o.pinned != nil {
		return o.pinned
	}
	return o.keepAlive
}

// answer observes what the plan needs to know.
func (o *Observation) answer(ctx context.Context, need plan.Need) (err error) {
	m := o.base(need.Of)
	switch need.What {
	case plan.NeedOwners:
		o.have.Owners, err = o.owners(ctx)
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
		changes := plan.BlindWrite(o.desired(mine))
		o.have.Changes, err = &changes, mine.failed()
	}
	return err
}

// desired is what a map is to hold in which some keys are ours.
func (o *Observation) desired(mine *owned) plan.DesiredContents {
	return plan.DesiredContents{Contents: o.contents, Shape: o.rev.Shape, Sync: o.rev.Policy.Sync, Owned: mine.forPlan()}
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

// locked is m, read and written under its values' locks if they have any.
func locked(rev *revision.Revision, m Map) Map {
	if m == nil || !rev.HasSpinLock() {
		return m
	}
	return m.Locked()
}

// clusterOwned refuses local work on a map of a cluster.
func clusterOwned(r *Record) error {
	return &Error{v1alpha1.NodeReasonPinConflict, fmt.Errorf("map %s belongs to a BPFMap of a cluster (uid %s): change it there", r.Key, r.UID)}
}
