// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/status"
)

// retryStale is when to look again after a write met a newer object than the cache showed.
const retryStale = 50 * time.Millisecond

// reconciler brings one BPFMap's revisions and status up to date. It holds nothing that belongs to a
// single call, so any number of them may run at the same time.
type reconciler struct {
	client client.Client
	// live reads objects that aren't cached.
	live     client.Reader
	keys     *keyLists
	events   events.EventRecorder
	crds     *crds
	compiled *memo
	// observe and forget feed the metrics.
	observe func(*v1alpha1.BPFMap, v1alpha1.BPFMapStatus)
	forget  func(types.NamespacedName)
	// history is how many revisions are kept besides the active one.
	history int
	now     func() time.Time
}

// Reconcile compiles, keeps exactly one active revision, and writes the status if it changed.
func (r *reconciler) Reconcile(ctx context.Context, req reconcile.Request) (reconcile.Result, error) {
	select {
	case <-r.crds.first:
	case <-ctx.Done():
		return reconcile.Result{}, nil
	}
	if err := r.crds.current(); err != nil {
		return r.held(ctx, req.NamespacedName, err)
	}
	existing, err := r.revisions(ctx, req.NamespacedName)
	if err != nil {
		return reconcile.Result{}, err
	}
	var m v1alpha1.BPFMap
	err = r.client.Get(ctx, req.NamespacedName, &m)
	if apierrors.IsNotFound(err) || (err == nil && !m.DeletionTimestamp.IsZero()) {
		r.compiled.forget(req.NamespacedName)
		r.forget(req.NamespacedName)
		return reconcile.Result{}, r.deleteAll(ctx, req.NamespacedName, existing)
	}
	if err != nil {
		return reconcile.Result{}, fmt.Errorf("get BPFMap: %w", err)
	}

	in := status.Input{Map: &m, Now: r.now()}
	again, err := r.reviseAndRoll(ctx, &in, existing)
	if stale(err) {
		return reconcile.Result{RequeueAfter: retryStale}, nil
	}
	if err != nil {
		return reconcile.Result{}, err
	}
	next := status.Aggregate(in)
	r.observe(&m, next)
	if equality.Semantic.DeepEqual(m.Status, next) {
		return reconcile.Result{RequeueAfter: again}, nil
	}
	err = r.writeStatus(ctx, &m, next)
	if stale(err) {
		return reconcile.Result{RequeueAfter: retryStale}, nil
	}
	if err != nil {
		return reconcile.Result{}, err
	}
	r.announce(&m, next)
	return reconcile.Result{RequeueAfter: again}, nil
}

// reviseAndRoll makes the newest revision say what the spec says, lets it go one step further, and
// cleans up behind it. It fills in what the status follows from, and returns when to look again.
func (r *reconciler) reviseAndRoll(ctx context.Context, in *status.Input, existing []v1alpha1.BPFMapRevision) (time.Duration, error) {
	own, others := partition(existing, in.Map.UID)
	own, want, rejected, err := r.revise(ctx, in.Map, own, nextNumber(existing))
	if err != nil {
		return 0, err
	}
	in.Rejected = rejected
	if len(own) == 0 {
		return 0, r.deleteRevisions(ctx, others)
	}
	f, err := r.fleet(ctx, client.ObjectKeyFromObject(in.Map), activeOf(own))
	if err != nil {
		return 0, err
	}
	again, err := r.roll(ctx, in.Map, &f)
	if err != nil {
		return 0, err
	}
	in.Revision = &f.revisions[len(f.revisions)-1]
	in.Rollout = in.Revision.Status.Rollout.DeepCopy()
	in.Rollout.ReadySince = nil // of no interest to people, and changes more often
	in.Nodes, in.Assigned = f.assigned()
	in.Lines = f.lines
	if err := r.retire(ctx, in.Map, own, in.Revision); err != nil {
		return 0, err
	}
	if err := r.keepChunks(ctx, in.Map, own, want); err != nil {
		return 0, err
	}
	return again, r.deleteRevisions(ctx, others)
}

// deleteAll deletes what was made for a BPFMap that is gone.
func (r *reconciler) deleteAll(ctx context.Context, name types.NamespacedName, revisions []v1alpha1.BPFMapRevision) error {
	if err := r.deleteRevisions(ctx, revisions); err != nil {
		return err
	}
	chunks, err := r.chunksOf(ctx, name)
	if err != nil {
		return err
	}
	return r.deleteChunks(ctx, chunks, nil)
}

// writeStatus sends the status alone, not the spec with its many entries, and the API server takes it
// only if the object is still the one that the status was made from: setting the resource version in a
// patch asks for that.
func (r *reconciler) writeStatus(ctx context.Context, m *v1alpha1.BPFMap, next v1alpha1.BPFMapStatus) error {
	patch, err := json.Marshal([]map[string]any{
		{"op": "replace", "path": "/metadata/resourceVersion", "value": m.ResourceVersion},
		{"op": "add", "path": "/status", "value": next},
	})
	if err != nil {
		return fmt.Errorf("encode status: %w", err)
	}
	target := &v1alpha1.BPFMap{ObjectMeta: metav1.ObjectMeta{Namespace: m.Namespace, Name: m.Name}}
	if err := r.client.Status().Patch(ctx, target, client.RawPatch(types.JSONPatchType, patch)); err != nil {
		return fmt.Errorf("write status: %w", err)
	}
	return nil
}

// stale says whether a write failed only because the cache is behind the API server.
func stale(err error) bool {
	return apierrors.IsConflict(err) || apierrors.IsAlreadyExists(err) || apierrors.IsNotFound(err)
}
