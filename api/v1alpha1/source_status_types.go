// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

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

// SourceStatus is what was read from one source. No text of a Secret is in it.
type SourceStatus struct {
	// name says where the entries are from: "spec.entriesFrom[0] (ConfigMap feed, key drop.txt)".
	Name string `json:"name"`

	// digest is the SHA-256 of the contents that are in use: "sha256:…".
	// +optional
	Digest string `json:"digest,omitempty"`

	// bytes is the length of those contents, before they are decompressed.
	// +optional
	Bytes int64 `json:"bytes,omitempty"`

	// entries is how many entries they make.
	// +optional
	Entries int64 `json:"entries,omitempty"`

	// leftOut are the items that make no entry, by reason.
	// +optional
	// +listType=atomic
	LeftOut []LeftOut `json:"leftOut,omitempty"`

	// lastGoodTime is when contents were read last that could be used.
	// +optional
	LastGoodTime *metav1.Time `json:"lastGoodTime,omitempty"`

	// nextFetchTime is when it is fetched again.
	// +optional
	NextFetchTime *metav1.Time `json:"nextFetchTime,omitempty"`

	// message is why the newest contents aren't used; empty if they are.
	// +optional
	Message string `json:"message,omitempty"`
}

// LeftOut are items of a source that make no entry.
type LeftOut struct {
	// reason is why: Invalid, OtherFamily, Filtered, Repeated, Aggregated, Expired.
	Reason string `json:"reason"`
	// count is how many.
	Count int64 `json:"count"`
	// examples are the first few, with their lines. Text of a Secret isn't shown.
	// +optional
	// +listType=atomic
	Examples []string `json:"examples,omitempty"`
}
