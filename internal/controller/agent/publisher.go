// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/resourceversion"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/controller/process"
)

const (
	// minPause is how long at least lies between two writes of the state: the first change goes out at
	// once, further ones wait for each other.
	minPause = time.Second
	// lastWrite bounds the write of the final state while the process ends.
	lastWrite = 500 * time.Millisecond
	// answerWithin is how long an answer of the API server is waited for before a new revision is reported.
	answerWithin = 10 * time.Second
)

// publisher keeps the node's BPFNodeState equal to what the agent knows. It writes only what changed.
type publisher struct {
	client client.Client // reads are of the cache
	live   client.Reader // reads from the API server
	node   string
	state  *nodeState
	// looked is closed once the host was looked at. Before, the state says nothing that an earlier agent didn't
	// know better.
	looked <-chan struct{}

	// written is the time of the last write, and last what it made of the object. Only Reconcile uses them, which
	// runs once at a time.
	written time.Time
	last    *v1alpha1.BPFNodeState
}

// Reconcile writes the state if it differs. A write that lost against another one is tried again on what that
// made; after that it is an error like any other, and is tried again later and later.
func (p *publisher) Reconcile(ctx context.Context, _ reconcile.Request) (reconcile.Result, error) {
	select {
	case <-p.looked:
	case <-ctx.Done():
		return reconcile.Result{}, nil
	}
	if pause := minPause - time.Since(p.written); pause > 0 {
		return reconcile.Result{RequeueAfter: pause + rand.N(minPause/4)}, nil
	}
	object, err := p.current(ctx)
	if err != nil {
		return reconcile.Result{}, err
	}
	wrote, err := p.write(ctx, object, p.answered)
	if apierrors.IsConflict(err) {
		object = &v1alpha1.BPFNodeState{}
		if getErr := p.live.Get(ctx, client.ObjectKey{Name: p.node}, object); getErr != nil {
			return reconcile.Result{}, fmt.Errorf("get node state: %w", getErr)
		}
		wrote, err = p.write(ctx, object, p.answered)
	}
	if wrote != nil {
		p.written, p.last = time.Now(), wrote
	}
	return reconcile.Result{}, err
}

// current is the object, made if there is none: as this publisher wrote it last, while the cache lags behind
// that.
func (p *publisher) current(ctx context.Context) (*v1alpha1.BPFNodeState, error) {
	object := &v1alpha1.BPFNodeState{}
	err := p.client.Get(ctx, client.ObjectKey{Name: p.node}, object)
	if apierrors.IsNotFound(err) && p.last != nil {
		err = p.live.Get(ctx, client.ObjectKey{Name: p.node}, object) // the cache may not show yet what was made
	}
	switch {
	case apierrors.IsNotFound(err):
		return p.create(ctx)
	case err != nil:
		return nil, fmt.Errorf("get node state: %w", err)
	case p.last != nil && p.last.UID == object.UID && isOlder(object, p.last):
		return p.last, nil
	}
	return object, nil
}

// isOlder says whether one version of an object came before another one.
func isOlder(a, b *v1alpha1.BPFNodeState) bool {
	order, err := resourceversion.CompareResourceVersion(a.ResourceVersion, b.ResourceVersion)
	return err == nil && order < 0
}

// write brings the status of the object to what the agent knows, and returns what that made of the object; nil
// if nothing was to be written. answered is asked before a revision is reported that the object doesn't have.
func (p *publisher) write(ctx context.Context, object *v1alpha1.BPFNodeState, answered func(context.Context) error) (wrote *v1alpha1.BPFNodeState, err error) {
	next := p.state.status(object.Status, time.Now())
	if equality.Semantic.DeepEqual(next, object.Status) {
		return nil, nil
	}
	if takesRevision(object.Status.Maps, next.Maps) {
		if err := answered(ctx); err != nil {
			return nil, err
		}
	}
	object = object.DeepCopy()
	object.Status = next
	if err := p.client.Status().Update(ctx, object); err != nil {
		return nil, fmt.Errorf("write node state: %w", err)
	}
	return object, nil
}

// finish writes what the last reconciles found, once nothing runs any more. It takes at most lastWrite; the
// next agent looks at everything itself.
func (p *publisher) finish(ctx context.Context) error {
	select {
	case <-p.looked:
	default:
		return nil // this agent never knew what its node has
	}
	ctx, cancel := context.WithTimeout(ctx, lastWrite)
	defer cancel()
	object := &v1alpha1.BPFNodeState{}
	if err := p.live.Get(ctx, client.ObjectKey{Name: p.node}, object); err != nil {
		return fmt.Errorf("get node state: %w", err)
	}
	_, err := p.write(ctx, object, func(context.Context) error { return nil }) // it has just answered
	return err
}

// takesRevision says whether a map is at another revision than before.
func takesRevision(before, now []v1alpha1.NodeMap) bool {
	at := make(map[string]string, len(before))
	for i := range before {
		at[before[i].Namespace+"/"+before[i].Name] = before[i].Revision
	}
	return slices.ContainsFunc(now, func(m v1alpha1.NodeMap) bool { return at[m.Namespace+"/"+m.Name] != m.Revision })
}

// answered waits for an answer of the API server, so that what is reported then didn't cut the node off from it. A
// write alone doesn't tell: a program that drops what comes from the API server lets go out what is sent to it, the
// report would be taken, and the rollout would go on to the next nodes.
func (p *publisher) answered(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	ofAnyAge := &client.GetOptions{Raw: &metav1.GetOptions{ResourceVersion: "0"}} // the API server's cache answers
	err := p.live.Get(ctx, client.ObjectKey{Name: p.node}, &v1alpha1.BPFNodeState{}, ofAnyAge)
	if client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("wait for the API server's answer before a revision is reported: %w", err)
	}
	return nil
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
		Sources: []source.Source{p.state.publish.source("changes of the state")}, Concurrency: 1,
	}
}
