// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

// MaxDriftedEntries bounds NodeMap.DriftedEntries, MaxDriftedText the bytes of each text in it.
const (
	MaxDriftedEntries = 4
	MaxDriftedText    = 128
)

// DriftedEntry is an entry that the kernel holds otherwise than it is declared. Its texts are as bpfmap dump
// prints them, cut at 128 bytes.
type DriftedEntry struct {
	// key is the entry's key.
	// +optional
	// +kubebuilder:validation:MaxLength=128
	Key string `json:"key,omitempty"`
	// declared is the value that the revision declares; absent for a key that is not declared.
	// +optional
	// +kubebuilder:validation:MaxLength=128
	Declared string `json:"declared,omitempty"`
	// found is the value that the kernel held; absent for a key that was missing.
	// +optional
	// +kubebuilder:validation:MaxLength=128
	Found string `json:"found,omitempty"`
}
