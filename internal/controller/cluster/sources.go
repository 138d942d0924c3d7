// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"cmp"
	"context"
	"errors"
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

// sources are what spec.entriesFrom names, with the versions that the cache shows. Data are read when
// they are needed, by name.
func (r *reconciler) sources(ctx context.Context, m *v1alpha1.BPFMap) ([]compile.Source, error) {
	var all []compile.Source
	for i, from := range m.Spec.EntriesFrom {
		switch {
		case from.ConfigMapRef != nil:
			s, err := r.named(ctx, i, m.Namespace, process.ConfigMapKind, *from.ConfigMapRef)
			if err != nil {
				return nil, err
			}
			all = append(all, s)
		case from.SecretRef != nil:
			s, err := r.named(ctx, i, m.Namespace, process.SecretKind, *from.SecretRef)
			if err != nil {
				return nil, err
			}
			all = append(all, s)
		case from.ConfigMapSelector != nil:
			selected, err := r.selected(ctx, i, m.Namespace, *from.ConfigMapSelector)
			if err != nil {
				return nil, err
			}
			all = append(all, selected...)
		}
	}
	return all, nil
}

// named is one key of one object.
func (r *reconciler) named(ctx context.Context, index int, namespace string, kind schema.GroupVersionKind, ref v1alpha1.SourceRef) (compile.Source, error) {
	s := compile.Source{Index: index, Name: fmt.Sprintf("%s %s, key %s", kind.Kind, ref.Name, ref.Key)}
	about := process.Metadata(kind)
	err := r.client.Get(ctx, client.ObjectKey{Namespace: namespace, Name: ref.Name}, about)
	switch {
	case apierrors.IsNotFound(err):
		s.Err = fmt.Errorf("there is no %s %s in namespace %s", kind.Kind, ref.Name, namespace)
		return s, nil
	case err != nil:
		return s, fmt.Errorf("look for %s %s: %w", kind.Kind, ref.Name, err)
	}
	return r.keyOf(ctx, s, kind, about, ref.Key)
}

// selected are the keys of all ConfigMaps with some labels, by name and key.
func (r *reconciler) selected(ctx context.Context, index int, namespace string, by v1alpha1.SourceSelector) ([]compile.Source, error) {
	list := process.MetadataList(process.ConfigMapKind)
	err := r.client.List(ctx, list, client.InNamespace(namespace), client.MatchingLabels(by.MatchLabels), client.UnsafeDisableDeepCopy)
	if err != nil {
		return nil, fmt.Errorf("list ConfigMaps: %w", err)
	}
	slices.SortFunc(list.Items, func(a, b metav1.PartialObjectMetadata) int { return cmp.Compare(a.Name, b.Name) })
	var all []compile.Source
	for i := range list.Items {
		about := &list.Items[i]
		keys := []string{by.Key}
		if by.Key == "" {
			if keys, err = r.allKeys(ctx, about); err != nil {
				return nil, err
			}
		}
		for _, key := range keys {
			s := compile.Source{Index: index, Name: fmt.Sprintf("ConfigMap %s, key %s", about.Name, key)}
			if s, err = r.keyOf(ctx, s, process.ConfigMapKind, about, key); err != nil {
				return nil, err
			}
			all = append(all, s)
		}
	}
	if len(all) == 0 {
		selector := labels.SelectorFromSet(by.MatchLabels).String()
		all = append(all, compile.Source{Index: index, Name: "ConfigMaps with " + selector, Err: errors.New("there is none in namespace " + namespace)})
	}
	return all, nil
}

// keyOf completes a source of an object that is there. The version is that of the cache; if the data
// turn out to be newer, the watch brings the next compilation.
func (r *reconciler) keyOf(ctx context.Context, s compile.Source, kind schema.GroupVersionKind, about *metav1.PartialObjectMetadata, key string) (compile.Source, error) {
	name := client.ObjectKeyFromObject(about)
	s.Version = string(about.UID) + "/" + about.ResourceVersion
	s.Load = func() ([]byte, error) {
		data, err := r.read(ctx, kind, name)
		if err != nil {
			return nil, err
		}
		value, ok := data[key]
		if !ok {
			return nil, &compile.MissingError{Message: fmt.Sprintf("there is no such key: there are %v", slices.Sorted(maps.Keys(data)))}
		}
		return value, nil
	}
	return s, nil
}

// allKeys are the keys of a ConfigMap, read once for each of its versions.
func (r *reconciler) allKeys(ctx context.Context, about *metav1.PartialObjectMetadata) ([]string, error) {
	if keys, ok := r.keys.get(about); ok {
		return keys, nil
	}
	data, err := r.read(ctx, process.ConfigMapKind, client.ObjectKeyFromObject(about))
	if err != nil {
		return nil, err
	}
	keys := slices.Sorted(maps.Keys(data))
	r.keys.put(about, keys)
	return keys, nil
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

// read reads an object's data from the API server: caching all ConfigMaps and Secrets of a cluster would
// cost more than it saves.
func (r *reconciler) read(ctx context.Context, kind schema.GroupVersionKind, name types.NamespacedName) (map[string][]byte, error) {
	if kind == process.SecretKind {
		var secret corev1.Secret
		if err := r.live.Get(ctx, name, &secret); err != nil {
			return nil, fmt.Errorf("read Secret %s: %w", name, err)
		}
		return secret.Data, nil
	}
	var config corev1.ConfigMap
	if err := r.live.Get(ctx, name, &config); err != nil {
		return nil, fmt.Errorf("read ConfigMap %s: %w", name, err)
	}
	data := make(map[string][]byte, len(config.Data)+len(config.BinaryData))
	for k, v := range config.Data {
		data[k] = []byte(v)
	}
	maps.Copy(data, config.BinaryData)
	return data, nil
}
