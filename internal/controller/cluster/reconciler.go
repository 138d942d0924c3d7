// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"errors"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/compile"
	"github.com/bpfmap-io/bpfmap-operator/internal/controller/process"
	"github.com/bpfmap-io/bpfmap-operator/internal/fetch"
	"github.com/bpfmap-io/bpfmap-operator/internal/status"
)

// A write that meets a newer object than the cache shows is tried again soon, without a word: the watch is
// about to deliver that object. From the maxConflicts-th time in a row on, 3 seconds after the first one, it
// is an error like any other.
const (
	firstConflictRetry = 50 * time.Millisecond
	lastConflictRetry  = 2 * time.Second
	maxConflicts       = 6
)

func newConflicts() workqueue.TypedRateLimiter[types.NamespacedName] {
	return workqueue.NewTypedItemExponentialFailureRateLimiter[types.NamespacedName](firstConflictRetry, lastConflictRetry)
}

// reconciler brings one BPFMap's revisions and status up to date. It holds nothing that belongs to a
// single call, so any number of BPFMaps may be worked on at the same time.
type reconciler struct {
	client client.Client
	// live reads what isn't cached, and what has to be certain before something is deleted.
	live client.Reader
	// index is what the watches of nodes and their reports show.
	index    *fleetIndex
	keys     *keyLists
	events   events.EventRecorder
	crds     *crds
	compiled *compileCache
	reserved *reservations
	lives    *lives
	groups   *groups
	fetcher  *fetch.Fetcher
	// conflicts counts how often in a row the cache was behind the API server.
	conflicts workqueue.TypedRateLimiter[types.NamespacedName]
	// observeStatus and forget feed the metrics.
	observeStatus func(*v1alpha1.BPFMap, v1alpha1.BPFMapStatus)
	forget        func(types.NamespacedName)
	limits        limits
	now           func() time.Time
	// secrets is Options.Secrets.
	secrets bool
	// namespaces are those that are watched. Nodes may report maps of others.
	namespaces process.Namespaces
}

// scope is what one reconcile knows. Its objects belong to the cache: they are copied before they change.
type scope struct {
	name types.NamespacedName

	// What the cache shows; set by observe.

	// m is the BPFMap; nil if there is none, or if it is being deleted.
	m *v1alpha1.BPFMap
	// own are the BPFMap's revisions by ascending number. Those of earlier BPFMaps of its name are namesakes.
	own, namesakes []v1alpha1.BPFMapRevision
	// next is the number of the next revision. It counts over namesakes, too, so that agents see one order.
	next int64
	// chunks are those made for BPFMaps of this name.
	chunks []metadata
	fleet  fleet

	// want is what the newest revision is to be; set by compile, nil if the spec is rejected.
	want *compiled
	// held says what a new revision waits for, because it belongs together with others; empty if it doesn't wait. Set by
	// join.
	held string
	// pending says which source hasn't been fetched yet, so that it isn't known what the spec compiles to; then held is the
	// same. Set by compile.
	pending string
	// undecided says that this process hasn't known the group for long enough to judge the spec, and that the status says
	// already that it isn't accepted; set by join.
	undecided bool
	// refused is what the spec compiles to and may not be; set with rejected by consent and plan.
	refused *compiled
	// rejected is why the spec isn't accepted; set by compile, consent, plan and revise.
	rejected *status.Rejection
	// cut are the revisions that go, because there are too many or they take too much; set by plan.
	cut []v1alpha1.BPFMapRevision
	// sources identifies what the sources hold, as the cache shows them; set by compile.
	sources sum
	// reports are what was read from the sources, whether the spec is accepted or not; set by compile, nil if none were.
	reports []compile.SourceReport
	// confirmed says that the API server has what the cache shows, and confirmedSources that the sources hold what was
	// compiled; set by confirm and confirmSources.
	confirmed, confirmedSources bool
	// revised says that the newest revision is known to be what the spec asks for; set by revise.
	revised bool
	// rollout is how far the newest revision is; set by rollOut, nil before there is one.
	rollout *v1alpha1.RolloutStatus
	// withheld says why nodes keep a map that the spec wants removed from them; empty if none does.
	withheld string
	// leaving says how far the nodes are that give the map up because their labels changed; empty if none does.
	leaving string
	// requeueAfter is when to look again though nothing changed, zero for never; set by compile, consent, plan, rollOut and release.
	requeueAfter time.Duration
}

// Reconcile observes, takes the steps that lead from what is to what the spec asks for, and tells in the
// status how far they led.
func (r *reconciler) Reconcile(ctx context.Context, req reconcile.Request) (reconcile.Result, error) {
	if !r.namespaces.Watch(req.Namespace) {
		return reconcile.Result{}, nil // the cache shows nothing of it, and that says nothing
	}
	select {
	case <-r.crds.first:
	case <-ctx.Done():
		return reconcile.Result{}, nil
	}
	if err := r.crds.current(); err != nil {
		return r.waitForCRDs(ctx, req.NamespacedName, err)
	}
	s, err := r.observe(ctx, req.NamespacedName)
	switch {
	case err != nil:
		return reconcile.Result{}, err
	case s.m == nil:
		return r.result(ctx, s, r.remove(ctx, s))
	}
	for _, step := range []func(context.Context, *scope) error{
		r.compile, r.join, unlessHeld(r.consent), unlessHeld(r.plan), unlessHeld(r.trim), unlessHeld(r.revise), r.rollOut, r.release, unlessHeld(r.retire), unlessHeld(r.tellMetrics),
	} {
		if err = step(ctx, s); err != nil {
			break
		}
	}
	if r.tells(ctx, s, err) {
		err = errors.Join(err, r.updateStatus(ctx, s, err))
	}
	return r.result(ctx, s, err)
}

// tells says whether the status is to be written. It isn't while a step didn't come to its end because the
// cache is behind: it might speak of a spec that nobody looked at. Nor is it while a controller that has just started
// doesn't know what the one before it, which may still be at work, has found out: one would take back what the other
// says, for ever.
func (r *reconciler) tells(ctx context.Context, s *scope, err error) bool {
	return ctx.Err() == nil && !s.undecided && !r.isPassing(s, err)
}

// isPassing says whether an error is of the kind that goes away when the cache has caught up, and isn't there
// for long.
func (r *reconciler) isPassing(s *scope, err error) bool {
	return isStale(err) && r.conflicts.NumRequeues(s.name) < maxConflicts
}

// result decides by the kind of an error when to try again. The rate limiter of the work queue decides it
// for all errors that are returned. While the process ends, errors say no more than that.
func (r *reconciler) result(ctx context.Context, s *scope, err error) (reconcile.Result, error) {
	if ctx.Err() != nil {
		return reconcile.Result{}, nil //nolint:nilerr // the process ends
	}
	switch {
	case err == nil:
		r.conflicts.Forget(s.name)
		return reconcile.Result{RequeueAfter: s.requeueAfter}, nil
	case r.isPassing(s, err):
		return reconcile.Result{RequeueAfter: r.conflicts.When(s.name)}, nil
	}
	return reconcile.Result{}, err
}

// errStale says that the cache is behind the API server.
type errStale struct{ message string }

func (e *errStale) Error() string { return e.message }

func staleCache(format string, args ...any) error {
	return &errStale{"the cache is behind the API server: " + fmt.Sprintf(format, args...)}
}

// isStale says whether an error can be explained by a cache that is behind the API server.
func isStale(err error) bool {
	var stale *errStale
	return errors.As(err, &stale) || apierrors.IsConflict(err) || apierrors.IsAlreadyExists(err) || apierrors.IsNotFound(err)
}

// observe reads from the cache all that a reconcile needs.
func (r *reconciler) observe(ctx context.Context, name types.NamespacedName) (*scope, error) {
	s := &scope{name: name}
	revisions, err := r.revisions(ctx, name)
	if err != nil {
		return nil, err
	}
	if s.chunks, err = r.chunksOf(ctx, name); err != nil {
		return nil, err
	}
	s.next = nextNumber(revisions)
	m := &v1alpha1.BPFMap{}
	err = r.client.Get(ctx, name, m)
	if apierrors.IsNotFound(err) || (err == nil && !m.DeletionTimestamp.IsZero()) {
		s.namesakes = revisions
		return s, nil
	}
	if err != nil {
		return nil, fmt.Errorf("get BPFMap: %w", err)
	}
	s.m = m
	s.own, s.namesakes = partition(revisions, m.UID)
	if s.fleet, err = r.observeFleet(ctx, name, activeOf(s.own)); err != nil {
		return nil, err
	}
	return s, nil
}

// remove deletes what was made for a BPFMap that is gone.
func (r *reconciler) remove(ctx context.Context, s *scope) error {
	if len(s.namesakes)+len(s.chunks) > 0 {
		if err := r.confirmGone(ctx, s.name); err != nil {
			return err
		}
	}
	r.fetcher.Want(s.name, nil, "")
	r.compiled.forget(s.name)
	r.reserved.release(s.name)
	r.forget(s.name)
	if err := r.deleteRevisions(ctx, s.namesakes); err != nil {
		return err
	}
	return errors.Join(r.deleteChunks(ctx, s.chunks), r.forgetReleases(ctx, s.name))
}
