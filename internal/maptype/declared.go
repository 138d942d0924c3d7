// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package maptype

import "math"

// declared are the types whose elements are bytes that can be declared.
var declared = []Type{
	{
		Number: 1, Name: "Hash", UAPI: "HASH", Since: Kernel{3, 19},
		Key: hashKey, Value: hashValue, MaxElement: maxHashElement,
		Flags: hashFlags, NUMA: true, BTF: OptionalBTF, SpinLock: true, Inner: AnyCapacity,
		Ops: hashOps, Count: Sum, Memory: Memory{Formula: HashTable},
	},
	{
		Number: 9, Name: "LRUHash", UAPI: "LRU_HASH", Since: Kernel{4, 10},
		Key: hashKey, Value: hashValue, MaxElement: maxHashElement, LRU: true,
		Flags: lruFlags, NUMA: true, BTF: OptionalBTF, Inner: AnyCapacity,
		Ops: hashOps, Count: Sum, Memory: Memory{Formula: HashTable},
	},
	{
		Number: 5, Name: "PerCPUHash", UAPI: "PERCPU_HASH", Since: Kernel{4, 6},
		Key: hashKey, Value: perCPUValue, MaxElement: maxHashElement, PerCPU: true,
		Flags: hashFlags, BTF: OptionalBTF, Inner: AnyCapacity,
		Ops: hashOps, Count: Sum, Memory: Memory{Formula: HashTable},
	},
	{
		Number: 10, Name: "LRUPerCPUHash", UAPI: "LRU_PERCPU_HASH", Since: Kernel{4, 10},
		Key: hashKey, Value: perCPUValue, MaxElement: maxHashElement, PerCPU: true, LRU: true,
		Flags: lruFlags, BTF: OptionalBTF, Inner: AnyCapacity,
		Ops: hashOps, Count: Sum, Memory: Memory{Formula: HashTable},
	},
	{
		Number: 35, Name: "RHash", UAPI: "RHASH", Since: Kernel{7, 1},
		Key: Datum{Min: 1, Max: math.MaxUint16}, Value: hashValue, MaxElement: maxHashElement, Extra: SizeHint, InPlace: true,
		Flags: noPrealloc | accessFlags, Implied: noPrealloc, NUMA: true, BTF: OptionalBTF, SpinLock: true, Inner: AnyCapacity,
		Ops: hashOps, Memory: Memory{Formula: ResizableHash},
	},
	{
		Number: 2, Name: "Array", UAPI: "ARRAY", Since: Kernel{3, 19},
		Key: index, Value: Datum{Min: 1, Max: math.MaxInt32}, Indexed: true, Array: true,
		Flags: mmapable | innerMap | accessFlags, NUMA: true, BTF: OptionalBTF, SpinLock: true, Inner: SameCapacity,
		Ops: arrayOps, Memory: Memory{Formula: ValueArray},
	},
	{
		Number: 6, Name: "PerCPUArray", UAPI: "PERCPU_ARRAY", Since: Kernel{4, 6},
		Key: index, Value: perCPUValue, Indexed: true, Array: true, PerCPU: true,
		Flags: accessFlags, BTF: OptionalBTF, Inner: AnyCapacity,
		Ops: arrayOps, Memory: Memory{Formula: PerCPUValueArray},
	},
	{
		Number: 11, Name: "LPMTrie", UAPI: "LPM_TRIE", Since: Kernel{4, 11},
		Key: Datum{Min: 5, Max: maxTrieKey}, Value: Datum{Min: 1, Max: maxTrieValue}, LPM: true,
		Flags: noPrealloc | accessFlags, Implied: noPrealloc, NUMA: true, BTF: OptionalBTF, Inner: AnyCapacity,
		Ops: element | LookupBatch | UpdateBatch | DeleteBatch, Count: TrieEntries, Memory: Memory{Formula: Trie},
	},
	{
		Number: 22, Name: "Queue", UAPI: "QUEUE", Since: Kernel{4, 20},
		Value: Datum{Min: 1, Max: kmallocMax}, Reading: Consumed,
		Flags: accessFlags, NUMA: true, Inner: AnyCapacity,
		Ops: queueOps, Memory: Memory{Formula: RingOfValues},
	},
	{
		Number: 23, Name: "Stack", UAPI: "STACK", Since: Kernel{4, 20},
		Value: Datum{Min: 1, Max: kmallocMax}, Reading: Consumed,
		Flags: accessFlags, NUMA: true, Inner: AnyCapacity,
		Ops: queueOps, Memory: Memory{Formula: RingOfValues},
	},
	{
		Number: 30, Name: "BloomFilter", UAPI: "BLOOM_FILTER", Since: Kernel{5, 16},
		Value: Datum{Min: 1, Max: kmallocMax}, HashFunctions: 15, Reading: Asked,
		Flags: accessFlags, NUMA: true, BTF: OptionalBTF, Inner: AnyCapacity,
		Ops: Lookup | Update | Freeze, Memory: Memory{Formula: Bits},
	},
}
