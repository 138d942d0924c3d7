// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package revision

import (
	"fmt"
	"io/fs"

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

	// KeySchema (nil for keyless types) and ValueSchema describe the bytes, for people and tools.
	KeySchema   *v1alpha1.Schema
	ValueSchema v1alpha1.Schema

	Entries Entries
	// Digest is Entries.Digest(): "sha256:" and 64 hex digits.
	Digest string
}

// Shape is what is fixed when a map is created.
type Shape struct {
	Type v1alpha1.MapType
	// KeySize and ValueSize are in bytes. KeySize is 0 for keyless types; ValueSize is that of one
	// CPU's value in per-CPU maps.
	KeySize, ValueSize uint32
	MaxEntries         uint32
	// Flags are sorted and include those that the type implies (LPMTrie: NoPrealloc).
	Flags []v1alpha1.MapFlag
	// NUMANode is nil unless the map's memory is bound to a node.
	NUMANode *int32
	// Name is the kernel's name of the map: at most 15 characters of [A-Za-z0-9_.].
	Name string
}

// Policy is how a map is kept.
type Policy struct {
	Sync     v1alpha1.SyncPolicy
	Drift    v1alpha1.DriftPolicy
	Replace  v1alpha1.ReplacePolicy
	Deletion v1alpha1.DeletionPolicy
	Freeze   bool
}

// Pin is a map's place in the BPF file system.
type Pin struct {
	// Path is relative to the root of the BPF file system, clean, without "." and "..".
	Path string
	Mode fs.FileMode
	// UID and GID own the pin.
	UID, GID uint32
}

// IsPerCPU says whether an element has one value for each possible CPU.
func (s Shape) IsPerCPU() bool {
	switch s.Type {
	case v1alpha1.MapTypePerCPUHash, v1alpha1.MapTypeLRUPerCPUHash, v1alpha1.MapTypePerCPUArray:
		return true
	}
	return false
}

// IsArray says whether keys are indexes: every one always exists, and deleting writes zeros.
func (s Shape) IsArray() bool {
	return s.Type == v1alpha1.MapTypeArray || s.Type == v1alpha1.MapTypePerCPUArray
}

// IsKeyless says whether elements have no key (Queue, Stack): they can be pushed and popped, and not
// compared.
func (s Shape) IsKeyless() bool {
	return s.Type == v1alpha1.MapTypeQueue || s.Type == v1alpha1.MapTypeStack
}

// IsLRU says whether the kernel evicts elements when the map runs full.
func (s Shape) IsLRU() bool {
	return s.Type == v1alpha1.MapTypeLRUHash || s.Type == v1alpha1.MapTypeLRUPerCPUHash
}

// IsLPM says whether keys are prefixes: a 32-bit length in the node's byte order, then the address.
func (s Shape) IsLPM() bool { return s.Type == v1alpha1.MapTypeLPMTrie }

// Difference is one property in which two shapes differ.
type Difference struct {
	Field      string // as in BPFMapSpec: "type", "keySize", "valueSize", "maxEntries", "flags", "numaNode"
	Have, Want string
}

// String is "maxEntries: have 10, want 20".
func (d Difference) String() string {
	return fmt.Sprintf("%s: have %s, want %s", d.Field, d.Have, d.Want)
}
