// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"errors"
	"fmt"
	"sync"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	rawsource "sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/controller/process"
	"github.com/bpfmap-io/bpfmap-operator/internal/liveness"
	"github.com/bpfmap-io/bpfmap-operator/internal/status"
)

// nodeStates judges each node whenever something changed that its verdict follows from, lets the node's maps know
// if it became another one, and writes the condition Ready of its BPFNodeState.
type nodeStates struct {
	client client.Client
	lives  *lives
}

// Reconcile is about the node of req's name. The state of a node that is gone goes with it.
func (s *nodeStates) Reconcile(ctx context.Context, req reconcile.Request) (reconcile.Result, error) {
	node := &corev1.Node{}
	err := s.client.Get(ctx, req.NamespacedName, node, client.UnsafeDisableDeepCopy)
	if apierrors.IsNotFound(err) {
		s.lives.forget(req.Name)
		return reconcile.Result{}, nil
	}
	if err != nil {
		return reconcile.Result{}, fmt.Errorf("get node: %w", err)
	}
	verdict, err := s.lives.look(ctx, node)
	if err != nil {
		return reconcile.Result{}, err
	}
	if err := s.tell(ctx, req.Name, verdict); err != nil && ctx.Err() == nil { // while the process ends, errors say no more than that
		return reconcile.Result{}, err
	}
	if verdict.Until.IsZero() {
		return reconcile.Result{}, nil
	}
	return reconcile.Result{RequeueAfter: max(1, verdict.Until.Sub(s.lives.now()))}, nil
}

// tell brings the conditions of a node's state, if there is one, to the verdict.
func (s *nodeStates) tell(ctx context.Context, name string, verdict liveness.Liveness) error {
	state := &v1alpha1.BPFNodeState{}
	err := s.client.Get(ctx, client.ObjectKey{Name: name}, state, client.UnsafeDisableDeepCopy)
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("get node state: %w", err)
	}
	next := status.NodeConditions(state.Status.Conditions, verdict, s.lives.now())
	if equality.Semantic.DeepEqual(state.Status.Conditions, next) {
		return nil
	}
	return client.IgnoreNotFound(s.write(ctx, state, next))
}

// write replaces the conditions, if the object is still the one that they were made from.
func (s *nodeStates) write(ctx context.Context, state *v1alpha1.BPFNodeState, conditions []metav1.Condition) error {
	path, value := "/status/conditions", any(conditions)
	if len(state.Status.Conditions) == 0 { // there may be no status to add to
		next := state.Status.DeepCopy()
		next.Conditions = conditions
		path, value = "/status", next
	}
	if err := process.PatchStatus(ctx, s.client, state, "add", path, value); err != nil {
		return fmt.Errorf("write the node state's conditions: %w", err)
	}
	return nil
}

// nodeStatesPart is the controller of node states.
func nodeStatesPart(s *nodeStates, concurrency int) process.Part {
	toItself := &handler.EnqueueRequestForObject{}
	p := process.Part{
		Name: "bpfmap-node-liveness", Reconciler: s, Concurrency: concurrency,
		Watches: []process.Watch{
			{Object: &v1alpha1.BPFNodeState{}, Handler: toItself, Predicates: []predicate.Predicate{conditionsChange}},
			{Object: &corev1.Node{}, Handler: toItself, Predicates: []predicate.Predicate{livenessChange}},
		},
	}
	if s.lives.daemonSet.Name != "" {
		p.Watches = append(p.Watches,
			process.Watch{Object: &corev1.Pod{}, Handler: onAgentPod(s.lives)},
			process.Watch{Object: &appsv1.DaemonSet{}, Handler: onDaemonSet(s.client)})
	}
	return p
}

// conditionsChange leaves out what agents report of maps.
var conditionsChange = predicate.Funcs{UpdateFunc: func(e event.UpdateEvent) bool {
	before, ok := e.ObjectOld.(*v1alpha1.BPFNodeState)
	after, same := e.ObjectNew.(*v1alpha1.BPFNodeState)
	return !ok || !same || !equality.Semantic.DeepEqual(before.Status.Conditions, after.Status.Conditions)
}}

// livenessChange leaves out the heartbeats of Nodes. What the cache keeps of a node is little more than a verdict
// follows from.
var livenessChange = predicate.Funcs{UpdateFunc: func(e event.UpdateEvent) bool {
	before, ok := e.ObjectOld.(*corev1.Node)
	after, same := e.ObjectNew.(*corev1.Node)
	return !ok || !same || !equality.Semantic.DeepEqual(before.Labels, after.Labels) ||
		!equality.Semantic.DeepEqual(before.Spec.Taints, after.Spec.Taints) ||
		!equality.Semantic.DeepEqual(before.Status.Conditions, after.Status.Conditions)
}}

// mapTrigger puts the maps of a node into the queue of the maps' controller. Before that runs there is nothing to
// do: it looks at every map when it starts.
type mapTrigger struct {
	client client.Reader

	mu    sync.Mutex
	queue queue
}

func (t *mapTrigger) source() rawsource.Source {
	return process.NamedSource{Name: "maps of nodes and sources that changed", Func: func(_ context.Context, q queue) error {
		t.mu.Lock()
		defer t.mu.Unlock()
		t.queue = q
		return nil
	}}
}

// changed is called after the verdict on a node became another one.
func (t *mapTrigger) changed(ctx context.Context, node *corev1.Node) {
	t.mu.Lock()
	q := t.queue
	t.mu.Unlock()
	if q == nil {
		return
	}
	names, err := mapsOfNode(ctx, t.client, node)
	if err != nil && !errors.Is(err, context.Canceled) {
		log.FromContext(ctx).Error(err, "Failed to find the maps of a node whose liveness changed")
	}
	for name := range names {
		q.AddAfter(reconcile.Request{NamespacedName: name}, gatherReports)
	}
}

// fetched is called after somebody tried to fetch what these maps read.
func (t *mapTrigger) fetched(names []types.NamespacedName) {
	t.mu.Lock()
	q := t.queue
	t.mu.Unlock()
	if q == nil {
		return
	}
	for _, name := range names {
		q.Add(reconcile.Request{NamespacedName: name})
	}
}
