// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// HTTPSource is a document that the controller fetches by HTTP or HTTPS.
type HTTPSource struct {
	// url is the document's address. Its host must be one that the administrator allows.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=2048
	// +kubebuilder:validation:Pattern=`^https?://[^/?#@]+`
	URL string `json:"url"`

	// interval is the time between two fetches, to which up to a tenth is added at random; 1h if not given.
	// +optional
	// +kubebuilder:default="1h"
	Interval metav1.Duration `json:"interval,omitempty"`
}

// ArtifactSource is a file in the artifact of a Flux source object in the BPFMap's namespace.
type ArtifactSource struct {
	// kind is the source object's kind.
	// +required
	// +kubebuilder:validation:Enum=GitRepository;OCIRepository;Bucket;ExternalArtifact
	Kind string `json:"kind"`

	// name is the source object's name.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name"`

	// path is the file's path within the artifact.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	Path string `json:"path"`
}
