// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package maptype

// objects are the types whose values are other objects of the node.
var objects = []Type{
	{
		Number: 12, Name: "ArrayOfMaps", UAPI: "ARRAY_OF_MAPS", Since: Kernel{4, 12},
		Key: index, Value: linked("mapRef"), Indexed: true, MapOfMaps: true, Values: Descriptors,
		NUMA: true, Ops: element | LookupBatch | UpdateBatch, Memory: Memory{Formula: PointerArray},
	},
	{
		Number: 13, Name: "HashOfMaps", UAPI: "HASH_OF_MAPS", Since: Kernel{4, 12},
		Key: hashKey, Value: linked("mapRef"), MaxElement: maxHashElement, MapOfMaps: true, Values: Descriptors,
		Flags: hashFlags, NUMA: true,
		Ops: hashOps &^ LookupAndDelete, Count: Sum, Memory: Memory{Formula: HashTable},
	},
	{
		Number: 3, Name: "ProgArray", UAPI: "PROG_ARRAY", Since: Kernel{4, 2},
		Key: index, Value: linked("progPin"), Indexed: true, Values: Descriptors,
		NUMA: true, Ops: element, Memory: Memory{Formula: PointerArray},
	},
	{
		Number: 8, Name: "CGroupArray", UAPI: "CGROUP_ARRAY", Since: Kernel{4, 8},
		Key: index, Value: linked("cgroup"), Indexed: true, Values: Descriptors, Reading: Unreadable,
		NUMA: true, Inner: AnyCapacity, Ops: element &^ Lookup, Memory: Memory{Formula: PointerArray},
	},
	{
		Number: 14, Name: "DevMap", UAPI: "DEVMAP", Since: Kernel{4, 14},
		Key: index, Value: withProgram("ifindex"), Indexed: true, Values: DescriptorsBehind,
		NUMA: true, Inner: AnyCapacity, NetAdmin: true,
		Ops: element, Memory: Memory{Formula: PointerArray, Object: 128},
	},
	{
		Number: 25, Name: "DevMapHash", UAPI: "DEVMAP_HASH", Since: Kernel{5, 4},
		Key: index, Value: withProgram("ifindex"), Values: DescriptorsBehind,
		NUMA: true, Inner: AnyCapacity, NetAdmin: true,
		Ops: element, Memory: Memory{Formula: PointerHash, Object: 128},
	},
	{
		Number: 16, Name: "CPUMap", UAPI: "CPUMAP", Since: Kernel{4, 15},
		Key: index, Value: withProgram("u32"), Capacity: CPUs, Indexed: true, Values: DescriptorsBehind,
		NUMA: true, Inner: AnyCapacity,
		Ops: element, Memory: Memory{Formula: PointerArray, Object: cpuQueue},
	},
}
