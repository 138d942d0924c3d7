// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package maptype

// atRuntime are the types with what processes and programs put in while they run: the map is made and
// pinned, and starts empty.
var atRuntime = []Type{
	{
		Number: 17, Name: "XSKMap", UAPI: "XSKMAP", Since: Kernel{4, 18},
		Key: index, Value: descriptor, Indexed: true, Runtime: true, Values: Descriptors, Reading: Unreadable,
		NUMA: true, Inner: SameCapacity, NetAdmin: true,
		Ops: element &^ Lookup, Memory: Memory{Formula: PointerArray, Object: 96},
	},
	{
		Number: 15, Name: "SockMap", UAPI: "SOCKMAP", Since: Kernel{4, 14},
		Key: index, Value: cookie, Indexed: true, Runtime: true, Values: Descriptors,
		NUMA: true, Inner: AnyCapacity, NetAdmin: true,
		Ops: element, Memory: Memory{Formula: PointerArray, Object: 192},
	},
	{
		Number: 18, Name: "SockHash", UAPI: "SOCKHASH", Since: Kernel{4, 18},
		Key: Datum{Min: 1, Max: maxSockHashKey}, Value: cookie, Runtime: true, Values: Descriptors,
		NUMA: true, Inner: AnyCapacity, NetAdmin: true,
		Ops: element, Memory: Memory{Formula: SocketHash, Object: 192},
	},
	{
		Number: 20, Name: "ReusePortSockArray", UAPI: "REUSEPORT_SOCKARRAY", Since: Kernel{4, 19},
		Key: index, Value: cookie, Indexed: true, Runtime: true, Values: Descriptors,
		Flags: accessFlags, NUMA: true, Inner: AnyCapacity,
		Ops: element, Memory: Memory{Formula: PointerArray},
	},
	{
		Number: 4, Name: "PerfEventArray", UAPI: "PERF_EVENT_ARRAY", Since: Kernel{4, 3},
		Key: index, Value: descriptor, Indexed: true, Runtime: true, Values: Descriptors, Reading: Unreadable,
		Flags: preserveElems, NUMA: true, Inner: AnyCapacity,
		Ops: element &^ Lookup, Memory: Memory{Formula: PointerArray, Object: 64},
	},
	{
		Number: 27, Name: "RingBuf", UAPI: "RINGBUF", Since: Kernel{5, 8},
		Capacity: Bytes, Runtime: true, Reading: Unreadable, Flags: rbOverwrite,
		NUMA: true, Inner: AnyCapacity, Ops: Freeze, Memory: Memory{Formula: RingBuffer},
	},
	{
		Number: 31, Name: "UserRingBuf", UAPI: "USER_RINGBUF", Since: Kernel{6, 1},
		Capacity: Bytes, Runtime: true, Reading: Unreadable,
		NUMA: true, Inner: AnyCapacity, Ops: Freeze, Memory: Memory{Formula: RingBuffer},
	},
	{
		Number: 7, Name: "StackTrace", UAPI: "STACK_TRACE", Since: Kernel{4, 6},
		Key: index, Value: Datum{Min: 8, Max: 8 * maxFrames, Multiple: 8, Default: Schema{Type: "u64", Length: maxFrames}},
		// struct bpf_stack_build_id takes 32 bytes.
		FlagValue: FlagValue{stackBuildID, Datum{Min: 32, Max: 32 * maxFrames, Multiple: 32, Default: Schema{Type: "u64", Length: 4 * maxFrames}}},
		Indexed:   true, Runtime: true,
		Flags: stackBuildID, NUMA: true, Inner: AnyCapacity,
		Ops: Lookup | Delete | LookupAndDelete | NextKey | Freeze, Memory: Memory{Formula: StackBuckets},
	},
	{
		Number: 24, Name: "SKStorage", UAPI: "SK_STORAGE", Since: Kernel{5, 2},
		Key: owner, Value: Datum{Min: 1, Max: maxStorage}, Capacity: Unbounded, Runtime: true, Reading: Unreadable,
		Flags: noPrealloc | clone, Implied: noPrealloc, BTF: RequiredBTF, SpinLock: true,
		Ops: Lookup | Update | Delete | Freeze, Memory: Memory{Formula: LocalStorage},
	},
	{
		Number: 28, Name: "InodeStorage", UAPI: "INODE_STORAGE", Since: Kernel{5, 10},
		Key: owner, Value: Datum{Min: 1, Max: maxStorage}, Capacity: Unbounded, Runtime: true, Reading: Unreadable,
		Flags: noPrealloc, Implied: noPrealloc, BTF: RequiredBTF, SpinLock: true,
		Ops: Lookup | Update | Delete | Freeze, Memory: Memory{Formula: LocalStorage},
	},
	{
		Number: 29, Name: "TaskStorage", UAPI: "TASK_STORAGE", Since: Kernel{5, 11},
		Key: owner, Value: Datum{Min: 1, Max: maxStorage}, Capacity: Unbounded, Runtime: true, Reading: Unreadable,
		Flags: noPrealloc, Implied: noPrealloc, BTF: RequiredBTF, SpinLock: true,
		Ops: Lookup | Update | Delete | Freeze, Memory: Memory{Formula: LocalStorage},
	},
	{
		Number: 32, Name: "CGRPStorage", UAPI: "CGRP_STORAGE", Since: Kernel{6, 2},
		Key: owner, Value: Datum{Min: 1, Max: maxStorage}, Capacity: Unbounded, Runtime: true, Reading: Unreadable,
		Flags: noPrealloc, Implied: noPrealloc, BTF: RequiredBTF, SpinLock: true,
		Ops: Lookup | Update | Delete | Freeze, Memory: Memory{Formula: LocalStorage},
	},
	{
		Number: 19, Name: "CGroupStorage", UAPI: "CGROUP_STORAGE", Since: Kernel{4, 19},
		Key: cgroupKey, Value: Datum{Min: 1, Max: maxStorage}, Capacity: Unbounded, Runtime: true, Reading: Unreadable,
		Flags: accessFlags, NUMA: true, BTF: OptionalBTF, SpinLock: true,
		Ops: Lookup | Update | NextKey | Freeze, Memory: Memory{Formula: LocalStorage},
	},
	{
		Number: 21, Name: "PerCPUCGroupStorage", UAPI: "PERCPU_CGROUP_STORAGE", Since: Kernel{4, 20},
		Key: cgroupKey, Value: perCPUValue, Capacity: Unbounded, PerCPU: true, Runtime: true, Reading: Unreadable,
		Flags: accessFlags, NUMA: true, BTF: OptionalBTF,
		Ops: Lookup | Update | NextKey | Freeze, Memory: Memory{Formula: LocalStorage},
	},
	{
		Number: 33, Name: "Arena", UAPI: "ARENA", Since: Kernel{6, 9},
		Capacity: Pages, Runtime: true, Reading: Unreadable, Extra: Address,
		Flags: mmapable | segvOnFault | noUserConv, Implied: mmapable,
		Ops: Freeze, Memory: Memory{Formula: LazyPages},
	},
	{
		Number: 34, Name: "InsnArray", UAPI: "INSN_ARRAY", Since: Kernel{6, 19},
		NotOffered: "it holds places in the instructions of the one program that is loaded with it, so its loader makes it",
		Key:        index, Value: Datum{Min: 16, Max: 16}, Indexed: true, Runtime: true,
		Ops: Lookup | Update | NextKey | Freeze, Memory: Memory{Formula: ValueArray},
	},
	{
		Number: 26, Name: "StructOps", UAPI: "STRUCT_OPS", Since: Kernel{5, 6},
		NotOffered: "it holds the functions of a loaded program, which is its loader's to register",
		Key:        index, Value: Datum{Min: 1, Max: kmallocMax}, Indexed: false, Runtime: true,
		BTF: KernelBTF, Ops: Lookup | Update | Delete | NextKey, Memory: Memory{Formula: KernelStruct},
	},
}
