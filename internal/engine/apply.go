// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"bytes"
	"fmt"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/ownership"
	"github.com/bpfmap-io/bpfmap-operator/internal/plan"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
)

// apply carries the plan out.
func (s *session) apply() error {
	do := s.applyExisting
	if s.base == nil || s.plan.Action == plan.Replace {
		do = s.applyNew
	}
	err := do()
	s.cutOff = err != nil
	return err
}

// applyNew makes a map, fills it, freezes it, and only then lets it be seen. The record comes first,
// without the mark "applied": whoever finds the pin knows whose it is.
func (s *session) applyNew() error {
	m, err := s.backend.Create(s.ctx, s.rev)
	if err != nil {
		return fmt.Errorf("create map: %w", err)
	}
	s.result = s.locked(m)
	m = s.result
	if err := s.put(m, &s.entries); err != nil {
		return fmt.Errorf("fill new map: %w", err)
	}
	if err := s.migrate(m); err != nil {
		return err
	}
	if s.plan.Freeze {
		if err := m.Freeze(); err != nil {
			return fmt.Errorf("freeze new map: %w", err)
		}
	}
	info, err := m.Info()
	if err != nil {
		return fmt.Errorf("describe new map: %w", err)
	}
	rec := s.newRecord(info.ID)
	if s.plan.Action == plan.Replace {
		s.keepPrevious(rec, s.replaced())
	}
	if err := s.save(rec); err != nil {
		return err
	}
	if err := s.backend.Publish(s.ctx, s.rev.Key, m, s.rev.Pin, s.replaces()...); err != nil {
		return fmt.Errorf("pin new map: %w", err)
	}
	if err := s.sweep(m); err != nil {
		return err
	}
	return s.settle(info.ID)
}

// applyExisting brings our or an adopted map to what is declared.
func (s *session) applyExisting() error {
	id := s.infos[s.base].ID
	rec := s.newRecord(id)
	s.keepKeys(rec)
	if kept := s.state.Kept; kept != nil && s.keptID() != id && s.have.Recorded.Owns(s.keptID()) {
		s.keepPrevious(rec, kept) // ours until the one at the pin is: that may still be removed
	}
	if err := s.save(rec); err != nil {
		return err
	}
	if err := s.write(); err != nil {
		return err
	}
	if s.plan.Freeze {
		if err := s.base.Freeze(); err != nil {
			return fmt.Errorf("freeze map: %w", err)
		}
	}
	if s.plan.Pin || s.base != s.state.Kept && s.keptID() != id {
		if err := s.backend.Publish(s.ctx, s.rev.Key, s.base, s.rev.Pin); err != nil {
			return fmt.Errorf("pin map: %w", err)
		}
	}
	return s.settle(id)
}

// confirm tidies up behind a map that is as declared: others may have removed the second pin, without
// which a removed pin would be the end of the map, and drift that was reported may be over.
func (s *session) confirm() error {
	if s.keptID() != s.infos[s.base].ID {
		if err := s.backend.Publish(s.ctx, s.rev.Key, s.base, s.rev.Pin); err != nil {
			return fmt.Errorf("pin map a second time: %w", err)
		}
	}
	if !s.state.Record.DriftReported {
		return nil
	}
	rec := *s.state.Record
	rec.DriftReported = false
	return s.save(&rec)
}

func (s *session) keptID() uint32 {
	if s.have.Kept == nil {
		return 0
	}
	return s.have.Kept.ID
}

// replaced is the map that a new one takes the pin of, nil for none.
func (s *session) replaced() Map {
	if s.state.Pinned != nil {
		return s.state.Pinned
	}
	return s.state.Kept
}

// write makes the changes of the contents. What is missing is added before anything is deleted, so
// that no reader finds neither, unless the map has no room for both.
func (s *session) write() error {
	c := &s.plan.Changes
	puts := func() error {
		for _, e := range []*revision.Entries{&c.Set, &c.Add} {
			if e.Len == 0 {
				continue
			}
			if err := s.put(s.base, e); err != nil {
				return fmt.Errorf("write entries: %w", err)
			}
		}
		return nil
	}
	deletes := func() error {
		if len(c.Delete) == 0 {
			return nil
		}
		if err := s.base.Delete(c.Delete); err != nil {
			return fmt.Errorf("delete entries: %w", err)
		}
		return nil
	}
	steps := []func() error{puts, deletes}
	if uint64(c.Observed)+uint64(c.Add.Len) > uint64(s.rev.Shape.MaxEntries) {
		steps = []func() error{deletes, puts}
	}
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// put writes entries into a map.
func (s *session) put(m Map, e *revision.Entries) error {
	if e.Len == 0 {
		return nil
	}
	values, err := s.writes(e.Values)
	if err != nil {
		return err
	}
	return m.Write(s.keys(e), values)
}

// settle removes the pin of an earlier path and marks the revision as applied.
func (s *session) settle(id uint32) error {
	rec := s.newRecord(id)
	for _, path := range rec.PreviousPaths {
		if err := s.backend.Unpin(s.ctx, s.rev.Key, path, append(rec.EarlierMaps, id)...); err != nil {
			return fmt.Errorf("remove the pin at the earlier path: %w", err)
		}
	}
	rec.PreviousPaths, rec.EarlierMaps = nil, nil
	if s.plan.Changes.Incomplete {
		s.keepKeys(rec) // some may still be there: the next run looks again
	} else {
		rec.Applied = s.want.Fingerprint
	}
	return s.save(rec)
}

// countDrift notes drift that is only reported, once for each time that it appears.
func (s *session) countDrift() error {
	rec := *s.state.Record
	if rec.DriftReported {
		s.saved = &rec
		return nil
	}
	rec.DriftCount++
	rec.DriftReported = true
	return s.save(&rec)
}

// save stores the record, and before it the keys that it has no room for.
func (s *session) save(r *Record) error {
	for _, l := range []*ownership.KeyLog{&r.Keys, &r.PreviousKeys} {
		if !l.IsDue() {
			continue
		}
		base, err := s.baseOf(*l)
		if err != nil {
			return err
		}
		generation := max(r.NextGeneration(), s.generation+1)
		log, base := ownership.NewKeyLog(l.KeySize, generation, l.Packed(base))
		if base != nil {
			if err := s.backend.SaveKeys(s.ctx, r.Key, generation, base); err != nil {
				return fmt.Errorf("save keys: %w", err)
			}
			s.generation, s.bases[generation] = generation, base
		}
		*l = log
	}
	if err := s.backend.SaveRecord(s.ctx, r); err != nil {
		return fmt.Errorf("save record: %w", err)
	}
	s.saved = r
	return nil
}

// newRecord is the record of our map once everything is done, but for the mark "applied".
func (s *session) newRecord(id uint32) *Record {
	rec := &Record{
		Key: s.rev.Key, UID: s.rev.UID, Revision: s.rev.Name, Digest: s.rev.Digest, Linked: s.links.trace, MapID: id,
		Pin: s.rev.Pin, Deletion: s.rev.Policy.Deletion,
		KeySchema: s.rev.KeySchema, ValueSchema: s.rev.ValueSchema,
	}
	if s.rev.Policy.Sync != v1alpha1.SyncSeed { // Mirror needs them once it becomes Merge
		rec.Keys = s.declaredLog(s.declaredKeys())
	}
	if old := s.state.Record; old != nil {
		rec.Follow(old, s.keptID())
	}
	if s.plan.Action == plan.Replace {
		rec.Replace(s.infos[s.replaced()].ID)
	}
	if s.plan.Drift != "" {
		rec.DriftCount++
	}
	return rec
}

// declaredKeys are the keys of all entries, those that wait among them.
func (s *session) declaredKeys() []byte { return union(s.rev.Shape, s.entries.Keys, s.linked.held) }

// declaredLog is the log of these keys, as changes to the stored keys of the recorded map if the sizes agree.
func (s *session) declaredLog(keys []byte) ownership.KeyLog {
	size := int(s.rev.Shape.KeySize)
	if rec := s.state.Record; rec != nil && rec.Keys.KeySize == size {
		if base, err := s.baseOf(rec.Keys); err == nil {
			return rec.Keys.Become(base, keys)
		}
	}
	return ownership.KeyLog{KeySize: size}.Add(keys)
}

// baseOf are the stored keys of a log.
func (s *session) baseOf(l ownership.KeyLog) ([]byte, error) {
	if base, known := s.bases[l.Generation]; known || l.Generation == 0 {
		return base, nil
	}
	base, err := s.backend.Keys(s.ctx, s.rev.Key, l.Generation)
	if err == nil {
		err = l.CheckBase(base)
	}
	if err != nil {
		return nil, fmt.Errorf("read the declared keys: %w", err)
	}
	s.bases[l.Generation] = base
	return base, nil
}

// replaces are the maps that a new one may take the pin of.
func (s *session) replaces() []uint32 {
	if s.plan.Action != plan.Replace || s.state.Pinned == nil {
		return nil
	}
	return []uint32{s.infos[s.state.Pinned].ID}
}

// keepKeys adds to a record, before anything is written, the keys that are ours in the map so far.
func (s *session) keepKeys(rec *Record) {
	if s.rev.Policy.Sync != v1alpha1.SyncSeed {
		rec.Keys = s.declaredLog(union(s.rev.Shape, s.declaredKeys(), s.recordedKeys(s.base)))
	}
}

// keepPrevious notes the map that was ours so far beside the one that is to be: either may be what a
// crash leaves.
func (s *session) keepPrevious(rec *Record, m Map) {
	rec.PreviousMapID, rec.PreviousKeys = s.infos[m].ID, s.recordedLog(m)
}

// recordedKeys are the keys of a map that the record says are ours, in the order of its shape. A map
// that the record doesn't name holds none, whatever keys it has.
func (s *session) recordedKeys(m Map) []byte {
	log := s.recordedLog(m)
	base, err := s.baseOf(log)
	if err != nil {
		return nil // observe read it
	}
	keys := revision.Entries{KeySize: log.KeySize, Keys: log.Packed(base)}
	if log.KeySize > 0 && log.KeySize == int(s.infos[m].Shape.KeySize) {
		keys.Len = len(keys.Keys) / log.KeySize
		keys, _ = keys.Sorted(s.infos[m].Shape)
	}
	return keys.Keys
}

// recordedLog is the set of recordedKeys.
func (s *session) recordedLog(m Map) ownership.KeyLog {
	rec, info := s.state.Record, s.infos[m]
	switch {
	case rec == nil:
	case info.ID == rec.MapID:
		return rec.Keys
	case info.ID == rec.PreviousMapID:
		return rec.PreviousKeys
	}
	return ownership.KeyLog{}
}

// keys are an entries' packed keys, nil for keyless maps.
func (s *session) keys(e *revision.Entries) []byte {
	if e.KeySize == 0 {
		return nil
	}
	return e.Keys
}

// union merges two sorted lists of packed keys of the shape.
func union(shape revision.Shape, a, b []byte) []byte {
	size := int(shape.KeySize)
	if len(b) == 0 || size == 0 {
		return a
	}
	out := make([]byte, 0, len(a)+len(b))
	for len(a) > 0 && len(b) > 0 {
		switch x, y := a[:size], b[:size]; {
		case bytes.Equal(x, y):
			out, a, b = append(out, x...), a[size:], b[size:]
		case shape.CompareKeys(x, y) < 0:
			out, a = append(out, x...), a[size:]
		default:
			out, b = append(out, y...), b[size:]
		}
	}
	return append(append(out, a...), b...)
}
