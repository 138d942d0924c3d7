// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"context"
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/metrics"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/controller/process"
	recorders "github.com/bpfmap-io/bpfmap-operator/internal/metrics"
)

// name is the agent's name in logs, metrics and events.
const name = "bpfmap-agent"

// Options are the agent's settings.
type Options struct {
	process.Options
	// NodeName is the name of this node's Node object.
	NodeName string
	// ResyncPeriod is how often each map is compared with the kernel, up to a tenth more or less.
	ResyncPeriod time.Duration
	// Concurrency is how many maps are reconciled in parallel.
	Concurrency int
	// InventoryPeriod is how often all maps of the node are counted; 0 is never.
	InventoryPeriod time.Duration
	// ReadContents reads maps whose contents become metrics; nil serves none. ContentSeries is how many series these may
	// be altogether.
	ReadContents  recorders.ContentReader
	ContentSeries int
	// Contents is for people who read what the maps hold.
	Contents ContentsOptions
	// Host is this node.
	Host Host
}

// Run works until ctx ends.
func Run(ctx context.Context, o Options) error {
	cfg, err := o.RESTConfig("agent")
	if err != nil {
		return err
	}
	a, err := New(cfg, o)
	if err != nil {
		return err
	}
	return a.Start(ctx)
}

// Agent is an agent that may be started once.
type Agent struct {
	manager    manager.Manager
	client     client.Client
	node       string
	host       Host
	seeded     chan struct{}
	state      *nodeState
	readiness  *nodeReadiness
	queue      *mapQueue
	reconciler *reconciler
	publisher  *publisher
	// start is what the first line of the log tells.
	start []any
}

// New makes an agent without starting it.
func New(cfg *rest.Config, o Options) (*Agent, error) {
	facts, err := o.Host.Facts()
	if err != nil {
		return nil, fmt.Errorf("look at this node: %w", err)
	}
	m, err := process.NewManager(cfg, o.Options, cacheOptions(o.NodeName), func(mo *manager.Options) {
		// A process may run several managers one after the other, as tests do.
		mo.Controller.SkipNameValidation = new(true)
	})
	if err != nil {
		return nil, err
	}
	a := newAgent(process.Surroundings{
		Client: m.GetClient(), Live: m.GetAPIReader(), Events: m.GetEventRecorder(name), Metrics: metrics.Registry, Now: time.Now, Spread: process.ByLot,
	}, o, facts)
	a.manager = m
	a.start = append(o.Start(), "node", o.NodeName, "kernel", facts.KernelRelease, "cpus", facts.PossibleCPUs, "resyncPeriod", o.ResyncPeriod.String(), "concurrency", o.Concurrency)
	if err := a.assembly(o).SetUpIndexes(m); err != nil {
		return nil, err
	}
	// The manager fills these before anything runs.
	for _, object := range []client.Object{&v1alpha1.BPFMapRevision{}, &v1alpha1.BPFNodeState{}, process.Node()} {
		if _, err := m.GetCache().GetInformer(context.Background(), object, cache.BlockUntilSynced(false)); err != nil {
			return nil, fmt.Errorf("make cache: %w", err)
		}
	}
	if err := a.setUp(o); err != nil {
		return nil, err
	}
	if err := a.serveContents(cfg, &o.Contents); err != nil {
		return nil, err
	}
	return a, m.AddReadyzCheck("caches", healthz.Ping)
}

// Assemble makes an agent without a manager, for tests that play its surroundings: they call TakeOver once,
// and it is at work.
func Assemble(s process.Surroundings, o Options) (*Agent, *process.Assembly, error) {
	facts, err := o.Host.Facts()
	if err != nil {
		return nil, nil, fmt.Errorf("look at this node: %w", err)
	}
	a := newAgent(s, o, facts)
	return a, a.assembly(o), nil
}

func newAgent(s process.Surroundings, o Options, facts Facts) *Agent {
	recorder := recorders.NewNode(s.Metrics, o.Host.SystemCalls)
	recorders.Build{Version: o.Version, Revision: o.Revision}.Register(s.Metrics, recorders.Agent)
	a := &Agent{
		client: s.Client, node: o.NodeName, host: o.Host, seeded: make(chan struct{}),
		state: newNodeState(o.NodeName, o.Version, facts), readiness: newNodeReadiness(o.Host),
	}
	recorder.Observe(a.state.snapshot, o.MetricsPerMap, o.ResyncPeriod)
	recorder.ServeContents(o.ReadContents, o.ContentSeries, a.state.setMetricsMessage)
	checks := &checks{}
	a.queue = &mapQueue{client: a.client, checks: checks, state: a.state}
	a.reconciler = &reconciler{
		client: a.client, live: asker{s.Live, a.node}, holdings: &holdings{}, node: a.node, namespaces: o.Namespaces, readiness: a.readiness, state: a.state, checks: checks, queue: a.queue, pins: &Pins{}, programs: newPrograms(o.Host, o.ResyncPeriod, a.state, a.seeded), groups: &groupLocks{},
		loader: newRevisionLoader(s.Live, recorder), events: &eventEmitter{s.Events, a.client, a.node},
		metrics: recorder, seeded: a.seeded, began: time.Now(), resync: o.ResyncPeriod,
	}
	a.reconciler.loader.spread = s.Spread
	a.publisher = &publisher{
		client: recorder.Client(a.client), live: s.Live, node: a.node, state: a.state, looked: a.readiness.looked,
	}
	return a
}

func (a *Agent) assembly(o Options) *process.Assembly {
	return &process.Assembly{
		Cache: cacheOptions(a.node),
		Indexes: []process.Index{
			{Object: &v1alpha1.BPFMapRevision{}, Field: indexMapName, Keys: mapNames},
			{Object: &v1alpha1.BPFMapRevision{}, Field: indexReferences, Keys: referenceKeys},
			{Object: &v1alpha1.BPFMapRevision{}, Field: indexGroup, Keys: groupNames},
		},
		Parts: []process.Part{{
			Name: name, Reconciler: a.reconciler, Concurrency: o.Concurrency, Sources: []source.Source{a.queue.source("maps to look at")},
			Watches: []process.Watch{
				{Object: &v1alpha1.BPFMapRevision{}, Handler: handler.EnqueueRequestsFromMapFunc(revisionToMap)},
				{Object: process.Node(), Handler: handler.EnqueueRequestsFromMapFunc(a.nodeToMaps), Predicates: []predicate.Predicate{predicate.LabelChangedPredicate{}}},
				{Object: &v1alpha1.BPFNodeState{}, Handler: handler.EnqueueRequestsFromMapFunc(releasedMaps)},
			},
		}, a.publisher.part()},
	}
}

// setUp registers with the manager what is to run.
func (a *Agent) setUp(o Options) error {
	run := map[string]manager.RunnableFunc{"agent": a.followHost, "watch of interfaces": a.followInterfaces, "watch of mounts": a.readiness.watchMounts, "watch of pins": a.followPins, "look at programs": a.reconciler.programs.Start}
	if o.InventoryPeriod > 0 {
		run["inventory"] = (&inventory{host: o.Host, period: o.InventoryPeriod, state: a.state}).Start
	}
	for what, f := range run {
		if err := a.manager.Add(f); err != nil {
			return fmt.Errorf("set up %s: %w", what, err)
		}
	}
	return a.assembly(o).SetUp(a.manager)
}

// Start works until ctx ends, and then writes the node's last state.
func (a *Agent) Start(ctx context.Context) error {
	a.manager.GetLogger().Info("The agent starts", a.start...)
	if err := a.manager.Start(ctx); err != nil {
		return err
	}
	ctx = context.WithoutCancel(ctx)
	if err := a.publisher.finish(ctx); err != nil {
		a.manager.GetLogger().Info("The last state of the node wasn't written; the next agent looks at all maps anew", "reason", err.Error())
	}
	return nil
}

// seedRetry is when an agent that begins asks again for what an earlier one reported.
const seedRetry = time.Second

// followHost takes over what an earlier agent knew, and then probes the host until ctx ends. It runs once
// the caches are filled.
func (a *Agent) followHost(ctx context.Context) error {
	for a.seed(ctx) != nil {
		if !sleep(ctx, seedRetry) {
			return nil
		}
	}
	a.readiness.run(ctx, a.onReadiness)
	return nil
}

// TakeOver is what an agent without a manager does first: it takes over what an earlier one knew, and probes
// the host once.
func (a *Agent) TakeOver(ctx context.Context) error {
	if err := a.seed(ctx); err != nil {
		return err
	}
	return a.readiness.lookAndTell(ctx, a.onReadiness)
}

// seed reads from the API server itself what an earlier agent reported: by a cache that is behind, there might not
// have been one.
func (a *Agent) seed(ctx context.Context) error {
	old := &v1alpha1.BPFNodeState{}
	if err := a.reconciler.live.reader.Get(ctx, client.ObjectKey{Name: a.node}, old); client.IgnoreNotFound(err) != nil {
		log.FromContext(ctx).Info("The node's earlier state can't be read; trying again", "reason", err.Error())
		return fmt.Errorf("read own node state: %w", err)
	}
	a.state.seed(old.Status)
	close(a.seeded)
	return nil
}

// onReadiness lets every map be compared again after the host became ready, or the reason why it isn't
// changed.
func (a *Agent) onReadiness(ctx context.Context, err error) {
	var facts *Facts
	if now, factsErr := a.host.Facts(); factsErr == nil {
		facts = &now
	} else {
		log.FromContext(ctx).Error(factsErr, "Facts about the node can't be read")
	}
	a.state.setReady(err, facts)
	e, _ := a.readiness.current() // nil while the node isn't ready: err says why
	a.reconciler.pins.Look()      // in another BPF file system, perhaps
	a.queue.addAll(ctx, e)
}

// followInterfaces lets the maps be compared again that name network interfaces, when these change.
func (a *Agent) followInterfaces(ctx context.Context) error {
	FollowInterfaces(ctx, a.host, func(ctx context.Context) { a.queue.addReferrers(ctx, interfacesReference) })
	return nil
}

// nodeToMaps are the requests for all maps, because the labels of the node decide which revisions are for it.
func (a *Agent) nodeToMaps(ctx context.Context, _ client.Object) []reconcile.Request {
	e, _ := a.readiness.current() // nil while the node isn't ready
	var requests []reconcile.Request
	for _, key := range a.queue.all(ctx, e) {
		requests = append(requests, reconcile.Request{NamespacedName: types.NamespacedName(key)})
	}
	return requests
}

// releasedMaps are the requests for maps that the controller allows this node to remove.
func releasedMaps(_ context.Context, object client.Object) []reconcile.Request {
	var requests []reconcile.Request
	for _, m := range object.(*v1alpha1.BPFNodeState).Status.Releases {
		requests = append(requests, reconcile.Request{NamespacedName: types.NamespacedName{Namespace: m.Namespace, Name: m.Name}})
	}
	return requests
}

func revisionToMap(_ context.Context, object client.Object) []reconcile.Request {
	return []reconcile.Request{{NamespacedName: types.NamespacedName(mapOf(object.(*v1alpha1.BPFMapRevision)))}}
}

func mapNames(object client.Object) []string {
	return []string{object.(*v1alpha1.BPFMapRevision).Spec.MapName}
}

// cacheOptions keep in memory what this node needs: active revisions, its own Node's labels, and its
// own state.
func cacheOptions(node string) cache.Options {
	own := fields.OneTermEqualSelector(metav1.ObjectNameField, node)
	return cache.Options{ByObject: map[client.Object]cache.ByObject{
		&v1alpha1.BPFMapRevision{}: {Label: labels.SelectorFromSet(labels.Set{v1alpha1.LabelActive: "true"}), UnsafeDisableDeepCopy: new(true)},
		&v1alpha1.BPFNodeState{}:   {Field: own},
		process.Node():             {Field: own, Transform: trimNode},
	}}
}

func trimNode(o any) (any, error) {
	if n, ok := o.(*metav1.PartialObjectMetadata); ok {
		n.ObjectMeta = metav1.ObjectMeta{Name: n.Name, UID: n.UID, ResourceVersion: n.ResourceVersion, Labels: n.Labels}
	}
	return o, nil
}
