// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// GroupVersion is the group and version of every type in this package.
var GroupVersion = schema.GroupVersion{Group: "bpfmap.io", Version: "v1alpha1"}

// AddToScheme registers the types of this package.
var AddToScheme = schemeBuilder.AddToScheme

var schemeBuilder = runtime.NewSchemeBuilder(func(s *runtime.Scheme) error {
	s.AddKnownTypes(GroupVersion,
		&BPFMap{}, &BPFMapList{},
		&BPFMapRevision{}, &BPFMapRevisionList{},
		&BPFMapChunk{}, &BPFMapChunkList{},
		&BPFMapChunk{}, &BPFMapChunkList{},
		&BPFNodeState{}, &BPFNodeStateList{},
	)
	metav1.AddToGroupVersion(s, GroupVersion)
	return nil
})
