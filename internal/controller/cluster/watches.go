// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"maps"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
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

// The indexes of the cache.
const (
	// indexMapName finds revisions by the BPFMap's name.
	indexMapName = "spec.mapName"
	// indexMaps finds node states by the "namespace/name" of the maps that they report.
	indexMaps = "status.maps"
)

// gatherReports lets the reports of many nodes about one map become one reconcile. It is part of the
// time from apply to Ready.
const gatherReports = 20 * time.Millisecond

type queue = workqueue.TypedRateLimitingInterface[reconcile.Request]

func mapNameOf(o client.Object) []string {
	return []string{o.(*v1alpha1.BPFMapRevision).Spec.MapName}
}

func mapsOf(o client.Object) []string {
	var names []string
	for _, m := range o.(*v1alpha1.BPFNodeState).Status.Maps {
		names = append(names, nameOf(m).String())
	}
	return names
}

func nameOf(m v1alpha1.NodeMap) types.NamespacedName {
	return types.NamespacedName{Namespace: m.Namespace, Name: m.Name}
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

// onNodeState enqueues the maps whose state on the node changed, and no others.
func onNodeState() handler.EventHandler {
	enqueue := func(before, after client.Object, q queue) {
		for _, name := range changedMaps(statesByName(before), statesByName(after)) {
			q.AddAfter(reconcile.Request{NamespacedName: name}, gatherReports)
		}
	}
	return handler.Funcs{
		CreateFunc: func(_ context.Context, e event.CreateEvent, q queue) { enqueue(nil, e.Object, q) },
		UpdateFunc: func(_ context.Context, e event.UpdateEvent, q queue) { enqueue(e.ObjectOld, e.ObjectNew, q) },
		DeleteFunc: func(_ context.Context, e event.DeleteEvent, q queue) { enqueue(e.Object, nil, q) },
	}
}

func statesByName(o client.Object) map[types.NamespacedName]v1alpha1.NodeMap {
	state, ok := o.(*v1alpha1.BPFNodeState)
	if !ok {
		return nil
	}
	states := make(map[types.NamespacedName]v1alpha1.NodeMap, len(state.Status.Maps))
	for _, m := range state.Status.Maps {
		states[nameOf(m)] = m
	}
	return states
}

// changedMaps are the maps whose state is new, gone, or different.
func changedMaps(before, after map[types.NamespacedName]v1alpha1.NodeMap) []types.NamespacedName {
	var changed []types.NamespacedName
	for name, m := range after {
		if old, ok := before[name]; !ok || !equality.Semantic.DeepEqual(old, m) {
			changed = append(changed, name)
		}
	}
	for name := range before {
		if _, ok := after[name]; !ok {
			changed = append(changed, name)
		}
	}
	return changed
}

// onNode enqueues the maps whose selection a node's coming, going or relabelling may change.
func onNode(c client.Reader) handler.EventHandler {
	enqueue := func(ctx context.Context, q queue, sets ...labels.Set) {
		var list v1alpha1.BPFMapRevisionList
		err := c.List(ctx, &list, client.MatchingLabels{v1alpha1.LabelActive: active}, client.UnsafeDisableDeepCopy)
		if err != nil {
			log.FromContext(ctx).Error(err, "Failed to list the active revisions for a node's event")
			return
		}
		for _, rev := range list.Items {
			if selectionChanges(rev.Spec.NodeSelector, sets) {
				q.Add(revisionToMap(ctx, &rev)[0])
			}
		}
	}
	return handler.Funcs{
		CreateFunc: func(ctx context.Context, e event.CreateEvent, q queue) { enqueue(ctx, q, e.Object.GetLabels()) },
		DeleteFunc: func(ctx context.Context, e event.DeleteEvent, q queue) { enqueue(ctx, q, e.Object.GetLabels()) },
		UpdateFunc: func(ctx context.Context, e event.UpdateEvent, q queue) {
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
