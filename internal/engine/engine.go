// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/plan"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
)

// Options tune an Engine.
type Options struct {
	// AllowPin says whether a map may be pinned at path, relative to the BPF file system. Nil allows
	// every path.
	AllowPin func(key revision.Key, path string) error
	// Local engines work for people at this machine, without a cluster: their maps have no UID. They
	// leave maps of a cluster alone, and other engines don't remove theirs.
	Local bool
	// IncrementalFrom is how many entries a map must have for the difference of two revisions to be
	// written without reading the map first; 16384 if 0. Reading a smaller one costs little, and shows
	// what others did meanwhile.
	IncrementalFrom int
	// Quota limits the kernel memory of maps. Nil doesn't.
	Quota Quota
}

// incrementalFrom is the default of Options.IncrementalFrom.
const incrementalFrom = 16384

// Engine brings maps to their revisions. It is safe for concurrent use on different keys; on one key
// the caller orders the calls.
type Engine struct {
	backend Backend
	options Options

	mu sync.Mutex
	// last is what was brought to each map last. From there to the next revision only the difference
	// of the two is written, without reading the map; the next Sync of the same revision compares all.
	last map[revision.Key]*applied
}

// applied is a map's revision as it was brought to the kernel.
type applied struct {
	fingerprint string
	mapID       uint32
	shape       revision.Shape
	policy      revision.Policy
	entries     revision.Entries // linked
	count       *int64           // elements of the map then
}

// New is an engine over a backend.
func New(b Backend, o Options) *Engine {
	if o.IncrementalFrom == 0 {
		o.IncrementalFrom = incrementalFrom
	}
	if o.Quota == nil {
		o.Quota = noQuota{}
	}
	return &Engine{backend: b, options: o, last: map[revision.Key]*applied{}}
}

// recall is what was brought to a map last, nil if that isn't known.
func (e *Engine) recall(key revision.Key) *applied {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.last[key]
}

// remember notes what a map holds now; nil forgets, after whatever casts a doubt on it.
func (e *Engine) remember(key revision.Key, a *applied) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if a == nil {
		delete(e.last, key)
		return
	}
	e.last[key] = a
}

// Sync brings the map to rev: it creates, adopts, fills, repairs, replaces and freezes as the
// policies say, and reports how the map is then. It may be called at any time and again: nothing is
// done to a map that is as declared.
func (e *Engine) Sync(ctx context.Context, rev *revision.Revision) Report {
	report := Report{Key: rev.Key, UID: rev.UID, Revision: rev.Name}
	s, err := e.open(ctx, rev)
	if err != nil {
		report.fail(err)
		return report
	}
	defer s.close()
	if rev.Contents.Len >= e.options.IncrementalFrom {
		s.last = e.recall(rev.Key)
	}
	e.remember(rev.Key, nil) // until all went well
	if err := s.decide(); err != nil {
		report.fail(err)
		return report
	}
	report.Plan, report.PinPath = s.plan, s.state.PinPath
	if s.state.Record != nil {
		report.DriftCount = s.state.Record.DriftCount
	}
	if s.plan.Drift != "" && s.plan.Action != plan.Stall {
		report.Drift = &Drift{Kind: s.plan.Drift, Summary: driftSummary(&s.plan)}
	}
	switch s.plan.Action {
	case plan.None:
		if err := s.confirm(); err != nil {
			report.fail(err)
			s.describeFailure(&report)
			return report
		}
	case plan.Stall:
		report.fail(&Error{s.plan.Reason, errors.New(s.plan.Message)})
		s.describeFailure(&report)
		return report
	case plan.Report:
		if err := s.countDrift(); err != nil {
			report.fail(err)
			return report
		}
	default:
		if err := e.reserve(s); err != nil {
			report.fail(err)
			s.describeFailure(&report)
			return report
		}
		if err := s.apply(); err != nil {
			report.fail(err)
			s.describeFailure(&report)
			e.options.Quota.Invalidate(rev.Key)
			return report
		}
		report.Action = actionOf(s.plan.Action)
		if report.Drift != nil {
			report.Drift.Repaired = true
		}
	}
	report.State, report.Reason, report.Digest = v1alpha1.NodeMapReady, v1alpha1.NodeReasonInSync, rev.Digest
	if s.saved != nil {
		report.DriftCount = s.saved.DriftCount
	}
	if s.plan.Action == plan.Report {
		report.Reason, report.Message, report.Digest = v1alpha1.NodeReasonDrifted, report.Drift.Summary, ""
	}
	report.Message += s.note
	s.tellWaits(&report)
	if err := s.describe(&report); err != nil {
		report.fail(err)
		e.options.Quota.Invalidate(rev.Key)
		return report
	}
	e.settle(s, &report)
	if s.plan.Action != plan.Report && s.linked.waiting == 0 && rev.Contents.Len >= e.options.IncrementalFrom {
		e.remember(rev.Key, s.appliedNow(&report))
	}
	return report
}

// Plan says what Sync would do, and does nothing.
func (e *Engine) Plan(ctx context.Context, rev *revision.Revision) (plan.Plan, error) {
	s, err := e.open(ctx, rev)
	if err != nil {
		return plan.Plan{}, err
	}
	defer s.close()
	if err := s.decide(); err != nil {
		return plan.Plan{}, err
	}
	return s.plan, nil
}

// Remove gives a map up as its record's deletion policy says: Delete removes the pins that are ours,
// Retain leaves them. Without a record there is nothing to do.
func (e *Engine) Remove(ctx context.Context, key revision.Key) Report {
	report := Report{Key: key, State: v1alpha1.NodeMapReady, Reason: v1alpha1.NodeReasonInSync}
	e.remember(key, nil)
	state, err := e.backend.Open(ctx, key, nil)
	if err != nil {
		report.fail(fmt.Errorf("remove map %s: %w", key, err))
		return report
	}
	defer state.close()
	rec := state.Record
	switch {
	case rec == nil:
		if err := e.backend.Forget(ctx, key); err != nil {
			report.fail(fmt.Errorf("remove map %s: %w", key, err))
		}
		e.options.Quota.Release(key)
		return report
	case e.options.Local && rec.UID != "":
		report.fail(clusterOwned(rec))
		return report
	case !e.options.Local && rec.UID == "":
		return report // of people at this machine
	}
	report.UID, report.Revision, report.MapID = rec.UID, rec.Revision, rec.MapID
	report.Action = ActionRemoved
	paths := append(slices.Clone(rec.PreviousPaths), rec.Pin.Path)
	if rec.Deletion == v1alpha1.DeletionRetain {
		report.Action = ActionRetained
		if paths, err = e.leftBehind(ctx, rec); err != nil {
			report.fail(fmt.Errorf("remove map %s: %w", key, err))
			return report
		}
	}
	for _, path := range paths {
		if err := e.backend.Unpin(ctx, key, path, append(rec.EarlierMaps, rec.MapID, rec.PreviousMapID)...); err != nil {
			report.fail(fmt.Errorf("remove map %s: %w", key, err))
			return report
		}
	}
	if err := e.backend.Forget(ctx, key); err != nil {
		report.fail(fmt.Errorf("remove map %s: %w", key, err))
	}
	e.options.Quota.Release(key)
	return report
}

// leftBehind are the earlier paths of a map whose pin was being moved and has arrived: those pins are to go
// though the map stays.
func (e *Engine) leftBehind(ctx context.Context, rec *Record) ([]string, error) {
	if len(rec.PreviousPaths) == 0 {
		return nil, nil
	}
	state, err := e.backend.Open(ctx, rec.Key, &rec.Pin)
	if err != nil {
		return nil, err
	}
	defer state.close()
	if state.Pinned == nil {
		return nil, nil
	}
	info, err := state.Pinned.Info()
	if err != nil || info.ID != rec.MapID {
		return nil, err
	}
	return rec.PreviousPaths, nil
}

// clusterOwned refuses local work on a map of a cluster.
func clusterOwned(r *Record) error {
	return &Error{v1alpha1.NodeReasonPinConflict, fmt.Errorf("map %s belongs to a BPFMap of a cluster (uid %s): change it there", r.Key, r.UID)}
}

// Records are the records of all maps that are managed here, sorted by key.
func (e *Engine) Records(ctx context.Context) ([]Record, error) {
	records, err := e.backend.Records(ctx)
	if err != nil {
		return nil, fmt.Errorf("list records: %w", err)
	}
	return records, nil
}

func actionOf(a plan.Action) Action {
	switch a {
	case plan.Create:
		return ActionCreated
	case plan.Adopt:
		return ActionAdopted
	case plan.Update:
		return ActionUpdated
	case plan.Replace:
		return ActionReplaced
	case plan.Repair:
		return ActionRepaired
	}
	return ActionNone
}

// driftSummary is drift for people.
func driftSummary(p *plan.Plan) string {
	switch p.Drift {
	case plan.DriftPinRemoved:
		return "the pin was removed; the map is still there"
	case plan.DriftMapGone:
		return "the map and its pin were removed"
	case plan.DriftPinReplaced:
		return "another map took the pin"
	case plan.DriftUnfrozen:
		return "the map is not frozen"
	case plan.DriftFrozen:
		return "the map is frozen"
	case plan.DriftPinMode:
		return "mode or owner of the pin changed"
	}
	return p.Changes.Summary()
}
