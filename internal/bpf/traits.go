// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package bpf

import "github.com/bpfmap-io/bpfmap-operator/internal/maptype"

// Traits is what a map type can do, as far as operations on elements are concerned: the answers of
// internal/maptype in the form that a handle asks for them. "Not supported" is decided by them: the
// kernel says it with four different errnos.
type Traits struct {
	// Keyless types take no key: queue, stack and bloom filter.
	Keyless bool
	// PerCPU types have one value for each possible CPU.
	PerCPU bool
	// LRU types evict when they run full.
	LRU bool
	// Array types have every index at all times and can't delete; deleting means writing zeros.
	Array bool
	// FDValued types are written with a file descriptor and read as an id or a cookie.
	FDValued bool
	// Lookup, Update, Delete, LookupAndDelete and Iterate say that the operation on one element
	// exists; for Keyless types Lookup is peek and LookupAndDelete pop.
	Lookup, Update, Delete, LookupAndDelete, Iterate bool
	// The batch commands that exist.
	LookupBatch, UpdateBatch, DeleteBatch, LookupAndDeleteBatch bool
	// Freezable says that BPF_MAP_FREEZE exists.
	Freezable bool
	// FullIsENOSPC says that ENOSPC on update means full (LPM trie); elsewhere it is E2BIG.
	FullIsENOSPC bool
	// IndexKey says that the key is an index below max_entries, so that E2BIG on update means an
	// index out of range and not a full map.
	IndexKey bool
}

// Traits is what maps of this type can do; zero for a type that isn't in the table.
func (t MapType) Traits() Traits {
	known := maptype.ByNumber(uint32(t))
	if known == nil {
		return Traits{}
	}
	has := known.Ops.Has
	return Traits{
		Keyless: known.IsKeyless() && known.Value.Exists(), PerCPU: known.PerCPU, LRU: known.LRU, Array: known.Array,
		FDValued: known.Values == maptype.Descriptors,
		Lookup:   has(maptype.Lookup), Update: has(maptype.Update), Delete: has(maptype.Delete),
		LookupAndDelete: has(maptype.LookupAndDelete), Iterate: has(maptype.NextKey),
		LookupBatch: has(maptype.LookupBatch), UpdateBatch: has(maptype.UpdateBatch), DeleteBatch: has(maptype.DeleteBatch),
		LookupAndDeleteBatch: has(maptype.LookupAndDeleteBatch), Freezable: has(maptype.Freeze),
		FullIsENOSPC: known.LPM, IndexKey: known.Indexed,
	}
}
