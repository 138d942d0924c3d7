// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
	"github.com/bpfmap-io/bpfmap-operator/internal/rollout"
)

// other is another BPFMap of a group and its revisions by ascending number.
type other struct {
	m   *v1alpha1.BPFMap
	own []v1alpha1.BPFMapRevision
}

// newest is the newest revision; nil before the first one.
func (o *other) newest() *v1alpha1.BPFMapRevision {
	if o == nil || len(o.own) == 0 {
		return nil
	}
	return &o.own[len(o.own)-1]
}

// other reads a BPFMap of a group from the cache; nil if there is none.
func (r *reconciler) other(ctx context.Context, name types.NamespacedName) (*other, error) {
	m := &v1alpha1.BPFMap{}
	err := r.client.Get(ctx, name, m, client.UnsafeDisableDeepCopy)
	if apierrors.IsNotFound(err) || (err == nil && !m.DeletionTimestamp.IsZero()) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("get BPFMap: %w", err)
	}
	revisions, err := r.revisions(ctx, name)
	if err != nil {
		return nil, err
	}
	own, _ := partition(revisions, m.UID)
	return &other{m, own}, nil
}

// partners are the maps of the newest revision's group whose own newest revisions are on their way to the nodes, too.
// waits says which of them has no revision yet that belongs with this one; empty if all have. nodes is how many the
// rollout moves over.
func (r *reconciler) partners(ctx context.Context, s *scope, nodes int) (partners []rollout.Partner, waits string, err error) {
	newest := s.fleet.newest()
	if newest.Spec.Group == nil {
		return nil, "", nil
	}
	for _, m := range newest.Spec.Group.Members {
		if m.Name == s.name.Name {
			continue
		}
		o, err := r.other(ctx, types.NamespacedName{Namespace: s.name.Namespace, Name: m.Name})
		if err != nil {
			return nil, "", err
		}
		if o == nil {
			continue // it is gone, and the next revision tells so
		}
		theirs := o.newest()
		if theirs == nil || revision.Layout(&theirs.Spec) != m.Layout {
			waits = fmt.Sprintf("waits for BPFMap %s of its group, which has no revision with the layout that belongs to this one", m.Name)
			continue
		}
		if told := o.m.Status.Rollout; told == nil || told.Revision != theirs.Name || told.Phase != v1alpha1.RolloutPhase(rollout.Complete) {
			partners = append(partners, r.partner(s, o, nodes))
		}
	}
	return partners, waits, nil
}

func (r *reconciler) partner(s *scope, o *other, nodes int) rollout.Partner {
	name := client.ObjectKeyFromObject(o.m)
	f := fleet{nodes: s.fleet.nodes, mapStates: r.index.mapStatesOf(name), revisions: activeOf(o.own)}
	p := rollout.Partner{
		Name: o.m.Name, Policy: policyOf(o.m.Spec.Rollout, nodes), Nodes: f.rolloutNodes(o.m.UID), Frontier: o.newest().Status.Rollout.Frontier,
	}
	if theirs, ours := o.newest().Spec.Group, s.fleet.newest().Spec.Group; sameMembers(theirs, ours) && theirs.Attempt == ours.Attempt {
		p.RolledBack = o.newest().Status.Rollout.RolledBack
	}
	return p
}

func sameMembers(a, b *v1alpha1.RevisionGroup) bool {
	return a != nil && b != nil && a.Name == b.Name && slices.Equal(a.Members, b.Members)
}

// attempt numbers a revision of the same group as the one before. Where that was rolled back with the others of the
// group, a new one is another attempt, and with the first of them all others get new ones, too.
func (r *reconciler) attempt(ctx context.Context, s *scope, now *v1alpha1.RevisionGroup) (int64, error) {
	last := s.lastGroup()
	if !sameMembers(last, now) {
		return 0, nil
	}
	newest := &s.own[len(s.own)-1]
	if newest.Status.Rollout.RolledBack == "" {
		return last.Attempt, nil
	}
	if inGroup(s.want.identity, last) != identify(newest.Spec) {
		return last.Attempt + 1, nil
	}
	attempt := last.Attempt
	for _, m := range now.Members {
		o, err := r.other(ctx, types.NamespacedName{Namespace: s.name.Namespace, Name: m.Name})
		if err != nil {
			return 0, err
		}
		if theirs := o.newest(); theirs != nil && sameMembers(theirs.Spec.Group, now) {
			attempt = max(attempt, theirs.Spec.Group.Attempt)
		}
	}
	return attempt, nil
}

// onGroup enqueues the other BPFMaps of a group after one of them came, went, or was changed, and those that are on
// their way to the nodes after it got further on its own.
func onGroup(c client.Reader) handler.EventHandler {
	enqueue := func(ctx context.Context, q queue, m *v1alpha1.BPFMap, all bool) {
		if m.Spec.Group == "" {
			return
		}
		var list v1alpha1.BPFMapList
		err := c.List(ctx, &list, client.InNamespace(m.Namespace), client.MatchingFields{indexGroup: m.Spec.Group}, client.UnsafeDisableDeepCopy)
		if err != nil {
			log.FromContext(ctx).Error(err, "Failed to list the BPFMaps of a group", "group", m.Spec.Group)
			return
		}
		for i := range list.Items {
			o := &list.Items[i]
			if o.Name != m.Name && (all || o.Status.Rollout == nil || o.Status.Rollout.Phase != v1alpha1.RolloutPhase(rollout.Complete)) {
				q.AddAfter(reconcile.Request{NamespacedName: client.ObjectKeyFromObject(o)}, gatherReports)
			}
		}
	}
	return handler.Funcs{
		CreateFunc: func(ctx context.Context, e event.CreateEvent, q queue) {
			if !e.IsInInitialList { // every BPFMap is reconciled at the start
				enqueue(ctx, q, e.Object.(*v1alpha1.BPFMap), true)
			}
		},
		DeleteFunc: func(ctx context.Context, e event.DeleteEvent, q queue) {
			enqueue(ctx, q, e.Object.(*v1alpha1.BPFMap), true)
		},
		UpdateFunc: func(ctx context.Context, e event.UpdateEvent, q queue) {
			old, m := e.ObjectOld.(*v1alpha1.BPFMap), e.ObjectNew.(*v1alpha1.BPFMap)
			if old.Spec.Group == "" && m.Spec.Group == "" {
				return
			}
			isDeclared := old.Generation != m.Generation || (old.DeletionTimestamp == nil) != (m.DeletionTimestamp == nil)
			if old.Spec.Group != m.Spec.Group {
				enqueue(ctx, q, old, true)
			}
			if isDeclared || old.Status.Nodes != m.Status.Nodes || old.Status.UpdateRevision != m.Status.UpdateRevision ||
				!equality.Semantic.DeepEqual(old.Status.Rollout, m.Status.Rollout) {
				enqueue(ctx, q, m, isDeclared || old.Status.UpdateRevision != m.Status.UpdateRevision || isRolledBack(m))
			}
		},
	}
}

func isRolledBack(m *v1alpha1.BPFMap) bool {
	return m.Status.Rollout != nil && m.Status.Rollout.Phase == v1alpha1.RolloutPhase(rollout.RolledBack)
}
