// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package histories

import (
	"fmt"
	"reflect"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
)

// kind is what the store knows of one.
type kind struct {
	name       string
	group      string
	namespaced bool
	// custom kinds are those of CRDs: they count generations.
	custom bool
	// immutable specs are refused when they change.
	immutable bool
	empty     func() client.Object
	// spec is what a change of counts as a new generation.
	spec func(client.Object) any
	// status copies the status, where that is a subresource.
	status func(to, from client.Object)
}

func (k kind) resource() schema.GroupResource {
	return schema.GroupResource{Group: k.group, Resource: strings.ToLower(k.name) + "s"}
}
func (k kind) of() schema.GroupKind { return schema.GroupKind{Group: k.group, Kind: k.name} }

var namespaceResource = schema.GroupResource{Resource: "namespaces"}

var kinds = map[string]kind{
	"BPFMap": {
		name: "BPFMap", group: v1alpha1.GroupVersion.Group, namespaced: true, custom: true,
		empty: func() client.Object { return &v1alpha1.BPFMap{} },
		spec:  func(o client.Object) any { return o.(*v1alpha1.BPFMap).Spec },
		status: func(to, from client.Object) {
			from.(*v1alpha1.BPFMap).Status.DeepCopyInto(&to.(*v1alpha1.BPFMap).Status)
		},
	},
	"BPFMapRevision": {
		name: "BPFMapRevision", group: v1alpha1.GroupVersion.Group, namespaced: true, custom: true, immutable: true,
		empty: func() client.Object { return &v1alpha1.BPFMapRevision{} },
		spec:  func(o client.Object) any { return o.(*v1alpha1.BPFMapRevision).Spec },
		status: func(to, from client.Object) {
			from.(*v1alpha1.BPFMapRevision).Status.DeepCopyInto(&to.(*v1alpha1.BPFMapRevision).Status)
		},
	},
	"BPFMapChunk": {
		name: "BPFMapChunk", group: v1alpha1.GroupVersion.Group, namespaced: true, custom: true,
		empty: func() client.Object { return &v1alpha1.BPFMapChunk{} },
		spec:  func(o client.Object) any { return o.(*v1alpha1.BPFMapChunk).Entries },
	},
	"BPFNodeState": {
		name: "BPFNodeState", group: v1alpha1.GroupVersion.Group, custom: true,
		empty: func() client.Object { return &v1alpha1.BPFNodeState{} },
		spec:  func(client.Object) any { return nil },
		status: func(to, from client.Object) {
			from.(*v1alpha1.BPFNodeState).Status.DeepCopyInto(&to.(*v1alpha1.BPFNodeState).Status)
		},
	},
	"Node": {
		name: "Node", empty: func() client.Object { return &corev1.Node{} },
		status: func(to, from client.Object) {
			from.(*corev1.Node).Status.DeepCopyInto(&to.(*corev1.Node).Status)
		},
	},
	"ConfigMap": {name: "ConfigMap", namespaced: true, empty: func() client.Object { return &corev1.ConfigMap{} }},
	"Secret":    {name: "Secret", namespaced: true, empty: func() client.Object { return &corev1.Secret{} }},
}

// kindName is the kind of an object or a list.
func kindName(o runtime.Object) string {
	if named := o.GetObjectKind().GroupVersionKind().Kind; named != "" {
		return strings.TrimSuffix(named, "List")
	}
	return strings.TrimSuffix(reflect.TypeOf(o).Elem().Name(), "List")
}

func kindOf(o runtime.Object) kind {
	k, ok := kinds[kindName(o)]
	if !ok {
		panic(fmt.Sprintf("the store doesn't know %T", o))
	}
	return k
}

func idOf(o client.Object) id {
	k := kindOf(o)
	i := id{k.name, o.GetNamespace(), o.GetName()}
	if !k.namespaced {
		i.namespace = ""
	}
	return i
}

// assign makes an object a copy of another one, which may be asked for as metadata alone.
func assign(to, from client.Object) {
	if isMetadata(to) {
		from = metadataOf(from)
	}
	share(to, from.DeepCopyObject().(client.Object))
}

// share makes an object another one, whose memory it shares.
func share(to, from client.Object) {
	reflect.ValueOf(to).Elem().Set(reflect.ValueOf(from).Elem())
}

// metadataOf is the metadata of an object; it shares memory with it.
func metadataOf(o client.Object) *metav1.PartialObjectMetadata {
	if m, ok := o.(*metav1.PartialObjectMetadata); ok {
		return m
	}
	m := &metav1.PartialObjectMetadata{}
	m.ObjectMeta = *reflect.ValueOf(o).Elem().FieldByName("ObjectMeta").Addr().Interface().(*metav1.ObjectMeta)
	k := kindOf(o)
	m.SetGroupVersionKind(k.of().WithVersion(version(k)))
	return m
}

func version(k kind) string {
	if k.custom {
		return v1alpha1.GroupVersion.Version
	}
	return "v1"
}
