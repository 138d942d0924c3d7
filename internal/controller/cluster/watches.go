// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"maps"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
)

// indexMapName is the index of the cache that finds revisions by the BPFMap's name.
const indexMapName = "spec.mapName"

// gatherReports lets the reports of a few nodes about one map become one reconcile; see fleetIndex.gather for many.
// It is part of the time from apply to Ready.
const gatherReports = 20 * time.Millisecond

type queue = workqueue.TypedRateLimitingInterface[reconcile.Request]

func mapNameOf(o client.Object) []string {
	return []string{o.(*v1alpha1.BPFMapRevision).Spec.MapName}
}

// revisionToMap leads from a revision to its BPFMap, for revisions that others change or delete, and to the
// BPFMap that would name one so, which may wait for the name.
func revisionToMap(_ context.Context, o client.Object) []reconcile.Request {
	rev := o.(*v1alpha1.BPFMapRevision)
	requests := []reconcile.Request{{NamespacedName: types.NamespacedName{Namespace: rev.Namespace, Name: rev.Spec.MapName}}}
	if at := strings.LastIndexByte(rev.Name, '-'); at > 0 && rev.Name[:at] != rev.Spec.MapName {
		requests = append(requests, reconcile.Request{NamespacedName: types.NamespacedName{Namespace: rev.Namespace, Name: rev.Name[:at]}})
	}
	return requests
}

// onChunk enqueues the BPFMap of a chunk that is deleted: if a revision still names it, it is written
// again.
func onChunk() handler.EventHandler {
	return handler.Funcs{DeleteFunc: func(_ context.Context, e event.DeleteEvent, q queue) {
		for _, name := range chunkToMap(e.Object) {
			q.Add(reconcile.Request{NamespacedName: name})
		}
	}}
}

// onNodeState keeps the index up to date, and enqueues the maps whose state on the node changed, and no others.
func onNodeState(x *fleetIndex) handler.EventHandler {
	follow := func(node string, state *v1alpha1.BPFNodeState, q queue) {
		changed := x.setState(node, state)
		if q == nil || len(changed) == 0 {
			return
		}
		pause := x.gather()
		for _, name := range changed {
			q.AddAfter(reconcile.Request{NamespacedName: name}, pause)
		}
	}
	return handler.Funcs{
		CreateFunc: func(_ context.Context, e event.CreateEvent, q queue) {
			if e.IsInInitialList {
				q = nil // every BPFMap is reconciled at the start
			}
			follow(e.Object.GetName(), e.Object.(*v1alpha1.BPFNodeState), q)
		},
		UpdateFunc: func(_ context.Context, e event.UpdateEvent, q queue) {
			follow(e.ObjectNew.GetName(), e.ObjectNew.(*v1alpha1.BPFNodeState), q)
		},
		DeleteFunc: func(_ context.Context, e event.DeleteEvent, q queue) { follow(e.Object.GetName(), nil, q) },
	}
}

// onNode keeps the index up to date, and enqueues the maps whose selection a node's coming, going or relabelling
// changes. Nodes that do so together are gathered, because each of these maps goes over all nodes.
func onNode(c client.Reader, x *fleetIndex) handler.EventHandler {
	enqueue := func(ctx context.Context, q queue, sets ...labels.Set) {
		var list v1alpha1.BPFMapRevisionList
		err := c.List(ctx, &list, client.MatchingLabels{v1alpha1.LabelActive: active}, client.UnsafeDisableDeepCopy)
		if err != nil {
			log.FromContext(ctx).Error(err, "Failed to list the active revisions for a node's event")
			return
		}
		pause := x.gather()
		for i := range list.Items {
			if rev := &list.Items[i]; selectionChanges(rev.Spec.NodeSelector, sets) {
				q.AddAfter(revisionToMap(ctx, rev)[0], pause)
			}
		}
	}
	follow := func(o client.Object) {
		if n, ok := o.(*corev1.Node); ok {
			x.setNode(n.Name, n)
		}
	}
	return handler.Funcs{
		CreateFunc: func(ctx context.Context, e event.CreateEvent, q queue) {
			follow(e.Object)
			if !e.IsInInitialList { // every BPFMap is reconciled at the start
				enqueue(ctx, q, e.Object.GetLabels())
			}
		},
		DeleteFunc: func(ctx context.Context, e event.DeleteEvent, q queue) {
			x.setNode(e.Object.GetName(), nil)
			enqueue(ctx, q, e.Object.GetLabels())
		},
		UpdateFunc: func(ctx context.Context, e event.UpdateEvent, q queue) {
			follow(e.ObjectNew)
			before, after := e.ObjectOld.GetLabels(), e.ObjectNew.GetLabels()
			if !maps.Equal(before, after) {
				enqueue(ctx, q, before, after)
			}
		},
	}
}

// selectionChanges compares two sets of labels before and after; a single set belongs to a node that
// comes or goes.
func selectionChanges(selector map[string]string, sets []labels.Set) bool {
	s := labels.SelectorFromSet(selector)
	if len(sets) == 1 {
		return s.Matches(sets[0])
	}
	return s.Matches(sets[0]) != s.Matches(sets[1])
}
