// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/plan"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
)

// foreign are the elements of a map that is to be replaced which the policy doesn't own: a new map
// has to hold them, too.
type foreign struct {
	from Map
	want plan.Desired
	// moved are those that were copied, sorted; start is when that began.
	moved revision.Entries
	start time.Time
}

// planReplacement checks that a replacement loses nothing: elements that the policy doesn't own must
// fit into the new map as they are, and so must those that wait. Mirror owns everything else.
func (s *session) planReplacement(want plan.Desired) error {
	old := s.replaced()
	if old == nil || want.Sync == v1alpha1.SyncMirror && len(want.Held) == 0 {
		return nil
	}
	have := s.infos[old].Shape
	refuse := func(why string) {
		s.plan = plan.Plan{
			Key: s.plan.Key, Action: plan.Stall, Reason: v1alpha1.NodeReasonIncompatible, Differences: s.plan.Differences,
			Message: fmt.Sprintf("map %d can't be replaced without losing contents: %s (syncPolicy: Mirror gives them up)", s.infos[old].ID, why),
		}
	}
	switch {
	case have.IsFilledAtRuntime() || have.IsBloom() && want.Shape.IsBloom():
		s.note = fmt.Sprintf("replaced map %d; what programs and processes put into that stays there", s.infos[old].ID)
		return nil
	case have.IsHidden() || want.Shape.IsHidden() || want.Shape.IsFilledAtRuntime():
		refuse("elements of a " + string(have.Type) + " can't be moved")
		return nil
	}
	why := whyNot(have, want.Shape, s.backend.PossibleCPUs())
	if why == "" {
		s.foreign = foreign{from: old, want: want}
		if !want.Shape.IsIndexed() {
			return nil
		}
		_, err := s.readForeign()
		if hasNoPlace := (*noPlaceError)(nil); errors.As(err, &hasNoPlace) {
			refuse(hasNoPlace.Error())
			return nil
		}
		return err
	}
	n, err := s.countOthers(old)
	if err != nil {
		return fmt.Errorf("read the map to be replaced: %w", err)
	}
	if n > 0 {
		refuse(fmt.Sprintf("%d elements are not declared, or wait for what they name, and %s", n, why))
	}
	return nil
}

// planMoveOnto checks that a pin which moves to where another map is costs nothing: that map would be taken
// over in place of ours. Mirror owns everything.
func (s *session) planMoveOnto(want plan.Desired) error {
	rec, ours := s.state.Record, s.state.Kept
	if rec == nil || rec.Pin.Path == s.rev.Pin.Path || ours == nil || !s.have.Recorded.Owns(s.keptID()) || want.Sync == v1alpha1.SyncMirror {
		return nil
	}
	holds := "nobody can list what it holds"
	if shape := s.infos[ours].Shape; !shape.IsHidden() {
		n, err := s.countOthers(ours)
		if err != nil {
			return fmt.Errorf("read the map whose pin moves: %w", err)
		}
		if n == 0 {
			return nil
		}
		holds = fmt.Sprintf("it holds %d elements that are not declared", n)
	}
	s.plan = plan.Plan{Key: s.plan.Key, Action: plan.Stall, Reason: v1alpha1.NodeReasonPinConflict, Message: fmt.Sprintf(
		"pin %s: map %d of others is there, and map %d, pinned at %s so far, would be given up for it: %s (remove one of the pins; syncPolicy: Mirror gives the contents up)",
		s.rev.Pin.Path, s.infos[s.base].ID, s.keptID(), rec.Pin.Path, holds)}
	return nil
}

// countOthers is how many elements of m would be lost with it: those that aren't ours, and those of ours
// that wait for what they name. Keys of another size than the declared ones wait for nothing.
func (s *session) countOthers(m Map) (n int, err error) {
	have := s.infos[m].Shape
	mine, size := s.ownedSet(m), int(have.KeySize)
	waits := have.KeySize == s.rev.Shape.KeySize
	var masked []byte // scratch
	err = readWhole(m, func() { n = 0 }, func(keys, values []byte) {
		width := len(values) * size / max(len(keys), 1)
		for ; len(keys) > 0; keys, values = keys[size:], values[width:] {
			masked = append(masked[:0], keys[:size]...)
			key := have.Canonical(masked)
			isNothing := have.IsArray() && allZero(values[:width])
			isTheirs := !mine[string(key)] && s.rev.Policy.Sync != v1alpha1.SyncMirror
			if (waits && s.isHeld(key) || isTheirs) && !isNothing {
				n++
			}
		}
	})
	return n, err
}

// isHeld says whether the entry of a key waits for what its value names.
func (s *session) isHeld(key []byte) bool {
	held := revision.Entries{KeySize: len(key), Keys: s.linked.held, Len: len(s.linked.held) / len(key)}
	_, found := held.Find(s.rev.Shape, key)
	return found
}

// whyNot says why elements of one map can't be elements of another one; empty if they can.
func whyNot(have, want revision.Shape, cpus int) string {
	switch {
	case holdsObjects(have):
		return "hold objects of others"
	case have.KeySize != want.KeySize || have.IsLPM() != want.IsLPM() || stride(have, cpus) != stride(want, cpus):
		return "have other sizes"
	case want.TakesFDs() && have.Type != want.Type && (!isDevMap(have) || !isDevMap(want)):
		return "are no " + string(want.Type) + "'s"
	}
	return ""
}

func isDevMap(s revision.Shape) bool {
	return s.Type == v1alpha1.MapTypeDevMap || s.Type == v1alpha1.MapTypeDevMapHash
}

// holdsObjects says whether values are maps or programs, which can't be opened by the ids that are read:
// alone, or, in device and CPU maps with values of 8 bytes, behind a number.
func holdsObjects(s revision.Shape) bool {
	withProgram := (isDevMap(s) || s.Type == v1alpha1.MapTypeCPUMap) && s.ValueSize == 8
	return s.IsMapOfMaps() || s.Type == v1alpha1.MapTypeProgArray || withProgram
}

// noPlaceError says that an element of others has an index which the new map doesn't have.
type noPlaceError struct{ index, maxEntries uint32 }

func (e *noPlaceError) Error() string {
	return fmt.Sprintf("element %d is not declared and has no place in the new map of maxEntries %d", e.index, e.maxEntries)
}

// Reason is that of a replacement that people have to decide on.
func (e *noPlaceError) Reason() string { return v1alpha1.NodeReasonIncompatible }

func (s *session) ownedSet(m Map) map[string]bool {
	set := map[string]bool{}
	keySize := int(s.infos[m].Shape.KeySize)
	for k := s.recordedKeys(m); len(k) >= keySize && keySize > 0; k = k[keySize:] {
		set[string(k[:keySize])] = true
	}
	return set
}

// readWhole reads a map until a reading has missed nothing. reset comes before each reading. A map that
// can't be read so is not to be replaced: what was missed would be lost.
func readWhole(m Map, reset func(), yield func(keys, values []byte)) error {
	for range compareTries {
		reset()
		if complete, err := m.Read(yield); err != nil || complete {
			return err
		}
	}
	return fmt.Errorf("its keys are deleted faster than it can be read: %d readings may have missed elements", compareTries)
}

// readForeign are the elements of the map to be replaced that the policy doesn't own, and those that
// wait. The error is a noPlaceError if the new map can't have all of them.
func (s *session) readForeign() (found revision.Entries, err error) {
	seeded, mirrored := s.foreign.want.Sync == v1alpha1.SyncSeed, s.foreign.want.Sync == v1alpha1.SyncMirror
	isArray := s.infos[s.foreign.from].Shape.IsArray()
	keySize, valueSize := s.entries.KeySize, s.entries.ValueSize
	mine := s.ownedSet(s.foreign.from)
	reset := func() { found = revision.Entries{KeySize: keySize, ValueSize: valueSize} }
	var masked []byte // scratch
	err = readWhole(s.foreign.from, reset, func(k, v []byte) {
		for ; len(k) > 0; k, v = k[keySize:], v[valueSize:] {
			masked = append(masked[:0], k[:keySize]...)
			key, value := s.rev.Shape.Canonical(masked), v[:valueSize]
			_, declared := s.entries.Find(s.rev.Shape, key)
			isOurs := !seeded && (declared || (mirrored || mine[string(key)]) && !s.isHeld(key))
			isNothing := isArray && allZero(value)
			if !isOurs && !isNothing {
				found.Append(key, value, false)
			}
		}
	})
	if err != nil {
		return found, fmt.Errorf("read the map to be replaced: %w", err)
	}
	for i := range found.Len {
		if !s.hasPlace(found.Key(i)) {
			return found, &noPlaceError{binary.NativeEndian.Uint32(found.Key(i)), s.rev.Shape.MaxEntries}
		}
	}
	return found, nil
}

// hasPlace says whether the declared map can have an element with the key.
func (s *session) hasPlace(key []byte) bool {
	return !s.rev.Shape.IsIndexed() || binary.NativeEndian.Uint32(key) < s.rev.Shape.MaxEntries
}

// migrate copies what the policy doesn't own from the map that is being replaced.
func (s *session) migrate(to Map) error {
	f := &s.foreign
	if f.from == nil {
		return nil
	}
	f.start = time.Now()
	moved, err := s.readForeign()
	if err != nil {
		return err
	}
	f.moved, _ = moved.Sorted(s.rev.Shape)
	if f.moved.Len > 0 {
		if err := to.Write(f.moved.Keys, f.moved.Values); err != nil {
			return fmt.Errorf("copy %d elements into the new map: %w", f.moved.Len, err)
		}
	}
	return nil
}

// sweep copies what others wrote to the replaced map between the copy and the switch, and says what may
// be lost: programs that hold the replaced map go on writing there.
func (s *session) sweep(to Map) error {
	f := &s.foreign
	if f.from == nil {
		return nil
	}
	late := revision.Entries{KeySize: s.entries.KeySize, ValueSize: s.entries.ValueSize}
	var noPlace *noPlaceError // of what others wrote since the copy: it stays where it is, and the rest moves
	if !s.plan.Freeze {       // a frozen map takes nothing more
		now, err := s.readForeign()
		if err != nil && !errors.As(err, &noPlace) {
			return err
		}
		for n := range now.Len {
			i, found := f.moved.Find(s.rev.Shape, now.Key(n))
			if (!found || !bytes.Equal(f.moved.Value(i), now.Value(n))) && s.hasPlace(now.Key(n)) {
				late.Append(now.Key(n), now.Value(n), false)
			}
		}
	}
	if late.Len > 0 {
		if err := to.Write(late.Keys, late.Values); err != nil {
			return fmt.Errorf("copy %d late elements into the new map: %w", late.Len, err)
		}
	}
	old := s.infos[f.from].ID
	s.note = fmt.Sprintf("replaced map %d; %d elements moved over, %d of them written in the %s between copy and switch; what is written to map %d from now on stays there",
		old, f.moved.Len+late.Len, late.Len, time.Since(f.start).Round(time.Microsecond), old)
	if noPlace != nil {
		s.note += "; " + noPlace.Error()
	}
	return nil
}

func allZero(b []byte) bool { return len(bytes.Trim(b, "\x00")) == 0 }
