// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"context"
	"fmt"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/yaml"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/compile"
	"github.com/bpfmap-io/bpfmap-operator/internal/controller/process"
	"github.com/bpfmap-io/bpfmap-operator/internal/engine"
	"github.com/bpfmap-io/bpfmap-operator/internal/engine/enginetest"
	"github.com/bpfmap-io/bpfmap-operator/internal/inuse"
	recorders "github.com/bpfmap-io/bpfmap-operator/internal/metrics"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
	"github.com/bpfmap-io/bpfmap-operator/internal/rollout"
)

func TestMain(m *testing.M) {
	log.SetLogger(logr.Discard()) // failures are what most of these tests are about
	os.Exit(m.Run())
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func closed() chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}

func newMetrics() *recorders.Node {
	return recorders.NewNode(prometheus.NewRegistry(), func() uint64 { return 0 })
}

// newClient is an API server's client without an API server, with the indexes of the agent's cache.
func newClient(t testing.TB, objects ...client.Object) client.WithWatch {
	t.Helper()
	scheme := process.Scheme()
	must(t, corev1.AddToScheme(scheme))
	return fake.NewClientBuilder().WithScheme(scheme).WithObjects(objects...).
		WithStatusSubresource(&v1alpha1.BPFNodeState{}, &v1alpha1.BPFMapRevision{}).
		WithIndex(&v1alpha1.BPFMapRevision{}, indexMapName, mapNames).
		WithIndex(&v1alpha1.BPFMapRevision{}, indexGroup, groupNames).
		WithIndex(&v1alpha1.BPFMapRevision{}, indexReferences, referenceKeys).Build()
}

// fakeHost is a host whose readiness a test sets.
type fakeHost struct {
	mu      sync.Mutex
	err     error // of Probe
	openErr error
	probes  int
	opened  int
	moved   bool   // since Open
	engine  Engine // nil makes one on a memory of its own
	found   *inuse.Inventory
}

func (h *fakeHost) set(err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.err = err
}

func (h *fakeHost) probed() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.probes
}

func (h *fakeHost) Probe(context.Context) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.probes++
	return h.err
}

func (h *fakeHost) WatchInterfaces(context.Context, func()) error { return ErrNotWatched }
func (h *fakeHost) WatchPins(context.Context, *Pins, func(revision.Key, string)) error {
	return ErrNotWatched
}
func (h *fakeHost) PinnedMap(string) (uint32, error)                { return 0, nil }
func (h *fakeHost) WatchMounts(ctx context.Context, _ func()) error { <-ctx.Done(); return ctx.Err() }
func (h *fakeHost) Moved() (bool, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	moved := h.moved
	h.moved = false
	return moved, nil
}
func (h *fakeHost) Facts() (Facts, error) { return Facts{}, nil }
func (h *fakeHost) SystemCalls() uint64   { return 0 }
func (h *fakeHost) Programs(context.Context) (*inuse.Inventory, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.found == nil && h.err == nil {
		return inuse.New(nil, nil), nil
	}
	return h.found, h.err
}
func (h *fakeHost) Inventory() (v1alpha1.NodeInventory, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return v1alpha1.NodeInventory{Maps: 3}, h.err
}

func (h *fakeHost) Open() (Engine, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.opened++
	if h.openErr != nil {
		return nil, h.openErr
	}
	if h.engine == nil {
		h.engine = engine.New(enginetest.NewMemory(), engine.Options{})
	}
	return h.engine, nil
}

// scripted is an engine that reports what a test wants.
type scripted struct {
	sync      func(ctx context.Context, rev *revision.Revision) engine.Report
	remove    func(ctx context.Context, key revision.Key) engine.Report
	unblocked []revision.Key
	records   []engine.Record
	syncs     int
}

func (e *scripted) Sync(ctx context.Context, rev *revision.Revision) engine.Report {
	e.syncs++
	report := e.sync(ctx, rev)
	report.Key, report.UID, report.Revision = rev.Key, rev.UID, rev.Name
	return report
}

func (e *scripted) SyncMember(ctx context.Context, rev *revision.Revision) (engine.Report, bool) {
	return e.Sync(ctx, rev), true
}

func (e *scripted) SyncGroup(context.Context, []engine.Member) []engine.Report { return nil }

func (e *scripted) Remove(ctx context.Context, key revision.Key) engine.Report {
	report := e.remove(ctx, key)
	report.Key = key
	return report
}

func (e *scripted) Records(context.Context) ([]engine.Record, error) { return e.records, nil }

func (e *scripted) Unblocked() []revision.Key {
	all := e.unblocked
	e.unblocked = nil
	return all
}

// parts are an agent's parts, without what starts them.
type parts struct {
	*reconciler
	events *events.FakeRecorder
}

// newParts connects parts as newAgent does.
func newParts(t testing.TB, c client.Client, node string, host Host) *parts {
	t.Helper()
	p := &parts{events: events.NewFakeRecorder(64)}
	state, checks := newNodeState(node, "v1", Facts{}), &checks{}
	metrics := newMetrics()
	p.reconciler = &reconciler{
		client: c, live: asker{c, node}, holdings: &holdings{}, node: node, readiness: newNodeReadiness(host), state: state, checks: checks, pins: &Pins{}, groups: &groupLocks{}, seeded: closed(),
		queue: &mapQueue{client: c, checks: checks, state: state}, loader: newRevisionLoader(c, metrics),
		events: &eventEmitter{p.events, c, node}, metrics: metrics, programs: newPrograms(host, time.Minute, state, closed()),
	}
	_, err := p.readiness.look(t.Context())
	must(t, err)
	return p
}

// reconcile handles the map of a name.
func (p *parts) reconcile(ctx context.Context, name string) (reconcile.Result, error) {
	return p.Reconcile(ctx, reconcile.Request{NamespacedName: types.NamespacedName{Namespace: metav1.NamespaceDefault, Name: name}})
}

// mapState is what the node state says of a map; the zero value if nothing.
func (p *parts) mapState(name string) v1alpha1.NodeMap {
	all := p.state.snapshot()
	if i := slices.IndexFunc(all, func(m v1alpha1.NodeMap) bool { return m.Name == name }); i >= 0 {
		return all[i]
	}
	return v1alpha1.NodeMap{}
}

// queued are the names of maps that were put into the queue since the last call.
func (p *parts) queued() (names []string) {
	p.queue.mu.Lock()
	defer p.queue.mu.Unlock()
	for _, n := range p.queue.waiting {
		names = append(names, n.Name)
	}
	p.queue.waiting = nil
	return names
}

// compiled is a revision of a BPFMap, for all nodes.
func compiled(t testing.TB, name string, number int, spec string) *v1alpha1.BPFMapRevision {
	t.Helper()
	m := &v1alpha1.BPFMap{}
	must(t, yaml.UnmarshalStrict([]byte(spec), &m.Spec))
	m.Namespace, m.Name = metav1.NamespaceDefault, name
	rev, err := compile.Compile(m)
	must(t, err)
	rev.UID, rev.Name, rev.Number = "uid-"+name, fmt.Sprint(name, "-", number), int64(number)
	object, _ := revision.ToObjects(rev)
	object.UID = types.UID(rev.Name)
	object.Labels = map[string]string{v1alpha1.LabelActive: "true"}
	object.Status.Rollout.Frontier = rollout.All
	return object
}

// hash is a spec with one entry.
func hash(value int) string {
	return fmt.Sprintf("{type: Hash, key: {type: u8}, value: {type: u8}, maxEntries: 4, entries: [{key: 1, value: %d}]}", value)
}

func nodeNamed(name string) *corev1.Node {
	return &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name, UID: types.UID("uid-" + name)}}
}

// isAbout says whether a pause is d, up to a tenth shorter or longer.
func isAbout(pause, d time.Duration) bool { return pause >= d-d/10 && pause <= d+d/10 }
