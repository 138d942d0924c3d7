// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package bpf

import (
	"fmt"
	"strings"
)

// MapFlags are the flags of map creation and of opening (BPF_F_*).
type MapFlags uint32

// The map flags of Linux 6.18.
const (
	// NoPrealloc allocates hash elements when they are written (Linux 4.6); LPM tries require it.
	NoPrealloc MapFlags = 1 << 0
	// NoCommonLRU keeps an LRU list per CPU instead of one (4.10).
	NoCommonLRU MapFlags = 1 << 1
	// NUMANode makes the kernel look at CreateOpts.NUMANode (4.14).
	NUMANode MapFlags = 1 << 2
	// RdOnly opens for reading. It holds for the one file descriptor and isn't stored (4.15).
	RdOnly MapFlags = 1 << 3
	// WrOnly opens for writing. It holds for the one file descriptor and isn't stored (4.15).
	WrOnly MapFlags = 1 << 4
	// StackBuildID stores build ids and offsets in a stack trace map (4.17).
	StackBuildID MapFlags = 1 << 5
	// ZeroSeed uses a hash seed of 0, for benchmarks only (5.0).
	ZeroSeed MapFlags = 1 << 6
	// RdOnlyProg makes the map read-only for BPF programs (5.2).
	RdOnlyProg MapFlags = 1 << 7
	// WrOnlyProg makes the map write-only for BPF programs (5.2).
	WrOnlyProg MapFlags = 1 << 8
	// Clone copies a socket's storage to accepted sockets (5.3).
	Clone MapFlags = 1 << 9
	// Mmapable allows mmap(2) of an array or arena (5.5).
	Mmapable MapFlags = 1 << 10
	// PreserveElems keeps perf events after their creator is gone (5.10).
	PreserveElems MapFlags = 1 << 11
	// InnerMap lets inner arrays differ in max_entries (5.10).
	InnerMap MapFlags = 1 << 12
	// Link makes a struct_ops map be registered through a link (6.4).
	Link MapFlags = 1 << 13
	// PathFD makes pin and get take a directory's fd (6.5).
	PathFD MapFlags = 1 << 14
	// VTypeBTFObjFD makes the kernel look at CreateOpts.ValueTypeBTFObjFD (6.9).
	VTypeBTFObjFD MapFlags = 1 << 15
	// TokenFD makes the kernel look at CreateOpts.TokenFD (6.9).
	TokenFD MapFlags = 1 << 16
	// SegvOnFault raises SIGSEGV for absent arena pages (6.9).
	SegvOnFault MapFlags = 1 << 17
	// NoUserConv leaves arena pointers unconverted (6.9).
	NoUserConv MapFlags = 1 << 18
)

var mapFlagNames = []string{
	"NoPrealloc", "NoCommonLRU", "NUMANode", "RdOnly", "WrOnly", "StackBuildID", "ZeroSeed",
	"RdOnlyProg", "WrOnlyProg", "Clone", "Mmapable", "PreserveElems", "InnerMap", "Link", "PathFD",
	"VTypeBTFObjFD", "TokenFD", "SegvOnFault", "NoUserConv",
}

// String lists the names, for example "NoPrealloc|RdOnlyProg"; "0" if there are none.
func (f MapFlags) String() string { return flagString(uint64(f), mapFlagNames) }

// ParseMapFlag is the flag of that name, as String writes it.
func ParseMapFlag(name string) (MapFlags, error) {
	for i, n := range mapFlagNames {
		if strings.EqualFold(n, name) {
			return 1 << i, nil
		}
	}
	return 0, fmt.Errorf("unknown map flag %q", name)
}

// ElemFlags are the flags of the element operations.
type ElemFlags uint64

// The element flags.
const (
	// Any creates or replaces.
	Any ElemFlags = 0
	// NoExist only creates: ErrExist if the key exists.
	NoExist ElemFlags = 1 << 0
	// Exist only replaces: ErrNotExist if the key doesn't exist.
	Exist ElemFlags = 1 << 1
	// Lock takes the value's bpf_spin_lock, which the map's BTF must describe (Linux 5.1).
	Lock ElemFlags = 1 << 2
	// CPU reads or writes one CPU's value of a per-CPU map; the CPU is in the upper 32 bits. Kernels
	// up to 6.18 refuse it with EINVAL.
	CPU ElemFlags = 1 << 3
	// AllCPUs writes one value to all CPUs. Kernels up to 6.18 refuse it with EINVAL.
	AllCPUs ElemFlags = 1 << 4
)

// OnCPU is the flags for one CPU's value.
func OnCPU(cpu int) ElemFlags { return CPU | ElemFlags(cpu)<<32 }

// String lists the names, for example "NoExist|Lock"; "0" for Any.
func (f ElemFlags) String() string {
	return flagString(uint64(f), []string{"NoExist", "Exist", "Lock", "CPU", "AllCPUs"})
}

func flagString(f uint64, names []string) string {
	var set []string
	for i, name := range names {
		if f&(1<<i) != 0 {
			set = append(set, name)
			f &^= 1 << i
		}
	}
	if f != 0 {
		set = append(set, fmt.Sprintf("%#x", f))
	}
	if len(set) == 0 {
		return "0"
	}
	return strings.Join(set, "|")
}
