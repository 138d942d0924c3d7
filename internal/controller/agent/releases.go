// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"context"
	"slices"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/client"
	watched "sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
)

// released says whether the node may give up the map that it holds at a revision.
func released(releases []v1alpha1.MapRelease, rev *v1alpha1.BPFMapRevision) bool {
	return slices.ContainsFunc(releases, func(r v1alpha1.MapRelease) bool {
		return r.Namespace == rev.Namespace && r.Name == rev.Spec.MapName && r.Revision == rev.Name
	})
}

// onReleases enqueues the maps that the own node may give up now.
func onReleases() handler.EventHandler {
	type queue = workqueue.TypedRateLimitingInterface[reconcile.Request]
	enqueue := func(before, after client.Object, q queue) {
		known := releasesIn(before)
		for _, r := range releasesIn(after) {
			if !slices.Contains(known, r) {
				q.Add(reconcile.Request{NamespacedName: types.NamespacedName{Namespace: r.Namespace, Name: r.Name}})
			}
		}
	}
	return handler.Funcs{
		CreateFunc: func(_ context.Context, e watched.CreateEvent, q queue) { enqueue(nil, e.Object, q) },
		UpdateFunc: func(_ context.Context, e watched.UpdateEvent, q queue) { enqueue(e.ObjectOld, e.ObjectNew, q) },
	}
}

func releasesIn(o client.Object) []v1alpha1.MapRelease {
	if state, ok := o.(*v1alpha1.BPFNodeState); ok {
		return state.Status.Releases
	}
	return nil
}
