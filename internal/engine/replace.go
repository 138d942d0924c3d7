// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"bytes"
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
// fit into the new map as they are. Mirror owns everything.
func (s *session) planReplacement(want plan.Desired) error {
	old := s.replaced()
	if old == nil || want.Sync == v1alpha1.SyncMirror {
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
	fits := !holdsObjects(have) && have.KeySize == want.Shape.KeySize && have.IsLPM() == want.Shape.IsLPM() &&
		stride(have, s.backend.PossibleCPUs()) == stride(want.Shape, s.backend.PossibleCPUs())
	if fits {
		s.foreign = foreign{from: old, want: want}
		return nil
	}
	n := 0
	mine := s.ownedSet(old)
	err := readWhole(old, func() { n = 0 }, func(keys, values []byte) {
		for i := 0; i < len(keys); i += int(have.KeySize) {
			value := values[i/int(have.KeySize)*stride(have, s.backend.PossibleCPUs()):][:stride(have, s.backend.PossibleCPUs())]
			if !mine[string(keys[i:i+int(have.KeySize)])] && (!have.IsArray() || !allZero(value)) {
				n++
			}
		}
	})
	if err != nil {
		return fmt.Errorf("read the map to be replaced: %w", err)
	}
	if n > 0 {
		refuse(fmt.Sprintf("%d elements are not declared and %s", n, whyNot(have)))
	}
	return nil
}

// holdsObjects says whether values are maps or programs, which can't be opened by the ids that are read.
func holdsObjects(s revision.Shape) bool {
	return s.IsMapOfMaps() || s.Type == v1alpha1.MapTypeProgArray
}

func whyNot(have revision.Shape) string {
	if holdsObjects(have) {
		return "hold objects of others"
	}
	return "have other sizes"
}

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

// readForeign are the elements of the map to be replaced that the policy doesn't own.
func (s *session) readForeign() (found revision.Entries, err error) {
	seeded := s.foreign.want.Sync == v1alpha1.SyncSeed
	isArray := s.infos[s.foreign.from].Shape.IsArray()
	keySize, valueSize := s.entries.KeySize, s.entries.ValueSize
	mine := s.ownedSet(s.foreign.from)
	reset := func() { found = revision.Entries{KeySize: keySize, ValueSize: valueSize} }
	err = readWhole(s.foreign.from, reset, func(k, v []byte) {
		for ; len(k) > 0; k, v = k[keySize:], v[valueSize:] {
			key, value := k[:keySize], v[:valueSize]
			_, declared := s.entries.Find(s.rev.Shape, key)
			isOurs := !seeded && (declared || mine[string(key)])
			isNothing := isArray && allZero(value)
			if !isOurs && !isNothing {
				found.Append(key, value, false)
			}
		}
	})
	if err != nil {
		return found, fmt.Errorf("read the map to be replaced: %w", err)
	}
	return found, nil
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
	if !s.plan.Freeze { // a frozen map takes nothing more
		now, err := s.readForeign()
		if err != nil {
			return err
		}
		for n := range now.Len {
			if i, found := f.moved.Find(s.rev.Shape, now.Key(n)); !found || !bytes.Equal(f.moved.Value(i), now.Value(n)) {
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
	return nil
}

func allZero(b []byte) bool { return len(bytes.Trim(b, "\x00")) == 0 }
