// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"context"
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
	// IncrementalThreshold is how many entries a map must have for the difference of two revisions to be
	// written without reading the map first; 16384 if 0. Reading a smaller one costs little, and shows
	// what others did meanwhile.
	IncrementalThreshold int
	// Quota limits the kernel memory of maps. Nil doesn't.
	Quota Quota
	// Noted is how many of the elements that differ a Plan has as they were found; 100 if 0.
	Noted int
}

// incrementalThreshold is the default of Options.IncrementalThreshold.
const incrementalThreshold = 16384

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

// New is an engine over a backend.
func New(b Backend, o Options) *Engine {
	if o.IncrementalThreshold == 0 {
		o.IncrementalThreshold = incrementalThreshold
	}
	if o.Quota == nil {
		o.Quota = noQuota{}
	}
	return &Engine{backend: b, options: o, last: map[revision.Key]*applied{}}
}

// take is what was brought to a map last, nil if that isn't known, or if the map is small. It is forgotten until it is known again.
func (e *Engine) take(rev *revision.Revision) *applied {
	e.mu.Lock()
	defer e.mu.Unlock()
	last := e.last[rev.Key]
	delete(e.last, rev.Key)
	if rev.Contents.Len < e.options.IncrementalThreshold {
		return nil
	}
	return last
}

// remember notes what a map holds now.
func (e *Engine) remember(key revision.Key, a *applied) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.last[key] = a
}

// forget forgets what a map holds.
func (e *Engine) forget(key revision.Key) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.last, key)
}

// Sync brings the map to rev: it creates, adopts, fills, repairs, replaces and freezes as the
// policies say, and reports how the map is then. It may be called at any time and again: nothing is
// done to a map that is as declared. When ctx ends, the work stops between two batches of elements, the
// report says so, and the next call continues from there.
func (e *Engine) Sync(ctx context.Context, rev *revision.Revision) Report {
	o, p, err := e.begin(ctx, e.backend, rev)
	if err != nil {
		return failure(rev, err)
	}
	defer o.close()
	return e.carryOut(ctx, o, &p)
}

// begin makes the plan of a Sync. The caller closes the Observation.
func (e *Engine) begin(ctx context.Context, b Backend, rev *revision.Revision) (o *Observation, p plan.Plan, err error) {
	o, err = e.observe(ctx, b, rev)
	if err == nil {
		err = e.mayWrite(o)
	}
	if err != nil {
		return nil, plan.Plan{}, err
	}
	o.note = v1alpha1.MaxDriftedEntries
	if p, err = e.decide(ctx, o, e.reserve); err != nil {
		o.close()
		return nil, plan.Plan{}, err
	}
	return o, p, nil
}

// carryOut does what was planned, and says how the map is then.
func (e *Engine) carryOut(ctx context.Context, o *Observation, p *plan.Plan) Report {
	out := execute(ctx, e.backend, o, p)
	defer out.close()
	return e.end(ctx, o, p, &out)
}

// end looks at the map after the work.
func (e *Engine) end(ctx context.Context, o *Observation, p *plan.Plan, out *Outcome) Report {
	inspect(ctx, e.backend, o, p, out)
	e.conclude(o, p, out)
	return describe(o, p, out)
}

// notedForPlan is the default of Options.Noted.
const notedForPlan = plan.MaxLines

// Plan says what Sync would do, and does nothing. It asks no quota, and also says of a map of a cluster what a
// local engine wouldn't do.
func (e *Engine) Plan(ctx context.Context, rev *revision.Revision) (plan.Plan, error) {
	o, err := e.observe(ctx, e.backend, rev)
	if err != nil {
		return plan.Plan{}, err
	}
	defer o.close()
	if o.note = e.options.Noted; o.note == 0 {
		o.note = notedForPlan
	}
	o.want.Explain = true
	if e.options.Local && o.record != nil {
		o.have.Recorded.Applied = o.record.Applied // whoever declares it, a manifest with or without a UID
	}
	granted := func(context.Context, *Observation, *plan.Plan) (*plan.Memory, error) { return &plan.Memory{}, nil }
	return e.decide(ctx, o, granted)
}

// observe looks at a map that may be worked on.
func (e *Engine) observe(ctx context.Context, b Backend, rev *revision.Revision) (*Observation, error) {
	last := e.take(rev)
	if e.options.AllowPin != nil {
		if err := e.options.AllowPin(rev.Key, rev.Pin.Path); err != nil {
			return nil, &Error{v1alpha1.NodeReasonPinNotAllowed, err}
		}
	}
	return observe(ctx, b, rev, last)
}

// mayWrite refuses to change a map of a cluster locally. It closes what it refuses.
func (e *Engine) mayWrite(o *Observation) error {
	if !e.options.Local || o.record == nil || o.record.UID == "" {
		return nil
	}
	o.close()
	return clusterOwned(o.record)
}

// decide makes the plan, and observes what is needed for it. reserve asks for the kernel memory of a plan.
func (e *Engine) decide(ctx context.Context, o *Observation, reserve func(context.Context, *Observation, *plan.Plan) (*plan.Memory, error)) (plan.Plan, error) {
	for {
		p, need := plan.Decide(&o.want, &o.have)
		var err error
		switch need.What {
		case plan.NeedNothing:
			return p, nil
		case plan.NeedMemory:
			o.have.Memory, err = reserve(ctx, o, &p)
		default:
			err = o.answer(ctx, need)
		}
		if err != nil {
			return plan.Plan{}, err
		}
	}
}

// conclude tells the quota what came of a run, and remembers what the map holds. After work that failed nobody
// knows what the map takes, or holds.
func (e *Engine) conclude(o *Observation, p *plan.Plan, out *Outcome) {
	switch {
	case out.err != nil && p.Writes():
		e.options.Quota.Invalidate(o.rev.Key)
		return
	case out.err != nil || p.Action == plan.Stall:
		return
	}
	e.settle(o, out)
	if o.contents.waiting == 0 && o.rev.Contents.Len >= e.options.IncrementalThreshold && p.Action != plan.Report {
		e.remember(o.rev.Key, &applied{
			Applied: plan.Applied{
				Fingerprint: o.want.Fingerprint, MapID: out.after.info.ID, Shape: o.rev.Shape, Policy: o.rev.Policy,
			},
			contents: o.contents, count: out.after.entries,
		})
	}
}
