// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

// HostBitsPolicy says what becomes of a prefix with bits behind its length.
//
// +kubebuilder:validation:Enum=Error;Mask
type HostBitsPolicy string

// The policies for bits behind a prefix length.
const (
	// HostBitsError makes the entry invalid.
	HostBitsError HostBitsPolicy = "Error"
	// HostBitsMask clears them.
	HostBitsMask HostBitsPolicy = "Mask"
)

// EntryMapping says which part of an item of a source is the entry's key, and which its value.
type EntryMapping struct {
	// items is the path to the list in a JSON or YAML document; the document itself if not given.
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	Items string `json:"items,omitempty"`

	// filter is a CEL expression over item: items for which it is false are left out.
	// +optional
	// +kubebuilder:validation:MaxLength=4096
	Filter string `json:"filter,omitempty"`
}
