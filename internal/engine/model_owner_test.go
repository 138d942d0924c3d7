// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package engine_test

import (
	"bytes"
	"context"
	"fmt"
	"slices"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/engine"
)

// programPart is what programs own of a shape's values.
type programPart string

// The parts. A new map gets the programs' values of another one with the same part.
const (
	ownsNothing programPart = ""
	ownsLast    programPart = "last"  // the last byte
	ownsWhole   programPart = "whole" // everything
	ownsLocked  programPart = "b"     // the last word, behind a lock
)

func (s modelShape) owning(p programPart) modelShape { s.owned = p; return s }

// ownedSchema is that of a value of which programs own a part.
func (s modelShape) ownedSchema() v1alpha1.Schema {
	u8, u32 := v1alpha1.Schema{Type: v1alpha1.TypeU8}, v1alpha1.Schema{Type: v1alpha1.TypeU32}
	theirs := func(s v1alpha1.Schema) v1alpha1.Schema { s.Owner = v1alpha1.OwnerProgram; return s }
	switch s.owned {
	case ownsWhole:
		return theirs(u32)
	case ownsLocked:
		return v1alpha1.Schema{Fields: []v1alpha1.Field{
			{Name: "lock", Schema: v1alpha1.Schema{Type: v1alpha1.TypeSpinLock}}, {Name: "a", Schema: u32}, {Name: "b", Schema: theirs(u32)},
		}}
	}
	rest := v1alpha1.Schema{Type: v1alpha1.TypeHex, Size: int32(s.ValueSize) - 2}
	return v1alpha1.Schema{Fields: []v1alpha1.Field{{Name: "a", Schema: u8}, {Name: "rest", Schema: rest}, {Name: "hits", Schema: theirs(u8)}}}
}

// isPrograms says whether a byte of one value is the programs'.
func (s modelShape) isPrograms(at int) bool {
	switch s.owned {
	case ownsLast:
		return at == int(s.ValueSize)-1
	case ownsLocked:
		return at >= 8
	}
	return s.owned == ownsWhole
}

// slot is how many bytes one value takes among those of all CPUs.
func (s modelShape) slot() int {
	if s.IsPerCPU() {
		return (int(s.ValueSize) + 7) &^ 7
	}
	return int(s.ValueSize)
}

// merged is a declared value with what programs own of a value of another shape with the same part.
func (s modelShape) merged(declared, programs string, of modelShape) string {
	b := []byte(declared)
	for at := range b {
		n, in := at/s.slot(), at%s.slot()
		if in < int(s.ValueSize) && s.isPrograms(in) {
			b[at] = programs[n*of.slot()+in+int(of.ValueSize)-int(s.ValueSize)]
		}
	}
	return string(b)
}

// bits are the declared bits of a value.
func (s modelShape) bits(value string) string {
	if s.owned == ownsNothing || value == "" {
		return value
	}
	return s.merged(value, string(make([]byte, len(value))), s)
}

// takesFrom says whether a new map of the shape gets what programs wrote into declared entries of another one.
func (s modelShape) takesFrom(old modelShape) bool {
	return s.owned != ownsNothing && s.owned == old.owned && s.KeySize == old.KeySize && s.IsLPM() == old.IsLPM() && s.IsPerCPU() == old.IsPerCPU()
}

// withPrograms puts into what is wanted what programs own, as it was before: it is never changed.
func (c *check) withPrograms() {
	was, is, shape := c.base(), c.now(), modelShapes[c.m.spec.shape]
	if was == nil || was.elements == nil || shape.owned == ownsNothing || c.m.spec.policy.Sync == v1alpha1.SyncSeed {
		return
	}
	same, old := is != nil && is.ID == was.ID, modelShapeOf(was.Shape)
	if same && len(shape.Differences(was.Shape)) > 0 || !same && !shape.takesFrom(old) {
		return
	}
	for key, declared := range c.want.declared {
		value, there := was.elements[key]
		if !there && same && shape.IsArray() {
			value, there = string(shape.zero(c.PossibleCPUs())), true
		}
		if there {
			c.want.declared[key] = shape.merged(declared, value, old)
		}
	}
}

// countAsProgram changes what programs own of an element that is there, as a program does.
func countAsProgram(ctx context.Context, _ engine.Backend, m engine.Map, k int, v byte) (key, value string, written bool, err error) {
	info, err := m.Info(ctx)
	if err != nil || info.Frozen || info.Shape.IsFilledAtRuntime() {
		return "", "", false, err
	}
	shape := modelShapeOf(info.Shape)
	packed := shape.key(k)
	if shape.owned == ownsNothing || packed == nil {
		return "", "", false, nil
	}
	var found []byte
	size := int(shape.KeySize)
	_, err = m.Read(ctx, func(keys, values []byte) {
		stride := len(values) / (len(keys) / size)
		for i := range len(keys) / size {
			if bytes.Equal(info.Shape.Canonical(slices.Clone(keys[i*size:(i+1)*size])), packed) {
				found = slices.Clone(values[i*stride : (i+1)*stride])
			}
		}
	})
	if err != nil || found == nil {
		return "", "", false, err
	}
	counted := bytes.Repeat([]byte{v}, len(found))
	value = shape.merged(string(found), string(counted), shape)
	return string(packed), value, true, m.Write(ctx, packed, []byte(value))
}

// keepsCount says whether what a program wrote during the sync into an element that is declared is to be there after it.
func (c *check) keepsCount(i *intruder) bool {
	is, was, shape := c.now(), c.base(), modelShapes[c.m.spec.shape]
	if c.m.spec.policy.Sync == v1alpha1.SyncSeed || len(shape.Differences(is.Shape)) > 0 || c.want.held[i.key] {
		return false
	}
	moves := shape.takesFrom(modelShapeOf(was.Shape))
	return is.ID == i.wrote && (is.ID == was.ID || moves) || i.wrote == was.ID && i.seen && moves && c.hit == ""
}

// noSeeds says that seeded keys aren't checked.
func (c *check) noSeeds() bool {
	return c.m.spec.policy.Sync != v1alpha1.SyncSeed || !c.ready() || c.incomplete() || c.hit != "" || c.others || c.shape().IsLRU() || c.shape().IsHidden()
}

// seededOnce checks a seeded map: each declared key is put in if it isn't there, but not again if it was before.
func (c *check) seededOnce() error {
	is, was := c.now(), c.base()
	if c.noSeeds() || is == nil || is.elements == nil {
		return nil
	}
	before, once := map[string]string{}, (*owned)(nil)
	if was != nil && (was.ID == is.ID || fits(was.Shape, is.Shape)) {
		before, once = was.elements, c.m.maps[was.ID]
	}
	for key, want := range c.want.declared {
		got, there := is.elements[key]
		_, had := before[key]
		switch {
		case had:
		case once != nil && once.seeded[key] && there:
			return fmt.Errorf("key %x was put in once, and again", key)
		case once != nil && (once.seeded[key] || once.maybeSeeded[key]):
		case !there || got != want:
			return fmt.Errorf("key %x is to be put in once as %x, and is %x (there: %t)", key, want, got, there)
		}
	}
	return nil
}

// noteSeeds takes down which keys were put into a map.
func (c *check) noteSeeds(o *owned) {
	o.seeded, o.maybeSeeded = map[string]bool{}, c.keysDeclared()
	if c.others || c.shape().IsHidden() {
		return
	}
	for key := range c.want.declared {
		o.seeded[key] = true
	}
}

// maySeed takes down which keys may have been put in by work that failed.
func (o *owned) maySeed(keys map[string]bool) {
	if o.maybeSeeded == nil {
		o.maybeSeeded = map[string]bool{}
	}
	for key := range o.seeded {
		o.maybeSeeded[key] = true
	}
	for key := range keys {
		o.maybeSeeded[key] = true
	}
	o.seeded = nil
}
