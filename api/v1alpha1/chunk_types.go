// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// MaxChunkBytes bounds the packed entries of one chunk.
const MaxChunkBytes = 256 << 10

// MaxChunks bounds the chunks of one revision.
const MaxChunks = 4096

// AnnotationPackedBytes is, on a chunk, the size of its packed entries in bytes, for those that watch only
// metadata.
const AnnotationPackedBytes = "bpfmap.io/packed-bytes"

// LabelSightings marks the chunks that hold when sources with expireAfter held their keys first. They are named
// "<BPFMap>-seen-<number>", with a digest behind it if they are parts of one of that name; no agent reads them.
const LabelSightings = "bpfmap.io/sightings"

// BPFMapChunk is a part of the entries of one or more revisions of a BPFMap. Its name ends with the
// digest of its entries: a chunk that two revisions share is written once. The controller writes it and
// agents read it by name; it is not to be edited. With the label bpfmap.io/sightings it holds, instead, when sources
// with expireAfter held their keys first, as hashes of the keys: whoever deletes it begins all lifetimes anew.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:shortName=bmapchunk,categories={bpf}
// +kubebuilder:printcolumn:name="Entries",type=integer,JSONPath=`.entryCount`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:validation:XValidation:rule="self.entries == oldSelf.entries",message="a chunk is immutable"
type BPFMapChunk struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is what every object has.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// entryCount is how many entries there are.
	// +required
	// +kubebuilder:validation:Minimum=0
	EntryCount int64 `json:"entryCount"`

	// entries are packed entries as in BPFMapRevisionSpec, in base64; sightings under their label.
	// +required
	// +kubebuilder:validation:Format=""
	// +kubebuilder:validation:MaxLength=349528
	// +kubebuilder:validation:Pattern=`^[A-Za-z0-9+/]*={0,2}$`
	Entries []byte `json:"entries"`
}

// BPFMapChunkList is a list of BPFMapChunk.
//
// +kubebuilder:object:root=true
type BPFMapChunkList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []BPFMapChunk `json:"items"`
}
