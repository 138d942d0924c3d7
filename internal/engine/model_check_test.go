// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package engine_test

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/bpf"
	"github.com/bpfmap-io/bpfmap-operator/internal/engine"
	"github.com/bpfmap-io/bpfmap-operator/internal/engine/enginetest"
	"github.com/bpfmap-io/bpfmap-operator/internal/maptype"
	"github.com/bpfmap-io/bpfmap-operator/internal/plan"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
)

// check compares the world before and after one call of the engine.
type check struct {
	*run
	m             *managed
	key           revision.Key
	before, after *snapshot
	report        *engine.Report
	fault         *modelFault
	hit           string // what the fault met
	want          wanted
	others        bool // others wrote during the sync
}

// base is the map that the engine has to work on: the one at the pin, or ours that lost its pin.
func (c *check) base() *view {
	if at := c.before.pins[c.m.spec.pin]; at != nil {
		return at
	}
	if kept := c.before.kept[c.key]; kept != nil && c.m.maps[kept.ID] != nil {
		return kept
	}
	return nil
}

// now is the map that is there afterwards.
func (c *check) now() *view {
	if at := c.after.pins[c.m.spec.pin]; at != nil {
		return at
	}
	if kept := c.after.kept[c.key]; kept != nil && (c.m.maps[kept.ID] != nil || !c.before.has(kept.ID)) {
		return kept
	}
	return nil
}

func (c *check) shape() revision.Shape { return modelShapes[c.m.spec.shape].Shape }

// incomplete says whether the engine was shown an incomplete reading.
func (c *check) incomplete() bool { return c.hit != "" && c.fault.Kind == enginetest.Incomplete }

// interrupted says whether the work ended with its context, which is no failure.
func (c *check) interrupted() bool { return c.report.Reason == v1alpha1.NodeReasonInterrupted }

// ready says whether the map is to be as declared now, as far as what its names stand for is there.
func (c *check) ready() bool { return c.report.Err == nil && !c.reported() }

// reported says whether drift was found and left alone.
func (c *check) reported() bool { return c.report.Err == nil && c.report.Plan.Action == plan.Report }

// read says whether the engine has read the map.
func (c *check) read() bool { return c.incremental > 1 }

// all checks everything.
func (c *check) all() error {
	checks := []func() error{c.othersPins, c.othersState, c.counted}
	if c.m.spec == nil {
		checks = append(checks, c.removed)
	} else {
		checks = append(checks, c.kindOfEnd, c.elements, c.visibleWhenComplete, c.frozen, c.asDeclared, c.drift, c.othersChangesStay, c.seededOnce)
	}
	for _, one := range checks {
		if err := one(); err != nil {
			return err
		}
	}
	return nil
}

// othersPins checks that pins elsewhere stay, but for earlier ones of ours.
func (c *check) othersPins() error {
	for _, path := range modelPins {
		was, is := c.before.pins[path], c.after.pins[path]
		if c.m.spec != nil && path == c.m.spec.pin {
			if was != nil && c.m.maps[was.ID] == nil && (is == nil || is.ID != was.ID) {
				return fmt.Errorf("pin %s: map %d of others isn't there any more", path, was.ID)
			}
			continue
		}
		if was != nil && c.m.maps[was.ID] != nil {
			if is != nil && is.ID != was.ID {
				return fmt.Errorf("pin %s: map %d, was %d", path, is.ID, was.ID)
			}
			continue
		}
		if was != nil && is != nil && was.ID == is.ID && c.m.spec != nil && c.now() != nil && c.now().ID == is.ID {
			continue // another pin of the map that is worked on, which no record names any more
		}
		if err := sameView(was, is); err != nil {
			return fmt.Errorf("pin %s: %w", path, err)
		}
	}
	return nil
}

// othersState checks that what we know of other maps stays.
func (c *check) othersState() error {
	for _, key := range modelKeys {
		if key == c.key || c.before.records[key] == nil && c.after.records[key] == nil {
			continue // a keep-alive pin without a record is nobody's
		}
		if err := sameView(c.before.kept[key], c.after.kept[key]); err != nil {
			return fmt.Errorf("keep-alive pin of %s: %w", key, err)
		}
		if c.before.text[key] != c.after.text[key] {
			return fmt.Errorf("the record of %s changed", key)
		}
	}
	return nil
}

// counted checks that a reported number of elements is true.
func (c *check) counted() error {
	if c.report.Entries == nil || !c.read() || c.incomplete() || c.others {
		return nil
	}
	for _, v := range c.after.pins {
		if v.ID == c.report.MapID && int(*c.report.Entries) != len(v.elements) {
			return fmt.Errorf("%d elements were reported, there are %d", *c.report.Entries, len(v.elements))
		}
	}
	return nil
}

// kindOfEnd checks that an end that isn't success has a cause, and that a stall and a report of drift
// changed nothing.
func (c *check) kindOfEnd() error {
	switch {
	case c.ready() && c.want.invalid:
		return fmt.Errorf("no error, and a name stands for what can't be")
	case c.report.Err == nil && c.want.waits != (c.report.State == v1alpha1.NodeMapPending && c.report.Reason == v1alpha1.NodeReasonReferenceNotFound):
		return fmt.Errorf("entries wait: %t", c.want.waits)
	case c.ready():
		return nil
	case c.reported():
		if c.m.spec.policy.Drift != v1alpha1.DriftReport {
			return fmt.Errorf("drift is reported, and the policy is to repair it")
		}
		c.before.text[c.key] = c.after.text[c.key] // it counts
		return sameEverything(c.before, c.after)
	case c.report.State == v1alpha1.NodeMapStalled || c.report.Plan.Action == plan.Stall:
		if err := sameEverything(c.before, c.after); err != nil {
			return fmt.Errorf("stalled, and yet: %w", err)
		}
		if c.report.State == v1alpha1.NodeMapFailed {
			return c.failedRightly()
		}
		return c.stalledRightly()
	case c.interrupted() != (c.report.State == v1alpha1.NodeMapPending) || c.interrupted() && (c.hit == "" || c.fault.Kind != enginetest.Cancelled):
		return fmt.Errorf("interrupted, and nobody did that")
	case c.hit != "":
		return nil
	}
	return c.failedRightly()
}

// stalledRightly checks that people are needed.
func (c *check) stalledRightly() error {
	base, spec := c.base(), c.m.spec
	if (c.report.Reason == v1alpha1.NodeReasonInvalidReference) != c.want.invalid {
		return fmt.Errorf("stalled, and a name stands for what can't be: %t", c.want.invalid)
	}
	if c.want.invalid {
		return nil
	}
	if c.report.Reason == v1alpha1.NodeReasonNotSupported {
		return unknownType(c.shape().Type)
	}
	if base == nil {
		return fmt.Errorf("stalled, and nothing is in the way")
	}
	if c.report.Reason == v1alpha1.NodeReasonAdoptionNotAllowed {
		return c.forbiddenRightly(base)
	}
	compatible := len(c.shape().Differences(base.Shape)) == 0
	ours := c.m.maps[base.ID] != nil
	switch {
	case compatible && !base.Frozen:
		return fmt.Errorf("stalled, and the map could become what is declared")
	case compatible && spec.policy.Freeze && base.elements != nil && maps.Equal(base.elements, c.want.declared) && c.read() && !base.Shape.IsHidden():
		return fmt.Errorf("stalled, and the map is as declared")
	case !ours || spec.policy.Replace == v1alpha1.ReplaceNever || c.m.maps[base.ID].tentative:
		return nil
	case c.others:
		return nil // what they wrote may have been there when the engine looked
	case c.m.maps[base.ID].adopted && c.before.pins[spec.pin] == nil && c.before.records[c.key].Pin.Path != spec.pin:
		return nil // the map of others can't be given up for a new one elsewhere
	case base.Shape.IsHidden() || c.shape().IsHidden() || c.shape().IsFilledAtRuntime():
		return nil // nothing can be moved
	case c.fits(base) && c.hasNoPlace(base):
		return nil
	case c.discards(base) && len(c.want.held) == 0:
		return fmt.Errorf("stalled, and the map may be replaced")
	case c.fits(base):
		return fmt.Errorf("stalled, and all elements could be moved to a new map")
	}
	for key := range base.elements {
		if !c.m.maps[base.ID].sure[key] || c.want.held[key] {
			return nil
		}
	}
	return fmt.Errorf("stalled, and all elements are ours")
}

// unknownType checks that the kernel doesn't know the type.
func unknownType(typ v1alpha1.MapType) error {
	if err := bpf.HaveMapType(bpf.MapType(maptype.ByName(string(typ)).Number)); !errors.Is(err, bpf.ErrNotSupported) {
		return fmt.Errorf("%s isn't supported, and nothing says that the kernel doesn't know it", typ)
	}
	return nil
}

// hasNoPlace says whether an element of others or one that waits has an index that the declared map
// doesn't have.
func (c *check) hasNoPlace(base *view) bool {
	for key := range base.elements {
		policy := c.m.spec.policy.Sync
		gone := c.discards(base) || policy == v1alpha1.SyncMerge && c.m.maps[base.ID].sure[key]
		if c.shape().IsIndexed() && indexOf(key) >= c.shape().MaxEntries && (!gone || c.want.held[key]) {
			return true
		}
	}
	return false
}

// fits says whether elements of a map can be elements of the declared one.
func (c *check) fits(base *view) bool {
	return fits(base.Shape, c.shape())
}

func fits(have, want revision.Shape) bool {
	holdsObjects := have.IsMapOfMaps() || have.Type == v1alpha1.MapTypeProgArray
	return have.KeySize == want.KeySize && have.ValueSize == want.ValueSize && have.IsLPM() == want.IsLPM() &&
		have.IsPerCPU() == want.IsPerCPU() && !have.IsHidden() && !want.IsHidden() &&
		!holdsObjects && (!want.TakesFDs() || have.Type == want.Type)
}

// failedRightly checks that a failure without a fault has a cause in the world.
func (c *check) failedRightly() error {
	base, spec := c.base(), c.m.spec
	switch c.report.Reason {
	case v1alpha1.NodeReasonPinConflict:
		for key, r := range c.before.records {
			if key != c.key && (r.Pin.Path == spec.pin || slices.Contains(r.PreviousPaths, spec.pin) || base != nil && base.ID == r.MapID) {
				return nil
			}
		}
		if base != nil && c.m.maps[base.ID] == nil && c.losesByMove() {
			return nil
		}
	case v1alpha1.NodeReasonMapFull:
		all := maps.Clone(c.want.declared)
		if c.others {
			all["what others wrote"] = ""
		}
		if base != nil {
			maps.Copy(all, base.elements)
		}
		if len(all) > int(c.shape().MaxEntries) {
			return nil
		}
	}
	return fmt.Errorf("failed without a cause")
}

// losesByMove says whether our map, pinned elsewhere, holds what may not be ours alone.
func (c *check) losesByMove() bool {
	kept, record := c.before.kept[c.key], c.before.records[c.key]
	if kept == nil || record == nil || record.Pin.Path == c.m.spec.pin {
		return false
	}
	if o := c.m.maps[kept.ID]; o != nil && o.adopted {
		return true
	}
	if c.m.spec.policy.Sync == v1alpha1.SyncMirror {
		return false
	}
	shape := modelShapes[c.m.spec.shape]
	for key, value := range kept.elements {
		if o := c.m.maps[kept.ID]; o == nil || !o.sure[key] || c.want.held[key] {
			return true
		}
		if want, ok := c.want.declared[key]; ok && shape.owned != ownsNothing && value != want {
			return true // what programs wrote
		}
	}
	return kept.Shape.IsHidden()
}

// elements checks that nothing declared is lost and nothing of others is touched, whatever the end.
func (c *check) elements() error {
	was, is, spec := c.base(), c.now(), c.m.spec
	if was == nil || was.elements == nil {
		return nil
	}
	ours := c.m.maps[was.ID]
	if is == nil {
		return fmt.Errorf("map %d is gone", was.ID)
	}
	if ours == nil {
		ours = &owned{}
		if is.ID != was.ID {
			return fmt.Errorf("map %d of others was replaced by %d", was.ID, is.ID)
		}
	}
	if ours.tentative && is.ID != was.ID && c.before.has(is.ID) {
		return fmt.Errorf("map %d of others was replaced by %d", was.ID, is.ID)
	}
	if is.ID != was.ID && !fits(was.Shape, is.Shape) {
		return c.mayBeGivenUp(was, ours)
	}
	declared := c.want.declared
	for key, value := range was.elements {
		now, there := is.elements[key]
		want, asked := declared[key]
		switch {
		case c.want.held[key] && (!there || now != value):
			return fmt.Errorf("key %x waits and had the value %x, now %x (there: %t)", key, value, now, there)
		case c.want.held[key]:
		case asked && !there && is.Shape.IsLRU():
		case asked && !there:
			return fmt.Errorf("the declared key %x is lost", key)
		case asked && now != value && now != want:
			return fmt.Errorf("the declared key %x has the value %x, neither %x nor %x", key, now, value, want)
		case asked && spec.policy.Sync == v1alpha1.SyncSeed && now != value:
			return fmt.Errorf("key %x of a seeded map changed from %x to %x", key, value, now)
		case asked || c.discards(was) || ours.maybe[key] && spec.policy.Sync != v1alpha1.SyncSeed:
		case !there || now != value:
			return fmt.Errorf("key %x of others had the value %x, now %x (there: %t)", key, value, now, there)
		}
	}
	for key := range is.elements {
		_, had := was.elements[key]
		if _, asked := declared[key]; !asked && !had && !is.Shape.IsBloom() { // filters err
			return fmt.Errorf("key %x appeared from nowhere", key)
		}
	}
	return nil
}

// mayBeGivenUp checks that a map whose elements can't be moved held nothing of others.
func (c *check) mayBeGivenUp(was *view, ours *owned) error {
	if was.Shape.IsBloom() && c.shape().IsBloom() {
		return nil // it was made anew, and others have to put theirs in again
	}
	sameKeys := was.Shape.KeySize == c.shape().KeySize
	for key := range was.elements {
		if sameKeys && c.want.held[key] || !ours.maybe[key] && !c.discards(was) {
			return fmt.Errorf("map %d was given up with key %x of others, or that waits", was.ID, key)
		}
	}
	return nil
}

// visibleWhenComplete checks that a new map at the pin holds everything from the first moment on.
func (c *check) visibleWhenComplete() error {
	is := c.after.pins[c.m.spec.pin]
	if is == nil || c.before.has(is.ID) || is.elements == nil {
		return nil
	}
	if c.m.spec.policy.Freeze && !is.Frozen {
		return fmt.Errorf("the new map %d isn't frozen", is.ID)
	}
	for key, want := range c.want.declared {
		got, there := is.elements[key]
		if c.m.spec.policy.Sync == v1alpha1.SyncSeed && c.base() != nil && fits(c.base().Shape, is.Shape) {
			continue // what was put in once comes from the map before, see seededOnce
		}
		if !there || got != want && c.m.spec.policy.Sync != v1alpha1.SyncSeed {
			return fmt.Errorf("the new map %d is pinned and holds %x=%x, want %x", is.ID, key, got, want)
		}
	}
	return nil
}

// frozen checks that only what is to be frozen is.
func (c *check) frozen() error {
	was, is := c.base(), c.now()
	if is != nil && is.Frozen && !c.m.spec.policy.Freeze && (was == nil || was.ID != is.ID || !was.Frozen) {
		return fmt.Errorf("map %d was frozen", is.ID)
	}
	return nil
}
