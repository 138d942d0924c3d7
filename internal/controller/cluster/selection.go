// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"fmt"
	"maps"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/status"
	"github.com/bpfmap-io/bpfmap-operator/internal/text"
)

// indexUnselected finds the BPFMaps whose spec isn't accepted because it selects no node.
const indexUnselected = "status.unselected"

// consent refuses a revision that would take the map from all nodes that have it, if nobody said that this is meant.
func (r *reconciler) consent(_ context.Context, s *scope) error {
	if !s.creates() || s.m.Spec.AllowNoNodes {
		return nil
	}
	selector := s.m.Spec.NodeSelector
	if s.want.earlier != nil {
		selector = s.want.earlier.Spec.NodeSelector
	}
	if holders := s.fleet.holders(s.m.UID); holders > 0 && !s.fleet.selectsAny(selector) {
		s.reject(&status.Rejection{Reason: v1alpha1.ReasonNoNodesSelected, Message: fmt.Sprintf(
			"nodeSelector %s selects no node: %s; correct it, or set spec.allowNoNodes to remove the map everywhere",
			labels.Set(selector), text.Count(holders, "node keeps the map", "nodes keep the map"))})
		s.lookAgainIn(quotaRetry) // an agent may come to a node that it selects
	}
	return nil
}

// holders counts the nodes that have the BPFMap's map.
func (f *fleet) holders(uid types.UID) (n int) {
	for i := range f.nodes {
		if f.mapStates[f.nodes[i].name].UID == string(uid) {
			n++
		}
	}
	return n
}

func (f *fleet) selectsAny(selector map[string]string) bool {
	for i := range f.nodes {
		if matches(selector, f.nodes[i].labels) {
			return true
		}
	}
	return false
}

// unselected is the key of indexUnselected for a BPFMap.
func unselected(o client.Object) []string {
	c := meta.FindStatusCondition(o.(*v1alpha1.BPFMap).Status.Conditions, v1alpha1.ConditionAccepted)
	if c != nil && c.Reason == v1alpha1.ReasonNoNodesSelected {
		return []string{active}
	}
	return nil
}

// onSelectable enqueues the BPFMaps that were refused because they select no node, when a node comes or gets other
// labels that they do select. No revision has their selector.
func onSelectable(c client.Reader) handler.EventHandler {
	enqueue := func(ctx context.Context, q queue, set labels.Set) {
		var list v1alpha1.BPFMapList
		if err := c.List(ctx, &list, client.MatchingFields{indexUnselected: active}, client.UnsafeDisableDeepCopy); err != nil {
			log.FromContext(ctx).Error(err, "Failed to list the BPFMaps that select no node")
			return
		}
		for i := range list.Items {
			if m := &list.Items[i]; m.Spec.RollbackTo != "" || matches(m.Spec.NodeSelector, set) {
				q.Add(reconcile.Request{NamespacedName: client.ObjectKeyFromObject(m)})
			}
		}
	}
	return handler.Funcs{
		CreateFunc: func(ctx context.Context, e event.CreateEvent, q queue) { enqueue(ctx, q, e.Object.GetLabels()) },
		UpdateFunc: func(ctx context.Context, e event.UpdateEvent, q queue) {
			if !maps.Equal(e.ObjectOld.GetLabels(), e.ObjectNew.GetLabels()) {
				enqueue(ctx, q, e.ObjectNew.GetLabels())
			}
		},
	}
}
