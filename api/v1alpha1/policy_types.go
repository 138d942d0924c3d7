// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

// MapType is a kernel map type, BPF_MAP_TYPE_* in CamelCase. Of the types of Linux 6.18 only StructOps
// is not among them: it holds the functions of a loaded program, which is its loader's to register.
//
// +kubebuilder:validation:Enum=Hash;LRUHash;PerCPUHash;LRUPerCPUHash;Array;PerCPUArray;LPMTrie;Queue;Stack;BloomFilter;ArrayOfMaps;HashOfMaps;ProgArray;CGroupArray;DevMap;DevMapHash;CPUMap;XSKMap;SockMap;SockHash;ReusePortSockArray;PerfEventArray;RingBuf;UserRingBuf;StackTrace;SKStorage;InodeStorage;TaskStorage;CGRPStorage;CGroupStorage;PerCPUCGroupStorage;Arena
type MapType string

// The map types.
const (
	// With elements that can be declared.

	MapTypeHash          MapType = "Hash"
	MapTypeLRUHash       MapType = "LRUHash"
	MapTypePerCPUHash    MapType = "PerCPUHash"
	MapTypeLRUPerCPUHash MapType = "LRUPerCPUHash"
	MapTypeArray         MapType = "Array"
	MapTypePerCPUArray   MapType = "PerCPUArray"
	MapTypeLPMTrie       MapType = "LPMTrie"
	MapTypeQueue         MapType = "Queue"
	MapTypeStack         MapType = "Stack"

	// With a set that can be asked whether it holds a value.

	MapTypeBloomFilter MapType = "BloomFilter"

	// With values that are other objects of the node.

	MapTypeArrayOfMaps MapType = "ArrayOfMaps"
	MapTypeHashOfMaps  MapType = "HashOfMaps"
	MapTypeProgArray   MapType = "ProgArray"
	MapTypeCGroupArray MapType = "CGroupArray"
	MapTypeDevMap      MapType = "DevMap"
	MapTypeDevMapHash  MapType = "DevMapHash"
	MapTypeCPUMap      MapType = "CPUMap"

	// With what processes and programs put in while they run: the map is made and pinned, and starts empty.

	MapTypeXSKMap              MapType = "XSKMap"
	MapTypeSockMap             MapType = "SockMap"
	MapTypeSockHash            MapType = "SockHash"
	MapTypeReusePortSockArray  MapType = "ReusePortSockArray"
	MapTypePerfEventArray      MapType = "PerfEventArray"
	MapTypeRingBuf             MapType = "RingBuf"
	MapTypeUserRingBuf         MapType = "UserRingBuf"
	MapTypeStackTrace          MapType = "StackTrace"
	MapTypeSKStorage           MapType = "SKStorage"
	MapTypeInodeStorage        MapType = "InodeStorage"
	MapTypeTaskStorage         MapType = "TaskStorage"
	MapTypeCGRPStorage         MapType = "CGRPStorage"
	MapTypeCGroupStorage       MapType = "CGroupStorage"
	MapTypePerCPUCGroupStorage MapType = "PerCPUCGroupStorage"
	MapTypeArena               MapType = "Arena"
)

// MapFlag is a flag of map creation, BPF_F_* in CamelCase.
//
// +kubebuilder:validation:Enum=NoPrealloc;NoCommonLRU;ZeroSeed;RdOnlyProg;WrOnlyProg;Mmapable;InnerMap;StackBuildID;PreserveElems;Clone
type MapFlag string

// The map flags.
const (
	// FlagNoPrealloc allocates entries when they are written instead of at creation. LPMTrie and the
	// storage types always carry it.
	FlagNoPrealloc MapFlag = "NoPrealloc"
	// FlagNoCommonLRU keeps one LRU list per CPU.
	FlagNoCommonLRU MapFlag = "NoCommonLRU"
	// FlagZeroSeed uses a hash seed of zero. For benchmarks only.
	FlagZeroSeed MapFlag = "ZeroSeed"
	// FlagRdOnlyProg makes the map read-only for BPF programs.
	FlagRdOnlyProg MapFlag = "RdOnlyProg"
	// FlagWrOnlyProg makes the map write-only for BPF programs.
	FlagWrOnlyProg MapFlag = "WrOnlyProg"
	// FlagMmapable lets user space map an Array into its memory; an Arena always carries it.
	FlagMmapable MapFlag = "Mmapable"
	// FlagInnerMap lets inner Arrays of one outer map differ in maxEntries.
	FlagInnerMap MapFlag = "InnerMap"
	// FlagStackBuildID stores build ids and offsets instead of addresses in a StackTrace.
	FlagStackBuildID MapFlag = "StackBuildID"
	// FlagPreserveElems keeps perf events after the process that put them in is gone.
	FlagPreserveElems MapFlag = "PreserveElems"
	// FlagClone copies a socket's storage to the sockets that it accepts.
	FlagClone MapFlag = "Clone"
)

// SyncPolicy says who owns a map's contents.
//
// +kubebuilder:validation:Enum=Seed;Merge;Mirror
type SyncPolicy string

// The sync policies.
const (
	// SyncSeed writes the entries once, when the map is made; programs own them afterwards.
	SyncSeed SyncPolicy = "Seed"
	// SyncMerge holds declared keys at their declared values, deletes keys that leave the
	// declaration, and leaves the keys of others alone.
	SyncMerge SyncPolicy = "Merge"
	// SyncMirror makes the map hold exactly what is declared.
	SyncMirror SyncPolicy = "Mirror"
)

// DriftPolicy says what happens when a map no longer holds what its revision says.
//
// +kubebuilder:validation:Enum=Repair;Report
type DriftPolicy string

// The drift policies.
const (
	// DriftRepair reports drift and repairs it.
	DriftRepair DriftPolicy = "Repair"
	// DriftReport reports drift and changes nothing.
	DriftReport DriftPolicy = "Report"
)

// ReplacePolicy says whether a map may be replaced by a new one.
//
// +kubebuilder:validation:Enum=Never;Swap
type ReplacePolicy string

// The replace policies.
const (
	// ReplaceNever never replaces a map: a change that would need it is Stalled.
	ReplaceNever ReplacePolicy = "Never"
	// ReplaceSwap builds a new map aside and lets it take the pin in one step.
	ReplaceSwap ReplacePolicy = "Swap"
)

// DeletionPolicy says what happens to pinned maps that nothing asks for any more.
//
// +kubebuilder:validation:Enum=Delete;Retain
type DeletionPolicy string

// The deletion policies.
const (
	// DeletionDelete removes the pins; the kernel frees a map when its last user is gone.
	DeletionDelete DeletionPolicy = "Delete"
	// DeletionRetain leaves the pins and gives up their ownership.
	DeletionRetain DeletionPolicy = "Retain"
)
