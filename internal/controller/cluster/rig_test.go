// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/compile"
	"github.com/bpfmap-io/bpfmap-operator/internal/controller/process"
	"github.com/bpfmap-io/bpfmap-operator/internal/rollout"
)

// rig is a reconciler beside a store of objects. faults, if set, come between the two.
type rig struct {
	*reconciler
	t *testing.T
	// store has no faults; the reconciler's own client and its live reader see it through theirs.
	store    client.WithWatch
	recorder *events.FakeRecorder
	filling  sync.Mutex
}

func newRig(t *testing.T, faults interceptor.Funcs, objects ...client.Object) *rig {
	t.Helper()
	store := fake.NewClientBuilder().WithScheme(process.Scheme()).WithObjects(objects...).
		WithStatusSubresource(&v1alpha1.BPFMap{}, &v1alpha1.BPFMapRevision{}, &v1alpha1.BPFNodeState{}).
		WithIndex(&v1alpha1.BPFMapRevision{}, indexMapName, mapNameOf).
		WithIndex(&v1alpha1.BPFNodeState{}, indexReleases, releasesOf).
		WithIndex(&v1alpha1.BPFMap{}, indexGroup, groupOf).
		WithIndex(process.Metadata(chunkKind), indexOwner, ownerOf).
		Build()
	checked := make(chan struct{})
	close(checked)
	l := limits{history: 2, perMap: DefaultMaxStoredBytesPerMap, perNamespace: DefaultMaxStoredBytesPerNamespace}
	fetcher, err := (&Options{}).newFetcher(store, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	g := &rig{t: t, store: store, recorder: events.NewFakeRecorder(10000)}
	g.reconciler = &reconciler{
		client: interceptor.NewClient(store, faults), live: store, index: newFleetIndex(), keys: newKeyLists(), events: g.recorder,
		crds: &crds{first: checked, told: map[types.NamespacedName]bool{}}, compiled: newCompileCache(compile.Run, l.perMap),
		reserved: &reservations{}, groups: newGroups(), fetcher: fetcher, conflicts: newConflicts(), limits: l, now: time.Now,
		observeStatus: func(*v1alpha1.BPFMap, v1alpha1.BPFMapStatus) {}, forget: func(types.NamespacedName) {},
	}
	return g
}

// bound sets how much may be stored.
func (g *rig) bound(perMap, perNamespace int64) {
	g.limits.perMap, g.limits.perNamespace = perMap, perNamespace
	g.compiled.maxStored = perMap
}

func (g *rig) reconcile(name string) (reconcile.Result, error) {
	g.fillIndex()
	return g.Reconcile(g.t.Context(), reconcile.Request{NamespacedName: key(name)})
}

// fillIndex does what watches would.
func (g *rig) fillIndex() {
	g.t.Helper()
	g.filling.Lock() // as one watch delivers one event after the other
	defer g.filling.Unlock()
	var nodes corev1.NodeList
	var states v1alpha1.BPFNodeStateList
	if err := errors.Join(g.store.List(g.t.Context(), &nodes), g.store.List(g.t.Context(), &states)); err != nil {
		g.t.Fatal(err)
	}
	gone := map[string]bool{}
	for name := range g.index.nodes {
		gone[name] = true
	}
	for i := range nodes.Items {
		delete(gone, nodes.Items[i].Name)
		g.index.setNode(nodes.Items[i].Name, &nodes.Items[i])
	}
	for name := range gone {
		g.index.setNode(name, nil)
	}
	for name := range g.index.reported {
		gone[name] = true
	}
	for i := range states.Items {
		delete(gone, states.Items[i].Name)
		g.index.setState(states.Items[i].Name, &states.Items[i])
	}
	for name := range gone {
		g.index.setState(name, nil)
	}
}

// settle reconciles as a work queue does, until nothing changes.
func (g *rig) settle(name string) {
	g.t.Helper()
	last := ""
	for range 50 {
		if _, err := g.reconcile(name); err != nil {
			g.t.Fatal(err)
		}
		now := g.versions(name)
		if now == last {
			return
		}
		last = now
	}
	g.t.Fatalf("%s doesn't come to rest: %+v", name, g.get(name).Status)
}

// versions change with each write.
func (g *rig) versions(name string) string {
	g.t.Helper()
	var b strings.Builder
	fmt.Fprintln(&b, g.get(name).ResourceVersion)
	for _, rev := range g.revisionsIn(key(name).Namespace) {
		fmt.Fprintln(&b, rev.Name, rev.ResourceVersion)
	}
	fmt.Fprintln(&b, len(g.chunksIn(key(name).Namespace)), "chunks")
	return b.String()
}

// key is "edge/name" for a name without a namespace.
func key(name string) types.NamespacedName {
	if namespace, rest, ok := strings.Cut(name, "/"); ok {
		return types.NamespacedName{Namespace: namespace, Name: rest}
	}
	return types.NamespacedName{Namespace: "edge", Name: name}
}

func (g *rig) get(name string) *v1alpha1.BPFMap {
	g.t.Helper()
	m := &v1alpha1.BPFMap{}
	if err := g.store.Get(g.t.Context(), key(name), m); err != nil {
		g.t.Fatal(err)
	}
	return m
}

// edit changes a BPFMap's spec as the API server does.
func (g *rig) edit(name string, change func(*v1alpha1.BPFMapSpec)) {
	g.t.Helper()
	m := g.get(name)
	change(&m.Spec)
	m.Generation++
	if err := g.store.Update(g.t.Context(), m); err != nil {
		g.t.Fatal(err)
	}
}

func (g *rig) revisionsIn(namespace string) []v1alpha1.BPFMapRevision {
	g.t.Helper()
	var list v1alpha1.BPFMapRevisionList
	if err := g.store.List(context.Background(), &list, client.InNamespace(namespace)); err != nil {
		g.t.Fatal(err)
	}
	return list.Items
}

// names are the names of the revisions in namespace edge, in order, the active ones with a star.
func (g *rig) names() string {
	g.t.Helper()
	var list []string
	for _, rev := range g.revisionsIn("edge") {
		name := rev.Name
		if rev.Labels[v1alpha1.LabelActive] == active {
			name += "*"
		}
		list = append(list, name)
	}
	return strings.Join(list, " ")
}

// chunksIn are the sizes of a namespace's chunks by name.
func (g *rig) chunksIn(namespace string) map[string]int {
	g.t.Helper()
	var list v1alpha1.BPFMapChunkList
	if err := g.store.List(context.Background(), &list, client.InNamespace(namespace)); err != nil {
		g.t.Fatal(err)
	}
	sizes := map[string]int{}
	for _, c := range list.Items {
		sizes[c.Name] = len(c.Entries)
	}
	return sizes
}

// storedBytes is what a namespace really stores.
func (g *rig) storedBytes(namespace string) (n int64) {
	for _, size := range g.chunksIn(namespace) {
		n += int64(size)
	}
	for _, rev := range g.revisionsIn(namespace) {
		n += int64(len(rev.Spec.Entries))
	}
	return n
}

// condition is a condition of a BPFMap, checked for its status and reason.
func (g *rig) condition(name, kind string, status metav1.ConditionStatus, reason string) string {
	g.t.Helper()
	c := meta.FindStatusCondition(g.get(name).Status.Conditions, kind)
	if c == nil || c.Status != status || c.Reason != reason {
		g.t.Fatalf("condition %s is %+v, want %s, reason %s", kind, c, status, reason)
	}
	return c.Message
}

// told are the events so far, and drops them.
func (g *rig) told() (list []string) {
	for {
		select {
		case e := <-g.recorder.Events:
			list = append(list, e)
		default:
			return list
		}
	}
}

// newMap is a BPFMap with entries whose values are strings of this many bytes.
func newMap(name string, size int, values ...string) *v1alpha1.BPFMap {
	m := &v1alpha1.BPFMap{ObjectMeta: metav1.ObjectMeta{
		Namespace: key(name).Namespace, Name: key(name).Name, UID: types.UID("uid-" + name), Generation: 1,
	}}
	m.Spec = v1alpha1.BPFMapSpec{
		Type: v1alpha1.MapTypeHash, Key: &v1alpha1.Schema{Type: v1alpha1.TypeU32},
		Value: v1alpha1.Schema{Type: v1alpha1.TypeString, Size: int32(size)}, MaxEntries: 100000,
	}
	m.Spec.Entries = entries(values...)
	m.Spec.Rollout = &v1alpha1.Rollout{MinReadySeconds: new(int32(0))} // rollouts take as long as their reconciles
	return m
}

// entries have the keys 0, 1, … .
func entries(values ...string) (list []v1alpha1.Entry) {
	for i, v := range values {
		list = append(list, v1alpha1.Entry{
			Key: &apiextensionsv1.JSON{Raw: fmt.Append(nil, i)}, Value: &apiextensionsv1.JSON{Raw: fmt.Appendf(nil, "%q", v)},
		})
	}
	return list
}

// many are n values that contain a mark.
func many(n int, mark string) []string {
	values := make([]string, n)
	for i := range values {
		values[i] = fmt.Sprint(mark, " ", i)
	}
	return values
}

// newNode is a node, and what its agent reports of a BPFMap at a revision.
func newNode(name string) *corev1.Node {
	return &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name}}
}

// reports lets a node's agent say that it is ready with the revision of the BPFMap foo that it is to hold.
func (g *rig) reports(node string) {
	g.t.Helper()
	m := g.get("foo")
	var list v1alpha1.BPFMapRevisionList
	if err := g.store.List(g.t.Context(), &list, client.InNamespace(m.Namespace), client.MatchingFields{indexMapName: m.Name}); err != nil {
		g.t.Fatal(err)
	}
	rev := rollout.Newest(list.Items, node)
	if rev == nil {
		g.t.Fatalf("node %s is to hold no revision of foo", node)
	}
	s := &v1alpha1.BPFNodeState{ObjectMeta: metav1.ObjectMeta{Name: node}}
	s.Status.Maps = []v1alpha1.NodeMap{{
		Namespace: m.Namespace, Name: m.Name, UID: string(m.UID), Revision: rev.Name, State: v1alpha1.NodeMapReady, Reason: v1alpha1.NodeReasonInSync, MapID: 7,
	}}
	if err := client.IgnoreNotFound(g.store.Delete(g.t.Context(), s.DeepCopy())); err != nil {
		g.t.Fatal(err)
	}
	if err := g.store.Create(g.t.Context(), s); err != nil {
		g.t.Fatal(err)
	}
}
