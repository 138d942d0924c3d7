// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// MaxSources bounds spec.entriesFrom, and with it status.sources.
const MaxSources = 64

// The reasons for which an item of a source makes no entry.
const (
	// LeftOutInvalid is an item that can't be an entry, under limits.maxInvalid.
	LeftOutInvalid = "Invalid"
	// LeftOutOtherFamily is an address of the family that the map's keys don't have.
	LeftOutOtherFamily = "OtherFamily"
	// LeftOutFiltered is an item for which mapping.filter is false.
	LeftOutFiltered = "Filtered"
	// LeftOutRepeated is an entry that is equal to one before it.
	LeftOutRepeated = "Repeated"
	// LeftOutAggregated is a prefix that is part of another one.
	LeftOutAggregated = "Aggregated"
	// LeftOutExpired is an entry whose time is over.
	LeftOutExpired = "Expired"
)

// LeftOutOverridden is an entry with the key of another one and another value, which conflictPolicy doesn't take.
const LeftOutOverridden = "Overridden"

// LeftOutReasons are all of them, in the order in which they are told.
func LeftOutReasons() []string {
	return []string{
		LeftOutInvalid, LeftOutOtherFamily, LeftOutFiltered, LeftOutRepeated, LeftOutOverridden, LeftOutAggregated, LeftOutExpired,
	}
}

// SourceStatus is what was read from one element of spec.entriesFrom. No text of a Secret is in it.
type SourceStatus struct {
	// index is the number of the element, counted from 0.
	// +required
	// +kubebuilder:validation:Minimum=0
	Index int32 `json:"index"`

	// name says where the entries are from: "ConfigMap feed, key drop.txt".
	// +required
	// +kubebuilder:validation:MaxLength=4096
	Name string `json:"name"`

	// digest is the SHA-256 of the contents that are in use, as they are published: "sha256:" and 64 hex digits. For the
	// ConfigMaps of a selector it is one over those of all.
	// +optional
	// +kubebuilder:validation:MaxLength=71
	Digest string `json:"digest,omitempty"`

	// bytes is the length of those contents, before they are decompressed.
	// +optional
	Bytes int64 `json:"bytes,omitempty"`

	// entries is how many entries they make.
	// +optional
	Entries int64 `json:"entries,omitempty"`

	// leftOut are the items that make no entry, by reason.
	// +optional
	// +listType=map
	// +listMapKey=reason
	// +kubebuilder:validation:MaxItems=16
	LeftOut []LeftOut `json:"leftOut,omitempty"`

	// lastGoodTime is when contents were read last that could be used: those of a ConfigMap or Secret when they were
	// compiled first, those that are fetched when they were fetched last.
	// +optional
	LastGoodTime *metav1.Time `json:"lastGoodTime,omitempty"`

	// nextFetchTime is when it is fetched again.
	// +optional
	NextFetchTime *metav1.Time `json:"nextFetchTime,omitempty"`

	// nextExpiryTime is when the next entry expires.
	// +optional
	NextExpiryTime *metav1.Time `json:"nextExpiryTime,omitempty"`

	// message is why the newest contents aren't used; empty if they are.
	// +optional
	// +kubebuilder:validation:MaxLength=4096
	Message string `json:"message,omitempty"`

	// refusedSince is since when the newest contents aren't used; absent if they are.
	// +optional
	RefusedSince *metav1.Time `json:"refusedSince,omitempty"`
}

// LeftOut are items of a source that make no entry.
type LeftOut struct {
	// reason is why: Invalid, OtherFamily, Filtered, Repeated, Overridden, Aggregated or Expired.
	// +required
	// +kubebuilder:validation:MaxLength=64
	Reason string `json:"reason"`
	// count is how many.
	// +required
	Count int64 `json:"count"`
	// examples are the first few, with their lines. Text of a Secret isn't shown.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=3
	Examples []string `json:"examples,omitempty"`
}
