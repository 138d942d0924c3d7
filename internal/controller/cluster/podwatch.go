// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
)

// indexAgentNode finds agents' pods by their nodes.
const indexAgentNode = "spec.nodeName"

// agentPods is the label of all agents' pods.
var agentPods = labels.Set{"app.kubernetes.io/component": "agent"}

func nodeOfPod(o client.Object) []string { return []string{o.(*corev1.Pod).Spec.NodeName} }

// cacheAgents adds to the cache the agents' DaemonSet and their pods, and no others.
func cacheAgents(c *cache.Options, daemonSet types.NamespacedName) {
	in := func(config cache.Config) map[string]cache.Config {
		return map[string]cache.Config{daemonSet.Namespace: config}
	}
	c.ByObject[&corev1.Pod{}] = cache.ByObject{
		Namespaces: in(cache.Config{LabelSelector: agentPods.AsSelector()}), Transform: trimPod,
	}
	c.ByObject[&appsv1.DaemonSet{}] = cache.ByObject{
		Namespaces: in(cache.Config{FieldSelector: fields.OneTermEqualSelector(metav1.ObjectNameField, daemonSet.Name)}), Transform: trimDaemonSet,
	}
}

// trimPod keeps of a pod where it runs, whose it is, and whether it is ready.
func trimPod(o any) (any, error) {
	p, ok := o.(*corev1.Pod)
	if !ok {
		return o, nil
	}
	kept := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{
		Namespace: p.Namespace, Name: p.Name, UID: p.UID, ResourceVersion: p.ResourceVersion,
		CreationTimestamp: p.CreationTimestamp, OwnerReferences: p.OwnerReferences,
	}}
	if value, ok := p.Labels[v1alpha1.LabelAgent]; ok {
		kept.Labels = map[string]string{v1alpha1.LabelAgent: value}
	}
	kept.Spec.NodeName = p.Spec.NodeName
	for _, c := range p.Status.Conditions {
		if c.Type == corev1.PodReady {
			kept.Status.Conditions = []corev1.PodCondition{{Type: c.Type, Status: c.Status, LastTransitionTime: c.LastTransitionTime}}
		}
	}
	return kept, nil
}

// trimDaemonSet keeps of a DaemonSet what decides where its pods run.
func trimDaemonSet(o any) (any, error) {
	d, ok := o.(*appsv1.DaemonSet)
	if !ok {
		return o, nil
	}
	kept := &appsv1.DaemonSet{ObjectMeta: metav1.ObjectMeta{
		Namespace: d.Namespace, Name: d.Name, UID: d.UID, ResourceVersion: d.ResourceVersion, Generation: d.Generation,
	}}
	spec := &d.Spec.Template.Spec
	kept.Spec.Template.Spec = corev1.PodSpec{
		NodeName: spec.NodeName, NodeSelector: spec.NodeSelector, Affinity: spec.Affinity, Tolerations: spec.Tolerations,
	}
	return kept, nil
}

// onAgentPod enqueues the node of an agent's pod.
func onAgentPod(l *lives) handler.EventHandler {
	enqueue := func(o client.Object, q queue) {
		if p := o.(*corev1.Pod); p.Spec.NodeName != "" && l.owns(p) {
			q.Add(reconcile.Request{NamespacedName: types.NamespacedName{Name: p.Spec.NodeName}})
		}
	}
	return handler.Funcs{
		CreateFunc: func(_ context.Context, e event.CreateEvent, q queue) { enqueue(e.Object, q) },
		UpdateFunc: func(_ context.Context, e event.UpdateEvent, q queue) { enqueue(e.ObjectNew, q) },
		DeleteFunc: func(_ context.Context, e event.DeleteEvent, q queue) {
			l.lose(e.Object.(*corev1.Pod))
			enqueue(e.Object, q)
		},
	}
}

// onDaemonSet enqueues all nodes after the rules of where agents run changed.
func onDaemonSet(c client.Reader) handler.EventHandler {
	enqueue := func(ctx context.Context, q queue) {
		var nodes corev1.NodeList
		if err := c.List(ctx, &nodes, client.UnsafeDisableDeepCopy); err != nil {
			log.FromContext(ctx).Error(err, "Failed to list the nodes for a change of the agents' DaemonSet")
		}
		for i := range nodes.Items {
			q.Add(reconcile.Request{NamespacedName: types.NamespacedName{Name: nodes.Items[i].Name}})
		}
	}
	return handler.Funcs{
		CreateFunc: func(ctx context.Context, _ event.CreateEvent, q queue) { enqueue(ctx, q) },
		DeleteFunc: func(ctx context.Context, _ event.DeleteEvent, q queue) { enqueue(ctx, q) },
		UpdateFunc: func(ctx context.Context, e event.UpdateEvent, q queue) {
			if e.ObjectOld.GetGeneration() != e.ObjectNew.GetGeneration() {
				enqueue(ctx, q)
			}
		},
	}
}

// mapsOfNode are the maps that a verdict on a node is of interest to: those whose active revisions select it,
// and those that it reports.
func mapsOfNode(ctx context.Context, c client.Reader, node *corev1.Node) (map[types.NamespacedName]bool, error) {
	found := map[types.NamespacedName]bool{}
	var list v1alpha1.BPFMapRevisionList
	if err := c.List(ctx, &list, client.MatchingLabels{v1alpha1.LabelActive: active}, client.UnsafeDisableDeepCopy); err != nil {
		return nil, fmt.Errorf("list the active revisions: %w", err)
	}
	n := &fleetNode{labels: node.Labels}
	for i := range list.Items {
		if rev := &list.Items[i]; selects(rev, n) {
			found[types.NamespacedName{Namespace: rev.Namespace, Name: rev.Spec.MapName}] = true
		}
	}
	state := &v1alpha1.BPFNodeState{}
	err := c.Get(ctx, client.ObjectKey{Name: node.Name}, state, client.UnsafeDisableDeepCopy)
	if client.IgnoreNotFound(err) != nil {
		return nil, fmt.Errorf("get node state: %w", err)
	}
	for i := range state.Status.Maps {
		found[nameOf(&state.Status.Maps[i])] = true
	}
	return found, nil
}
