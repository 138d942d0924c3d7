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
}

// planReplacement checks that a replacement loses nothing: elements that the policy doesn't own must
// fit into the new map as they are. Mirror owns everything.
func (s *session) planReplacement(want plan.Desired) error {
	old := s.state.Pinned
	if old == nil {
		old = s.state.Kept
	}
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
	mine := s.ownedSet(int(have.KeySize))
	_, err := old.Read(func(keys, values []byte) {
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

func (s *session) ownedSet(keySize int) map[string]bool {
	set := map[string]bool{}
	if s.state.Record == nil {
		return set
	}
	for k := s.state.Record.Keys; len(k) >= keySize && keySize > 0; k = k[keySize:] {
		set[string(k[:keySize])] = true
	}
	return set
}

// migrate copies what the policy doesn't own from the map that is being replaced. What programs write
// to that between the copy and the moment that they use the new map stays behind: the window is
// noted.
func (s *session) migrate(to Map) error {
	if s.foreign.from == nil {
		return nil
	}
	start := time.Now()
	seeded := s.foreign.want.Sync == v1alpha1.SyncSeed
	isArray := s.infos[s.foreign.from].Shape.IsArray()
	keySize, valueSize := s.entries.KeySize, s.entries.ValueSize
	mine := s.ownedSet(keySize)
	var keys, values []byte
	_, err := s.foreign.from.Read(func(k, v []byte) {
		for ; len(k) > 0; k, v = k[keySize:], v[valueSize:] {
			key, value := k[:keySize], v[:valueSize]
			_, declared := s.entries.Find(s.rev.Shape, key)
			if seeded || !declared && !mine[string(key)] {
				if isArray && allZero(value) {
					continue
				}
				keys, values = append(keys, key...), append(values, value...)
			}
		}
	})
	if err != nil {
		return fmt.Errorf("read the map to be replaced: %w", err)
	}
	if len(keys) > 0 {
		if err := to.Write(keys, values); err != nil {
			return fmt.Errorf("copy %d elements into the new map: %w", len(keys)/keySize, err)
		}
	}
	s.note = fmt.Sprintf("replaced map %d; %d elements moved over, writes by others within %s before the switch may be lost",
		s.replaced(), len(keys)/keySize, time.Since(start).Round(time.Microsecond))
	return nil
}

func allZero(b []byte) bool { return len(bytes.Trim(b, "\x00")) == 0 }
