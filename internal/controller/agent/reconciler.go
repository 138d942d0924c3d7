// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/controller/process"
	"github.com/bpfmap-io/bpfmap-operator/internal/engine"
	recorders "github.com/bpfmap-io/bpfmap-operator/internal/metrics"
	"github.com/bpfmap-io/bpfmap-operator/internal/plan"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
	"github.com/bpfmap-io/bpfmap-operator/internal/status"
)

// indexMapName finds the revisions of a BPFMap.
const indexMapName = "spec.mapName"

// referenceRetry is how often an entry that waits for what it names is tried again.
const referenceRetry = 5 * time.Second

// reconciler brings one map at a time to its revision. It may run for several maps in parallel.
type reconciler struct {
	client     client.Client
	live       asker
	node       string
	namespaces process.Namespaces
	readiness  *nodeReadiness
	state      *nodeState
	holdings   *holdings
	checks     *checks
	queue      *mapQueue
	pins       *Pins
	programs   *programs
	loader     *revisionLoader
	groups     *groupLocks
	events     *eventEmitter
	metrics    *recorders.Node
	seeded     <-chan struct{}
	began      time.Time
	resync     time.Duration
}

// Reconcile handles the map of a BPFMap's name.
func (r *reconciler) Reconcile(ctx context.Context, req reconcile.Request) (reconcile.Result, error) {
	select {
	case <-r.seeded:
	case <-ctx.Done():
		return reconcile.Result{}, nil
	}
	key := revision.Key{Namespace: req.Namespace, Name: req.Name}
	e, notReady := r.readiness.current()
	h, err := r.held(ctx, e, key)
	if err != nil {
		return reconcile.Result{}, err
	}
	if !r.namespaces.Watch(key.Namespace) {
		r.leave(ctx, e, key, h)
		return reconcile.Result{}, nil
	}
	c, err := r.cached(ctx, key, h)
	if err != nil || c.undecided {
		return reconcile.Result{}, err
	}
	switch {
	case errors.Is(notReady, errNotProbed):
		return reconcile.Result{}, nil // what an earlier agent reported holds until this one has looked
	case notReady != nil:
		r.refuse(key, c.wanted, notReady)
		return reconcile.Result{}, nil // all maps are queued when the node becomes ready
	}
	c, wait, err := r.confirmed(ctx, key, h, c)
	switch {
	case err != nil:
		return reconcile.Result{}, err
	case wait > 0:
		return reconcile.Result{RequeueAfter: wait}, nil
	case c.undecided: // the cache and the API server disagree: whether an event settles that isn't known
		return reconcile.Result{RequeueAfter: jitter(r.resync)}, nil
	case c.wanted == nil:
		return reconcile.Result{}, r.remove(ctx, e, key, c)
	}
	r.holdings.takes(key, c.wanted)
	if wait := r.checks.untilDue(key, c.wanted.UID, r.resync); wait > 0 {
		r.metrics.FollowContents(c.wanted) // spec.metrics may have changed alone
		return reconcile.Result{RequeueAfter: wait}, nil
	}
	return r.apply(ctx, e, c.wanted)
}

// held is what the node holds of a map; e is nil while the node isn't ready, and then nothing is known.
func (r *reconciler) held(ctx context.Context, e Engine, key revision.Key) (holding, error) {
	if e == nil {
		return holding{}, nil
	}
	return r.holdings.of(ctx, e, key)
}

// confirmed is a choice from the cache, if it leads forward, or the one that the API server confirms. wait is
// when to look again instead.
func (r *reconciler) confirmed(ctx context.Context, key revision.Key, h holding, cached choice) (c choice, wait time.Duration, err error) {
	if h.believable(cached, tenure{r.began, r.state.restarted()}) {
		r.holdings.trust(key)
		return cached, 0, nil
	}
	if !cached.shown { // the cache alone is reason enough to wait, for thousands of nodes at once
		if wait := r.untilSure(key); wait > 0 {
			return choice{}, wait, nil
		}
	}
	c, now, err := r.live.ask(ctx, key, h, cached.wanted)
	if err != nil {
		return choice{}, 0, err
	}
	c.shown = c.shown || cached.shown
	switch h.judge(c, now) {
	case keep:
		r.holdings.trust(key)
		return choice{undecided: true}, 0, nil
	case hesitate:
		return c, r.untilSure(key), nil
	}
	r.holdings.trust(key)
	return c, 0, nil
}

// untilSure is how long to wait before what vanished from the API server counts as gone.
func (r *reconciler) untilSure(key revision.Key) time.Duration {
	if left := patience - time.Since(r.holdings.doubt(key)); left > 0 {
		return left + rand.N(patienceByLot)
	}
	return 0
}

// refuse notes that nothing can be done for a map while the node isn't ready.
func (r *reconciler) refuse(key revision.Key, wanted *v1alpha1.BPFMapRevision, why error) {
	if wanted == nil {
		return
	}
	report := engine.Report{Key: key, UID: wanted.Spec.MapUID, Revision: wanted.Name}
	r.state.set(status.FromReport(fail(report, v1alpha1.NodeMapFailed, v1alpha1.NodeReasonNodeNotReady, why)))
}

// cached is what the cache says about a map.
func (r *reconciler) cached(ctx context.Context, key revision.Key, h holding) (choice, error) {
	var list v1alpha1.BPFMapRevisionList
	err := r.client.List(ctx, &list, client.InNamespace(key.Namespace), client.MatchingFields{indexMapName: key.Name},
		client.UnsafeDisableDeepCopy)
	if err != nil {
		return choice{}, fmt.Errorf("list revisions of %s: %w", key, err)
	}
	return chooseBy(ctx, r.client, list.Items, r.node, h)
}

// apply lets the engine work and publishes the result.
func (r *reconciler) apply(ctx context.Context, e Engine, object *v1alpha1.BPFMapRevision) (reconcile.Result, error) {
	start := time.Now()
	running := r.checks.begin(mapOf(object), object.UID)
	r.pins.Set(mapOf(object), pinsOf(&object.Spec)...)
	report := r.sync(ctx, e, object)
	if isInterrupted(ctx, report.Err) {
		return reconcile.Result{}, nil // the process ends; what was done is in the kernel, and the next agent continues
	}
	r.publish(ctx, object, &report, time.Since(start))
	if report.State == v1alpha1.NodeMapReady {
		r.checks.passed(report.Key, running)
	} else {
		r.checks.forget(report.Key)
	}
	if report.State == v1alpha1.NodeMapFailed {
		r.readiness.recheck()
		return reconcile.Result{}, report.Err // again, later and later
	}
	if report.State == v1alpha1.NodeMapPending {
		return reconcile.Result{RequeueAfter: jitter(min(referenceRetry, r.resync))}, nil
	}
	return reconcile.Result{RequeueAfter: jitter(r.resync)}, nil
}

// publish tells the API server, people and metrics how a map is.
func (r *reconciler) publish(ctx context.Context, object *v1alpha1.BPFMapRevision, report *engine.Report, took time.Duration) {
	r.noteLoss(report)
	r.metrics.ObserveSync(*report, took)
	r.metrics.ObserveShape(*report, &object.Spec)
	before := r.state.set(status.FromReport(*report))
	if report.State != v1alpha1.NodeMapStalled { // else the kernel may hold a map of another layout
		r.metrics.FollowContents(object)
	}
	r.events.emit(ctx, before, *report)
	r.log(ctx, before, *report)
	if report.MapID != 0 && (before == nil || before.MapID != int64(report.MapID)) {
		r.queue.addHolders(ctx, report.Key)
		r.programs.want()
	}
}

// sync loads the revision and lets the engine bring the map to it.
func (r *reconciler) sync(ctx context.Context, e Engine, object *v1alpha1.BPFMapRevision) engine.Report {
	report := engine.Report{Key: mapOf(object), UID: object.Spec.MapUID, Revision: object.Name}
	rev, err := r.loader.load(ctx, object)
	switch {
	case errors.Is(err, revision.ErrByteOrder):
		return fail(report, v1alpha1.NodeMapStalled, v1alpha1.NodeReasonNotSupported, err)
	case errors.Is(err, errInvalid):
		return fail(report, v1alpha1.NodeMapStalled, v1alpha1.NodeReasonInvalidRevision, err)
	case err != nil:
		return fail(report, v1alpha1.NodeMapFailed, v1alpha1.NodeReasonSyncFailed, err)
	}
	if object.Spec.Group != nil {
		return r.syncMember(ctx, e, object, rev)
	}
	report = e.Sync(ctx, rev)
	r.queue.addMaps(e.Unblocked()) // the work on this map may have made room for others
	return report
}

// isInterrupted says of the error of some work that it ended because the process ends. That is not a
// failure, and nothing is published of it.
func isInterrupted(ctx context.Context, err error) bool { return err != nil && ctx.Err() != nil }

// noteLoss sees that a map had to be made though one was here in this boot: the BPF file system was mounted
// anew, or somebody removed all that was in it, with the records by which the engine knows drift.
func (r *reconciler) noteLoss(report *engine.Report) {
	id := r.state.lastMapID(report.Key, report.UID)
	if report.Action != engine.ActionCreated || report.Drift != nil || id == 0 {
		return
	}
	report.Drift = &engine.Drift{
		Kind: plan.DriftMapGone, Repaired: true,
		Summary: fmt.Sprintf("map %d, its pins and its record were gone: the BPF file system was mounted anew or emptied", id),
	}
}

func (r *reconciler) log(ctx context.Context, before *v1alpha1.NodeMap, report engine.Report) {
	l := log.FromContext(ctx)
	if report.Drift != nil && (before == nil || before.DriftCount != report.DriftCount || report.Action == engine.ActionCreated) {
		r.metrics.CountDrift(report)
		warn(l, "Map had drifted", "kind", report.Drift.Kind, "difference", report.Drift.String(), "repaired", report.Drift.Repaired)
	}
	if report.Action != engine.ActionNone {
		l.Info(string(report.Action)+" map", "revision", report.Revision, "mapID", report.MapID, "pin", report.PinPath)
		l.V(1).Info("Plan", "text", report.Plan.String())
	}
	if report.State == v1alpha1.NodeMapStalled && (before == nil || before.Message != report.Message) {
		l.Info("Map is stalled", "reason", report.Reason, "message", report.Message)
	}
}

// remove releases a map that no revision asks for on this node.
func (r *reconciler) remove(ctx context.Context, e Engine, key revision.Key, c choice) error {
	report := e.Remove(ctx, key)
	r.queue.addMaps(e.Unblocked())
	if isInterrupted(ctx, report.Err) {
		return nil
	}
	if report.Err != nil {
		r.readiness.recheck()
		r.state.set(status.FromReport(report))
		return report.Err
	}
	if report.Action != engine.ActionNone {
		log.FromContext(ctx).Info(string(report.Action)+" map", "mapID", report.MapID, "because", c.removal, "detail", report.Message)
		if c.shown { // of a BPFMap that is deleted nobody reads what thousands of nodes would tell
			r.events.removed(ctx, report, c.removal)
		}
	}
	r.holdings.gone(key, c.shown)
	r.pins.Set(key)
	if r.state.remove(key) {
		r.programs.want()
	}
	r.checks.forget(key)
	r.loader.forget(key)
	r.metrics.Forget(key.Namespace, key.Name)
	return nil
}

// jitter is d, up to a tenth shorter or longer, so that nodes and maps don't all look at once.
func jitter(d time.Duration) time.Duration { return d - d/10 + rand.N(d/5+1) }
