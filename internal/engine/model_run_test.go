// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package engine_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/engine"
	"github.com/bpfmap-io/bpfmap-operator/internal/engine/enginetest"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
)

// owned is what a BPFMap owns of one kernel map.
type owned struct {
	// sure are the keys that are ours and go when they aren't declared any more. maybe are those that may
	// count as ours: work on them began and failed. Other keys are of others.
	sure, maybe map[string]bool
	// seeded are the keys that were put in once by policy Seed, maybeSeeded those that may count as put in.
	seeded, maybeSeeded map[string]bool
	// tentative says that the map is of others and was about to be adopted when that failed.
	tentative bool
	// adopted says that others made the map, or the one that it replaced, and pinned it at found.
	adopted bool
	found   string
	// mode is that of the pin when it was as declared.
	mode fs.FileMode
}

// managed is what is known of one BPFMap without asking the engine.
type managed struct {
	spec *modelSpec // nil: not declared
	n    int        // the number of its revision
	// maps are the kernel maps that are ours.
	maps map[uint32]*owned
	// deletion is what the record says about deletion, or may say after a failure.
	deletion map[v1alpha1.DeletionPolicy]bool
	// applied is the fingerprint that was brought to the node completely, empty if there may be none, and
	// linked what its names stood for then.
	applied, linked string
	// drifts is how many times drift was found, unless that is uncertain, and drifting that the last look
	// found some and left it.
	drifts             int64
	uncertain, drifted bool
	// before is what the engine may know to have been declared before, nil for nothing.
	before *declaredBefore
	// strays are maps that were ours when others removed our record: nobody knows where they are pinned.
	strays map[uint32]bool
}

// run is a history that is under way.
type run struct {
	*rig
	ctx         context.Context
	e           *engine.Engine
	incremental int
	maps        [3]managed
}

// runHistory plays a history on a new rig and says what went wrong.
func runHistory(ctx context.Context, r *rig, h history) error {
	w := &run{rig: r, ctx: ctx, incremental: h.incremental}
	for i := range w.maps {
		w.maps[i] = managed{maps: map[uint32]*owned{}, deletion: map[v1alpha1.DeletionPolicy]bool{}, strays: map[uint32]bool{}}
	}
	w.arms(nil, nil)
	w.restart()
	for i, o := range h.ops {
		if err := w.step(o); err != nil {
			return fmt.Errorf("step %d, %s: %w", i+1, o, err)
		}
	}
	if err := w.calm(); err != nil {
		return fmt.Errorf("after the last step: %w", err)
	}
	return nil
}

func (w *run) restart() {
	w.e = engine.New(w.faulty, engine.Options{IncrementalThreshold: w.incremental})
}

// step lets o happen and checks what came of it.
func (w *run) step(o op) error {
	m := &w.maps[o.name]
	switch o.kind {
	case opDeclare:
		spec := o.spec.clone()
		m.spec = &spec
		m.n++
	case opUndeclare:
		m.spec = nil
	case opRestart:
		w.restart()
	case opReboot:
		for i := range w.maps {
			w.maps[i].forget()
		}
		return w.wipe()
	case opLoseRecord:
		for id := range m.maps {
			m.strays[id] = true
		}
		m.forget() // what nobody remembers is of others
		return w.lose(modelKeys[o.name], true)
	case opLoseKept:
		return w.lose(modelKeys[o.name], false)
	case opChmod:
		return w.chmod(modelPins[o.pin], 0o666)
	case opLink:
		w.link(o)
	case opPlan:
		return w.plan(o.name)
	case opSync:
		_, err := w.sync(o)
		return err
	default:
		return w.others(o)
	}
	return nil
}

func (m *managed) forget() {
	clear(m.maps)
	clear(m.deletion)
	m.applied, m.linked = "", ""
	m.drifts, m.uncertain, m.drifted = 0, false, false
	m.before = nil
}

// declaredBefore is what was declared with driftPolicy Report when a map was last seen or brought to it.
type declaredBefore struct {
	entries map[string]string
	spec    modelSpec
	mapID   uint32
	// sure says that it can't have been forgotten.
	sure bool
}

// others do something to the map at a pin.
func (w *run) others(o op) error {
	other := revision.Key{Namespace: "somebody", Name: "else"}
	path := modelPins[o.pin]
	if o.kind == opPinOther {
		rev := &revision.Revision{Key: other, Shape: modelShapes[o.shape].Shape}
		rev.Shape.Name = "other"
		rev.KeySchema, rev.ValueSchema = modelShapes[o.shape].schemas()
		m, err := w.Create(w.ctx, rev)
		var refused engine.Reasoner
		if errors.As(err, &refused) && refused.Reason() == v1alpha1.NodeReasonNotSupported {
			return unknownType(rev.Shape.Type) // nor can others make it
		}
		if err != nil {
			return err
		}
		_, _, _, err = writeAsOther(w.ctx, w.Backend, m, o.key, o.value)
		err = errors.Join(err, enginetest.Intrude(w.ctx, w.Backend, other, m, revision.Pin{Path: path, Mode: 0o600}))
		return errors.Join(err, m.Close())
	}
	s, err := w.Open(w.ctx, other, &revision.Pin{Path: path})
	if err != nil || s.Pinned == nil {
		return err
	}
	return errors.Join(w.otherChange(o, s.Pinned), s.Pinned.Close())
}

func (w *run) otherChange(o op, m engine.Map) error {
	info, err := m.Info(w.ctx)
	if err != nil {
		return err
	}
	shape := modelShapeOf(info.Shape)
	key := shape.key(o.key)
	switch {
	case o.kind == opUnpin:
		other := revision.Key{Namespace: "somebody", Name: "else"}
		return errors.Join(w.Unpin(w.ctx, other, modelPins[o.pin], info.ID), w.Forget(w.ctx, other))
	case o.kind == opFreeze && shape.lock:
		return nil // the kernel refuses it
	case o.kind == opFreeze:
		return m.Freeze(w.ctx)
	case o.kind == opCount:
		_, _, _, err := countAsProgram(w.ctx, w.Backend, m, o.key, o.value)
		return err
	case o.kind == opWrite:
		_, _, _, err := writeAsOther(w.ctx, w.Backend, m, o.key, o.value)
		return err
	case key == nil || info.Frozen:
		return nil
	case info.Shape.IsHidden():
		return nil // nobody can see it in a CGroupArray, so it stays until the next change
	case shape.IsArray():
		return m.Write(w.ctx, key, shape.zero(w.PossibleCPUs()))
	}
	return m.Delete(w.ctx, key)
}

// snapshot looks at everything, and compares the pin of one map with its spec.
func (w *run) snapshot(name int) (*snapshot, error) {
	modes := map[string]fs.FileMode{}
	if s := w.maps[name].spec; s != nil {
		modes[s.pin] = s.mode
	}
	return w.look(w.ctx, modes)
}

// plan asks what would be done and checks that nothing is.
func (w *run) plan(name int) error {
	m := &w.maps[name]
	if m.spec == nil {
		return nil
	}
	before, err := w.snapshot(name)
	if err != nil {
		return err
	}
	_, err = w.e.Plan(w.ctx, m.spec.revision(modelKeys[name], m.n))
	if invalid := w.want(m.spec, modelKeys[name], before).invalid; (err != nil) != invalid {
		return fmt.Errorf("plan of names that stand for what can't be (%t): %w", invalid, err)
	}
	after, err := w.snapshot(name)
	if err != nil {
		return err
	}
	return errors.Join(sameEverything(before, after), w.closed())
}

// closed checks that nothing was left open.
func (w *run) closed() error {
	n, err := w.leaks()
	if n != 0 {
		return fmt.Errorf("%d maps were left open", n)
	}
	return err
}

// sync lets the engine work on a map, checks what came of it, and notes what is ours then.
func (w *run) sync(o op) (engine.Report, error) {
	before, err := w.snapshot(o.name)
	if err != nil {
		return engine.Report{}, err
	}
	ctx, cancel := context.WithCancel(w.ctx)
	defer cancel()
	stop := w.arms(o.fault, cancel)
	var report engine.Report
	m := &w.maps[o.name]
	other, err := w.intrude(o, m.spec)
	if err != nil {
		return engine.Report{}, err
	}
	if m.spec == nil {
		report = w.e.Remove(ctx, modelKeys[o.name])
	} else {
		report = w.e.Sync(ctx, m.spec.revision(modelKeys[o.name], m.n))
	}
	hit := stop()
	w.arms(nil, nil)
	if err := other.end(); err != nil {
		return report, fmt.Errorf("others: %w", err)
	}
	if o.fault != nil && o.fault.Dead {
		w.restart()
	}
	after, err := w.snapshot(o.name)
	if err != nil {
		return report, err
	}
	c := &check{run: w, m: m, key: modelKeys[o.name], before: before, after: after, report: &report, fault: o.fault, hit: hit}
	if m.spec != nil {
		c.want = w.want(m.spec, c.key, before)
		c.intruded(other)
		c.withPrograms()
	}
	if err := errors.Join(c.all(), w.closed()); err != nil {
		return report, fmt.Errorf("%w\n    fault met %q, report: %s", err, hit, tell(&report))
	}
	c.note()
	if o.again && report.Err == nil && (o.fault == nil || !o.fault.Dead) && m.spec != nil && !c.incomplete() && !c.others {
		return report, w.again(o.name, &report)
	}
	return report, nil
}

// again checks that a map that was brought to its revision stays there.
func (w *run) again(name int, first *engine.Report) error {
	for range 2 { // the first one may find what wasn't read before
		report, err := w.sync(op{kind: opSync, name: name})
		if err != nil {
			return fmt.Errorf("a second sync: %w", err)
		}
		if report.Action == engine.ActionNone && report.State == first.State && report.MapID == first.MapID {
			return nil
		}
		if w.incremental > 1 {
			return fmt.Errorf("a second sync had something to do: %s, after %s", tell(&report), tell(first))
		}
		first = &report
	}
	return fmt.Errorf("a third sync had something to do: %s", tell(first))
}

func tell(r *engine.Report) string {
	entries := "unknown"
	if r.Entries != nil {
		entries = fmt.Sprint(*r.Entries)
	}
	return fmt.Sprintf("%s %s action %q map %d entries %s frozen %t drift %+v: %s\n    %s", r.State, r.Reason, r.Action, r.MapID,
		entries, r.Frozen, r.Drift, r.Message, strings.ReplaceAll(r.Plan.String(), "\n", "\n    "))
}

// quietRounds is how many rounds without faults a node may need until nothing is left to do: one that
// works and one that reads all of what an earlier one wrote unread, for each map that waits for the pin
// of another.
const quietRounds = 6

// calm ends the faults and lets the engine work until it finds nothing to do. Then everything must be as
// declared, or say why not; and after the removal of everything nothing of ours may be left.
func (w *run) calm() error {
	for round, busy := 0, true; busy; round++ {
		if round > quietRounds {
			return fmt.Errorf("the engine still has something to do after %d rounds", round)
		}
		busy = false
		for name := range w.maps {
			report, err := w.sync(op{kind: opSync, name: name})
			if err != nil {
				return fmt.Errorf("round %d, %s: %w", round, modelKeys[name], err)
			}
			busy = busy || report.Action != engine.ActionNone
		}
	}
	for name := range w.maps {
		w.maps[name].spec = nil
		if _, err := w.sync(op{kind: opSync, name: name}); err != nil {
			return fmt.Errorf("remove %s: %w", modelKeys[name], err)
		}
	}
	return w.empty()
}

// empty checks that nothing of ours is left once everything is removed.
func (w *run) empty() error {
	all, err := w.everything()
	if err != nil {
		return err
	}
	for _, path := range all {
		if !slices.Contains(modelPins, path) && !strings.Contains(path, ".") { // the kernel's own have dots
			return fmt.Errorf("%s is left: everything is %v", path, all)
		}
	}
	return w.closed()
}

func sameEverything(a, b *snapshot) error {
	for _, path := range modelPins {
		if err := sameView(a.pins[path], b.pins[path]); err != nil {
			return fmt.Errorf("pin %s: %w", path, err)
		}
	}
	for _, key := range modelKeys {
		if err := sameView(a.kept[key], b.kept[key]); err != nil {
			return fmt.Errorf("keep-alive pin of %s: %w", key, err)
		}
		if a.text[key] != b.text[key] {
			return fmt.Errorf("the record of %s changed", key)
		}
	}
	return nil
}

func sameView(a, b *view) error {
	switch {
	case a == nil && b == nil:
		return nil
	case a == nil:
		return fmt.Errorf("map %d appeared", b.ID)
	case b == nil:
		return fmt.Errorf("map %d is gone", a.ID)
	case a.ID != b.ID:
		return fmt.Errorf("map %d took the place of %d", b.ID, a.ID)
	case a.Frozen != b.Frozen || a.differs != b.differs:
		return fmt.Errorf("map %d: frozen %t, was %t; pin differs %t, did %t", b.ID, b.Frozen, a.Frozen, b.differs, a.differs)
	case !maps.Equal(a.elements, b.elements):
		return fmt.Errorf("map %d holds %x, held %x", b.ID, b.elements, a.elements)
	}
	return nil
}
