// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package process

import (
	"net/http"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	"k8s.io/client-go/rest"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
)

// The kinds of others that the processes watch, most of them only as metadata.
var (
	nodeKind      = schema.GroupVersionKind{Version: "v1", Kind: "Node"}
	ConfigMapKind = schema.GroupVersionKind{Version: "v1", Kind: "ConfigMap"}
	SecretKind    = schema.GroupVersionKind{Version: "v1", Kind: "Secret"}
	podKind       = schema.GroupVersionKind{Version: "v1", Kind: "Pod"}
	daemonSetKind = schema.GroupVersionKind{Group: "apps", Version: "v1", Kind: "DaemonSet"}
)

// FluxSources is the group of Flux' source objects.
var FluxSources = schema.GroupVersion{Group: "source.toolkit.fluxcd.io", Version: "v1"}

// Scheme knows the kinds of this project, and those of others that are read as more than metadata.
func Scheme() *runtime.Scheme {
	s := runtime.NewScheme()
	utilruntime.Must(v1alpha1.AddToScheme(s))
	s.AddKnownTypes(corev1.SchemeGroupVersion, &corev1.ConfigMap{}, &corev1.Secret{}, &corev1.Node{}, &corev1.NodeList{}, &corev1.Pod{}, &corev1.PodList{})
	metav1.AddToGroupVersion(s, corev1.SchemeGroupVersion)
	s.AddKnownTypes(appsv1.SchemeGroupVersion, &appsv1.DaemonSet{}, &appsv1.DaemonSetList{})
	metav1.AddToGroupVersion(s, appsv1.SchemeGroupVersion)
	utilruntime.Must(metav1.AddMetaToScheme(s))
	return s
}

// Node is an empty node of which only the metadata is read.
func Node() *metav1.PartialObjectMetadata { return Metadata(nodeKind) }

// Metadata is an empty object of a kind of which only the metadata is read.
func Metadata(kind schema.GroupVersionKind) *metav1.PartialObjectMetadata {
	o := &metav1.PartialObjectMetadata{}
	o.SetGroupVersionKind(kind)
	return o
}

// MetadataList is an empty list of objects of a kind of which only the metadata is read.
func MetadataList(kind schema.GroupVersionKind) *metav1.PartialObjectMetadataList {
	l := &metav1.PartialObjectMetadataList{}
	l.SetGroupVersionKind(kind.GroupVersion().WithKind(kind.Kind + "List"))
	return l
}

// mapper has a fixed list of the few resources, so that starting needs no discovery: a process can start
// while the API server is down, and thousands of agents that start at once don't ask it.
func mapper(*rest.Config, *http.Client) (meta.RESTMapper, error) {
	m := meta.NewDefaultRESTMapper(nil)
	for _, kind := range []schema.GroupVersionKind{nodeKind, v1alpha1.GroupVersion.WithKind("BPFNodeState")} {
		addWithList(m, kind, meta.RESTScopeRoot)
	}
	for _, kind := range []schema.GroupVersionKind{
		ConfigMapKind, SecretKind, podKind, daemonSetKind, v1alpha1.GroupVersion.WithKind("BPFMap"), v1alpha1.GroupVersion.WithKind("BPFMapRevision"),
		v1alpha1.GroupVersion.WithKind("BPFMapChunk"),
	} {
		addWithList(m, kind, meta.RESTScopeNamespace)
	}
	for _, kind := range []string{"GitRepository", "OCIRepository", "Bucket", "ExternalArtifact"} {
		m.Add(FluxSources.WithKind(kind), meta.RESTScopeNamespace) // read without a cache, whether they are installed or not
	}
	return m, nil
}

// addWithList adds a kind, and that of its lists, which a cache of some namespaces asks for, too.
func addWithList(m *meta.DefaultRESTMapper, kind schema.GroupVersionKind, scope meta.RESTScope) {
	m.Add(kind, scope)
	m.Add(kind.GroupVersion().WithKind(kind.Kind+"List"), scope)
}
