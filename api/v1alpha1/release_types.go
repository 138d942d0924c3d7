// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// MapRelease is a map that a node may remove.
type MapRelease struct {
	// namespace is the BPFMap's namespace.
	// +required
	// +kubebuilder:validation:MaxLength=63
	Namespace string `json:"namespace"`
	// name is the BPFMap's name.
	// +required
	// +kubebuilder:validation:MaxLength=200
	Name string `json:"name"`
	// uid is the BPFMap's UID: one that is made again under the same name isn't released. Empty if a controller
	// released the map that doesn't know this field; then the revision alone counts.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	UID string `json:"uid,omitempty"`
	// revision is the name of the revision that the node no longer matches.
	// +required
	// +kubebuilder:validation:MaxLength=253
	Revision string `json:"revision"`
	// time is when the map was released. The next nodes follow minReadySeconds later.
	// +optional
	Time metav1.Time `json:"time,omitzero"`
}
