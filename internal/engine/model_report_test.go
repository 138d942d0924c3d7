// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package engine_test

import (
	"fmt"
	"maps"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
)

// keeps says whether the engine left what others changed as it is while it brought a map to a new revision.
func (c *check) keeps() bool { return c.ready() && c.report.Plan.Changes.Keeps() }

// noteDeclared takes down what the next revision can be compared with.
func (c *check) noteDeclared() {
	c.m.before = nil
	is := c.after.pins[c.m.spec.pin]
	if c.m.spec.policy.Drift != v1alpha1.DriftReport || is == nil || c.m.maps[is.ID] == nil || c.want.waits {
		return
	}
	// c.want lacks what others wrote meanwhile.
	c.m.before = &declaredBefore{entries: c.run.want(c.m.spec, c.key, c.before).declared, spec: c.m.spec.clone(), mapID: is.ID, sure: true}
}

// isNewRevision says whether the revision is another one than the one before, and both ask for a report.
func (c *check) isNewRevision() bool {
	b, rev := c.m.before, c.m.spec.revision(c.key, c.m.n)
	return b != nil && c.m.spec.policy.Drift == v1alpha1.DriftReport && c.m.applied != rev.Fingerprint()+rev.UID &&
		b.spec.policy.Sync == c.m.spec.policy.Sync && b.spec.shape == c.m.spec.shape && b.spec.uid == c.m.spec.uid
}

// mayStay says whether an element may stay as others left it: the declaration of it is what it was before.
func (c *check) mayStay(key string) bool {
	if !c.isNewRevision() || c.base() == nil || c.now() == nil || c.base().ID != c.now().ID {
		return false
	}
	was, had := c.base().elements[key]
	is, has := c.now().elements[key]
	shape := modelShapes[c.m.spec.shape]
	return shape.bits(c.m.before.entries[key]) == shape.bits(c.want.declared[key]) && shape.bits(was) == shape.bits(is) && had == has
}

// othersChangesStay checks a new revision over a map that others changed, with driftPolicy Report: what it
// doesn't change stays as they left it, and what it does change is told.
func (c *check) othersChangesStay() error {
	was, is, b := c.base(), c.now(), c.m.before
	switch {
	case !c.isNewRevision() || !b.sure || !c.ready() || c.hit != "" || c.others:
		return nil // the engine may not know
	case was == nil || is == nil || was.ID != is.ID || was.ID != b.mapID || was.elements == nil:
		return nil // another map
	case was.Shape.IsHidden() || was.Shape.IsBloom() || was.Shape.IsLRU() || c.m.spec.policy.Sync == v1alpha1.SyncSeed || c.names():
		return nil
	}
	all := maps.Clone(b.entries)
	maps.Copy(all, was.elements)
	told, shape := c.report.Drift != nil, modelShapes[c.m.spec.shape]
	for key := range all {
		before, declared := shape.bits(b.entries[key]), shape.bits(c.want.declared[key])
		value, now := shape.bits(was.elements[key]), shape.bits(is.elements[key])
		drifted := value != before && (before != "" || c.m.spec.policy.Sync == v1alpha1.SyncMirror && !c.isZeroElement(value))
		switch {
		case !drifted:
		case before == declared && now != value && (before != "" || c.m.maps[was.ID] == nil || !c.m.maps[was.ID].maybe[key]):
			return fmt.Errorf("others changed key %x from %x to %x, the revision doesn't change it, and it is %x now", key, before, value, now)
		case now != value && before != "" && !told:
			return fmt.Errorf("others changed key %x from %x to %x, the revision made it %x, and nobody was told", key, before, value, now)
		}
	}
	return nil
}

// names says whether entries name something, whose number may change by itself.
func (c *check) names() bool {
	return c.want.trace != "" || len(c.m.spec.revision(c.key, c.m.n).References) > 0
}

// isZeroElement says whether a value is that of an element of an array in which nothing is.
func (c *check) isZeroElement(value string) bool {
	for _, b := range []byte(value) {
		if b != 0 {
			return false
		}
	}
	return c.shape().IsArray()
}
