// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/controller/process"
)

// minPause is how long at least lies between two writes of the state: the first change goes out at
// once, further ones wait for each other.
const minPause = time.Second

// publisher keeps the node's BPFNodeState equal to what the agent knows. It writes only what changed.
type publisher struct {
	client client.Client
	node   string
	state  *nodeState
	seeded <-chan struct{}
	// observe is told what was published.
	observe func([]v1alpha1.NodeMap)

	written time.Time // of the last write; only Reconcile uses it, which runs once at a time
}

// Reconcile writes the state if it differs.
func (p *publisher) Reconcile(ctx context.Context, _ reconcile.Request) (reconcile.Result, error) {
	select {
	case <-p.seeded:
	case <-ctx.Done():
		return reconcile.Result{}, nil
	}
	if wait := minPause - time.Since(p.written); wait > 0 {
		return reconcile.Result{RequeueAfter: wait + rand.N(minPause/4)}, nil
	}
	object := &v1alpha1.BPFNodeState{}
	err := p.client.Get(ctx, client.ObjectKey{Name: p.node}, object)
	switch {
	case apierrors.IsNotFound(err):
		if object, err = p.create(ctx); err != nil {
			return reconcile.Result{}, err
		}
	case err != nil:
		return reconcile.Result{}, fmt.Errorf("get node state: %w", err)
	}
	next := p.state.status(object.Status, time.Now())
	if equality.Semantic.DeepEqual(next, object.Status) {
		return reconcile.Result{}, nil
	}
	object = object.DeepCopy()
	object.Status = next
	err = p.client.Status().Update(ctx, object)
	switch {
	case apierrors.IsConflict(err), apierrors.IsNotFound(err):
		return reconcile.Result{RequeueAfter: minPause / 4}, nil // the cache will show what happened
	case err != nil:
		return reconcile.Result{}, fmt.Errorf("write node state: %w", err)
	}
	p.written = time.Now()
	p.observe(next.Maps)
	return reconcile.Result{}, nil
}

// create makes the object, owned by the Node, so that it goes with it.
func (p *publisher) create(ctx context.Context) (*v1alpha1.BPFNodeState, error) {
	node := process.Node()
	if err := p.client.Get(ctx, client.ObjectKey{Name: p.node}, node); err != nil {
		return nil, fmt.Errorf("get own node: %w", err)
	}
	object := &v1alpha1.BPFNodeState{ObjectMeta: metav1.ObjectMeta{
		Name: p.node,
		OwnerReferences: []metav1.OwnerReference{{
			APIVersion: "v1", Kind: "Node", Name: node.GetName(), UID: node.GetUID(),
		}},
	}}
	if err := p.client.Create(ctx, object); err != nil && !apierrors.IsAlreadyExists(err) {
		return nil, fmt.Errorf("create node state: %w", err)
	} else if err != nil {
		return nil, fmt.Errorf("the cache doesn't show the node state yet: %w", err)
	}
	return object, nil
}

// setUp registers the publisher with the manager.
func (p *publisher) setUp(m ctrl.Manager, wake *trigger) error {
	err := ctrl.NewControllerManagedBy(m).
		Named("bpfmap-node-state").
		For(&v1alpha1.BPFNodeState{}).
		WatchesRawSource(wake.source()).
		WithOptions(process.Controller(1)).
		Complete(p)
	if err != nil {
		return fmt.Errorf("set up the publisher: %w", err)
	}
	return nil
}
