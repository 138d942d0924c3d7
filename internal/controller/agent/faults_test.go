// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/engine"
	"github.com/bpfmap-io/bpfmap-operator/internal/engine/enginetest"
)

// flaky is an API server behind a bad connection: calls fail, or happen and fail nevertheless, others
// write in between, and readings are those of a cache that lags.
type flaky struct {
	client.WithWatch
	*rand.Rand
	// calm ends all that.
	calm   bool
	writes int
	stale  *v1alpha1.BPFNodeState
}

func newFlaky(good client.WithWatch, seed uint64) *flaky {
	bad := &flaky{Rand: rand.New(rand.NewPCG(seed, 1))}
	bad.WithWatch = interceptor.NewClient(good, interceptor.Funcs{
		Get: bad.get, List: bad.list, Create: bad.create, SubResourceUpdate: bad.update,
	})
	return bad
}

// around makes a call, or not, or says that it failed though it didn't.
func (f *flaky) around(call func() error) error {
	if f.calm || f.IntN(3) > 0 {
		return call()
	}
	resource := schema.GroupResource{Resource: "things"}
	err := []error{
		apierrors.NewServerTimeout(resource, "do", 0), apierrors.NewTimeoutError("injected", 0),
		apierrors.NewTooManyRequests("injected", 0), apierrors.NewInternalError(errors.New("injected")), errors.New("connection refused"),
	}[f.IntN(5)]
	if f.IntN(3) > 0 {
		return err
	}
	return errors.Join(call(), err)
}

func (f *flaky) get(ctx context.Context, c client.WithWatch, key client.ObjectKey, o client.Object, opts ...client.GetOption) error {
	return f.around(func() error {
		state, isState := o.(*v1alpha1.BPFNodeState)
		if isState && !f.calm && f.stale != nil && f.stale.Name == key.Name && f.IntN(4) == 0 {
			f.stale.DeepCopyInto(state)
			return nil
		}
		err := c.Get(ctx, key, o, opts...)
		if isState && err == nil && f.IntN(2) == 0 {
			f.stale = state.DeepCopy()
		}
		return err
	})
}

func (f *flaky) list(ctx context.Context, c client.WithWatch, list client.ObjectList, opts ...client.ListOption) error {
	return f.around(func() error { return c.List(ctx, list, opts...) })
}

func (f *flaky) create(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.CreateOption) error {
	f.writes++
	return f.around(func() error { return c.Create(ctx, o, opts...) })
}

func (f *flaky) update(ctx context.Context, c client.Client, sub string, o client.Object, opts ...client.SubResourceUpdateOption) error {
	f.writes++
	if !f.calm && f.IntN(4) == 0 { // somebody else is faster
		other := &v1alpha1.BPFNodeState{}
		if err := c.Get(ctx, client.ObjectKeyFromObject(o), other); err == nil {
			metav1.SetMetaDataLabel(&other.ObjectMeta, "touched", fmt.Sprint(f.writes))
			if err := c.Update(ctx, other); err != nil {
				return err
			}
		}
	}
	return f.around(func() error { return c.SubResource(sub).Update(ctx, o, opts...) })
}

// someState changes what an agent knows.
func someState(r *rand.Rand, s *nodeState) {
	m := v1alpha1.NodeMap{
		Namespace: "edge", Name: string(rune('a' + r.IntN(4))), State: v1alpha1.NodeMapReady, Reason: v1alpha1.NodeReasonInSync,
		PinPath: "/p", Revision: fmt.Sprint("r-", r.IntN(9)), MapID: int64(r.IntN(99)),
	}
	switch r.IntN(4) {
	case 0:
		s.remove(keyOf(m))
	case 1:
		s.setReady([]error{nil, errors.New("no bpffs")}[r.IntN(2)], nil)
	default:
		s.set(m)
	}
}

// TestPublisherOverABadConnection brings random states to an API server that fails, lags and is written
// to by others. When that ends, the state arrives in a few rounds, and then nothing more is written.
func TestPublisherOverABadConnection(t *testing.T) {
	for seed := range uint64(40) {
		node := nodeNamed(fmt.Sprint("node-", seed))
		good := newClient(t, node)
		bad := newFlaky(good, seed)
		state := newNodeState(node.Name, "v1", Facts{BootID: "boot", KernelRelease: "6.18"})
		p := &publisher{client: bad, live: bad, node: node.Name, state: state, looked: closed()}
		publish := func() (reconcile.Result, error) {
			p.written = time.Time{} // a second has passed
			return p.Reconcile(t.Context(), reconcile.Request{})
		}
		for range 15 {
			someState(bad.Rand, state)
			_, _ = publish() // what fails now is tried again
			if bad.IntN(10) == 0 {
				gone := &v1alpha1.BPFNodeState{ObjectMeta: metav1.ObjectMeta{Name: p.node}}
				must(t, client.IgnoreNotFound(good.Delete(t.Context(), gone)))
			}
		}
		bad.calm = true
		for range 3 {
			_, _ = publish()
		}
		before := bad.writes
		if result, err := publish(); err != nil || result.RequeueAfter != 0 || bad.writes != before {
			t.Errorf("seed %d: after three calm rounds: %+v, %v, %d writes", seed, result, err, bad.writes-before)
		}
		object := &v1alpha1.BPFNodeState{}
		must(t, good.Get(t.Context(), client.ObjectKey{Name: p.node}, object))
		if !equality.Semantic.DeepEqual(object.Status, state.status(object.Status, time.Now())) || len(object.OwnerReferences) != 1 {
			t.Errorf("seed %d: published %+v", seed, object)
		}
	}
}

// memoryHost is a host whose maps outlive the agent.
type memoryHost struct {
	fakeHost
	memory *enginetest.Memory
}

func (h *memoryHost) Open() (Engine, error) { return engine.New(h.memory, engine.Options{}), nil }

// life is a map's revisions in the API server and the agent that follows them.
type life struct {
	*testing.T
	good client.Client
	bad  *flaky
	host *memoryHost
	node string
	name string
	n    int
	p    *parts
}

// restart starts the agent anew.
func (l *life) restart() { l.p = newParts(l.T, l.bad, l.node, l.host) }

// declare writes another revision.
func (l *life) declare() {
	l.n++
	object := compiled(l.T, l.name, l.n, hash(l.n%200))
	rollout := object.Status.Rollout
	must(l.T, l.good.Create(l.Context(), object))
	object.Status.Rollout = rollout
	must(l.T, l.good.Status().Update(l.Context(), object))
}

func (l *life) revisions() []v1alpha1.BPFMapRevision {
	var list v1alpha1.BPFMapRevisionList
	must(l.T, l.good.List(l.Context(), &list, client.InNamespace(metav1.NamespaceDefault)))
	return slices.DeleteFunc(list.Items, func(r v1alpha1.BPFMapRevision) bool { return r.Spec.MapName != l.name })
}

func (l *life) undeclare() {
	for _, r := range l.revisions() {
		must(l.T, l.good.Delete(l.Context(), &r))
	}
}

func (l *life) reconcile() error {
	_, err := l.p.reconcile(l.Context(), l.name)
	return err
}

func (l *life) pinned() bool { return len(l.host.memory.Pins()) > 0 }

// TestReconcilerOverABadConnection lets maps come, change and go while the API server fails. What fails
// never removes a map, and when that ends, the node holds what is declared.
func TestReconcilerOverABadConnection(t *testing.T) {
	for seed := range uint64(25) {
		synctest.Test(t, func(t *testing.T) { playLife(t, seed) })
	}
}

func playLife(t *testing.T, seed uint64) {
	l := &life{T: t, node: fmt.Sprint("node-", seed), name: fmt.Sprint("table-", seed), host: &memoryHost{memory: enginetest.NewMemory()}}
	good := newClient(t, nodeNamed(l.node))
	l.good, l.bad = good, newFlaky(good, seed)
	l.restart()
	for range 15 {
		switch l.bad.IntN(8) {
		case 0, 1:
			l.declare()
		case 2:
			l.undeclare()
		case 3:
			l.restart()
		}
		was := l.pinned()
		_ = l.reconcile() // what fails now is tried again
		if declared := len(l.revisions()) > 0; was && declared && !l.pinned() {
			t.Errorf("seed %d: a declared map was removed", seed)
		}
	}
	l.bad.calm = true
	l.declare()
	must(t, l.reconcile())
	maps := l.p.state.status(v1alpha1.BPFNodeStateStatus{}, time.Now()).Maps
	if len(maps) != 1 || maps[0].Revision != fmt.Sprint(l.name, "-", l.n) || maps[0].State != v1alpha1.NodeMapReady {
		t.Errorf("seed %d: the node holds %+v", seed, maps)
	}
	l.undeclare()
	must(t, l.reconcile())
	time.Sleep(patience)
	must(t, l.reconcile())
	if l.pinned() {
		t.Errorf("seed %d: %v are left", seed, l.host.memory.Pins())
	}
}
