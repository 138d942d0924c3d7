// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package bpf

// Traits is what a map type can do, measured on Linux 6.18. "Not supported" is decided by this
// table: the kernel says it with four different errnos.
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

var (
	hashTraits = Traits{
		Lookup: true, Update: true, Delete: true, LookupAndDelete: true, Iterate: true, Freezable: true,
		LookupBatch: true, UpdateBatch: true, DeleteBatch: true, LookupAndDeleteBatch: true,
	}
	arrayTraits = Traits{
		Array: true, IndexKey: true, Lookup: true, Update: true, Iterate: true, Freezable: true,
		LookupBatch: true, UpdateBatch: true,
	}
	queueTraits = Traits{Keyless: true, Lookup: true, Update: true, LookupAndDelete: true, Freezable: true}
	fdArray     = Traits{
		FDValued: true, IndexKey: true, Lookup: true, Update: true, Delete: true, Iterate: true, Freezable: true,
	}
	storageTraits = Traits{Lookup: true, Update: true, Delete: true, Freezable: true}
	bufferTraits  = Traits{Freezable: true}
)

func with(t Traits, change func(*Traits)) Traits { change(&t); return t }

var typeTraits = map[MapType]Traits{
	Hash:          hashTraits,
	LRUHash:       with(hashTraits, func(t *Traits) { t.LRU = true }),
	PerCPUHash:    with(hashTraits, func(t *Traits) { t.PerCPU = true }),
	LRUPerCPUHash: with(hashTraits, func(t *Traits) { t.PerCPU, t.LRU = true, true }),
	HashOfMaps:    with(hashTraits, func(t *Traits) { t.FDValued, t.LookupAndDelete = true, false }),
	LPMTrie: with(hashTraits, func(t *Traits) {
		t.LookupAndDelete, t.LookupAndDeleteBatch, t.FullIsENOSPC = false, false, true
	}),
	Array:       arrayTraits,
	PerCPUArray: with(arrayTraits, func(t *Traits) { t.PerCPU = true }),
	ArrayOfMaps: with(fdArray, func(t *Traits) { t.LookupBatch, t.UpdateBatch = true, true }),
	ProgArray:   fdArray,
	// Perf event and cgroup arrays can be written and not read.
	PerfEventArray: with(fdArray, func(t *Traits) { t.Lookup = false }),
	CGroupArray:    with(fdArray, func(t *Traits) { t.Lookup = false }),
	// Programs alone write stack traces.
	StackTrace: {IndexKey: true, Lookup: true, Delete: true, LookupAndDelete: true, Iterate: true, Freezable: true},
	DevMap:     with(fdArray, func(t *Traits) { t.FDValued = false }),
	CPUMap:     with(fdArray, func(t *Traits) { t.FDValued = false }),
	DevMapHash: {Lookup: true, Update: true, Delete: true, Iterate: true, Freezable: true},
	SockMap:    fdArray,
	SockHash:   with(fdArray, func(t *Traits) { t.IndexKey = false }),
	XSKMap:     with(fdArray, func(t *Traits) { t.Lookup = false }),

	ReusePortSockArray:  fdArray,
	CGroupStorage:       {Lookup: true, Update: true, Iterate: true, Freezable: true},
	PerCPUCGroupStorage: {PerCPU: true, Lookup: true, Update: true, Iterate: true, Freezable: true},
	Queue:               queueTraits,
	Stack:               queueTraits,
	BloomFilter:         {Keyless: true, Lookup: true, Update: true, Freezable: true},
	SKStorage:           storageTraits,
	InodeStorage:        storageTraits,
	TaskStorage:         storageTraits,
	CGRPStorage:         storageTraits,
	RingBuf:             bufferTraits,
	UserRingBuf:         bufferTraits,
	Arena:               bufferTraits,
	StructOps:           {Lookup: true, Update: true, Delete: true, Iterate: true},
}

// Traits is what maps of this type can do; zero for a type that isn't in the table.
func (t MapType) Traits() Traits { return typeTraits[t] }
