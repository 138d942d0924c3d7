// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package engine_test

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/engine"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
)

// intrusion is an element that others write during a sync.
type intrusion struct {
	// call is the call of the backend, counted as in enginetest.Fault, before which they write.
	call  int
	key   int // in modelIndexes
	value byte
	// byPin says that they open the map at the pin in that moment; otherwise they hold the one that was
	// there before the sync, as programs do.
	byPin bool
	// counts says that it is a program, which writes what it owns.
	counts bool
}

func (i *intrusion) String() string {
	if i == nil {
		return ""
	}
	how := "the map that they hold"
	if i.byPin {
		how = "the map at the pin"
	}
	who := "others write"
	if i.counts {
		who = "programs count"
	}
	return fmt.Sprintf(", while %s %d=%d before call %d into %s", who, modelIndexes[i.key], i.value, i.call, how)
}

// intruder writes it.
type intruder struct {
	*intrusion
	w     *run
	pin   string
	holds engine.Map
	calls int
	err   error
	// wrote is the map that was written, 0 for none, and key and value what; seen says that the engine read
	// the map after that.
	wrote      uint32
	key, value string
	seen       bool
}

var nobody = revision.Key{Namespace: "nobody", Name: "x"}

// intrude lets others wait for their call. end must be called after the sync.
func (w *run) intrude(o op, spec *modelSpec) (*intruder, error) {
	if o.other == nil || spec == nil {
		return nil, nil
	}
	i := &intruder{intrusion: o.other, w: w, pin: spec.pin}
	if !i.byPin {
		s, err := w.Open(w.ctx, nobody, &revision.Pin{Path: spec.pin})
		if err != nil {
			return nil, err
		}
		i.holds = s.Pinned
	}
	w.faulty.Before = i.before
	return i, nil
}

func (i *intruder) before(name string, on engine.Map) {
	if i.calls == i.call {
		i.err = errors.Join(i.err, i.write())
	}
	i.calls++
	if i.wrote != 0 && name == "Read" {
		info, err := on.Info(i.w.ctx)
		i.seen, i.err = i.seen || info.ID == i.wrote, errors.Join(i.err, err)
	}
}

func (i *intruder) write() (err error) {
	m := i.holds
	if i.byPin {
		s, err := i.w.Open(i.w.ctx, nobody, &revision.Pin{Path: i.pin})
		if err != nil {
			return err
		}
		m = s.Pinned
	}
	if m == nil {
		return nil
	}
	if i.byPin {
		defer func() { err = errors.Join(err, m.Close()) }()
	}
	info, err := m.Info(i.w.ctx)
	if err != nil {
		return err
	}
	write := writeAsOther
	if i.counts {
		write = countAsProgram
	}
	key, value, written, err := write(i.w.ctx, i.w.Backend, m, i.intrusion.key, i.intrusion.value)
	if written {
		i.wrote, i.key, i.value = info.ID, key, value
		if info.Shape.IsBloom() {
			i.key = value
		}
	}
	return err
}

func (i *intruder) end() error {
	if i == nil {
		return nil
	}
	if i.holds != nil {
		i.err = errors.Join(i.err, i.holds.Close())
	}
	return i.err
}

// intruded puts what others wrote during the sync into the world before it, if the engine was to keep it;
// otherwise nobody can say what is to be at that key.
func (c *check) intruded(i *intruder) {
	if i == nil || i.wrote == 0 {
		return
	}
	c.others = true
	if base := c.base(); base != nil && c.mustKeep(i) {
		moves := fits(base.Shape, c.now().Shape)
		for _, v := range c.before.all() {
			if (v.ID == i.wrote || v.ID == base.ID && moves) && v.elements != nil {
				v.elements[i.key] = i.value
			}
		}
		return
	}
	for _, s := range []*snapshot{c.before, c.after} {
		for _, v := range s.all() {
			delete(v.elements, i.key)
		}
	}
	delete(c.want.declared, i.key)
	delete(c.want.held, i.key)
}

// mustKeep says whether what others wrote is to be there after the sync: it is theirs, and the map is
// still the same one, or was read again before or after the switch to another one.
func (c *check) mustKeep(i *intruder) bool {
	is, was := c.now(), c.base()
	if is != nil && i.counts && c.want.keys[i.key] {
		return c.keepsCount(i)
	}
	if is == nil || c.want.keys[i.key] || c.m.spec.policy.Sync == v1alpha1.SyncMirror {
		return false
	}
	for _, id := range []uint32{i.wrote, was.ID} {
		if o := c.m.maps[id]; o != nil && o.maybe[i.key] {
			return false
		}
	}
	if is.ID == i.wrote {
		return true
	}
	hasNoPlace := is.Shape.IsIndexed() && len(i.key) == 4 && binary.NativeEndian.Uint32([]byte(i.key)) >= is.Shape.MaxEntries
	hasNoRoom := c.report.Reason == v1alpha1.NodeReasonMapFull // that was told
	moves := fits(was.Shape, is.Shape)                         // otherwise what comes after the last look stays in the replaced map
	return i.wrote == was.ID && i.seen && moves && c.hit == "" && !hasNoPlace && !hasNoRoom
}
