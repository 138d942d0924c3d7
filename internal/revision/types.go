// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package revision

import "github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"

// traits are what the engine needs to know of a map type. What the kernel does per type was measured on
// Linux 6.18.
type traits struct {
	keyless  bool // elements have no key
	array    bool // every index always exists
	indexed  bool // keys are indexes below MaxEntries
	perCPU   bool // one value for each possible CPU
	lru, lpm bool
	fd       bool // values are written as file descriptors and read as ids
	hidden   bool // nobody can read what the map holds
	runtime  bool // programs and processes put the elements in
}

var (
	index   = traits{indexed: true, fd: true}
	sockets = traits{indexed: true, runtime: true}
	storage = traits{runtime: true, hidden: true}
	buffer  = traits{keyless: true, runtime: true, hidden: true}
)

var typeTraits = map[v1alpha1.MapType]traits{
	v1alpha1.MapTypeHash:                {},
	v1alpha1.MapTypeLRUHash:             {lru: true},
	v1alpha1.MapTypePerCPUHash:          {perCPU: true},
	v1alpha1.MapTypeLRUPerCPUHash:       {lru: true, perCPU: true},
	v1alpha1.MapTypeArray:               {array: true, indexed: true},
	v1alpha1.MapTypePerCPUArray:         {array: true, indexed: true, perCPU: true},
	v1alpha1.MapTypeLPMTrie:             {lpm: true},
	v1alpha1.MapTypeQueue:               {keyless: true, hidden: true},
	v1alpha1.MapTypeStack:               {keyless: true, hidden: true},
	v1alpha1.MapTypeBloomFilter:         {keyless: true, hidden: true},
	v1alpha1.MapTypeArrayOfMaps:         index,
	v1alpha1.MapTypeHashOfMaps:          {fd: true},
	v1alpha1.MapTypeProgArray:           index,
	v1alpha1.MapTypeCGroupArray:         {indexed: true, fd: true, hidden: true},
	v1alpha1.MapTypeDevMap:              index,
	v1alpha1.MapTypeDevMapHash:          {fd: true},
	v1alpha1.MapTypeCPUMap:              index,
	v1alpha1.MapTypeXSKMap:              {indexed: true, runtime: true, hidden: true},
	v1alpha1.MapTypeSockMap:             sockets,
	v1alpha1.MapTypeSockHash:            {runtime: true},
	v1alpha1.MapTypeReusePortSockArray:  sockets,
	v1alpha1.MapTypePerfEventArray:      {indexed: true, runtime: true, hidden: true},
	v1alpha1.MapTypeStackTrace:          sockets,
	v1alpha1.MapTypeSKStorage:           storage,
	v1alpha1.MapTypeInodeStorage:        storage,
	v1alpha1.MapTypeTaskStorage:         storage,
	v1alpha1.MapTypeCGRPStorage:         storage,
	v1alpha1.MapTypeCGroupStorage:       storage,
	v1alpha1.MapTypePerCPUCGroupStorage: {runtime: true, hidden: true, perCPU: true},
	v1alpha1.MapTypeRingBuf:             buffer,
	v1alpha1.MapTypeUserRingBuf:         buffer,
	v1alpha1.MapTypeArena:               buffer,
}

func (s Shape) traits() traits { return typeTraits[s.Type] }

// IsPerCPU says whether an element has one value for each possible CPU.
func (s Shape) IsPerCPU() bool { return s.traits().perCPU }

// IsArray says whether keys are indexes and every one always exists: deleting writes zeros.
func (s Shape) IsArray() bool { return s.traits().array }

// IsIndexed says whether keys are indexes below MaxEntries. Unless IsArray, elements may be absent.
func (s Shape) IsIndexed() bool { return s.traits().indexed }

// IsKeyless says whether elements have no key: they can be pushed, and popped or asked for.
func (s Shape) IsKeyless() bool { return s.traits().keyless }

// IsBloom says whether the map is a set that can be asked whether it holds a value, and forgets none.
func (s Shape) IsBloom() bool { return s.Type == v1alpha1.MapTypeBloomFilter }

// IsLRU says whether the kernel evicts elements when the map runs full.
func (s Shape) IsLRU() bool { return s.traits().lru }

// IsLPM says whether keys are prefixes: a 32-bit length in the node's byte order, then the address.
func (s Shape) IsLPM() bool { return s.traits().lpm }

// IsMapOfMaps says whether values are maps.
func (s Shape) IsMapOfMaps() bool {
	return s.Type == v1alpha1.MapTypeArrayOfMaps || s.Type == v1alpha1.MapTypeHashOfMaps
}

// TakesFDs says whether values hold file descriptors when they are written and ids when they are read.
func (s Shape) TakesFDs() bool { return s.traits().fd }

// IsHidden says whether nobody can list what the map holds.
func (s Shape) IsHidden() bool { return s.traits().hidden }

// IsFilledAtRuntime says whether programs and processes alone put elements in: none can be declared.
func (s Shape) IsFilledAtRuntime() bool { return s.traits().runtime }
