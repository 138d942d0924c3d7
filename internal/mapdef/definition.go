// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package mapdef

import (
	"github.com/cilium/ebpf/btf"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/btfschema"
	"github.com/bpfmap-io/bpfmap-operator/internal/maptype"
)

// Definition is one map.
type Definition struct {
	// Name is the map's in the source or the kernel, or a section's, such as ".rodata".
	Name string
	// Type is the kernel's number, enum bpf_map_type.
	Type uint32
	// KeySize and ValueSize are in bytes.
	KeySize, ValueSize uint32
	// MaxEntries is 0 where the source leaves it to the loader.
	MaxEntries uint32
	// Flags are those of creation; NUMANode is used with the flag NUMANode.
	Flags    maptype.Flags
	NUMANode uint32
	// Extra is map_extra.
	Extra uint64
	// Key and Value are what is known of the types; zero if nothing is. The key of an LPM trie is without the length of
	// the prefix in its Schema, as the API has it, and with it in its Type.
	Key, Value Datum
	// Inner is what the maps in a map of maps look like; nil if that isn't known.
	Inner *Definition
	// Frozen says that user space may not write.
	Frozen bool
}

// Datum is the type of a key or value.
type Datum struct {
	// CType is the C type's name, for people, such as "struct rule".
	CType string
	// Type is the type in BTF; nil if that isn't known.
	Type btf.Type
	// Schema is nil for a datum of which only the size is known.
	Schema *v1alpha1.Schema
	// Reader reads Type, with the tags in the BTF that it is of.
	Reader btfschema.Reader
	// Notes are what Schema can't say of Type.
	Notes []string
	// Untyped is why Schema is nil.
	Untyped string
}

// traits are those of the type; nil if the API doesn't know it.
func (d *Definition) traits() *maptype.Type { return maptype.ByNumber(d.Type) }

// TypeName is the API's name of the type, or its number.
func (d *Definition) TypeName() string { return typeName(d.Type) }
