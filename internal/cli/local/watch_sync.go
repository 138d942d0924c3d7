// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package local

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/engine"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
)

// A map that couldn't be brought to its manifest is tried again after firstRetry, and then after twice as long each
// time, up to lastRetry.
const (
	firstRetry = time.Second
	lastRetry  = time.Minute
)

// sync brings maps to their manifests: those that have changed or failed, and all of them when the time has come to
// compare them with the kernel.
func (w *watching) sync(ctx context.Context) {
	now := time.Now()
	all := !now.Before(w.resyncAt)
	due := w.dueMaps(now, all)
	if len(due) == 0 {
		return
	}
	maps := make([]declared, 0, len(w.order))
	for _, key := range w.order {
		maps = append(maps, w.kept[key].declared)
	}
	runs := newGroupRuns(w.engine, maps)
	renewed := map[revision.Key]bool{}
	for _, d := range innerFirst(maps) {
		if ctx.Err() != nil {
			return
		}
		if !due[d.rev.Key] && !refersTo(d.rev, renewed) {
			continue
		}
		r := runs.sync(ctx, d)
		if ctx.Err() != nil && r.Reason == v1alpha1.NodeReasonInterrupted {
			w.say.warn(id(d.rev.Key) + ": " + r.Message)
			return
		}
		w.report(w.kept[d.rev.Key], &r)
		switch r.Action {
		case engine.ActionCreated, engine.ActionReplaced, engine.ActionAdopted:
			renewed[d.rev.Key] = true
		}
	}
	if all {
		w.resyncAt = time.Now().Add(w.resync)
	}
}

// dueMaps are the maps that are to be looked at now, with the others of their groups.
func (w *watching) dueMaps(now time.Time, all bool) map[revision.Key]bool {
	due := map[revision.Key]bool{}
	groups := map[string]bool{}
	for key, k := range w.kept {
		if all || k.todo || !k.retry.IsZero() && !now.Before(k.retry) {
			due[key] = true
			groups[groupID(k.declared)] = true
		}
	}
	delete(groups, "")
	for key, k := range w.kept {
		if groups[groupID(k.declared)] {
			due[key] = true
		}
	}
	return due
}

// refersTo says whether a map holds one of others.
func refersTo(rev *revision.Revision, others map[revision.Key]bool) bool {
	return len(others) > 0 && slices.ContainsFunc(rev.References, func(l v1alpha1.Reference) bool {
		return l.Type == v1alpha1.TypeMapRef && others[revision.Key{Namespace: rev.Key.Namespace, Name: l.Name}]
	})
}

// report says what was done to a map, or why nothing could be. A map that was as declared isn't worth a line, and what
// is wrong with one is said once.
func (w *watching) report(k *kept, r *engine.Report) {
	k.todo = false
	if r.Err != nil {
		k.retry = time.Now().Add(min(firstRetry<<min(k.failures, 10), lastRetry))
		k.failures++
		line := fmt.Sprintf("Error: %s: %s: %s\n%s", id(r.Key), r.Reason, r.Message, r.Plan.Layouts)
		if line != k.said {
			w.printPlan(k, r)
			w.say.warn(line)
		}
		k.said = line
		return
	}
	line := id(r.Key) + " " + outcome(*r)
	differs := r.Drift != nil && !r.Drift.Repaired
	isQuiet := r.Action == engine.ActionNone && r.Drift == nil && k.said == "" && !k.tell
	if !isQuiet && (!differs || line != k.said) {
		w.printPlan(k, r)
		w.say.done(line)
	}
	k.failures, k.retry, k.tell, k.said = 0, time.Time{}, false, ""
	if differs {
		k.said = line
	}
}

// printPlan prints what was changed in a map, with --plan.
func (w *watching) printPlan(k *kept, r *engine.Report) {
	if !w.showPlan || r.Plan.IsEmpty() {
		return
	}
	f, err := formattersOf(k.declared, &r.Plan)
	if err != nil {
		w.say.warn("Error: " + err.Error())
		return
	}
	w.say.done(strings.TrimRight(r.Plan.Text(f.key, f.value), "\n"))
}
