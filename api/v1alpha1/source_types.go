// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"

// SourceFormat is how a source writes entries.
//
// +kubebuilder:validation:Enum=Lines;CSV;JSON;YAML
type SourceFormat string

// The formats of sources. In all of them keys and values are written as in entries.
const (
	// SourceLines has one key per line, and the same value for all of them. Empty lines are ignored, and so
	// is everything after a '#' at the beginning of a line or after a blank. For Queue and Stack a line is
	// a value.
	SourceLines SourceFormat = "Lines"
	// SourceCSV has a header that names the columns: key and value, or key.FIELD and value.FIELD
	// (deeper fields with more dots) for schemas with fields. Columns of other names
	// are an error. Without a column of values, all entries have the same value.
	SourceCSV SourceFormat = "CSV"
	// SourceJSON is a list of entries ({"key": …, "value": …}), or one entry per line.
	SourceJSON SourceFormat = "JSON"
	// SourceYAML is a list of entries.
	SourceYAML SourceFormat = "YAML"
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

// EntrySource is one source of entries. Gzipped data are decompressed, to at most 64 MiB.
//
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

	// mapping says how an item of the source becomes an entry. If not given, sources have keys and values.
	// +optional
	Mapping *EntryMapping `json:"mapping,omitempty"`

	// hostBits says what becomes of prefixes with bits behind their length: Error (default) or Mask.
	// +optional
	HostBits HostBitsPolicy `json:"hostBits,omitempty"`

	// limits say which contents are believed.
	// +optional
	Limits *SourceLimits `json:"limits,omitempty"`

	// aggregate merges prefixes of equal value into the fewest that cover the same addresses.
	// +optional
	Aggregate bool `json:"aggregate,omitempty"`

	// format is how the source writes entries.
	// +required
	Format SourceFormat `json:"format"`

	// value is the value of every entry of the format Lines, and of CSV without a column of values.
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
