// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package revision

import (
	"fmt"
	"io/fs"
	"slices"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
)

// Key names one managed map: the namespace and name of its BPFMap.
type Key struct {
	Namespace, Name string
}

// String is "namespace/name".
func (k Key) String() string { return k.Namespace + "/" + k.Name }

// Revision is one compiled version of a BPFMap. It is a value: nothing in it is changed after
// compile or FromObject made it.
type Revision struct {
	// Key names the BPFMap, UID tells it from an earlier one of that name (empty without a cluster).
	Key Key
	UID string
	// Name is the revision's own name and Number its place in the order.
	Name   string
	Number int64

	Shape  Shape
	Policy Policy
	Pin    Pin

	// NodeSelector selects nodes by labels; empty selects all.
	NodeSelector map[string]string

	// KeySchema (nil for types without keys) and ValueSchema (zero for types without values) describe
	// the bytes, for people and tools, and for the map's BTF.
	KeySchema   *v1alpha1.Schema
	ValueSchema v1alpha1.Schema

	Contents Contents
	// References are the names in the entries that each node resolves, sorted. In the entries their symbols
	// (schema.Symbol) stand in their places.
	References []v1alpha1.Reference
	// Group is what the map belongs to; nil for no group.
	Group *v1alpha1.RevisionGroup
	// Sensitive says that entries come from a Secret: their text stands in no status, event or log.
	Sensitive bool
	// Digest is ContentDigest(): "sha256:" and 64 hex digits.
	Digest string
}

// Shape is what is fixed when a map is created.
type Shape struct {
	Type v1alpha1.MapType
	// KeySize and ValueSize are in bytes. KeySize is 0 for types without keys, ValueSize for those
	// without values; in per-CPU maps it is that of one CPU's value.
	KeySize, ValueSize uint32
	// MaxEntries is 0 for storage types.
	MaxEntries uint32
	// Flags are sorted and include those that the type implies (LPMTrie: NoPrealloc).
	Flags []v1alpha1.MapFlag
	// MapExtra is the number of a bloom filter's hash functions, an arena's address, or a hint of size; 0 for the
	// kernel's choice.
	MapExtra uint64 `json:",omitempty"`
	// ExclusiveProgram is the hash of the one program that may use the map, in hexadecimal digits; empty for any
	// program. The kernel doesn't tell it of a map that exists.
	ExclusiveProgram string `json:",omitempty"`
	// Inner is what the maps in a map of maps look like; nil for other types. The kernel doesn't tell
	// it of a map that exists.
	Inner *Shape `json:",omitempty"`
	// NUMANode is nil unless the map's memory is bound to a node.
	NUMANode *int32
	// Name is the kernel's name of the map: at most 15 characters of [A-Za-z0-9_.].
	Name string
}

// Policy is how a map is kept.
type Policy struct {
	Sync    v1alpha1.SyncPolicy
	Drift   v1alpha1.DriftPolicy
	Replace v1alpha1.ReplacePolicy
	// Deletion is empty if it depends on who made the map.
	Deletion v1alpha1.DeletionPolicy
	Freeze   bool
	// Adoption is empty if it depends on where the pin is, see Revision.Adoption. It decides on maps that aren't ours
	// yet, so it isn't part of what was applied to one.
	Adoption v1alpha1.AdoptionPolicy `json:"-"`
}

// Pin is a map's place in the BPF file system.
type Pin struct {
	// Path is relative to the root of the BPF file system, clean, without "." and "..".
	Path string
	Mode fs.FileMode
	// UID and GID own the pin.
	UID, GID uint32
	// Stated are the fields that are given although they are what a new pin has.
	Stated PinStated `json:",omitzero"`
}

// Difference is one property in which two shapes differ.
type Difference struct {
	Field      string // as in BPFMapSpec: "type", "keySize", "valueSize", "maxEntries", "flags", "numaNode"
	Have, Want string
}

// String is "maxEntries: have 10, want 20".
func (d Difference) String() string {
	return fmt.Sprintf("%s: have %s, want %s", d.Field, d.Have, d.Want)
}

// HasSpinLock says whether values hold a spin lock, which the compiler lets stand in the outermost
// struct alone.
func (r *Revision) HasSpinLock() bool {
	return slices.ContainsFunc(r.ValueSchema.Fields, func(f v1alpha1.Field) bool { return f.Type == v1alpha1.TypeSpinLock })
}
