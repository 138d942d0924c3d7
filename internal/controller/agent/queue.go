// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"context"
	"maps"
	"slices"
	"strings"
	"sync"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/controller/process"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
	"github.com/bpfmap-io/bpfmap-operator/internal/schema"
)

// trigger puts requests into a controller's queue from outside of any watch. What comes before the
// controller runs is kept.
type trigger struct {
	mu      sync.Mutex
	queue   workqueue.TypedRateLimitingInterface[reconcile.Request]
	waiting []types.NamespacedName
}

func (t *trigger) source(name string) source.Source {
	return process.NamedSource{Name: name, Func: func(_ context.Context, q workqueue.TypedRateLimitingInterface[reconcile.Request]) error {
		t.mu.Lock()
		defer t.mu.Unlock()
		t.queue = q
		for _, name := range t.waiting {
			q.Add(reconcile.Request{NamespacedName: name})
		}
		t.waiting = nil
		return nil
	}}
}

func (t *trigger) add(names ...types.NamespacedName) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.queue == nil {
		t.waiting = append(t.waiting, names...)
		return
	}
	for _, name := range names {
		t.queue.Add(reconcile.Request{NamespacedName: name})
	}
}

// addLater is add for a request that may have failed: the rate limiter says when.
func (t *trigger) addLater(name types.NamespacedName) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.queue != nil {
		t.queue.AddRateLimited(reconcile.Request{NamespacedName: name})
	}
}

// mapQueue finds the maps that are to be reconciled again, and puts them into the reconciler's queue.
type mapQueue struct {
	trigger
	client client.Reader // of the cache, with its indexes
	checks *checks
	state  *nodeState
}

// addMaps lets maps be reconciled again.
func (q *mapQueue) addMaps(keys []revision.Key) {
	for _, key := range keys {
		q.add(types.NamespacedName(key))
	}
}

// addAll lets every map be compared again, after the host changed. e is nil while the host isn't ready.
func (q *mapQueue) addAll(ctx context.Context, e Engine) {
	q.checks.forgetAll()
	q.addMaps(q.all(ctx, e))
}

// all are the maps that are declared, those that were reported, and those that only the records know because
// they were deleted while no agent ran. They are in order, so that after a reboot it is not a matter of
// chance which maps a limit of memory has room for.
func (q *mapQueue) all(ctx context.Context, e Engine) []revision.Key {
	keys := map[revision.Key]bool{}
	var list v1alpha1.BPFMapRevisionList
	if err := q.client.List(ctx, &list, client.UnsafeDisableDeepCopy); err != nil {
		log.FromContext(ctx).Error(err, "Revisions can't be listed")
	}
	for i := range list.Items {
		keys[mapOf(&list.Items[i])] = true
	}
	for _, key := range q.state.keys() {
		keys[key] = true
	}
	if e != nil {
		records, err := e.Records(ctx)
		if err != nil {
			log.FromContext(ctx).Error(err, "Records can't be read")
		}
		for i := range records {
			if records[i].UID != "" { // others belong to people at this machine
				keys[records[i].Key] = true
			}
		}
	}
	return slices.SortedFunc(maps.Keys(keys), func(a, b revision.Key) int { return strings.Compare(a.String(), b.String()) })
}

// indexReferences finds the revisions that name something: "mapRef/<name>", "ifindex/".
const indexReferences = "spec.references"

// interfacesReference is what indexReferences holds of revisions that name interfaces. Interfaces change
// together, so that one word is enough for all of them.
const interfacesReference = string(v1alpha1.TypeIfindex) + "/"

// mapReference is what indexReferences holds of revisions that name the map of a BPFMap.
func mapReference(name string) string { return string(v1alpha1.TypeMapRef) + "/" + name }

// referenceKeys are what indexReferences holds of a revision.
func referenceKeys(object client.Object) []string {
	var keys []string
	for _, l := range object.(*v1alpha1.BPFMapRevision).Spec.References {
		if _, isNumber := schema.LinkNumber(l); isNumber {
			continue
		}
		switch l.Type {
		case v1alpha1.TypeMapRef:
			keys = append(keys, mapReference(l.Name))
		case v1alpha1.TypeIfindex:
			keys = append(keys, interfacesReference)
		}
	}
	slices.Sort(keys)
	return slices.Compact(keys)
}

// addReferrers lets the maps be compared again whose entries name something that changed.
func (q *mapQueue) addReferrers(ctx context.Context, reference string, in ...client.ListOption) {
	var list v1alpha1.BPFMapRevisionList
	options := append(slices.Clone(in), client.MatchingFields{indexReferences: reference}, client.UnsafeDisableDeepCopy)
	if err := q.client.List(ctx, &list, options...); err != nil {
		log.FromContext(ctx).Error(err, "Revisions that name something can't be listed", "reference", reference)
		return
	}
	for i := range list.Items {
		key := mapOf(&list.Items[i])
		q.checks.forget(key)
		q.add(types.NamespacedName(key))
	}
}

// addHolders lets the maps be compared again that hold the map of a BPFMap, after it became another one.
func (q *mapQueue) addHolders(ctx context.Context, key revision.Key) {
	q.addReferrers(ctx, mapReference(key.Name), client.InNamespace(key.Namespace))
}

// mapOf names the BPFMap of a revision.
func mapOf(r *v1alpha1.BPFMapRevision) revision.Key {
	return revision.Key{Namespace: r.Namespace, Name: r.Spec.MapName}
}
