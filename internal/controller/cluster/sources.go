// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"fmt"
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/lru"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/compile"
	"github.com/bpfmap-io/bpfmap-operator/internal/controller/process"
)

// indexSources finds BPFMaps by the objects that they read: "ConfigMap/NAME", "Secret/NAME", and
// anySelector for those that select ConfigMaps by labels.
const (
	indexSources = "spec.entriesFrom"
	anySelector  = "ConfigMap/*"
)

func sourceKey(kind schema.GroupVersionKind, name string) string { return kind.Kind + "/" + name }

func sourcesOf(o client.Object) []string {
	var keys []string
	for _, from := range o.(*v1alpha1.BPFMap).Spec.EntriesFrom {
		keys = append(keys, fetchKeys(o.GetNamespace(), &from)...)
		switch {
		case from.ConfigMapRef != nil:
			keys = append(keys, sourceKey(process.ConfigMapKind, from.ConfigMapRef.Name))
		case from.SecretRef != nil:
			keys = append(keys, sourceKey(process.SecretKind, from.SecretRef.Name))
		case from.ConfigMapSelector != nil:
			keys = append(keys, anySelector)
		}
	}
	slices.Sort(keys)
	return slices.Compact(keys)
}

// onSource enqueues the BPFMaps that read an object, before or after a change of its labels.
func onSource(c client.Reader, kind schema.GroupVersionKind) handler.EventHandler {
	enqueue := func(ctx context.Context, q queue, objects ...client.Object) {
		for _, name := range readers(ctx, c, kind, objects) {
			q.Add(reconcile.Request{NamespacedName: name})
		}
	}
	return handler.Funcs{
		CreateFunc: func(ctx context.Context, e event.CreateEvent, q queue) { enqueue(ctx, q, e.Object) },
		DeleteFunc: func(ctx context.Context, e event.DeleteEvent, q queue) { enqueue(ctx, q, e.Object) },
		UpdateFunc: func(ctx context.Context, e event.UpdateEvent, q queue) {
			if e.ObjectOld.GetResourceVersion() != e.ObjectNew.GetResourceVersion() {
				enqueue(ctx, q, e.ObjectOld, e.ObjectNew)
			}
		},
	}
}

// readers are the BPFMaps that read an object, given as it was and as it is.
func readers(ctx context.Context, c client.Reader, kind schema.GroupVersionKind, objects []client.Object) []types.NamespacedName {
	keys := []string{sourceKey(kind, objects[0].GetName())}
	if kind == process.ConfigMapKind {
		keys = append(keys, anySelector)
	}
	var names []types.NamespacedName
	for _, key := range keys {
		var list v1alpha1.BPFMapList
		err := c.List(ctx, &list, client.InNamespace(objects[0].GetNamespace()), client.MatchingFields{indexSources: key}, client.UnsafeDisableDeepCopy)
		if err != nil {
			log.FromContext(ctx).Error(err, "Failed to list the readers of a source", "source", key)
			continue
		}
		for i := range list.Items {
			if key != anySelector || selectsAny(&list.Items[i], objects) {
				names = append(names, client.ObjectKeyFromObject(&list.Items[i]))
			}
		}
	}
	return names
}

func selectsAny(m *v1alpha1.BPFMap, objects []client.Object) bool {
	return slices.ContainsFunc(m.Spec.EntriesFrom, func(from v1alpha1.EntrySource) bool {
		return from.ConfigMapSelector != nil && slices.ContainsFunc(objects, func(o client.Object) bool {
			return labels.SelectorFromSet(from.ConfigMapSelector.MatchLabels).Matches(labels.Set(o.GetLabels()))
		})
	})
}

// objects are the ConfigMaps and Secrets of a BPFMap's namespace, with the versions that the cache shows. Data
// are read when they are needed, by name; if they turn out to be newer, the watch brings the next compilation.
type objects struct {
	*reconciler
	ctx       context.Context // lives as long as one compilation, which knows no contexts
	namespace string
	// from is the cache, or the API server.
	from client.Reader
}

// noSecrets is why a controller without Options.Secrets reads none.
const noSecrets = "this controller reads no Secrets: the administrator has to set the chart value controller.sources.secrets.enabled (--secret-sources, and the right to read them)"

// Get looks for a ConfigMap or Secret.
func (o objects) Get(kind, name string) (compile.Object, error) {
	if kind == process.SecretKind.Kind && !o.secrets {
		return nil, &compile.MissingError{Message: noSecrets}
	}
	about := process.Metadata(schema.GroupVersionKind{Version: "v1", Kind: kind})
	err := o.from.Get(o.ctx, client.ObjectKey{Namespace: o.namespace, Name: name}, about)
	switch {
	case apierrors.IsNotFound(err):
		return nil, nil // what compile.Objects asks for
	case err != nil:
		return nil, err
	}
	return object{o, kind, about}, nil
}

// Select looks for ConfigMaps.
func (o objects) Select(by labels.Selector) ([]compile.Object, error) {
	list := process.MetadataList(process.ConfigMapKind)
	err := o.from.List(o.ctx, list, client.InNamespace(o.namespace), client.MatchingLabelsSelector{Selector: by}, client.UnsafeDisableDeepCopy)
	if err != nil {
		return nil, err
	}
	found := make([]compile.Object, len(list.Items))
	for i := range list.Items {
		found[i] = object{o, process.ConfigMapKind.Kind, &list.Items[i]}
	}
	return found, nil
}

// Where is for messages.
func (o objects) Where() string { return "in namespace " + o.namespace }

// object is one of them.
type object struct {
	in    objects
	kind  string
	about *metav1.PartialObjectMetadata
}

func (o object) Name() string    { return o.about.Name }
func (o object) Version() string { return string(o.about.UID) + "/" + o.about.ResourceVersion }

// Keys are read once for each version of an object.
func (o object) Keys() ([]string, error) {
	if keys, ok := o.in.keys.get(o.about); ok {
		return keys, nil
	}
	data, err := o.Data()
	if err != nil {
		return nil, err
	}
	keys := slices.Sorted(maps.Keys(data))
	o.in.keys.put(o.about, keys)
	return keys, nil
}

// Data reads the data from the API server: caching all ConfigMaps and Secrets of a cluster would cost more than
// it saves.
func (o object) Data() (map[string][]byte, error) {
	return readData(o.in.ctx, o.in.live, o.kind, client.ObjectKeyFromObject(o.about))
}

// readData reads the data of a ConfigMap or Secret.
func readData(ctx context.Context, live client.Reader, kind string, name types.NamespacedName) (map[string][]byte, error) {
	if kind == process.SecretKind.Kind {
		var secret corev1.Secret
		if err := live.Get(ctx, name, &secret); err != nil {
			return nil, fmt.Errorf("read Secret %s: %w", name, err)
		}
		return secret.Data, nil
	}
	var config corev1.ConfigMap
	if err := live.Get(ctx, name, &config); err != nil {
		return nil, fmt.Errorf("read ConfigMap %s: %w", name, err)
	}
	data := make(map[string][]byte, len(config.Data)+len(config.BinaryData))
	for k, v := range config.Data {
		data[k] = []byte(v)
	}
	maps.Copy(data, config.BinaryData)
	return data, nil
}

// keyLists remembers the keys of the ConfigMaps that were used last. It is safe for concurrent use.
type keyLists struct{ last *lru.Cache } // of keyList, by the ConfigMap's UID

type keyList struct {
	version string
	keys    []string
}

// What is remembered of ConfigMaps, which may be gone, is bounded: their number, and the bytes of the keys of
// each. Longer lists are read again each time.
const (
	maxKeyLists     = 4096
	maxKeyListBytes = 16 << 10
)

func newKeyLists() *keyLists { return &keyLists{lru.New(maxKeyLists)} }

func (l *keyLists) get(about *metav1.PartialObjectMetadata) ([]string, bool) {
	found, _ := l.last.Get(about.UID)
	k, ok := found.(keyList)
	return k.keys, ok && k.version == about.ResourceVersion
}

func (l *keyLists) put(about *metav1.PartialObjectMetadata, keys []string) {
	size := 0
	for _, k := range keys {
		size += len(k)
	}
	if size > maxKeyListBytes {
		l.last.Remove(about.UID)
		return
	}
	l.last.Add(about.UID, keyList{about.ResourceVersion, keys})
}
