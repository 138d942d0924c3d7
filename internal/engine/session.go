// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"context"
	"errors"
	"fmt"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/ownership"
	"github.com/bpfmap-io/bpfmap-operator/internal/plan"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
)

// session is one run for one map: link and observe by open, plan by decide, then apply.
type session struct {
	ctx     context.Context
	backend Backend
	rev     *revision.Revision
	want    plan.Want
	entries revision.Entries // linked
	linked  linked
	links   *links

	state *State
	have  plan.Have
	infos map[Map]MapInfo

	base    Map // the map that the plan works on, nil for a new one
	plan    plan.Plan
	foreign foreign // what a replacement has to carry over

	last        *applied // what this engine brought to the map before, nil if it doesn't know
	incremental bool     // the plan follows from last, and the map wasn't read

	result Map     // the map after apply, if it is another one than base
	cutOff bool    // apply failed: the plan was done in part
	saved  *Record // the record as saved last
	note   string  // what people should know of a success

	bases      map[uint64][]byte // stored keys by generation
	generation uint64            // the last one that this run stored
}

func (e *Engine) open(ctx context.Context, rev *revision.Revision) (*session, error) {
	if e.options.AllowPin != nil {
		if err := e.options.AllowPin(rev.Key, rev.Pin.Path); err != nil {
			return nil, &Error{v1alpha1.NodeReasonPinNotAllowed, err}
		}
	}
	s := &session{ctx: ctx, backend: e.backend, rev: rev, infos: map[Map]MapInfo{}, state: &State{}, bases: map[uint64][]byte{}}
	if err := s.link(); err != nil {
		return nil, fmt.Errorf("link: %w", err)
	}
	state, err := e.backend.Open(ctx, rev.Key, &rev.Pin)
	if err != nil {
		s.close()
		return nil, fmt.Errorf("open map %s: %w", rev.Key, err)
	}
	s.state = state
	state.Pinned, state.Kept = s.locked(state.Pinned), s.locked(state.Kept)
	if e.options.Local && state.Record != nil && state.Record.UID != "" {
		s.close()
		return nil, clusterOwned(state.Record)
	}
	if err := s.observe(); err != nil {
		s.close()
		return nil, fmt.Errorf("observe map %s: %w", rev.Key, err)
	}
	return s, nil
}

// link finds what the names in the entries stand for.
func (s *session) link() (err error) {
	if s.links, err = findLinks(s.ctx, s.backend, s.rev); err != nil {
		return err
	}
	if s.linked, err = link(s.rev, s.backend.PossibleCPUs(), s.links); err != nil {
		s.links.close()
		return err
	}
	s.entries = s.linked.entries
	s.want = plan.Want{Revision: s.rev, Fingerprint: s.rev.Fingerprint() + s.links.trace}
	return nil
}

func (s *session) close() {
	s.links.close()
	s.state.close()
	if s.result != nil {
		_ = s.result.Close() // it is pinned, or was never to be seen
	}
}

// observe fills have with everything but contents.
func (s *session) observe() error {
	s.have.PinDiffers = s.state.PinDiffers
	for _, m := range []struct {
		from Map
		to   **plan.Observed
	}{{s.state.Pinned, &s.have.Pinned}, {s.state.Kept, &s.have.Kept}} {
		if m.from == nil {
			continue
		}
		info, err := m.from.Info()
		if err != nil {
			return err
		}
		s.infos[m.from] = info
		*m.to = &plan.Observed{ID: info.ID, Shape: info.Shape, Frozen: info.Frozen}
		_, err = s.baseOf(s.recordedLog(m.from))
		switch {
		case errors.Is(err, ownership.ErrNoBase):
			s.forgetKeys()
		case err != nil:
			return err
		}
	}
	if rec := s.state.Record; rec != nil {
		s.have.Recorded = &plan.Recorded{
			MapID: rec.MapID, PreviousMapID: rec.PreviousMapID, Applied: rec.Applied, PinPath: rec.Pin.Path,
		}
		if rec.UID != s.rev.UID {
			s.have.Recorded.Applied = "" // for an earlier BPFMap of that name: the record is to name this one
		}
		if rec.Pin.Path == s.rev.Pin.Path && (s.have.Pinned == nil || s.have.Recorded.Owns(s.have.Pinned.ID)) {
			return nil // the pin was ours before, and nobody put another map there
		}
	}
	return s.findOwner()
}

// forgetKeys lets a record whose stored keys are lost own only the keys that it holds itself: what nobody
// remembers is left alone.
func (s *session) forgetKeys() {
	r := *s.state.Record
	for _, l := range []*ownership.KeyLog{&r.Keys, &r.PreviousKeys} {
		*l = ownership.KeyLog{KeySize: l.KeySize, Added: l.Added}
	}
	r.Applied = ""
	s.state.Record = &r
}

// findOwner looks for another map's record of our pin, or of the map that is there: a hard link or a second
// pin gives nobody a map of somebody else.
func (s *session) findOwner() error {
	pinned := uint32(0)
	if s.have.Pinned != nil {
		pinned = s.have.Pinned.ID
	}
	ofPin, ofMap, err := s.backend.Owners(s.ctx, s.rev.Key, s.rev.Pin.Path, pinned)
	if err != nil {
		return err
	}
	if ofPin != nil {
		s.have.ElsewhereOwner = ofPin.String()
	}
	if ofMap != nil {
		s.have.PinnedOwner = ofMap.String()
	}
	return nil
}

// decide makes the plan.
func (s *session) decide() error {
	choice := plan.Choose(s.want, s.have)
	want := plan.Desired{Shape: s.rev.Shape, Sync: s.rev.Policy.Sync, Entries: s.entries, Held: s.linked.held}
	var changes plan.Changes
	switch choice.Base {
	case plan.BaseNew:
		changes = plan.Fill(want)
	case plan.BasePinned:
		s.base = s.state.Pinned
	case plan.BaseKept:
		s.base = s.state.Kept
	}
	if s.base != nil {
		want.Owned = s.recordedKeys(s.base)
	}
	if s.base != nil && s.known() {
		s.incremental = true
		changes = plan.Between(want, s.last.entries)
		if s.last.count != nil {
			changes.Observed = int(*s.last.count)
		}
	} else if s.base != nil {
		var err error
		if changes, err = s.compare(want); err != nil {
			return fmt.Errorf("read map %s: %w", s.rev.Key, err)
		}
	}
	s.plan = choice.Finish(changes)
	switch s.plan.Action {
	case plan.Replace:
		return s.planReplacement(want)
	case plan.Adopt:
		return s.planMoveOnto(want)
	}
	return nil
}

// known says whether what the map holds follows from what this engine brought to it last: the same map
// with the same shape, at another revision. An LRU map forgets by itself.
func (s *session) known() bool {
	l, rec := s.last, s.state.Record
	return l != nil && rec != nil && rec.Applied == l.fingerprint && l.fingerprint != s.want.Fingerprint &&
		s.base == s.state.Pinned && s.infos[s.base].ID == l.mapID && !s.infos[s.base].Frozen && s.keptID() == l.mapID &&
		len(s.rev.Shape.Differences(l.shape)) == 0 && s.rev.Policy.Sync == l.policy.Sync &&
		l.policy.Drift == s.rev.Policy.Drift && !s.rev.Shape.IsLRU() && !s.rev.Shape.IsHidden() && l.policy.Sync != v1alpha1.SyncSeed
}

// appliedNow is what the map holds after a success.
func (s *session) appliedNow(r *Report) *applied {
	return &applied{
		fingerprint: s.want.Fingerprint, mapID: r.MapID, shape: s.rev.Shape, policy: s.rev.Policy, entries: s.entries, count: r.Entries,
	}
}

// compareTries bounds the readings of a map whose keys are deleted so fast that a reading may miss
// some.
const compareTries = 3

// compare streams the base's contents through a differ. Nothing is to be in seeded maps. Of maps that
// nobody can list, what is declared is written again with each change, or asked for.
func (s *session) compare(want plan.Desired) (plan.Changes, error) {
	switch {
	case want.Sync == v1alpha1.SyncSeed:
		return plan.Changes{}, nil
	case s.rev.Shape.IsBloom():
		return s.compareFilter(want)
	case s.rev.Shape.IsHidden():
		if s.holdsUnread() {
			return plan.Changes{}, nil
		}
		return plan.Unread(want), nil
	}
	for try := 1; ; try++ {
		d := plan.NewDiffer(want)
		complete, err := s.base.Read(d.Add)
		if err != nil {
			return plan.Changes{}, err
		}
		if complete || try == compareTries {
			return d.Changes(complete), nil
		}
	}
}

// holdsUnread says whether the record vouches for the contents of the base, which nobody can list: exactly
// this was applied to it, or these contents were written before it was frozen.
func (s *session) holdsUnread() bool {
	rec, info := s.state.Record, s.infos[s.base]
	if rec == nil || rec.MapID != info.ID {
		return false
	}
	return s.have.Recorded.Applied == s.want.Fingerprint || info.Frozen && rec.Digest == s.rev.Digest && rec.Linked == s.links.trace
}

// compareFilter finds the declared values that the filter doesn't hold. What it holds beside them can't
// be found.
func (s *session) compareFilter(want plan.Desired) (plan.Changes, error) {
	c := plan.Changes{Add: revision.Entries{ValueSize: want.Entries.ValueSize}}
	for i := range want.Entries.Len {
		holds, err := s.base.Contains(want.Entries.Value(i))
		if err != nil {
			return plan.Changes{}, err
		}
		if !holds {
			c.Add.Append(nil, want.Entries.Value(i), false)
		}
	}
	return c, nil
}

// describe adds to a report what the kernel shows of the map.
func (s *session) describe(r *Report) error {
	m := s.result
	if m == nil {
		m = s.base
	}
	if m == nil {
		m = s.state.Pinned
	}
	if m == nil {
		return nil
	}
	info, err := m.Info()
	if err != nil {
		return fmt.Errorf("describe map %s: %w", s.rev.Key, err)
	}
	r.MapID, r.Frozen, r.MemlockBytes = info.ID, info.Frozen, info.MemlockBytes
	r.Entries = s.count(m, info)
	r.Replaced = s.replacedMaps()
	return nil
}

// describeFailure adds to a report of a failure what can be seen of the map.
func (s *session) describeFailure(r *Report) {
	_ = s.describe(r) // the first failure is the one to tell
}

// replacedMaps are the maps that ours took the pin of and that aren't known to be gone. Where programs
// can't be asked for, that is the last one.
func (s *session) replacedMaps() []ReplacedMap {
	rec := s.saved
	if rec == nil {
		rec = s.state.Record
	}
	if rec == nil {
		return nil
	}
	var maps []ReplacedMap
	for i, id := range rec.Replaced {
		users, err := s.backend.Users(s.ctx, id)
		switch {
		case err == nil:
			maps = append(maps, ReplacedMap{id, users, true})
		case errors.Is(err, ErrUnknown) && i == 0:
			maps = append(maps, ReplacedMap{ID: id})
		}
	}
	return maps
}

// count is how many elements m holds, nil for types that can't be counted.
func (s *session) count(m Map, info MapInfo) *int64 {
	if info.Shape.IsArray() || info.Shape.IsHidden() {
		return nil
	}
	for _, count := range []func(Map, MapInfo) (int64, bool){s.countSeen, asked, s.countExpected, read} {
		if n, known := count(m, info); known {
			return &n
		}
	}
	return nil
}

// countSeen is how many elements m holds as far as that follows from what this run read and wrote.
// Others may have written meanwhile; the next comparison counts again.
func (s *session) countSeen(m Map, info MapInfo) (int64, bool) {
	c := &s.plan.Changes
	switch {
	case info.Shape.IsLRU() || c.Incomplete || s.incremental || s.cutOff || s.plan.Action == plan.Stall:
		return 0, false
	case m == s.result:
		return int64(s.entries.Len), s.foreign.from == nil
	case m == s.base && s.plan.Action != plan.Report && s.rev.Policy.Sync != v1alpha1.SyncSeed:
		return int64(c.Observed) + int64(c.Add.Len) - int64(c.Deletes()), true
	}
	return 0, false
}

// countExpected is how many elements a map holds that wasn't read, if nobody else wrote to it.
func (s *session) countExpected(m Map, _ MapInfo) (int64, bool) {
	if !s.incremental || s.last.count == nil || m != s.base || s.cutOff {
		return 0, false
	}
	c := &s.plan.Changes
	return *s.last.count + int64(c.Add.Len) - int64(c.Deletes()), true
}

func asked(m Map, _ MapInfo) (int64, bool) { return m.Count() }

func read(m Map, info MapInfo) (n int64, known bool) {
	keySize := int64(info.Shape.KeySize)
	_, err := m.Read(func(keys, _ []byte) { n += int64(len(keys)) / keySize })
	return n, err == nil
}
