// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package engine_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"strings"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
)

func indexOf(key string) uint32 { return binary.NativeEndian.Uint32([]byte(key)) }

// asDeclared checks after a success that everything is as declared.
func (c *check) asDeclared() error {
	if !c.ready() || c.incomplete() {
		return nil
	}
	is, spec, r := c.after.pins[c.m.spec.pin], c.m.spec, c.report
	rev := spec.revision(c.key, c.m.n)
	if is == nil {
		return fmt.Errorf("ready, and nothing is at the pin")
	}
	if kept := c.after.kept[c.key]; kept == nil || kept.ID != is.ID {
		return fmt.Errorf("ready, and the keep-alive pin isn't one of map %d", is.ID)
	}
	record := c.after.records[c.key]
	differences := c.shape().Differences(is.Shape)
	switch {
	case len(differences) > 0:
		return fmt.Errorf("ready, and %v", differences)
	case is.Frozen != spec.policy.Freeze:
		return fmt.Errorf("ready, and frozen is %t", is.Frozen)
	case is.differs && c.read() && (!c.isTheirs(is) || c.m.spec.mode != 0o600):
		return fmt.Errorf("ready, and mode or owner of the pin differ")
	case record == nil || !strings.HasPrefix(record.Applied, rev.Fingerprint()) || record.MapID != is.ID || record.UID != rev.UID:
		return fmt.Errorf("ready, and the record is %+v", record)
	case r.MapID != is.ID || r.Frozen != is.Frozen || (r.Digest != rev.Digest) != (c.want.waits || c.keeps()) || r.Revision != rev.Name:
		return fmt.Errorf("the report is wrong about map %d", is.ID)
	}
	if err := errors.Join(c.adoptedRightly(is), c.orphans()); err != nil {
		return err
	}
	if !c.read() {
		return nil // what others did meanwhile is found the next time
	}
	return c.contents(is)
}

func allZero(b string) bool { return strings.Trim(b, "\x00") == "" }

// orphans checks that maps of ours are pinned nowhere else.
func (c *check) orphans() error {
	for path, v := range c.after.pins {
		o := c.m.maps[v.ID]
		if path != c.m.spec.pin && o != nil && !o.tentative && !c.m.strays[v.ID] && (!o.adopted || path != o.found) {
			return fmt.Errorf("the earlier pin %s of map %d is still there", path, v.ID)
		}
	}
	return nil
}

// contents checks that a map holds what is declared, and what was ours and isn't declared no more.
func (c *check) contents(is *view) error {
	spec, declared := c.m.spec, c.want.declared
	if spec.policy.Sync == v1alpha1.SyncSeed || is.elements == nil {
		return nil
	}
	for key, want := range declared {
		if got, there := is.elements[key]; (!there || got != want) && !c.mayStay(key) {
			return fmt.Errorf("ready, and key %x has the value %x, want %x", key, got, want)
		}
	}
	if is.Shape.IsBloom() {
		return nil // it forgets nothing
	}
	for key := range is.elements {
		if c.want.held[key] {
			continue
		}
		if c.mayStay(key) {
			continue
		}
		if shape := modelShapes[spec.shape]; declared[key] == "" && shape.IsArray() && shape.owned != ownsNothing && allZero(shape.bits(is.elements[key])) {
			continue // the element of an array stays with what programs own
		}
		if spec.policy.Sync == v1alpha1.SyncMirror && declared[key] == "" {
			return fmt.Errorf("ready, and the map holds %x, want exactly %x", is.elements, declared)
		}
		if o := c.m.maps[is.ID]; o != nil && o.sure[key] && declared[key] == "" {
			return fmt.Errorf("ready, and key %x isn't declared any more", key)
		}
	}
	return nil
}

// removed checks what Remove did.
func (c *check) removed() error {
	if c.report.Err != nil && c.hit == "" {
		return fmt.Errorf("the removal failed without a cause")
	}
	if kept := c.after.kept[c.key]; c.before.records[c.key] != nil && c.after.records[c.key] == nil && kept != nil {
		return fmt.Errorf("the record is gone, and the keep-alive pin of map %d is forgotten", kept.ID)
	}
	if c.report.State != v1alpha1.NodeMapReady {
		return nil
	}
	if c.after.records[c.key] != nil || c.after.kept[c.key] != nil {
		return fmt.Errorf("removed, and record %v or keep-alive pin %v are left", c.after.records[c.key], c.after.kept[c.key])
	}
	if len(c.m.deletion) != 1 {
		return nil // a failure left open which policy holds
	}
	record := c.before.records[c.key]
	for path, v := range c.before.pins {
		o := c.m.maps[v.ID]
		if o == nil || o.tentative || c.m.strays[v.ID] {
			continue
		}
		if c.m.deletion[v1alpha1.DeletionGiveBack] || c.m.deletion[""] && o.adopted {
			if record.MapID == v.ID && len(record.PreviousPaths) == 0 {
				if err := c.givenBack(path, v, o); err != nil {
					return err
				}
			}
			continue
		}
		if arrived := c.before.pins[record.Pin.Path]; path != record.Pin.Path && arrived != nil && arrived.ID == record.MapID && (!o.adopted || path != o.found) {
			if c.after.pins[path] != nil {
				return fmt.Errorf("removed, and the earlier pin %s of map %d is left", path, v.ID)
			}
			continue
		}
		if left := c.after.pins[path] != nil; left != c.m.deletion[v1alpha1.DeletionRetain] {
			return fmt.Errorf("removed, and map %d at pin %s: left %t", v.ID, path, left)
		}
	}
	return nil
}

// note takes down what is ours now.
func (c *check) note() {
	switch {
	case c.m.spec == nil && (c.report.Err == nil || c.after.records[c.key] == nil):
		c.m.forget()
	case c.m.spec == nil:
		c.m.applied, c.m.uncertain = "", true
		for id, o := range c.m.maps { // what was given back is of whoever writes it anew
			for key := range o.sure {
				if is := c.after.find(id); is == nil || is.elements[key] == "" {
					delete(o.sure, key)
				}
			}
		}
	case c.ready() && !c.incomplete():
		c.noteSuccess()
	case c.reported() && !c.incomplete():
		c.m.drifts, c.m.drifted = c.report.DriftCount, true
		c.noteDeclared()
	case c.report.State == v1alpha1.NodeMapFailed, c.interrupted(), c.incomplete():
		c.noteFailure()
	}
}

func (c *check) keysDeclared() map[string]bool { return maps.Clone(c.want.keys) }

func (c *check) noteSuccess() {
	is := c.after.pins[c.m.spec.pin]
	adopted, found := c.origin(is)
	c.m.forget()
	c.m.applied, c.m.linked = c.m.spec.revision(c.key, c.m.n).Fingerprint()+c.report.UID, c.want.trace
	c.m.drifts = c.report.DriftCount
	o := &owned{sure: c.keysDeclared(), maybe: c.keysDeclared()}
	if c.m.spec.policy.Sync == v1alpha1.SyncSeed {
		o = &owned{} // of the programs that use it
	}
	c.noteSeeds(o)
	o.adopted, o.found, o.mode = adopted, found, is.mode
	c.m.maps[is.ID] = o
	c.m.deletion[c.m.spec.policy.Deletion] = true
	c.m.drifted = c.keeps()
	c.noteDeclared()
}

// noteFailure leaves open what may have been done.
func (c *check) noteFailure() {
	if c.before.text[c.key] == c.after.text[c.key] && sameEverything(c.before, c.after) == nil {
		return
	}
	c.m.applied, c.m.uncertain = "", true
	if c.m.before != nil {
		c.m.before.sure = false
	}
	c.m.deletion[c.m.spec.policy.Deletion] = true
	seeded := c.m.spec.policy.Sync == v1alpha1.SyncSeed
	if was := c.base(); was != nil {
		o := c.m.maps[was.ID]
		if o == nil {
			o = &owned{tentative: true, adopted: true, found: c.m.spec.pin, mode: was.mode, sure: map[string]bool{}, maybe: map[string]bool{}}
			c.m.maps[was.ID] = o
		}
		is := c.after.find(was.ID)
		for key := range o.sure {
			if seeded || !c.keysDeclared()[key] && (is == nil || is.elements[key] == "") {
				delete(o.sure, key)
			}
		}
		if o.maybe == nil {
			o.maybe, o.sure = map[string]bool{}, map[string]bool{}
		}
		maps.Copy(o.maybe, c.keysDeclared())
		o.maySeed(c.keysDeclared())
	}
	for _, v := range []*view{c.after.pins[c.m.spec.pin], c.after.kept[c.key]} {
		if v == nil || c.m.maps[v.ID] != nil || c.before.has(v.ID) {
			continue
		}
		o := &owned{sure: c.keysDeclared(), maybe: c.keysDeclared()}
		if seeded {
			o.sure = map[string]bool{}
		}
		if was := c.base(); was != nil && c.m.maps[was.ID] != nil {
			maps.Copy(o.maybe, c.m.maps[was.ID].maybe)
			o.adopted, o.found = c.m.maps[was.ID].adopted, c.m.maps[was.ID].found
		}
		o.maySeed(c.keysDeclared())
		c.m.maps[v.ID] = o
	}
}

// drift checks what is done to a map that was brought to its revision before: what differs is drift, is
// counted once, and is left alone if the policy says so.
func (c *check) drift() error {
	rev := c.m.spec.revision(c.key, c.m.n)
	changed, failed := c.m.applied != rev.Fingerprint()+rev.UID, c.report.State == v1alpha1.NodeMapFailed || c.report.State == v1alpha1.NodeMapStalled
	if changed || failed || c.hit != "" || c.shape().IsLRU() || c.others {
		return nil
	}
	if c.m.linked != c.want.trace { // names stand for something else now
		if c.report.Drift != nil {
			return fmt.Errorf("drift %s is reported, and the node changed", c.report.Drift.Kind)
		}
		return nil
	}
	before, changed := c.m.drifts, c.changed()
	switch {
	case changed && c.m.spec.policy.Drift == v1alpha1.DriftReport:
		return fmt.Errorf("the map was changed, and drift is only to be reported")
	case changed && c.report.Drift == nil:
		return fmt.Errorf("the map was repaired, and no drift is reported")
	case changed || c.report.Drift != nil && !c.m.drifted:
		before++
	case c.report.Drift != nil && c.report.Drift.Repaired:
		return fmt.Errorf("drift %s is repaired, and nothing changed", c.report.Drift.Kind)
	}
	if !c.m.uncertain && c.report.DriftCount != before {
		return fmt.Errorf("drift was found %d times, %d were counted", before, c.report.DriftCount)
	}
	return nil
}

// changed says whether the map or its pin is another than before.
func (c *check) changed() bool {
	return sameView(c.before.pins[c.m.spec.pin], c.after.pins[c.m.spec.pin]) != nil
}
