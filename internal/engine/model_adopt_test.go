// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package engine_test

import (
	"fmt"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
)

// adoption is the adoption policy with its default.
func (c *check) adoption() v1alpha1.AdoptionPolicy {
	return c.m.spec.revision(c.key, c.m.n).Adoption()
}

// isTheirs says whether a map was made by others, as far as the model knows.
func (c *check) isTheirs(v *view) bool {
	o := c.m.maps[v.ID]
	return o == nil || o.adopted
}

// discards says whether what nobody declared is deleted from a map.
func (c *check) discards(v *view) bool {
	return c.m.spec.policy.Sync == v1alpha1.SyncMirror && (!c.isTheirs(v) || c.adoption() == v1alpha1.AdoptionDiscard)
}

// forbiddenRightly checks that a map that may not be adopted, or not emptied, is one.
func (c *check) forbiddenRightly(base *view) error {
	o := c.m.maps[base.ID]
	if c.adoption() == v1alpha1.AdoptionNever && (o == nil || o.tentative) {
		return nil
	}
	if c.m.spec.policy.Sync != v1alpha1.SyncMirror || !c.isTheirs(base) || c.adoption() == v1alpha1.AdoptionDiscard {
		return fmt.Errorf("stalled, and map %d may be adopted as it is", base.ID)
	}
	for key := range base.elements {
		if c.want.held[key] || !c.want.keys[key] && (o == nil || !o.sure[key]) {
			return nil
		}
	}
	if c.others {
		return nil // what they wrote may have been there when the engine looked
	}
	return fmt.Errorf("stalled, and map %d holds nothing of others", base.ID)
}

// adoptedRightly checks after a success that a map of others was to be adopted, and that its pin has mode and owner as
// they were where nothing else is declared.
func (c *check) adoptedRightly(is *view) error {
	was, o := c.before.pins[c.m.spec.pin], c.m.maps[is.ID]
	if was == nil || was.ID != is.ID {
		return nil
	}
	if o == nil && c.adoption() == v1alpha1.AdoptionNever {
		return fmt.Errorf("map %d of others was adopted, and the policy is Never", is.ID)
	}
	if !c.isTheirs(is) || c.m.spec.mode != 0o600 || is.mode == was.mode || o != nil && was.mode == o.mode {
		return nil // what we set ourselves may go back to what it was before
	}
	return fmt.Errorf("the pin of map %d of others had mode %o, now %o", is.ID, was.mode, is.mode)
}

// givenBack checks a map that was given back: our keys are gone, and those of others are as they were.
func (c *check) givenBack(path string, v *view, o *owned) error {
	left := c.after.pins[path]
	if o.adopted && path != o.found && c.before.pins[o.found] != nil && c.before.pins[o.found].ID == v.ID {
		if left != nil {
			return fmt.Errorf("given back, and the pin %s of map %d, found at %s, is left", path, v.ID, o.found)
		}
		return nil
	}
	if left == nil || left.ID != v.ID {
		return fmt.Errorf("given back, and map %d isn't at its pin %s any more", v.ID, path)
	}
	if v.Shape.IsHidden() || v.Shape.IsBloom() || v.elements == nil {
		return nil
	}
	rev := &revision.Revision{ValueSchema: c.before.records[c.key].ValueSchema}
	stays := v.Shape.IsArray() && rev.ProgramParts() != nil // what programs own of ours
	for key, value := range v.elements {
		now, there := left.elements[key]
		switch {
		case v.Frozen && now != value, !o.maybe[key] && now != value:
			return fmt.Errorf("given back, and key %x of others had the value %x, now %x (there: %t)", key, value, now, there)
		case !v.Frozen && o.sure[key] && there && !stays:
			return fmt.Errorf("given back, and our key %x is still there", key)
		}
	}
	return nil
}

// origin is who made a map that was brought to its revision.
func (c *check) origin(is *view) (adopted bool, found string) {
	o := c.m.maps[is.ID]
	if base := c.base(); o == nil && !c.before.has(is.ID) && base != nil {
		o = c.m.maps[base.ID] // it has the place of that one
	}
	switch {
	case o != nil:
		return o.adopted, o.found
	case c.before.has(is.ID):
		return true, c.m.spec.pin
	}
	return false, ""
}
