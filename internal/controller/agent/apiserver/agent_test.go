// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package apiserver_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/yaml"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/compile"
	"github.com/bpfmap-io/bpfmap-operator/internal/controller/agent"
	"github.com/bpfmap-io/bpfmap-operator/internal/controller/process"
	"github.com/bpfmap-io/bpfmap-operator/internal/engine"
	"github.com/bpfmap-io/bpfmap-operator/internal/engine/enginetest"
	"github.com/bpfmap-io/bpfmap-operator/internal/inuse"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
	"github.com/bpfmap-io/bpfmap-operator/internal/rollout"
	"github.com/bpfmap-io/bpfmap-operator/test/await"
	"github.com/bpfmap-io/bpfmap-operator/test/controlplane"
)

func TestMain(m *testing.M) {
	log.SetLogger(logr.Discard())
	os.Exit(m.Run())
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// host is a node whose maps are in memory and outlive its agents.
type host struct {
	memory *enginetest.Memory
	engine agent.Engine // nil for one over memory
}

func (h *host) Probe(context.Context) error { return nil }
func (h *host) Facts() (agent.Facts, error) {
	return agent.Facts{BootID: "boot", KernelRelease: "6.18"}, nil
}
func (h *host) SystemCalls() uint64  { return 0 }
func (h *host) Moved() (bool, error) { return false, nil }
func (h *host) WatchMounts(ctx context.Context, _ func()) error {
	<-ctx.Done()
	return ctx.Err()
}
func (h *host) WatchPins(context.Context, *agent.Pins, func(revision.Key, string)) error {
	return agent.ErrNotWatched
}
func (h *host) PinnedMap(string) (uint32, error)                   { return 0, nil }
func (h *host) WatchInterfaces(context.Context, func()) error      { return agent.ErrNotWatched }
func (h *host) Programs(context.Context) (*inuse.Inventory, error) { return inuse.New(nil, nil), nil }
func (h *host) Inventory() (v1alpha1.NodeInventory, error)         { return v1alpha1.NodeInventory{}, nil }
func (h *host) Open() (agent.Engine, error) {
	if h.engine != nil {
		return h.engine, nil
	}
	return engine.New(h.memory, engine.Options{}), nil
}

// badConnection is a transport that loses requests, and answers to requests that were carried out.
type badConnection struct {
	next http.RoundTripper

	mu     sync.Mutex
	random *rand.Rand
	calm   bool
	writes int
}

func (b *badConnection) RoundTrip(r *http.Request) (*http.Response, error) {
	b.mu.Lock()
	if r.Method != http.MethodGet && !strings.Contains(r.URL.Path, "/events") {
		b.writes++
	}
	isWatch := r.URL.Query().Get("watch") != ""
	fails := !b.calm && !isWatch && b.random.IntN(3) == 0
	happens := b.random.IntN(3) == 0
	b.mu.Unlock()
	if fails && !happens {
		return nil, errors.New("injected: connection refused")
	}
	response, err := b.next.RoundTrip(r)
	if fails && err == nil {
		return nil, errors.Join(errors.New("injected: connection reset"), response.Body.Close())
	}
	return response, err
}

func (b *badConnection) calmDown() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.calm = true
}

func (b *badConnection) written() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.writes
}

// node is a Node object, its host, and what is declared for it.
type node struct {
	*testing.T
	good client.Client
	cfg  *rest.Config
	bad  *badConnection
	host *host
	name string
	n    int
	stop func()
}

func newNode(t *testing.T, plane *controlplane.ControlPlane, seed uint64) *node {
	t.Helper()
	scheme := process.Scheme()
	must(t, corev1.AddToScheme(scheme))
	good, err := client.New(plane.Config(), client.Options{Scheme: scheme})
	must(t, err)
	n := &node{
		T: t, good: good, cfg: plane.Config(), name: fmt.Sprint("node-", seed), host: &host{memory: enginetest.NewMemory()},
		bad: &badConnection{random: rand.New(rand.NewPCG(seed, 3))},
	}
	n.cfg.Wrap(func(next http.RoundTripper) http.RoundTripper {
		n.bad.mu.Lock()
		defer n.bad.mu.Unlock()
		if n.bad.next == nil {
			n.bad.next = next
		}
		return n.bad
	})
	must(t, good.Create(t.Context(), &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: n.name, Labels: map[string]string{"name": n.name}}}))
	return n
}

// start starts an agent; stop ends it and says how long that took.
func (n *node) start() {
	n.Helper()
	ctx, cancel := context.WithCancel(n.Context())
	a, err := agent.New(n.cfg, agent.Options{
		Options:  process.Options{Version: "v1", MetricsBindAddress: process.Disabled, HealthProbeBindAddress: process.Disabled},
		NodeName: n.name, ResyncPeriod: time.Hour, Concurrency: 2, Host: n.host,
	})
	must(n.T, err)
	ended := make(chan error, 1)
	go func() { ended <- a.Start(ctx) }()
	n.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			n.Errorf("%s: the agent ended with %v", n.name, err)
		}
	})
	n.Cleanup(n.stop)
}

// declare writes another revision for this node.
func (n *node) declare() {
	n.Helper()
	m := &v1alpha1.BPFMap{}
	must(n.T, yaml.UnmarshalStrict(fmt.Appendf(nil,
		"{type: Hash, key: {type: u8}, value: {type: u8}, maxEntries: 4, entries: [{key: 1, value: %d}]}", n.n%200), &m.Spec))
	m.Namespace, m.Name = metav1.NamespaceDefault, "table-"+n.name
	rev, err := compile.Compile(m)
	must(n.T, err)
	n.n++
	rev.UID, rev.Name, rev.Number = "uid-"+m.Name, fmt.Sprint(m.Name, "-", n.n), int64(n.n)
	rev.NodeSelector = map[string]string{"name": n.name}
	object, parts := revision.ToObjects(rev)
	for _, p := range parts { // entries for some nodes are never in the revision itself
		chunk := &v1alpha1.BPFMapChunk{EntryCount: int64(p.Len), Entries: p.Packed}
		chunk.Namespace, chunk.Name = m.Namespace, p.Name(m.Name)
		must(n.T, client.IgnoreAlreadyExists(n.good.Create(n.Context(), chunk)))
	}
	object.Labels = map[string]string{v1alpha1.LabelActive: "true", v1alpha1.LabelMap: v1alpha1.MapLabel(m.Name), "node": n.name}
	must(n.T, n.good.Create(n.Context(), object))
	object.Status.Rollout.Frontier = rollout.All
	must(n.T, n.good.Status().Update(n.Context(), object))
}

func (n *node) undeclare() {
	n.Helper()
	must(n.T, n.good.DeleteAllOf(n.Context(), &v1alpha1.BPFMapRevision{}, client.InNamespace(metav1.NamespaceDefault), client.MatchingLabels{"node": n.name}))
}

// publishes waits until the node's state lists the map as declared last, or, if it isn't declared, no map.
func (n *node) publishes(declared bool) {
	n.Helper()
	await.Nil(n.T, 5*time.Minute, func() error {
		state := &v1alpha1.BPFNodeState{}
		if err := n.good.Get(n.Context(), client.ObjectKey{Name: n.name}, state); err != nil {
			return err
		}
		maps := state.Status.Maps
		last := fmt.Sprint("table-", n.name, "-", n.n)
		if declared && (len(maps) != 1 || maps[0].Revision != last || maps[0].State != v1alpha1.NodeMapReady) || !declared && len(maps) > 0 {
			return fmt.Errorf("%s publishes %+v", n.name, maps)
		}
		if len(state.OwnerReferences) != 1 {
			return fmt.Errorf("%s: the state is owned by %v", n.name, state.OwnerReferences)
		}
		return nil
	})
}

// TestAgentsOverABadConnection let maps come, change and go, and agents restart, while a third of the
// requests to the API server fail. A declared map is never removed; when the connection is good again, the
// node holds and publishes what is declared, and then writes nothing more.
func TestAgentsOverABadConnection(t *testing.T) {
	plane := controlplane.New(t)
	var nodes []*node
	for seed := range uint64(6) {
		n := newNode(t, plane, seed)
		n.start()
		n.declare()
		nodes = append(nodes, n)
	}
	for _, n := range nodes {
		n.publishes(true)
		for range 2 {
			n.declare()
			n.stop()
			n.start()
			n.publishes(true)
			if len(n.host.memory.Pins()) == 0 {
				t.Errorf("%s: a declared map was removed", n.name)
			}
		}
	}
	for _, n := range nodes {
		n.bad.calmDown()
		n.declare()
		n.publishes(true)
		n.undeclare()
		n.publishes(false)
		if pins := n.host.memory.Pins(); len(pins) > 0 {
			t.Errorf("%s: %v are left", n.name, pins)
		}
	}
	for _, n := range nodes {
		before := n.bad.written()
		n.stop() // it looks at its state once more
		if after := n.bad.written(); after != before {
			t.Errorf("%s: %d writes though nothing changed", n.name, after-before)
		}
	}
}

// slowEngine works on a map until its context ends.
type slowEngine struct {
	agent.Engine
	began chan struct{}
	once  sync.Once
}

func (e *slowEngine) Sync(ctx context.Context, rev *revision.Revision) engine.Report {
	e.once.Do(func() { close(e.began) })
	<-ctx.Done()
	err := fmt.Errorf("load map %s: %w", rev.Key, ctx.Err())
	return engine.Report{Key: rev.Key, UID: rev.UID, Revision: rev.Name, State: v1alpha1.NodeMapFailed, Message: err.Error(), Err: err}
}

// TestAgentsEndInTheMiddleOfTheirWork: the engine's context ends with the agent's, and what was interrupted
// isn't published as a failure.
func TestAgentsEndInTheMiddleOfTheirWork(t *testing.T) {
	plane := controlplane.New(t)
	n := newNode(t, plane, 0)
	n.bad.calmDown()
	slow := &slowEngine{Engine: engine.New(n.host.memory, engine.Options{}), began: make(chan struct{})}
	n.host.engine = slow
	n.declare()
	n.start()
	<-slow.began
	start := time.Now()
	n.stop()
	t.Logf("the agent ended after %s", time.Since(start).Round(time.Millisecond))
	state := &v1alpha1.BPFNodeState{}
	if err := n.good.Get(t.Context(), client.ObjectKey{Name: n.name}, state); err == nil && len(state.Status.Maps) > 0 {
		t.Errorf("published %+v", state.Status.Maps)
	}
}

// TestCrowdedNodesArePublished: the API server takes the state of a node that has more maps than it lists,
// each with the longest texts that are usual.
func TestCrowdedNodesArePublished(t *testing.T) {
	plane := controlplane.New(t)
	n := newNode(t, plane, 0)
	n.bad.calmDown()
	const maps = 5000
	var records []engine.Record
	for i := range maps {
		records = append(records, engine.Record{UID: "uid", Key: revision.Key{Namespace: metav1.NamespaceDefault, Name: fmt.Sprintf("table-of-a-team-%05d", i)}})
	}
	n.host.engine = &failingEngine{records: records}
	n.start()
	await.Nil(t, 10*time.Minute, func() error {
		state := &v1alpha1.BPFNodeState{}
		if err := n.good.Get(t.Context(), client.ObjectKey{Name: n.name}, state); err != nil {
			return err
		}
		if state.Status.Summary.Maps != maps || len(state.Status.Maps) == 0 || len(state.Status.Maps) == maps ||
			!strings.Contains(state.Status.Conditions[0].Message, "are not listed") {
			return fmt.Errorf("%d maps are listed, summary %+v", len(state.Status.Maps), state.Status.Summary)
		}
		t.Logf("%d of %d maps are listed", len(state.Status.Maps), maps)
		return nil
	})
}

// failingEngine has records of maps that it can't remove.
type failingEngine struct {
	agent.Engine
	records []engine.Record
}

func (e *failingEngine) Records(context.Context) ([]engine.Record, error) { return e.records, nil }
func (e *failingEngine) Unblocked() []revision.Key                        { return nil }
func (e *failingEngine) Remove(_ context.Context, key revision.Key) engine.Report {
	err := errors.New("remove map: " + strings.Repeat("the pin is \"occupied\" ", 40))
	return engine.Report{
		Key: key, UID: "uid", State: v1alpha1.NodeMapFailed, Reason: v1alpha1.NodeReasonPinConflict, Message: err.Error(), Err: err,
		MapID: 4711, PinPath: "/sys/fs/bpf/bpfmap/" + key.Namespace + "/" + key.Name, MemlockBytes: 1 << 20, Revision: key.Name + "-1",
	}
}
