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
	"time"

	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/yaml"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/compile"
	"github.com/bpfmap-io/bpfmap-operator/internal/controller/process"
	"github.com/bpfmap-io/bpfmap-operator/internal/engine"
	"github.com/bpfmap-io/bpfmap-operator/internal/engine/enginetest"
	recorders "github.com/bpfmap-io/bpfmap-operator/internal/metrics"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
	"github.com/bpfmap-io/bpfmap-operator/internal/rollout"
	"github.com/bpfmap-io/bpfmap-operator/test/controlplane"
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

func newFlaky(t *testing.T, plane *controlplane.ControlPlane, seed uint64) (good client.WithWatch, bad *flaky) {
	t.Helper()
	scheme := process.Scheme()
	must(t, corev1.AddToScheme(scheme))
	good, err := client.NewWithWatch(plane.Config(), client.Options{Scheme: scheme})
	must(t, err)
	bad = &flaky{Rand: rand.New(rand.NewPCG(seed, 1))}
	bad.WithWatch = interceptor.NewClient(good, interceptor.Funcs{
		Get: bad.get, List: bad.list, Create: bad.create, SubResourceUpdate: bad.update,
	})
	return good, bad
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

// list does what the index of the agent's cache does: the API server has none.
func (f *flaky) list(ctx context.Context, c client.WithWatch, list client.ObjectList, opts ...client.ListOption) error {
	o := client.ListOptions{}
	o.ApplyOptions(opts)
	return f.around(func() error {
		revisions := list.(*v1alpha1.BPFMapRevisionList)
		name, _ := o.FieldSelector.RequiresExactMatch(indexMapName)
		err := c.List(ctx, revisions, client.InNamespace(o.Namespace))
		revisions.Items = slices.DeleteFunc(revisions.Items, func(r v1alpha1.BPFMapRevision) bool { return r.Spec.MapName != name })
		return err
	})
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
	line := v1alpha1.NodeMap{
		Namespace: "edge", Name: string(rune('a' + r.IntN(4))), State: v1alpha1.NodeMapReady, Reason: v1alpha1.NodeReasonInSync,
		PinPath: "/p", Revision: fmt.Sprint("r-", r.IntN(9)), MapID: int64(r.IntN(99)),
	}
	switch r.IntN(4) {
	case 0:
		s.remove(keyOf(line))
	case 1:
		s.setReady([]error{nil, errors.New("no bpffs")}[r.IntN(2)], nil)
	default:
		s.set(line)
	}
}

func closed() chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}

// TestPublisherOverABadConnection brings random states to an API server that fails, lags and is written
// to by others. When that ends, the state arrives in a few rounds, and then nothing more is written.
func TestPublisherOverABadConnection(t *testing.T) {
	plane := controlplane.New(t)
	for seed := range uint64(40) {
		good, bad := newFlaky(t, plane, seed)
		node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprint("node-", seed)}}
		must(t, good.Create(t.Context(), node))
		state := newNodeState("v1", Facts{BootID: "boot", KernelRelease: "6.18"}, func() {})
		p := &publisher{client: bad, node: node.Name, state: state, seeded: closed(), observe: func([]v1alpha1.NodeMap) {}}
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
	r    *reconciler
}

// restart starts the agent anew.
func (l *life) restart() {
	g := newGate(l.host, func(context.Context, error) {})
	must(l.T, g.probe(l.Context()))
	l.r = &reconciler{
		client: l.bad, node: l.node, gate: g, state: newNodeState("v1", Facts{}, func() {}), seeded: closed(),
		library: newLibrary(l.bad, func(int) {}), announce: func(*v1alpha1.NodeMap, engine.Report) {},
		replaced: func(context.Context, revision.Key) {},
		metrics:  recorders.NewNode(prometheus.NewRegistry(), func() uint64 { return 0 }),
	}
}

// declare writes another revision.
func (l *life) declare() {
	m := &v1alpha1.BPFMap{}
	must(l.T, yaml.UnmarshalStrict(fmt.Appendf(nil,
		"{type: Hash, key: {type: u8}, value: {type: u8}, maxEntries: 4, entries: [{key: 1, value: %d}]}", l.n%200), &m.Spec))
	m.Namespace, m.Name = metav1.NamespaceDefault, l.name
	rev, err := compile.Compile(m)
	must(l.T, err)
	l.n++
	rev.UID, rev.Name, rev.Number = "uid-"+l.name, fmt.Sprint(l.name, "-", l.n), int64(l.n)
	object, _ := revision.ToObjects(rev)
	object.Labels = map[string]string{v1alpha1.LabelActive: "true"}
	must(l.T, l.good.Create(l.Context(), object))
	object.Status.Rollout.Frontier = rollout.Everybody
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
	_, err := l.r.Reconcile(l.Context(), reconcile.Request{NamespacedName: types.NamespacedName{Namespace: metav1.NamespaceDefault, Name: l.name}})
	return err
}

func (l *life) pinned() bool { return len(l.host.memory.Pins()) > 0 }

// TestReconcilerOverABadConnection lets maps come, change and go while the API server fails. What fails
// never removes a map, and when that ends, the node holds what is declared.
func TestReconcilerOverABadConnection(t *testing.T) {
	plane := controlplane.New(t)
	for seed := range uint64(25) {
		l := &life{T: t, node: fmt.Sprint("node-", seed), name: fmt.Sprint("table-", seed), host: &memoryHost{memory: enginetest.NewMemory()}}
		l.good, l.bad = newFlaky(t, plane, seed)
		must(t, l.good.Create(t.Context(), &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: l.node}}))
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
		lines := l.r.state.status(v1alpha1.BPFNodeStateStatus{}, time.Now()).Maps
		if len(lines) != 1 || lines[0].Revision != fmt.Sprint(l.name, "-", l.n) || lines[0].State != v1alpha1.NodeMapReady {
			t.Errorf("seed %d: the node holds %+v", seed, lines)
		}
		l.undeclare()
		must(t, l.reconcile())
		if l.pinned() {
			t.Errorf("seed %d: %v are left", seed, l.host.memory.Pins())
		}
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
