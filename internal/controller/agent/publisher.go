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
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/controller/process"
	recorders "github.com/bpfmap-io/bpfmap-operator/internal/metrics"
)

const (
	// minPause is how long at least lies between two writes of the state: the first change goes out at
	// once, further ones wait for each other.
	minPause = time.Second
	// lastWrite bounds the write of the final state while the process ends.
	lastWrite = 500 * time.Millisecond
)

// publisher keeps the node's BPFNodeState equal to what the agent knows. It writes only what changed.
type publisher struct {
	client client.Client // reads are of the cache
	live   client.Reader // reads from the API server
	node   string
	state  *nodeState
	seeded <-chan struct{}
	// metrics record what was published.
	metrics *recorders.Node

	written time.Time // of the last write; only Reconcile uses it, which runs once at a time
}

// Reconcile writes the state if it differs. A write that lost against another one, or against a cache that
// lags, is an error like any other: it is tried again later and later.
func (p *publisher) Reconcile(ctx context.Context, _ reconcile.Request) (reconcile.Result, error) {
	select {
	case <-p.seeded:
	case <-ctx.Done():
		return reconcile.Result{}, nil
	}
	if pause := minPause - time.Since(p.written); pause > 0 {
		return reconcile.Result{RequeueAfter: pause + rand.N(minPause/4)}, nil
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
	wrote, err := p.write(ctx, object)
	if wrote {
		p.written = time.Now()
	}
	return reconcile.Result{}, err
}

// write brings the status of the object to what the agent knows.
func (p *publisher) write(ctx context.Context, object *v1alpha1.BPFNodeState) (wrote bool, err error) {
	next := p.state.status(object.Status, time.Now())
	if equality.Semantic.DeepEqual(next, object.Status) {
		return false, nil
	}
	object = object.DeepCopy()
	object.Status = next
	if err := p.client.Status().Update(ctx, object); err != nil {
		return false, fmt.Errorf("write node state: %w", err)
	}
	p.metrics.ObserveMaps(p.state.snapshot())
	return true, nil
}

// finish writes what the last reconciles found, once nothing runs any more. It takes at most lastWrite; the
// next agent looks at everything itself.
func (p *publisher) finish(ctx context.Context) error {
	select {
	case <-p.seeded:
	default:
		return nil // this agent never knew what its node had
	}
	ctx, cancel := context.WithTimeout(ctx, lastWrite)
	defer cancel()
	object := &v1alpha1.BPFNodeState{}
	if err := p.live.Get(ctx, client.ObjectKey{Name: p.node}, object); err != nil {
		return fmt.Errorf("get node state: %w", err)
	}
	_, err := p.write(ctx, object)
	return err
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
	if err := p.client.Create(ctx, object); err != nil {
		return nil, fmt.Errorf("create node state: %w", err) // also one that the cache doesn't show yet
	}
	return object, nil
}

// part is what a manager runs of it.
func (p *publisher) part() process.Part {
	return process.Part{
		Name: "bpfmap-node-state", Reconciler: p, For: &v1alpha1.BPFNodeState{},
		Sources: []source.Source{p.state.publish.source()}, Concurrency: 1,
	}
}
