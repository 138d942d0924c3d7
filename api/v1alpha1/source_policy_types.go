// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import "k8s.io/apimachinery/pkg/util/intstr"

// AnnotationAllowChange on a BPFMap lets contents through that limits.maxChange refuses: the digests of those contents
// ("sha256:" and 64 hex digits, as the message of the refusal names them), separated by commas.
const AnnotationAllowChange = "bpfmap.io/allow-change"

// SourceLimits say which contents of an element of entriesFrom are believed; those of all ConfigMaps of a selector
// together. Contents that go beyond one of the limits are refused, and those of before stay on all nodes.
type SourceLimits struct {
	// maxInvalid is how many items may be invalid, as a number or as a percentage of all items (rounded down): they are
	// left out, counted and told in status.sources. Beyond it the contents are refused; 0 if not given.
	// +optional
	// +kubebuilder:validation:XIntOrString
	// +kubebuilder:validation:Pattern=`^([0-9]{1,9}|[0-9]{1,3}%)$`
	MaxInvalid *intstr.IntOrString `json:"maxInvalid,omitempty"`

	// minEntries is how many entries there must be at least.
	// +optional
	// +kubebuilder:validation:Minimum=1
	MinEntries *int32 `json:"minEntries,omitempty"`

	// maxChange is how many entries may be added, removed and changed at once, as a percentage of the entries that the
	// contents in use make, for example 20%. The first contents are never refused. The annotation bpfmap.io/allow-change
	// lets through what is wanted all the same.
	// +optional
	// +kubebuilder:validation:MaxLength=10
	// +kubebuilder:validation:Pattern=`^[0-9]{1,9}%$`
	MaxChange string `json:"maxChange,omitempty"`
}
