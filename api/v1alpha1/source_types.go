// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	"time"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// ConflictPolicy says which of several entries with the same key is used.
//
// +kubebuilder:validation:Enum=Fail;First;Last
type ConflictPolicy string

// The conflict policies. The order is: entries, then entriesFrom in their order, ConfigMaps of a
// selector by name, and each of them from its beginning.
const (
	// ConflictFail refuses the spec and names both places.
	ConflictFail ConflictPolicy = "Fail"
	// ConflictFirst takes the first one.
	ConflictFirst ConflictPolicy = "First"
	// ConflictLast takes the last one.
	ConflictLast ConflictPolicy = "Last"
)

// The bounds of EntrySource.ExpireAfter.
const (
	MinExpireAfter = time.Minute
	MaxExpireAfter = 87600 * time.Hour
)

// EntrySource is one source of entries. Gzipped data are decompressed, to at most 64 MiB.
//
// In the keys of an LPMTrie a source may write a single address (a /32, or a /128), a range 192.0.2.0-192.0.2.9, and an
// address with a netmask, 192.0.2.0/255.255.255.0. In keys of one address family, items of the other one are left out and
// counted, as long as there are some of the right one.
//
// +kubebuilder:validation:XValidation:rule="!has(self.text) || self.format in ['Lines','CSV','Hosts','IPSet','P2P']",message="text is for the formats Lines, CSV, Hosts, IPSet and P2P"
// +kubebuilder:validation:XValidation:rule="!has(self.text) || self.format in ['Lines','CSV'] || !(has(self.text.separator) || has(self.text.header) || has(self.text.columns))",message="separator, header and columns are for the formats Lines and CSV"
// +kubebuilder:validation:XValidation:rule="!has(self.mapping) || !has(self.mapping.items) || self.format in ['JSON','YAML']",message="mapping.items is for the formats JSON and YAML"
// +kubebuilder:validation:XValidation:rule="(has(self.configMapRef) ? 1 : 0) + (has(self.secretRef) ? 1 : 0) + (has(self.configMapSelector) ? 1 : 0) + (has(self.http) ? 1 : 0) + (has(self.artifact) ? 1 : 0) + (has(self.file) ? 1 : 0) == 1",message="exactly one of configMapRef, secretRef, configMapSelector, http, artifact and file is needed"
type EntrySource struct {
	// configMapRef names one key of a ConfigMap.
	// +optional
	ConfigMapRef *SourceRef `json:"configMapRef,omitempty"`

	// secretRef names one key of a Secret.
	// +optional
	SecretRef *SourceRef `json:"secretRef,omitempty"`

	// configMapSelector selects ConfigMaps by labels: their entries are combined in the order
	// of their names, so that several teams can contribute to one map.
	// +optional
	ConfigMapSelector *SourceSelector `json:"configMapSelector,omitempty"`

	// http is a document that the controller fetches.
	// +optional
	HTTP *HTTPSource `json:"http,omitempty"`

	// artifact is a file of a Flux source object (GitRepository, OCIRepository, Bucket, ExternalArtifact).
	// +optional
	Artifact *ArtifactSource `json:"artifact,omitempty"`

	// file is a local file, for the command line alone.
	// +optional
	File *FileSource `json:"file,omitempty"`

	// text says how lines are cut into columns.
	// +optional
	Text *TextOptions `json:"text,omitempty"`

	// mapping says which items of the source become entries, and how. If not given, an item has a key and a value and
	// nothing else. A path goes into an item by names: a.b, a[0], a[] for all elements, ["a name"]; in formats with columns
	// it is a column's name, or its number from 1. An expression is in CEL (https://cel.dev) over the variable item.
	// +optional
	Mapping *EntryMapping `json:"mapping,omitempty"`

	// hostBits says what becomes of prefixes with bits behind their length, such as 192.0.2.1/24: Error if not given, or
	// Mask, which clears them.
	// +optional
	HostBits HostBitsPolicy `json:"hostBits,omitempty"`

	// limits say which contents are believed.
	// +optional
	Limits *SourceLimits `json:"limits,omitempty"`

	// aggregate merges prefixes into the fewest with which every address has the value that it had, none if it had
	// none. It is for LPMTrie keys whose last part is an address.
	// +optional
	Aggregate bool `json:"aggregate,omitempty"`

	// expireAfter is the lifetime of each entry, from 1m to 87600h (ten years). It begins when the controller sees the
	// entry's key in the source for the first time; another value doesn't begin it anew. An entry whose time is over is left
	// out (Expired) for as long as the source goes on holding its key; a key that the source gave up and holds again is new.
	// Of an item that says itself when it expires the earlier end counts. The controller remembers up to 262144 keys for
	// all sources of a BPFMap. Not for maps without keys, and not for the command line.
	// +optional
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('1m') && duration(self) <= duration('87600h')",message="must be between 1m and 87600h"
	ExpireAfter metav1.Duration `json:"expireAfter,omitzero"`

	// format is how the source writes its items: Lines, CSV, JSON, YAML, Hosts, IPSet, NFTables or P2P.
	// +required
	Format SourceFormat `json:"format"`

	// value is the value of entries for which the source has none. Of a struct, it gives the fields that an entry doesn't
	// give.
	// +optional
	Value *apiextensionsv1.JSON `json:"value,omitempty"`
}

// SourceRef is one key of a ConfigMap or Secret.
type SourceRef struct {
	// name is the object's name.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name"`

	// key is the key in data or binaryData.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Key string `json:"key"`
}

// SourceSelector is some keys of all ConfigMaps with some labels.
type SourceSelector struct {
	// matchLabels are the labels that a ConfigMap must carry.
	// +required
	// +kubebuilder:validation:MinProperties=1
	// +kubebuilder:validation:MaxProperties=32
	MatchLabels map[string]string `json:"matchLabels"`

	// key is the key in data or binaryData; all keys, in their order, if not given.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	Key string `json:"key,omitempty"`
}
