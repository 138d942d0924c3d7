// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package process

import (
	"net/http"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	"k8s.io/client-go/rest"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
)

// nodeKind is the only kind of others that the processes watch, and only its metadata.
var nodeKind = schema.GroupVersionKind{Version: "v1", Kind: "Node"}

// Scheme knows the kinds of this project. Nodes are read as metadata and need no registration.
func Scheme() *runtime.Scheme {
	s := runtime.NewScheme()
	utilruntime.Must(v1alpha1.AddToScheme(s))
	utilruntime.Must(metav1.AddMetaToScheme(s))
	return s
}

// Node is an empty node of which only the metadata is read.
func Node() *metav1.PartialObjectMetadata {
	n := &metav1.PartialObjectMetadata{}
	n.SetGroupVersionKind(nodeKind)
	return n
}

// NodeList is an empty list of nodes of which only the metadata is read.
func NodeList() *metav1.PartialObjectMetadataList {
	l := &metav1.PartialObjectMetadataList{}
	l.SetGroupVersionKind(nodeKind.GroupVersion().WithKind("NodeList"))
	return l
}

// mapper knows the few resources by heart, so that starting needs no discovery: a process can start
// while the API server is away, and thousands of agents that start at once don't ask it.
func mapper(*rest.Config, *http.Client) (meta.RESTMapper, error) {
	m := meta.NewDefaultRESTMapper(nil)
	m.Add(nodeKind, meta.RESTScopeRoot)
	m.Add(v1alpha1.GroupVersion.WithKind("BPFMap"), meta.RESTScopeNamespace)
	m.Add(v1alpha1.GroupVersion.WithKind("BPFMapRevision"), meta.RESTScopeNamespace)
	m.Add(v1alpha1.GroupVersion.WithKind("BPFNodeState"), meta.RESTScopeRoot)
	return m, nil
}
