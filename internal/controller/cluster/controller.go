// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/metrics"
	rawsource "sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/compile"
	"github.com/bpfmap-io/bpfmap-operator/internal/controller/process"
	"github.com/bpfmap-io/bpfmap-operator/internal/fetch"
	recorders "github.com/bpfmap-io/bpfmap-operator/internal/metrics"
)

// name is the controller's name in logs, metrics and events.
const name = "bpfmap-controller"

// Options are the controller's settings.
type Options struct {
	process.Options
	// Secrets lets BPFMaps name Secrets. Without it the process needs no right to read any.
	Secrets bool
	// LeaderElect lets several controllers run, of which one works.
	LeaderElect bool
	// Namespace holds the lease of the leader, and the agents; empty means the pod's own.
	Namespace string
	// AgentDaemonSet is the name of the agents' DaemonSet. Without it a node's reports count as long as its Node is
	// Ready, whether or not its agent is.
	AgentDaemonSet string
	// Concurrency is how many BPFMaps are worked on at the same time.
	Concurrency int
	// MaxStoredBytesPerMap bounds the packed entries of all revisions of a BPFMap that are kept: history is
	// cut to it, and a revision that exceeds it alone is refused. DefaultMaxStoredBytesPerMap if 0.
	MaxStoredBytesPerMap int64
	// MaxStoredBytesPerNamespace bounds the packed entries of all revisions in a namespace: a new one that
	// exceeds it is refused. DefaultMaxStoredBytesPerNamespace if 0.
	MaxStoredBytesPerNamespace int64
	// RevisionHistoryLimit is how many revisions of each BPFMap are kept besides the active one.
	RevisionHistoryLimit int
	// Fetch says what may be fetched.
	Fetch FetchOptions
}

// Run works until ctx ends.
func Run(ctx context.Context, o Options) error {
	cfg, err := o.RESTConfig("controller")
	if err != nil {
		return err
	}
	m, err := New(cfg, o)
	if err != nil {
		return err
	}
	m.GetLogger().Info("The controller starts", append(o.Start(), "leaderElect", o.LeaderElect, "namespace", o.Namespace, "concurrency", o.Concurrency,
		"revisionHistoryLimit", o.RevisionHistoryLimit, "allowedSourceHosts", o.Fetch.AllowedHosts)...)
	return m.Start(ctx)
}

// New makes the controller's manager without starting it.
func New(cfg *rest.Config, o Options) (manager.Manager, error) {
	if err := o.findAgents(); err != nil {
		return nil, err
	}
	m, err := process.NewManager(cfg, o.Options, o.cache(), func(mo *manager.Options) {
		mo.LeaderElection = o.LeaderElect
		mo.LeaderElectionID = "controller.bpfmap.io"
		mo.LeaderElectionNamespace = o.Namespace
		mo.LeaderElectionReleaseOnCancel = true
	})
	if err != nil {
		return nil, err
	}
	api, err := newCRDs(cfg, m.GetHTTPClient())
	if err != nil {
		return nil, err
	}
	if err := errors.Join(m.Add(api), m.AddReadyzCheck("crds", api.ready)); err != nil {
		return nil, fmt.Errorf("set up the comparison of CRDs: %w", err)
	}
	fetcher, err := o.newFetcher(m.GetAPIReader(), time.Now)
	if err != nil {
		return nil, err
	}
	a := assemble(process.Surroundings{
		Client: m.GetClient(), Live: m.GetAPIReader(), Events: process.LogEvents(m.GetEventRecorder(name), m.GetLogger().WithName("events")), Metrics: metrics.Registry, Now: time.Now, Spread: process.ByLot,
	}, o, api, fetcher)
	if err := errors.Join(a.SetUpIndexes(m), a.SetUp(m), m.Add(leader{fetcher})); err != nil {
		return nil, err
	}
	return m, m.AddReadyzCheck("caches", healthz.Ping)
}

// Assemble makes the controller without a manager, for tests that play its surroundings. It takes the served
// CRDs for fitting, and fetches nothing.
func Assemble(s process.Surroundings, o Options) *process.Assembly {
	o.Fetch = FetchOptions{}
	fetcher, err := o.newFetcher(s.Live, s.Now)
	if err != nil {
		panic(err) // nothing was asked for that could be wrong
	}
	return assemble(s, o, fittingCRDs(), fetcher)
}

func assemble(s process.Surroundings, o Options, api *crds, fetcher *fetch.Fetcher) *process.Assembly {
	recorder := recorders.NewCluster(s.Metrics)
	recorders.Build{Version: o.Version, Revision: o.Revision}.Register(s.Metrics, recorders.Controller)
	nodes := func() (map[metav1.ConditionStatus]int, bool) { return countNodes(s.Client) }
	recorder.Observe(recorders.Sources{CRDs: api.current, Nodes: nodes}, o.MetricsPerMap)
	limits := o.limits()
	trigger := &mapTrigger{client: s.Client}
	fetcher.Changed = trigger.fetched
	lives := newLives(s.Client, o.agents(), s.Now, trigger.changed)
	r := &reconciler{
		crds:          api,
		client:        recorder.Client(s.Client),
		live:          s.Live,
		index:         newFleetIndex(),
		keys:          newKeyLists(),
		secrets:       o.Secrets,
		namespaces:    o.Namespaces,
		events:        s.Events,
		compiled:      newCompileCache(recorder.Compile(compile.Run), limits.perMap),
		reserved:      &reservations{},
		lives:         lives,
		groups:        newGroups(),
		fetcher:       fetcher,
		conflicts:     newConflicts(),
		observeStatus: recorder.ObserveStatus,
		forget:        recorder.Forget,
		limits:        limits,
		now:           s.Now,
	}
	return &process.Assembly{
		Indexes: o.indexes(), Cache: o.cache(),
		Parts: []process.Part{{
			Name: name, Reconciler: r, For: &v1alpha1.BPFMap{}, Concurrency: o.Concurrency,
			Watches: append([]process.Watch{
				{Object: &v1alpha1.BPFMapRevision{}, Handler: handler.EnqueueRequestsFromMapFunc(revisionToMap)},
				{Object: &v1alpha1.BPFMap{}, Handler: onGroup(s.Client)},
				{Object: &v1alpha1.BPFNodeState{}, Handler: onNodeState(r.index)},
				{Object: &corev1.Node{}, Handler: onNode(s.Client, r.index)},
				{Object: &corev1.Node{}, Handler: onSelectable(s.Client)},
				{Object: process.Metadata(chunkKind), Handler: onChunk()},
				{Object: process.Metadata(process.ConfigMapKind), Handler: onSource(s.Client, process.ConfigMapKind)},
			}, o.secretWatches(s.Client)...),
			Sources: []rawsource.Source{trigger.source()},
		}, nodeStatesPart(&nodeStates{client: recorder.Client(s.Client), lives: lives}, o.Concurrency)},
	}
}

// secretWatches are what brings changes of Secrets.
func (o *Options) secretWatches(c client.Reader) []process.Watch {
	if !o.Secrets {
		return nil
	}
	return []process.Watch{{Object: process.Metadata(process.SecretKind), Handler: onSource(c, process.SecretKind)}}
}

// agents is the agents' DaemonSet; without a name if none is known.
func (o *Options) agents() types.NamespacedName {
	if o.AgentDaemonSet == "" {
		return types.NamespacedName{}
	}
	return types.NamespacedName{Namespace: o.Namespace, Name: o.AgentDaemonSet}
}

// podNamespace holds the name of a pod's own namespace.
const podNamespace = "/var/run/secrets/kubernetes.io/serviceaccount/namespace"

// findAgents sets the namespace that the agents are in.
func (o *Options) findAgents() error {
	if o.AgentDaemonSet == "" || o.Namespace != "" {
		return nil
	}
	own, err := os.ReadFile(podNamespace)
	if err != nil {
		return fmt.Errorf("find the namespace of the agents' DaemonSet %s (outside of a pod, set --namespace): %w", o.AgentDaemonSet, err)
	}
	o.Namespace = strings.TrimSpace(string(own))
	return nil
}

func (o *Options) limits() limits {
	return limits{
		history:      o.RevisionHistoryLimit,
		perMap:       cmp.Or(o.MaxStoredBytesPerMap, DefaultMaxStoredBytesPerMap),
		perNamespace: cmp.Or(o.MaxStoredBytesPerNamespace, DefaultMaxStoredBytesPerNamespace),
	}
}

func (o *Options) indexes() []process.Index {
	all := []process.Index{
		{Object: &v1alpha1.BPFMapRevision{}, Field: indexMapName, Keys: mapNameOf},
		{Object: process.Metadata(chunkKind), Field: indexOwner, Keys: ownerOf},
		{Object: &v1alpha1.BPFMap{}, Field: indexSources, Keys: sourcesOf},
		{Object: &v1alpha1.BPFNodeState{}, Field: indexReleases, Keys: releasesOf},
		{Object: &v1alpha1.BPFMap{}, Field: indexUnselected, Keys: unselected},
		{Object: &v1alpha1.BPFMap{}, Field: indexGroup, Keys: groupOf},
	}
	if o.AgentDaemonSet != "" {
		all = append(all, process.Index{Object: &corev1.Pod{}, Field: indexAgentNode, Keys: nodeOfPod})
	}
	return all
}

func (o *Options) cache() cache.Options {
	c := cacheOptions()
	if o.AgentDaemonSet != "" {
		cacheAgents(&c, o.agents())
	}
	return c
}

// cacheOptions keep out of memory what this controller never reads: the packed entries of revisions
// and all of a node but its name and labels.
func cacheOptions() cache.Options {
	return cache.Options{
		ByObject: map[client.Object]cache.ByObject{
			// A BPFMap may hold tens of thousands of entries; nothing here writes to the copy.
			&v1alpha1.BPFMap{}:                      {UnsafeDisableDeepCopy: new(true)},
			&v1alpha1.BPFMapRevision{}:              {Transform: trimEntries},
			&corev1.Node{}:                          {Transform: trimNode},
			process.Metadata(process.ConfigMapKind): {Transform: trimMetadata},
			process.Metadata(process.SecretKind):    {Transform: trimMetadata},
		},
	}
}

// trimEntries leaves of the entries their size, as an annotation that is in the cache alone.
func trimEntries(o any) (any, error) {
	rev, ok := o.(*v1alpha1.BPFMapRevision)
	if !ok {
		return o, nil
	}
	if n := len(rev.Spec.Entries); n > 0 {
		if rev.Annotations == nil {
			rev.Annotations = map[string]string{}
		}
		rev.Annotations[v1alpha1.AnnotationPackedBytes] = strconv.Itoa(n)
	}
	rev.Spec.Entries, rev.ManagedFields = nil, nil
	return rev, nil
}

// trimNode keeps of a node what selects it, for maps and for agents, and whether it is ready.
func trimNode(o any) (any, error) {
	n, ok := o.(*corev1.Node)
	if !ok {
		return o, nil
	}
	kept := &corev1.Node{ObjectMeta: metav1.ObjectMeta{
		Name: n.Name, UID: n.UID, ResourceVersion: n.ResourceVersion, CreationTimestamp: n.CreationTimestamp, Labels: n.Labels,
	}}
	kept.Spec.Taints = n.Spec.Taints
	for _, c := range n.Status.Conditions {
		if c.Type == corev1.NodeReady {
			kept.Status.Conditions = []corev1.NodeCondition{{Type: c.Type, Status: c.Status, LastTransitionTime: c.LastTransitionTime}}
		}
	}
	return kept, nil
}

// trimMetadata keeps of an object what identifies, versions and selects it.
func trimMetadata(o any) (any, error) {
	if n, ok := o.(*metav1.PartialObjectMetadata); ok {
		n.ObjectMeta = metav1.ObjectMeta{
			Namespace: n.Namespace, Name: n.Name, UID: n.UID, ResourceVersion: n.ResourceVersion, Labels: n.Labels,
		}
	}
	return o, nil
}
