// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package histories

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/controller/agent"
	"github.com/bpfmap-io/bpfmap-operator/internal/controller/cluster"
	"github.com/bpfmap-io/bpfmap-operator/internal/controller/process"
	"github.com/bpfmap-io/bpfmap-operator/internal/engine"
	"github.com/bpfmap-io/bpfmap-operator/internal/engine/enginetest"
	"github.com/bpfmap-io/bpfmap-operator/internal/inuse"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
)

// leaderOverlap is how long an old leader may go on: until its lease, which it can't renew, is over.
const leaderOverlap = 15 * time.Second

// world is a small fleet.
type world struct {
	t     *testing.T
	rand  *rand.Rand
	clock time.Time
	store *store
	nodes []*node
	// leader is the controller; old ones go on until their time is over.
	leader *proc
	old    []oldLeader
	// backup is what a restore writes again.
	backup state
	// inside says that a step is taken within a write of another one.
	inside bool
	calm   bool // no more faults
	// grouped says that maps may belong together.
	grouped bool
	writes  int // by processes
	starts  int // of what died

	verbose bool
	log     []string
}

type oldLeader struct {
	*proc
	until time.Time
}

// node is a machine whose kernel outlives its agents.
type node struct {
	name   string
	w      *world
	memory *enginetest.Memory
	boot   int
	agent  *proc
	faulty *enginetest.Faulty // of the agent's engine, nil if it has no fault
	// dieAt is the change of the node at which the next agent dies, -1 for none.
	dieAt int
	holds map[revision.Key]held
	// removed are what this boot's maps were when they were removed.
	removed map[revision.Key]held
	// held are the revisions that the kernel held, as "UID revision", in this boot and ever.
	boots, ever map[string]bool
}

// held is what a node's kernel holds of a map.
type held struct {
	mapID, size           uint32
	uid, revision, digest string
	number                int64
	wentBack              map[string]bool // revisions from which it went back
	removedAt             int             // the store's version when the map was removed: what is asked for later is new
}

// resync is how often an agent looks at each map: less than a history ends with.
const resync = 20 * time.Minute

// metrics of all histories together.
var registry = prometheus.NewRegistry()

func newWorld(t *testing.T, seed uint64, verbose bool) *world {
	w := &world{t: t, rand: rand.New(rand.NewPCG(seed, 9)), clock: time.Now(), verbose: verbose}
	w.store = newStore(w.now)
	for _, namespace := range namespaces {
		w.store.namespaces[namespace] = false
	}
	w.calm = true
	for i := range 2 + w.rand.IntN(2) {
		w.join(fmt.Sprint("n", i))
	}
	w.leader = w.startController(w.fresh)
	w.grouped = seed%3 == 0
	w.calm = false
	return w
}

func (w *world) now() time.Time { return w.clock }

// pass lets time go by.
func (w *world) pass(d time.Duration) {
	time.Sleep(d)
	w.clock = w.clock.Add(d)
	w.old = slices.DeleteFunc(w.old, func(o oldLeader) bool {
		if w.clock.After(o.until) {
			o.die()
		}
		return o.dead
	})
}

func (w *world) logf(format string, args ...any) {
	if w.verbose {
		w.log = append(w.log, fmt.Sprintf(format, args...))
	}
}

// one says yes once in n times.
func (w *world) one(n int) bool { return w.rand.IntN(n) == 0 }

func pickOne[T any](w *world, from []T) T { return from[w.rand.IntN(len(from))] }

func (w *world) readFails() bool { return !w.calm && w.one(60) }

// fresh and aged are the versions as of which a process lists.
func (w *world) fresh(string) int { return w.store.version() }

func (w *world) aged(string) int {
	now := w.store.version()
	back := 0
	switch w.rand.IntN(10) {
	case 0, 1, 2, 3:
	case 4, 5, 6:
		back = w.rand.IntN(12)
	case 7, 8:
		back = w.rand.IntN(80)
	default:
		back = w.rand.IntN(now + 1)
	}
	return max(0, now-back)
}

func (w *world) surroundings(p *proc) process.Surroundings {
	return process.Surroundings{
		Client: conn{p}, Live: live{p}, Events: silence{}, Metrics: registry, Now: w.now,
		Spread: func(time.Duration) time.Duration { return 0 },
	}
}

func (w *world) startController(version func(string) int) *proc {
	p := w.newProc("controller")
	p.run(cluster.Assemble(w.surroundings(p), cluster.Options{Secrets: true, RevisionHistoryLimit: 2, Concurrency: 1}), version)
	return p
}

// startAgent starts the agent of a node whose former one is gone.
func (w *world) startAgent(n *node, version func(string) int) {
	n.stopAgent()
	p := w.newProc("agent " + n.name)
	n.agent = p
	n.faulty = nil
	if n.dieAt >= 0 {
		n.faulty = &enginetest.Faulty{Backend: n.memory, Fault: enginetest.Crash(n.dieAt)}
		n.dieAt = -1
	}
	a, assembly, err := agent.Assemble(w.surroundings(p), agent.Options{ResyncPeriod: resync, NodeName: n.name, Host: n, Options: process.Options{Version: "v1"}})
	if err != nil {
		panic(err)
	}
	p.run(assembly, version)
	if err := a.TakeOver(p.ctx); err != nil {
		p.die()
		w.logf("  %s doesn't start: %v", p.name, err)
	}
}

func (n *node) stopAgent() {
	if n.agent != nil {
		n.agent.die()
	}
}

// What agent.Host asks for.

func (n *node) Probe(context.Context) error { return nil }

func (n *node) Moved() (bool, error) { return false, nil }

func (n *node) WatchMounts(ctx context.Context, changed func()) error {
	changed()
	<-ctx.Done()
	return nil
}

func (n *node) Open() (agent.Engine, error) {
	if n.faulty != nil {
		return engine.New(n.faulty, engine.Options{}), nil
	}
	return engine.New(n.memory, engine.Options{}), nil
}

func (n *node) Facts() (agent.Facts, error) {
	return agent.Facts{KernelRelease: "6.1", BootID: fmt.Sprint(n.name, "-", n.boot), PossibleCPUs: 2}, nil
}
func (n *node) SystemCalls() uint64 { return 0 }
func (n *node) WatchPins(context.Context, *agent.Pins, func(revision.Key, string)) error {
	return agent.ErrNotWatched
}
func (n *node) PinnedMap(string) (uint32, error)                   { return 0, nil }
func (n *node) WatchInterfaces(context.Context, func()) error      { return agent.ErrNotWatched }
func (n *node) Programs(context.Context) (*inuse.Inventory, error) { return inuse.New(nil, nil), nil }
func (n *node) Inventory() (v1alpha1.NodeInventory, error)         { return v1alpha1.NodeInventory{}, nil }

// join adds a node with an agent.
func (w *world) join(name string) {
	o := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{}}}
	if w.one(2) {
		o.Labels["role"] = "edge"
	}
	o.Status.Conditions = []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue, LastTransitionTime: metav1.NewTime(w.clock)}}
	w.must(w.store.create(o))
	w.must(w.store.update(withReady(o, w.clock), true))
	n := &node{name: name, w: w, memory: enginetest.NewMemory(), dieAt: -1, holds: map[revision.Key]held{}, removed: map[revision.Key]held{}, boots: map[string]bool{}, ever: map[string]bool{}}
	w.nodes = append(w.nodes, n)
	w.startAgent(n, w.fresh)
}

func withReady(o *corev1.Node, now time.Time) *corev1.Node {
	o.Status.Conditions = []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue, LastTransitionTime: metav1.NewTime(now)}}
	return o
}

func (w *world) must(err error) {
	if err != nil {
		w.t.Helper()
		panic(fmt.Sprintf("the history can't go on: %v", err))
	}
}

// procs are those that run, in order.
func (w *world) procs() (list []*proc) {
	if !w.leader.dead {
		list = append(list, w.leader)
	}
	for _, o := range w.old {
		if !o.dead {
			list = append(list, o.proc)
		}
	}
	for _, n := range w.nodes {
		if !n.agent.dead {
			list = append(list, n.agent)
		}
	}
	return list
}

func (w *world) node(name string) *node {
	if i := slices.IndexFunc(w.nodes, func(n *node) bool { return n.name == name }); i >= 0 {
		return w.nodes[i]
	}
	return nil
}

// nodeOf is the node of an agent; nil for a controller.
func (w *world) nodeOf(p *proc) *node {
	name, ok := strings.CutPrefix(p.name, "agent ")
	if !ok {
		return nil
	}
	return w.node(name)
}

// work lets a process handle one ready request, and says whether there was one.
func (w *world) work(p *proc) bool {
	var ready []func()
	for _, x := range p.parts {
		for _, r := range x.queue.ready() {
			ready = append(ready, func() {
				w.logf("%s works on %s %s", p.name, x.Name, r)
				p.work(x, r)
			})
		}
	}
	if len(ready) == 0 {
		return false
	}
	n := w.nodeOf(p)
	if n == nil {
		pickOne(w, ready)()
		return true
	}
	from := w.store.version()
	pickOne(w, ready)()
	if n.faulty != nil && n.faulty.Hit() != "" && !p.dead {
		w.logf("  %s dies in %s", p.name, n.faulty.Hit())
		p.die()
	}
	w.checkNode(n, from)
	return true
}

// deliver lets one of a process's views go forward.
func (w *world) deliver(p *proc) {
	var behind []*informer
	for _, v := range p.cache.informers {
		if v.behind() {
			behind = append(behind, v)
		}
	}
	if len(behind) == 0 {
		return
	}
	v := pickOne(w, behind)
	to := v.next()
	if w.one(3) { // the watch broke, and what happened in between is one event
		to += w.rand.IntN(w.store.version() - to + 1)
	}
	w.logf("%s sees %s as of %d of %d", p.name, v.kind, to, w.store.version())
	v.follow(p.ctx, to)
}

// beforeWrite lets others act while a process is about to write.
func (w *world) beforeWrite(p *proc) {
	if w.calm || w.inside || !w.one(6) {
		return
	}
	w.inside = true
	defer func() { w.inside = false }()
	for range 1 + w.rand.IntN(3) {
		switch w.rand.IntN(4) {
		case 0:
			w.people()
		case 1, 2:
			w.deliver(pickOne(w, w.procs()))
		default:
			others := slices.DeleteFunc(w.procs(), func(o *proc) bool { return o == p })
			if len(others) > 0 {
				w.work(pickOne(w, others))
			}
		}
	}
}

// describe is what a log says of what was written.
func (w *world) describe(o client.Object) string {
	if !w.verbose {
		return ""
	}
	switch stored := w.store.objects[idOf(o)].(type) {
	case *v1alpha1.BPFMap:
		return fmt.Sprintf(" (generation %d, %s)", stored.Generation, conditionsOf(stored))
	case *v1alpha1.BPFMapRevision:
		return fmt.Sprintf(" (of %s, active %q, frontier %q, rolled back %q, selector %v)", stored.Spec.MapUID,
			stored.Labels[v1alpha1.LabelActive], stored.Status.Rollout.Frontier, stored.Status.Rollout.RolledBack, stored.Spec.NodeSelector)
	case *v1alpha1.BPFNodeState:
		var maps []string
		for _, m := range stored.Status.Maps {
			maps = append(maps, fmt.Sprintf("%s/%s %s map %d %s %s", m.Namespace, m.Name, m.Revision, m.MapID, m.State, m.Reason))
		}
		return " (" + strings.Join(maps, "; ") + ")"
	}
	return ""
}

func conditionsOf(m *v1alpha1.BPFMap) string {
	var list []string
	for _, c := range m.Status.Conditions {
		list = append(list, fmt.Sprintf("%s=%s %s", c.Type, c.Status, c.Reason))
	}
	return strings.Join(list, ", ")
}
