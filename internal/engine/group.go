// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/plan"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
	"github.com/bpfmap-io/bpfmap-operator/internal/text"
)

// Member is a BPFMap of a group.
type Member struct {
	Key revision.Key
	// Rev is what its map is to be; nil if that isn't at hand, and Missing says what is missing.
	Rev     *revision.Revision
	Missing string
}

// SyncMember is Sync for the map of a group. If the map is to be replaced, or holds what may be, nothing is done, and
// alone is false: that is the work of SyncGroup, with all maps of the group.
func (e *Engine) SyncMember(ctx context.Context, rev *revision.Revision) (r Report, alone bool) {
	o, p, err := e.begin(ctx, e.backend, rev)
	if err != nil {
		// An inner map that is still the old one may be replaced together with the outer one.
		return failure(rev, err), reasonOf(err) != v1alpha1.NodeReasonInvalidReference
	}
	defer o.close()
	if p.Action == plan.Replace {
		e.giveUp(o, &p)
		return Report{}, false
	}
	return e.carryOut(ctx, o, &p), true
}

// giveUp ends a run before it began: what was known of the map still holds, and what was reserved isn't needed.
func (e *Engine) giveUp(o *Observation, p *plan.Plan) {
	if o.last != nil {
		e.remember(o.rev.Key, o.last)
	}
	if p.Writes() {
		e.options.Quota.Invalidate(o.rev.Key)
	}
}

// SyncGroup replaces the maps of a group that are to be replaced: all or none. First it makes the plans of all members,
// then the new maps of those to be replaced, complete and unseen; only if all that goes well, the new maps take their
// pins, one right after the other, inner maps first. What fails there is carried on by the next call, as everything was
// checked: the records tell how far it got. Members that aren't to be replaced are not changed.
//
// It reports on the members to be replaced, and on those that keep them from it; the former say which these are and why.
func (e *Engine) SyncGroup(ctx context.Context, members []Member) []Report {
	g := &group{engine: e, backend: &newMaps{e.backend, map[revision.Key]*openMap{}}}
	defer g.close()
	for _, isOuter := range []bool{false, true} {
		for _, m := range members {
			if (m.Rev != nil && m.Rev.Shape.Inner != nil) == isOuter {
				g.plan(ctx, m)
			}
		}
		if len(g.obstacles) == 0 {
			g.prepare(ctx)
		}
	}
	if len(g.obstacles) == 0 {
		g.writeAhead(ctx)
	}
	if len(g.obstacles) > 0 {
		return g.wait(ctx)
	}
	return g.exchange(ctx)
}

// group is the work on the maps of a group.
type group struct {
	engine    *Engine
	backend   *newMaps
	work      []*memberWork
	obstacles []obstacle
	// failed are the reports on members that couldn't be looked at.
	failed []Report
}

// memberWork is the work on one of them.
type memberWork struct {
	*execution
	isPrepared, done bool
}

// obstacle is a member that keeps the others from being replaced.
type obstacle struct {
	key  revision.Key
	why  string
	stay bool // until people do something
}

func (g *group) obstruct(key revision.Key, reason, message string) {
	g.obstacles = append(g.obstacles, obstacle{key, reason + ": " + message, stateOf(reason) == v1alpha1.NodeMapStalled})
}

// plan makes the plan of a member.
func (g *group) plan(ctx context.Context, m Member) {
	if m.Rev == nil {
		g.obstacles = append(g.obstacles, obstacle{key: m.Key, why: m.Missing})
		return
	}
	o, p, err := g.engine.begin(ctx, g.backend, m.Rev)
	if err != nil {
		r := failure(m.Rev, err)
		g.failed = append(g.failed, r)
		g.obstruct(m.Key, r.Reason, r.Message)
		return
	}
	g.work = append(g.work, &memberWork{execution: &execution{backend: g.backend, o: o, p: &p}})
	if p.Action == plan.Stall {
		g.obstruct(m.Key, p.Reason, p.Message)
	}
}

// replaced are the members to be replaced.
func (g *group) replaced() []*memberWork {
	return slices.DeleteFunc(slices.Clone(g.work), func(w *memberWork) bool { return w.p.Action != plan.Replace })
}

// step does something for a member; what fails is an obstacle for all.
func (g *group) step(ctx context.Context, w *memberWork, do func(context.Context) error) bool {
	if w.out.err = do(ctx); w.out.err == nil {
		return true
	}
	w.out.count = plan.Count{}
	g.obstruct(w.o.rev.Key, reasonOf(w.out.err), w.out.err.Error())
	return false
}

// prepare makes the new maps. Maps of maps get those of their inner maps that aren't seen yet.
func (g *group) prepare(ctx context.Context) {
	for _, w := range g.replaced() {
		if w.isPrepared {
			continue
		}
		if !g.step(ctx, w, w.prepare) {
			return
		}
		w.isPrepared = true
		g.backend.made[w.o.rev.Key] = w.out.made
	}
}

// writeAhead says in all records which maps are about to take the pins.
func (g *group) writeAhead(ctx context.Context) {
	for _, w := range g.replaced() {
		if !g.step(ctx, w, w.writeAhead) {
			return
		}
	}
}

// wait reports what keeps the group from being replaced. Nothing was changed; new maps are gone with their last user.
func (g *group) wait(ctx context.Context) []Report {
	reports := g.failed
	for _, w := range g.work {
		switch {
		case w.out.err != nil || w.p.Action == plan.Stall:
			reports = append(reports, g.end(ctx, w))
		case w.p.Action == plan.Replace:
			was := *w.p
			g.engine.giveUp(w.o, &was)
			w.out.close()
			w.out = Outcome{record: w.out.record}
			reason, message := g.obstacle()
			*w.p = plan.Plan{Key: was.Key, Action: plan.Stall, Reason: reason, Message: message, Differences: was.Differences, Drift: was.Drift}
			reports = append(reports, g.end(ctx, w))
		}
	}
	return reports
}

// maxObstacles bounds the members that a message names.
const maxObstacles = 3

// obstacle says for the members to be replaced why they aren't.
func (g *group) obstacle() (reason, message string) {
	reason = v1alpha1.NodeReasonWaitsForGroup
	if slices.ContainsFunc(g.obstacles, func(o obstacle) bool { return o.stay }) {
		reason = v1alpha1.NodeReasonGroupStalled
	}
	var told []string
	for _, o := range g.obstacles[:min(len(g.obstacles), maxObstacles)] {
		told = append(told, fmt.Sprintf("BPFMap %s (%s)", o.key.Name, o.why))
	}
	if more := len(g.obstacles) - len(told); more > 0 {
		told = append(told, fmt.Sprintf("%d more", more))
	}
	return reason, "it is replaced together with the maps of its group, or not at all: waits for " + strings.Join(told, ", ")
}

// exchange lets the new maps take their pins. Once the first one has, the others follow even if the process is to end.
func (g *group) exchange(ctx context.Context) []Report {
	together := context.WithoutCancel(ctx)
	replaced := g.replaced()
	start := time.Now()
	for i, w := range replaced {
		if !g.step(together, w, w.exchange) && i == 0 {
			return g.wait(ctx) // none has changed
		}
	}
	took := time.Since(start).Round(time.Microsecond)
	var reports []Report
	for _, w := range replaced {
		if w.out.err == nil {
			g.step(ctx, w, w.finishNew)
		}
		if others := len(replaced) - 1; others > 0 {
			w.out.note = strings.TrimPrefix(fmt.Sprintf("%s; exchanged within %s together with %s of group %s",
				w.out.note, took, text.Count(others, "other map", "other maps"), w.o.rev.GroupName()), "; ")
		}
		reports = append(reports, g.end(ctx, w))
	}
	return reports
}

// end reports on a member.
func (g *group) end(ctx context.Context, w *memberWork) Report {
	w.done = true
	return g.engine.end(ctx, w.o, w.p, &w.out)
}

func (g *group) close() {
	for _, w := range g.work {
		if !w.done {
			g.engine.giveUp(w.o, w.p)
		}
		w.out.close()
		w.o.close()
	}
}

// newMaps is a backend in which names of BPFMaps stand for their new maps, before these are seen.
type newMaps struct {
	Backend
	made map[revision.Key]*openMap
}

// Resolve finds what a name in the entries of a map stands for.
func (b *newMaps) Resolve(ctx context.Context, key revision.Key, ref v1alpha1.Reference) (Target, error) {
	m := b.made[revision.Key{Namespace: key.Namespace, Name: ref.Name}]
	if ref.Type != v1alpha1.TypeMapRef || m == nil {
		return b.Backend.Resolve(ctx, key, ref)
	}
	return Target{Read: uint64(m.info.ID), Write: m.Reference(), Shape: &m.info.Shape}, nil
}
