// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package maptype

import "slices"

// Behaviour is what newer kernels do in another way, for the same call on the same map. What a kernel lacks as a
// whole stands with the type (Type.Since), the flag (Flag.Since) and the command (Type.OpSince).
//
// Since is the release; distributions and stable releases carry changes to older kernels, so internal/bpf tries
// what a kernel does where it needs to know, and the release explains.
type Behaviour struct {
	// Name is how tests call it.
	Name  string
	Since Kernel
	// Carried says that stable releases of older kernels have the change, too: a kernel before Since may do either.
	Carried bool
	// What completes "Before Since, …" and "since then, …"; Means is what that comes to for users.
	Before, After, Means string
}

// The behaviours, from the oldest to the newest.
var (
	MemcgAccounting = Behaviour{
		Name: "MemcgAccounting", Since: Kernel{5, 11},
		Before: "the memory of maps and programs is charged to RLIMIT_MEMLOCK, for all processes of a user together; over it, creating says EPERM",
		After:  "it is charged to the memory cgroup of the process that makes the map",
		Means:  "The agent raises the limit where it may (the chart's `agent.raiseMemlock`); else the error names the limit.",
	}
	LargeMaps = Behaviour{
		Name: "LargeMaps", Since: Kernel{5, 11},
		Before: "a map of 4 GiB or more is E2BIG", After: "only memory limits it",
		Means: "The error names the bound.",
	}
	LongHashKeys = Behaviour{
		Name: "LongHashKeys", Since: Kernel{5, 11},
		Before: "keys of hash tables over 512 bytes, and values that leave no room for such a key, are E2BIG",
		After:  "key and value together may take 4 MiB",
		Means:  "The error names the bound.",
	}
	LargeCGroupStorage = Behaviour{
		Name: "LargeCGroupStorage", Since: Kernel{5, 15},
		Before: "values of CGroupStorage and PerCPUCGroupStorage over a page are E2BIG", After: "they may take 64 KiB, of each CPU 32 KiB",
		Means: "The error names the bound.",
	}
	OpenHandles = Behaviour{
		Name: "OpenHandles", Since: Kernel{5, 19},
		Before: "every command of bpf(2) takes CAP_BPF where kernel.unprivileged_bpf_disabled is set",
		After:  "operations on an open map take no capability",
		Means:  "The agent has CAP_BPF; a process without it is told that it is missing.",
	}
	FreezeRefusesLocks = Behaviour{
		Name: "FreezeRefusesLocks", Since: Kernel{6, 2},
		Before: "a map whose values hold a spin lock can be frozen", After: "the kernel refuses (ENOTSUPP)",
		Means: "The API refuses the combination on every kernel.",
	}
	MeasuredMemory = Behaviour{
		Name: "MeasuredMemory", Since: Kernel{6, 4},
		Before: "memlock in fdinfo is what the map could take when full, from its sizes", After: "it is what the map takes",
		Means: "Before, a quota counts maps that grow with their elements as if they were full.",
	}
	FreezeByHandle = Behaviour{
		Name: "FreezeByHandle", Since: Kernel{6, 5},
		Before: "freezing takes CAP_BPF, any handle does, and freezing again is EBUSY",
		After:  "it takes a handle that may write and no capability, and freezing again is EPERM",
		Means:  "The agent says \"map is frozen\" on every kernel, and never freezes by a read-only handle.",
	}
	TrieFlags = Behaviour{
		Name: "TrieFlags", Since: Kernel{6, 13}, Carried: true,
		Before: "LPM tries ignore NoExist and Exist", After: "they are heeded",
		Means: "The agent looks for the prefix before it writes: another writer at the same moment isn't noticed.",
	}
	TrieCursor = Behaviour{
		Name: "TrieCursor", Since: Kernel{6, 13}, Carried: true,
		Before: "going on from a prefix that was deleted may skip others", After: "the kernel starts over at the first one",
		Means: "Tries are walked twice; a listing during which they changed is called incomplete, and is repeated.",
	}
	LargeTrieValues = Behaviour{
		Name: "LargeTrieValues", Since: Kernel{6, 13},
		Before: "values of LPM tries take 4194008 bytes at most", After: "4194024",
		Means: "The error names the size.",
	}
	OneCPUsValue = Behaviour{
		Name: "OneCPUsValue", Since: Kernel{7, 0},
		Before: "the element flags CPU and AllCPUs are EINVAL", After: "per-CPU types take them",
		Means: "Before, the values of all CPUs are written together.",
	}
	PerCPUInner = Behaviour{
		Name: "PerCPUInner", Since: Kernel{7, 2}, Carried: true,
		Before: "per-CPU arrays in a map of maps may differ from the template in maxEntries", After: "they may not (EINVAL)",
		Means: "Give them the template's maxEntries.",
	}
	XSKRings = Behaviour{
		Name: "XSKRings", Since: Kernel{7, 2}, Carried: true,
		Before: "an XSKMap takes any AF_XDP socket", After: "one without a receive ring is ENOBUFS",
		Means: "Programs' loaders put sockets in; set up the rings first.",
	}
)

// Behaviours are all of them, in the order of the table in the documentation.
func Behaviours() []*Behaviour {
	return []*Behaviour{
		&MemcgAccounting, &LargeMaps, &LongHashKeys, &LargeCGroupStorage, &OpenHandles, &FreezeRefusesLocks, &MeasuredMemory, &FreezeByHandle,
		&TrieFlags, &TrieCursor, &LargeTrieValues, &OneCPUsValue, &PerCPUInner, &XSKRings,
	}
}

// On says whether a kernel does as kernels since Since do. certain is false if its release doesn't tell.
func (b *Behaviour) On(k Kernel) (after, certain bool) {
	after = !k.Before(b.Since)
	return after, after || !b.Carried
}

// laterOps are commands that types got after they came.
var laterOps = []struct {
	ops   Ops
	types []string
	since Kernel
}{
	{batchOps, []string{"LPMTrie", "PerCPUArray"}, Kernel{5, 13}},
	{LookupAndDelete, []string{"Hash", "LRUHash", "PerCPUHash", "LRUPerCPUHash"}, Kernel{5, 14}},
	{batchOps, []string{"ArrayOfMaps", "HashOfMaps"}, Kernel{5, 19}},
	{LookupAndDelete, []string{"StackTrace"}, Kernel{6, 18}},
}

const batchOps = LookupBatch | UpdateBatch | DeleteBatch | LookupAndDeleteBatch

// OpSince is the kernel that brought one command for this type.
func (t *Type) OpSince(op Ops) Kernel {
	since := t.Since
	for _, l := range laterOps {
		if l.ops.Has(op) && slices.Contains(l.types, t.Name) {
			since = later(since, l.since)
		}
	}
	return since
}

// OpsOn are the commands that a kernel has for this type, without those that distributions carried to it.
func (t *Type) OpsOn(k Kernel) (ops Ops) {
	for op := Ops(1); op <= t.Ops; op <<= 1 {
		if t.Ops.Has(op) && !k.Before(t.OpSince(op)) {
			ops |= op
		}
	}
	return ops
}
