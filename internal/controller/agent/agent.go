// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/metrics"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

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
	// Concurrency is how many maps are worked on at the same time.
	Concurrency int
	// InventoryPeriod is how often all maps of the node are counted; 0 is never.
	InventoryPeriod time.Duration
	// Host is this node.
	Host Host
}

// Run works until ctx ends.
func Run(ctx context.Context, o Options) error {
	cfg, err := o.RESTConfig("agent")
	if err != nil {
		return err
	}
	m, err := New(cfg, o)
	if err != nil {
		return err
	}
	return m.Start(ctx)
}

// New makes the agent's manager without starting it.
func New(cfg *rest.Config, o Options) (manager.Manager, error) {
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
	err = m.GetFieldIndexer().IndexField(context.Background(), &v1alpha1.BPFMapRevision{}, indexMapName, func(object client.Object) []string {
		return []string{object.(*v1alpha1.BPFMapRevision).Spec.MapName}
	})
	if err == nil {
		err = m.GetFieldIndexer().IndexField(context.Background(), &v1alpha1.BPFMapRevision{}, indexLinks, linkKeys)
	}
	if err != nil {
		return nil, fmt.Errorf("index revisions: %w", err)
	}
	// The manager fills these before anything runs.
	for _, object := range []client.Object{&v1alpha1.BPFMapRevision{}, &v1alpha1.BPFNodeState{}, process.Node()} {
		if _, err := m.GetCache().GetInformer(context.Background(), object, cache.BlockUntilSynced(false)); err != nil {
			return nil, fmt.Errorf("make cache: %w", err)
		}
	}
	if err := newAgent(m, o, facts).setUp(m, o); err != nil {
		return nil, err
	}
	return m, m.AddReadyzCheck("caches", healthz.Ping)
}

// agent is the parts and what connects them.
type agent struct {
	client           client.Client
	node             string
	host             Host
	state            *nodeState
	gate             *gate
	seeded           chan struct{}
	maps, statesWake trigger
	reconciler       *reconciler
	publisher        *publisher
}

func newAgent(m manager.Manager, o Options, facts Facts) *agent {
	recorder := recorders.NewNode(metrics.Registry, o.Host.SystemCalls)
	a := &agent{client: m.GetClient(), node: o.NodeName, host: o.Host, seeded: make(chan struct{})}
	a.state = newNodeState(o.Version, facts, func() { a.statesWake.add(types.NamespacedName{Name: a.node}) })
	a.gate = newGate(o.Host, a.hostChanged)
	tell := &announcer{m.GetEventRecorder(name), o.NodeName}
	a.reconciler = &reconciler{
		client: a.client, node: o.NodeName, gate: a.gate, state: a.state, library: newLibrary(m.GetAPIReader(), recorder.CountChunk), seeded: a.seeded,
		announce: tell.announce, replaced: a.mapReplaced, metrics: recorder, resync: o.ResyncPeriod, again: a.maps.add,
	}
	a.publisher = &publisher{
		client: recorder.Client(a.client), node: o.NodeName, state: a.state, seeded: a.seeded, observe: recorder.ObserveMaps,
	}
	return a
}

func (a *agent) setUp(m manager.Manager, o Options) error {
	if err := m.Add(manager.RunnableFunc(a.start)); err != nil {
		return fmt.Errorf("set up agent: %w", err)
	}
	if err := a.watchInterfaces(m); err != nil {
		return err
	}
	if o.InventoryPeriod > 0 {
		count := &inventory{host: o.Host, period: o.InventoryPeriod, tell: a.state.setInventory}
		if err := m.Add(count); err != nil {
			return fmt.Errorf("set up inventory: %w", err)
		}
	}
	err := builder.ControllerManagedBy(m).
		Named(name).
		Watches(&v1alpha1.BPFMapRevision{}, handler.EnqueueRequestsFromMapFunc(revisionToMap)).
		WatchesMetadata(process.Node(), handler.EnqueueRequestsFromMapFunc(a.allMaps), builder.WithPredicates(predicate.LabelChangedPredicate{})).
		WatchesRawSource(a.maps.source()).
		WithOptions(process.Controller(max(1, o.Concurrency))).
		Complete(a.reconciler)
	if err != nil {
		return fmt.Errorf("set up agent: %w", err)
	}
	return a.publisher.setUp(m, &a.statesWake)
}

// start takes over what an earlier agent knew, and then keeps looking at the host. It runs once the
// caches are filled.
func (a *agent) start(ctx context.Context) error {
	old := &v1alpha1.BPFNodeState{}
	if err := a.client.Get(ctx, client.ObjectKey{Name: a.node}, old); client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("read own node state: %w", err)
	}
	a.state.seed(old.Status)
	close(a.seeded)
	return a.gate.Start(ctx)
}

// hostChanged lets every map be looked at again: those that are declared, those that were reported, and
// those that only the records know because they were deleted while nobody was here.
func (a *agent) hostChanged(ctx context.Context, err error) {
	var facts *Facts
	if now, factsErr := a.host.Facts(); factsErr == nil {
		facts = &now
	} else {
		log.FromContext(ctx).Error(factsErr, "Facts about the node can't be read")
	}
	a.state.setReady(err, facts)
	a.reconciler.checks.forgetAll()
	for _, req := range a.allMaps(ctx, nil) {
		a.maps.add(req.NamespacedName)
	}
}

func (a *agent) allMaps(ctx context.Context, _ client.Object) []reconcile.Request {
	names := map[types.NamespacedName]bool{}
	var list v1alpha1.BPFMapRevisionList
	if err := a.client.List(ctx, &list, client.UnsafeDisableDeepCopy); err != nil {
		log.FromContext(ctx).Error(err, "Revisions can't be listed")
	}
	for i := range list.Items {
		names[types.NamespacedName{Namespace: list.Items[i].Namespace, Name: list.Items[i].Spec.MapName}] = true
	}
	for _, key := range a.state.keys() {
		names[types.NamespacedName(key)] = true
	}
	if e, err := a.gate.current(); err == nil {
		records, err := e.Records(ctx)
		if err != nil {
			log.FromContext(ctx).Error(err, "Records can't be read")
		}
		for i := range records {
			if records[i].UID != "" { // others belong to people at this machine
				names[types.NamespacedName(records[i].Key)] = true
			}
		}
	}
	// In order, so that after a reboot it is no matter of chance which maps a limit of memory has room for.
	requests := make([]reconcile.Request, 0, len(names))
	for _, n := range slices.SortedFunc(maps.Keys(names), func(a, b types.NamespacedName) int { return strings.Compare(a.String(), b.String()) }) {
		requests = append(requests, reconcile.Request{NamespacedName: n})
	}
	return requests
}

func revisionToMap(_ context.Context, object client.Object) []reconcile.Request {
	rev, ok := object.(*v1alpha1.BPFMapRevision)
	if !ok {
		return nil
	}
	return []reconcile.Request{{NamespacedName: types.NamespacedName{Namespace: rev.Namespace, Name: rev.Spec.MapName}}}
}

// cacheOptions keep in memory what this node needs: active revisions, its own Node's labels, and its
// own state.
func cacheOptions(node string) cache.Options {
	own := fields.OneTermEqualSelector(metav1.ObjectNameField, node)
	return cache.Options{ByObject: map[client.Object]cache.ByObject{
		&v1alpha1.BPFMapRevision{}: {Label: labels.SelectorFromSet(labels.Set{v1alpha1.LabelActive: "true"}), UnsafeDisableDeepCopy: new(true)},
		&v1alpha1.BPFNodeState{}:   {Field: own},
		process.Node():             {Field: own, Transform: stripNode},
	}}
}

func stripNode(o any) (any, error) {
	if n, ok := o.(*metav1.PartialObjectMetadata); ok {
		n.ObjectMeta = metav1.ObjectMeta{Name: n.Name, UID: n.UID, ResourceVersion: n.ResourceVersion, Labels: n.Labels}
	}
	return o, nil
}
