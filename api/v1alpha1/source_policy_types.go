// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import "k8s.io/apimachinery/pkg/util/intstr"

// SourceLimits say which contents of a source are believed. Contents that go beyond one of them are refused,
// and those of before stay on all nodes.
type SourceLimits struct {
	// maxInvalid is how many items may be invalid, as a number or as a percentage of all: they are left out,
	// counted and told in status.sources. Beyond it the source is refused; 0 if not given.
	// +optional
	MaxInvalid *intstr.IntOrString `json:"maxInvalid,omitempty"`

	// minEntries is how many entries there must be at least.
	// +optional
	// +kubebuilder:validation:Minimum=1
	MinEntries *int32 `json:"minEntries,omitempty"`

	// maxChange is how much of the entries may be added, changed or removed at once, as a percentage of the
	// entries that the source had before.
	// +optional
	// +kubebuilder:validation:Pattern=`^[0-9]+%$`
	MaxChange string `json:"maxChange,omitempty"`
}
