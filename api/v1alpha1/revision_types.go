// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	"crypto/sha256"
	"encoding/hex"
	"strconv"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// LabelActive marks the revisions that agents watch. History doesn't carry it.
const LabelActive = "bpfmap.io/active"

// LabelMap is on every revision: the name of its BPFMap, as MapLabel spells it. It lets one request list a
// BPFMap's revisions.
const LabelMap = "bpfmap.io/map"

// MapLabel is a BPFMap's name as the value of LabelMap: the name itself, if it has at most the 63 characters
// that a label may have, else its first 42, a dash, and 20 hex digits of its SHA-256. Two long names may not
// share a value, and one that is as long as a shortened one may: whoever selects by it compares
// spec.mapName, too.
func MapLabel(name string) string {
	const most, kept = 63, 42
	if len(name) <= most {
		return name
	}
	sum := sha256.Sum256([]byte(name))
	return name[:kept] + "-" + hex.EncodeToString(sum[:10])
}

// MaxInlineEntriesBytes is how many bytes of packed entries a revision contains itself, if it has no
// nodeSelector. Larger sets, and those that aren't for every node, are in chunks: each event of a revision goes
// to all agents.
const MaxInlineEntriesBytes = 1 << 10

// LargestInlineEntriesBytes is how many bytes of packed entries the schema admits in a revision. Revisions of
// earlier controllers hold so many; they stay readable, and may be gone back to.
const LargestInlineEntriesBytes = 16 << 10

// MaxEntriesBytes bounds the packed entries of one revision with its chunks.
const MaxEntriesBytes = 256 << 20

// BPFMapRevision is one compiled version of a BPFMap: typed YAML turned into the bytes that the
// kernel takes. The controller writes it and agents apply it; it is not to be edited.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:shortName=bmaprev,categories={bpf}
// +kubebuilder:printcolumn:name="Map",type=string,JSONPath=`.spec.mapName`
// +kubebuilder:printcolumn:name="Revision",type=integer,JSONPath=`.spec.number`
// +kubebuilder:printcolumn:name="Type",type=string,JSONPath=`.spec.type`
// +kubebuilder:printcolumn:name="Entries",type=integer,JSONPath=`.spec.entryCount`
// +kubebuilder:printcolumn:name="Frontier",type=string,JSONPath=`.status.rollout.frontier`
// +kubebuilder:printcolumn:name="Active",type=string,JSONPath=`.metadata.labels.bpfmap\.io/active`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:printcolumn:name="Digest",type=string,priority=1,JSONPath=`.spec.digest`
type BPFMapRevision struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is what every object has.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec is the compiled map.
	// +required
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="a revision is immutable"
	Spec BPFMapRevisionSpec `json:"spec"`

	// status is how far the revision is rolled out.
	// +optional
	Status BPFMapRevisionStatus `json:"status,omitempty"`
}

// Number is spec.number. A revision stored under CRDs without that field has its number only at the end
// of its name.
func (r *BPFMapRevision) Number() int64 {
	if r.Spec.Number != 0 {
		return r.Spec.Number
	}
	number, err := strconv.ParseInt(r.Name[strings.LastIndexByte(r.Name, '-')+1:], 10, 64)
	if err != nil {
		return 0
	}
	return number
}

// BPFMapRevisionStatus is the part of a revision that changes.
type BPFMapRevisionStatus struct {
	// rollout is which nodes take the revision. How far they are is in the BPFMap's status.rollout.
	// +optional
	Rollout RevisionRollout `json:"rollout,omitempty"`

	// metrics are spec.metrics of the BPFMap, as far as they fit the revision's key and value. They change without
	// a new revision, and reach the nodes that hold this one at once.
	// +optional
	Metrics *MapMetrics `json:"metrics,omitempty"`
}

// BPFMapRevisionList is a list of BPFMapRevision.
//
// +kubebuilder:object:root=true
type BPFMapRevisionList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []BPFMapRevision `json:"items"`
}

// BPFMapRevisionSpec is everything that a node needs to create the map, with every default resolved.
type BPFMapRevisionSpec struct {
	// mapName is the name of the BPFMap in the same namespace.
	// +required
	// +kubebuilder:validation:MaxLength=200
	MapName string `json:"mapName"`

	// mapUID is the UID of the BPFMap.
	// +required
	// +kubebuilder:validation:MaxLength=64
	MapUID string `json:"mapUID"`

	// number counts a BPFMap's revisions upward; the revision's name ends with it.
	// +required
	// +kubebuilder:validation:Minimum=1
	Number int64 `json:"number"`

	// type is the kernel's map type.
	// +required
	Type MapType `json:"type"`

	// keySize is the size of a key in bytes; 0 for types without keys.
	// +required
	// +kubebuilder:validation:Minimum=0
	KeySize int64 `json:"keySize"`

	// valueSize is the size of a value in bytes, for per-CPU maps of one CPU's value; 0 for types
	// without values.
	// +required
	// +kubebuilder:validation:Minimum=0
	ValueSize int64 `json:"valueSize"`

	// maxEntries is the map's capacity; 0 for storage types.
	// +required
	// +kubebuilder:validation:Minimum=0
	MaxEntries int64 `json:"maxEntries"`

	// flags are the kernel's map flags.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=16
	Flags []MapFlag `json:"flags,omitempty"`

	// numaNode places the map's memory.
	// +optional
	NUMANode *int32 `json:"numaNode,omitempty"`

	// mapExtra is the kernel's map_extra: the hash functions of a BloomFilter, an Arena's address, or for how many
	// entries an RHash is made at first.
	// +optional
	// +kubebuilder:validation:Minimum=0
	MapExtra int64 `json:"mapExtra,omitempty"`

	// exclusiveProgramHash is SHA-256, in hexadecimal digits, of the one program that may use the map.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:Pattern=`^[0-9a-f]{64}$`
	ExclusiveProgramHash string `json:"exclusiveProgramHash,omitempty"`

	// inner is the shape of the maps in an ArrayOfMaps or HashOfMaps.
	// +optional
	Inner *InnerShape `json:"inner,omitempty"`

	// key is the schema of keys, for users and tools that read the map, and for the map's BTF; absent for types without keys.
	// +optional
	Key *Schema `json:"key,omitempty"`

	// value is the schema of values; absent for types without values.
	// +optional
	Value Schema `json:"value,omitzero"`

	// references are the names in the entries that each node resolves, sorted. The packed entries hold a
	// reference's symbol in its place.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=1024
	References []Reference `json:"references,omitempty"`

	// syncPolicy says who owns the contents.
	// +required
	SyncPolicy SyncPolicy `json:"syncPolicy"`

	// driftPolicy says what happens on drift.
	// +required
	DriftPolicy DriftPolicy `json:"driftPolicy"`

	// freeze makes the map read-only for user space.
	// +optional
	Freeze bool `json:"freeze,omitempty"`

	// replacePolicy says whether the map may be replaced.
	// +required
	ReplacePolicy ReplacePolicy `json:"replacePolicy"`

	// adoptionPolicy says whether a map that somebody else made may be taken over; absent if it depends on where
	// the pin is.
	// +optional
	AdoptionPolicy AdoptionPolicy `json:"adoptionPolicy,omitempty"`

	// deletionPolicy says what happens when the map is no longer declared; absent if it depends on who made the map.
	// +optional
	DeletionPolicy DeletionPolicy `json:"deletionPolicy,omitempty"`

	// pin is where and with which permissions the map is pinned, with everything filled in.
	// +required
	Pin Pin `json:"pin"`

	// pinStated are those of pin's fields whose values the BPFMap states although they are what a new pin has anyway:
	// an adopted map gets them, too.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=3
	PinStated []PinField `json:"pinStated,omitempty"`

	// nodeSelector selects nodes by their labels.
	// +optional
	// +kubebuilder:validation:MaxProperties=32
	NodeSelector map[string]string `json:"nodeSelector,omitempty"`

	// group is the group that the BPFMap belongs to; absent for none.
	// +optional
	Group *RevisionGroup `json:"group,omitempty"`

	// sensitive says that entries come from a Secret: their text must not appear in a status, an event or a log.
	// +optional
	Sensitive bool `json:"sensitive,omitempty"`

	// byteOrder is the order of integers in the entries, that of the machine where the controller runs:
	// LittleEndian (also if it is absent) or BigEndian. A node of the other order refuses the revision.
	// +optional
	ByteOrder ByteOrder `json:"byteOrder,omitempty"`

	// digest is the digest of the contents: "sha256:" and 64 hex digits. Agents check it before use.
	// +required
	// +kubebuilder:validation:MaxLength=71
	Digest string `json:"digest"`

	// entryCount is how many entries there are.
	// +required
	// +kubebuilder:validation:Minimum=0
	EntryCount int64 `json:"entryCount"`

	// chunks are the names of the BPFMapChunks that hold the entries, if they aren't here. All entries
	// together, sorted, have the digest.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=4096
	// +kubebuilder:validation:items:MaxLength=253
	Chunks []string `json:"chunks,omitempty"`

	// entries are the packed entries (see docs/architecture.md for the encoding), in base64: at most 1 KiB,
	// and none if there is a nodeSelector, in revisions that are written now. To the schema they are a plain
	// string: CEL, which compares them, decodes the format byte by another
	// alphabet than JSON does, and fails on '+' and '/'.
	// +optional
	// +kubebuilder:validation:Format=""
	// +kubebuilder:validation:MaxLength=21848
	// +kubebuilder:validation:Pattern=`^[A-Za-z0-9+/]*={0,2}$`
	Entries []byte `json:"entries,omitempty"`
}

// PinField is a field of a Pin.
//
// +kubebuilder:validation:Enum=mode;uid;gid
type PinField string

// The fields of a Pin that revisions may name.
const (
	// PinMode are the pin's permissions.
	PinMode PinField = "mode"
	// PinUID is the pin's owner.
	PinUID PinField = "uid"
	// PinGID is the pin's group.
	PinGID PinField = "gid"
)

// MaxGroupMembers bounds the BPFMaps of a group.
const MaxGroupMembers = 32

// RevisionGroup is a group of BPFMaps and which layouts of their maps belong together.
type RevisionGroup struct {
	// name is spec.group of the BPFMap.
	// +required
	// +kubebuilder:validation:MaxLength=63
	Name string `json:"name"`

	// members are the BPFMaps of the group as they were declared together, sorted by name. A node replaces a map for this
	// revision once its revisions of all members have these layouts.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=32
	Members []GroupMember `json:"members,omitempty"`

	// attempt counts the revisions that were made again because the others of the group got new ones after all had been
	// rolled back.
	// +optional
	// +kubebuilder:validation:Minimum=0
	Attempt int64 `json:"attempt,omitempty"`
}

// GroupMember is a BPFMap of a group and the layout of its map.
type GroupMember struct {
	// name is the name of the BPFMap.
	// +required
	// +kubebuilder:validation:MaxLength=200
	Name string `json:"name"`

	// layout tells layouts apart: 16 hex digits of a digest of type, sizes, maxEntries, flags, and schemas.
	// +required
	// +kubebuilder:validation:MaxLength=16
	Layout string `json:"layout"`
}

// ByteOrder is the order of the bytes of integers.
// +kubebuilder:validation:Enum=LittleEndian;BigEndian
type ByteOrder string

// The byte orders.
const (
	// LittleEndian is that of amd64, arm64, riscv64 and ppc64le.
	LittleEndian ByteOrder = "LittleEndian"
	// BigEndian is that of s390x.
	BigEndian ByteOrder = "BigEndian"
)

// MaxReferences bounds the references of one revision.
const MaxReferences = 1024

// MaxReferenceName bounds a reference's name in bytes.
const MaxReferenceName = 1024

// InnerShape is what the kernel compares when an inner map is put into its outer map.
type InnerShape struct {
	// type is the kernel's map type.
	// +required
	Type MapType `json:"type"`

	// keySize and valueSize are in bytes.
	// +required
	// +kubebuilder:validation:Minimum=0
	KeySize int64 `json:"keySize"`

	// +required
	// +kubebuilder:validation:Minimum=0
	ValueSize int64 `json:"valueSize"`

	// maxEntries is the capacity.
	// +required
	// +kubebuilder:validation:Minimum=1
	MaxEntries int64 `json:"maxEntries"`

	// flags are the map flags, with those that the type implies.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=16
	Flags []MapFlag `json:"flags,omitempty"`
}

// Reference is a name that each node resolves.
type Reference struct {
	// type is the type of reference: ifindex, mapRef, progPin, cgroup or cgroupID.
	// +required
	Type ScalarType `json:"type"`

	// name is the interface, the BPFMap, the pin's path or the cgroup's path.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	Name string `json:"name"`
}
