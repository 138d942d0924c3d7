// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package scale

import (
	"context"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/rollout"
)

// thin is an agent that sends the requests of the agent's code, and says that it did what it was told.
type thin struct {
	node  string
	api   *api
	dirty chan struct{}

	mu sync.Mutex
	// What the watches show: the active revisions by their BPFMap and name, the node, and its state.
	revisions map[types.NamespacedName]map[string]v1alpha1.BPFMapRevision
	labels    labels.Set
	nodeUID   types.UID
	version   string // of the state's object; empty if there is none
	published v1alpha1.BPFNodeStateStatus
	synced    int // how many watches have shown what there was
	// What it holds.
	maps   map[types.NamespacedName]*held
	failed func() string // a message: what it takes from now on fails
	// unpublished says that it holds something else than it has published.
	unpublished bool
}

// held is a map that it says it holds.
type held struct {
	state  v1alpha1.NodeMap
	chunks map[string]bool
}

func newThin(node string, api *api) *thin {
	return &thin{
		node: node, api: api, dirty: make(chan struct{}, 1),
		revisions: map[types.NamespacedName]map[string]v1alpha1.BPFMapRevision{}, maps: map[types.NamespacedName]*held{},
	}
}

// watches is how many watches an agent has.
const watches = 3

// run works until ctx ends.
func (a *thin) run(ctx context.Context) {
	var all sync.WaitGroup
	defer all.Wait()
	all.Go(func() {
		listAndWatch(ctx, a.api, watchOptions{revisionsPath, labelQuery(v1alpha1.LabelActive + "=true"), asIs}, revisionEvents, a.onRevision, a.onSynced)
	})
	all.Go(func() {
		listAndWatch(ctx, a.api, watchOptions{nodesPath, nameQuery(a.node), asMetadata}, nodeEvents, a.onNode, a.onSynced)
	})
	all.Go(func() {
		listAndWatch(ctx, a.api, watchOptions{statesPath, nameQuery(a.node), asIs}, stateEvents, a.onState, a.onSynced)
	})
	var last time.Time
	for retry := 100 * time.Millisecond; ; {
		select {
		case <-ctx.Done():
			return
		case <-a.dirty:
		}
		if pause := time.Second - time.Since(last); pause > 0 && !last.IsZero() {
			wait(ctx, pause+rand.N(time.Second/4)) // as the agent's publisher does
		}
		published, err := a.work(ctx)
		switch {
		case err != nil:
			wait(ctx, retry)
			retry = min(2*retry, time.Minute)
			a.wake()
		case published:
			last, retry = time.Now(), 100*time.Millisecond
		}
	}
}

func (a *thin) wake() {
	select {
	case a.dirty <- struct{}{}:
	default:
	}
}

func (a *thin) onSynced() {
	a.mu.Lock()
	a.synced++
	a.mu.Unlock()
	a.wake()
}

func (a *thin) onRevision(kind string, rev *v1alpha1.BPFMapRevision) {
	a.mu.Lock()
	defer a.mu.Unlock()
	key := types.NamespacedName{Namespace: rev.Namespace, Name: rev.Spec.MapName}
	if a.revisions[key] == nil {
		a.revisions[key] = map[string]v1alpha1.BPFMapRevision{}
	}
	if kind == deleted {
		delete(a.revisions[key], rev.Name)
	} else {
		a.revisions[key][rev.Name] = *rev
	}
	a.wake()
}

func (a *thin) onNode(_ string, node *metav1.PartialObjectMetadata) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.labels, a.nodeUID = node.Labels, node.UID
	a.wake()
}

func (a *thin) onState(kind string, state *v1alpha1.BPFNodeState) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if kind == deleted {
		a.version = ""
		a.wake()
	} else if isNewer(state.ResourceVersion, a.version) { // its own write's answer may have been faster
		a.version, a.published = state.ResourceVersion, state.Status
	}
	if a.synced < watches {
		for _, m := range state.Status.Maps { // what the agent before it published
			key := types.NamespacedName{Namespace: m.Namespace, Name: m.Name}
			if a.maps[key] == nil {
				a.maps[key] = &held{state: m}
			}
		}
	}
}

func isNewer(version, than string) bool {
	return len(version) > len(than) || (len(version) == len(than) && version > than)
}

// work takes what it is told, and publishes what it holds if that changed.
func (a *thin) work(ctx context.Context) (published bool, err error) {
	a.mu.Lock()
	if a.synced < watches {
		a.mu.Unlock()
		return false, nil
	}
	wanted := a.wanted()
	failed := a.failed
	a.mu.Unlock()
	for key, rev := range wanted {
		if h := a.maps[key]; rev == nil {
			delete(a.maps, key)
			a.unpublished = true
		} else if h == nil || h.state.Revision != rev.Name || h.state.UID != rev.Spec.MapUID {
			if err := a.take(ctx, key, rev, failed); err != nil {
				return false, err
			}
			a.unpublished = true
		} else if h.chunks == nil { // the agent before it had read them
			if err := a.load(ctx, key, rev, h); err != nil {
				return false, err
			}
		}
	}
	a.mu.Lock()
	version := a.version
	a.mu.Unlock()
	if !a.unpublished && version != "" {
		return false, nil
	}
	if err := a.publish(ctx, version); err != nil {
		return false, err
	}
	a.unpublished = false
	return true, nil
}

// wanted are the revisions by their maps, nil for a map that is to go. Maps for which nothing is decided yet
// aren't in it. The lock is held.
func (a *thin) wanted() map[types.NamespacedName]*v1alpha1.BPFMapRevision {
	wanted := map[types.NamespacedName]*v1alpha1.BPFMapRevision{}
	for key := range a.maps {
		if len(a.revisions[key]) == 0 {
			wanted[key] = nil
		}
	}
	for key, named := range a.revisions {
		list := make([]v1alpha1.BPFMapRevision, 0, len(named))
		for _, rev := range named {
			list = append(list, rev)
		}
		switch best := rollout.Newest(list, a.node); {
		case best == nil:
		case labels.SelectorFromSet(best.Spec.NodeSelector).Matches(a.labels):
			wanted[key] = best
		case a.maps[key] != nil:
			wanted[key] = nil
		}
	}
	return wanted
}

// fetchers is how many chunks an agent reads in parallel.
const fetchers = 2

// take reads the chunks that it lacks and holds the revision then.
func (a *thin) take(ctx context.Context, key types.NamespacedName, rev *v1alpha1.BPFMapRevision, failed func() string) error {
	h, now := a.maps[key], &held{}
	if h != nil {
		now.chunks = h.chunks
	}
	if err := a.load(ctx, key, rev, now); err != nil {
		return err
	}
	entries := rev.Spec.EntryCount
	state := v1alpha1.NodeMap{
		Namespace: key.Namespace, Name: key.Name, UID: rev.Spec.MapUID, Revision: rev.Name, Digest: rev.Spec.Digest,
		MapID: 1, PinPath: "/sys/fs/bpf/" + rev.Spec.Pin.Path, Entries: &entries, MemlockBytes: 4096, State: v1alpha1.NodeMapReady,
	}
	if failed != nil {
		if state.Message = failed(); state.Message != "" {
			state.State, state.Reason = v1alpha1.NodeMapFailed, v1alpha1.NodeReasonSyncFailed
		}
	}
	now.state = state
	a.maps[key] = now
	return nil
}

// load reads the chunks of a revision that aren't at hand.
func (a *thin) load(ctx context.Context, key types.NamespacedName, rev *v1alpha1.BPFMapRevision, h *held) error {
	chunks := map[string]bool{}
	var lacking []string
	for _, name := range rev.Spec.Chunks {
		if !h.chunks[name] {
			lacking = append(lacking, name)
		}
		chunks[name] = true
	}
	if err := a.read(ctx, key.Namespace, lacking); err != nil {
		return err
	}
	h.chunks = chunks
	return nil
}

func (a *thin) read(ctx context.Context, namespace string, names []string) error {
	if len(names) == 0 {
		return nil
	}
	wait(ctx, rand.N(50*time.Millisecond))
	slots, failures := make(chan struct{}, fetchers), make(chan error, len(names))
	for _, name := range names {
		go func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			failures <- a.api.send(ctx, http.MethodGet, chunkPath(namespace, name), nil, nil)
		}()
	}
	for range names {
		if err := <-failures; err != nil {
			return err
		}
	}
	return nil
}

// publish writes the state.
func (a *thin) publish(ctx context.Context, version string) error {
	state := &v1alpha1.BPFNodeState{TypeMeta: metav1.TypeMeta{APIVersion: v1alpha1.GroupVersion.String(), Kind: "BPFNodeState"}}
	state.Name = a.node
	if version == "" {
		state.OwnerReferences = []metav1.OwnerReference{{APIVersion: "v1", Kind: "Node", Name: a.node, UID: a.nodeUID}}
		var created v1alpha1.BPFNodeState
		if err := a.api.send(ctx, http.MethodPost, statesPath, state, &created); err != nil {
			return err
		}
		version = created.ResourceVersion
	}
	state.ResourceVersion = version
	state.Status = a.status()
	// As the agent does before it reports a revision.
	if err := a.api.send(ctx, http.MethodGet, statesPath+"/"+a.node+"?resourceVersion=0", nil, &v1alpha1.BPFNodeState{}); err != nil && !apierrors.IsNotFound(err) {
		return err
	}
	var written v1alpha1.BPFNodeState
	err := a.api.send(ctx, http.MethodPut, statesPath+"/"+a.node+"/status", state, &written)
	if apierrors.IsConflict(err) {
		if err := a.api.send(ctx, http.MethodGet, statesPath+"/"+a.node, nil, &written); err != nil {
			return err
		}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if isNewer(written.ResourceVersion, a.version) {
		a.version, a.published = written.ResourceVersion, written.Status
	}
	return err
}

// status is what it publishes, without what the controller writes there.
func (a *thin) status() v1alpha1.BPFNodeStateStatus {
	a.mu.Lock()
	s := v1alpha1.BPFNodeStateStatus{
		KernelRelease: "6.18.0", BootID: "boot-" + a.node, AgentVersion: "scale", PossibleCPUs: 2,
		Conditions: slices.Clone(a.published.Conditions), Releases: a.published.Releases,
	}
	a.mu.Unlock()
	meta.SetStatusCondition(&s.Conditions, metav1.Condition{
		Type: hostReady, Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonNodeReady, Message: "maps can be managed on this node",
	})
	for _, h := range a.maps {
		s.Maps = append(s.Maps, h.state)
	}
	slices.SortFunc(s.Maps, func(x, y v1alpha1.NodeMap) int {
		return strings.Compare(x.Namespace+"/"+x.Name, y.Namespace+"/"+y.Name)
	})
	s.Summary.Maps = int32(len(s.Maps))
	return s
}

// flap lets all maps fail, or be well again.
func (a *thin) flap(ctx context.Context, fails bool) error {
	for _, h := range a.maps {
		if h.state.State, h.state.Reason, h.state.Message = v1alpha1.NodeMapReady, "", ""; fails {
			h.state.State, h.state.Reason, h.state.Message = v1alpha1.NodeMapFailed, v1alpha1.NodeReasonSyncFailed, "the node flaps"
		}
	}
	a.mu.Lock()
	version := a.version
	a.mu.Unlock()
	return a.publish(ctx, version)
}

// failOn lets everything fail that it takes from now on; an empty message ends that.
func (a *thin) failOn(message string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.failed = func() string { return message }
}

func wait(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}
