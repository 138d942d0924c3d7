// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package maptype

import (
	"fmt"
	"math/bits"
	"strings"
)

// Kernel is a release of Linux by its first two numbers.
type Kernel struct{ Major, Minor int }

// String is for example "Linux 5.10".
func (k Kernel) String() string { return fmt.Sprintf("Linux %d.%d", k.Major, k.Minor) }

// Before says whether k is older than other.
func (k Kernel) Before(other Kernel) bool {
	return k.Major < other.Major || k.Major == other.Major && k.Minor < other.Minor
}

// later is the newer one of two releases.
func later(a, b Kernel) Kernel {
	if a.Before(b) {
		return b
	}
	return a
}

// Flags is a set of flags of map creation, BPF_F_*, with the kernel's bits.
type Flags uint32

// The flags that types refer to.
const (
	noPrealloc Flags = 1 << iota
	noCommonLRU
	numaNode
	rdOnly
	wrOnly
	stackBuildID
	zeroSeed
	rdOnlyProg
	wrOnlyProg
	clone
	mmapable
	preserveElems
	innerMap
	link
	pathFD
	vtypeBTFObjFD
	tokenFD
	segvOnFault
	noUserConv
	rbOverwrite
)

// The flags that are more than names of the API: NUMANode makes the kernel look at the number of the node, and
// loaders set the others for sections of global variables.
const (
	NUMANode   = numaNode
	RdOnlyProg = rdOnlyProg
	Mmapable   = mmapable
)

// Flag is one flag of map creation.
type Flag struct {
	Bit Flags
	// Name is the API's: the kernel's in CamelCase. UAPI is the kernel's without BPF_F_.
	Name, UAPI string
	// Since is the kernel that brought the flag; a type may have come later (Type.FlagSince).
	Since Kernel
	// Offered says that the API offers it; the others are for opening, for loaders, or set by the agent.
	Offered bool
	// Does completes the sentence "The flag …".
	Does string
}

// allFlags are the flags of Linux 7.2, bit by bit.
var allFlags = []Flag{
	{noPrealloc, "NoPrealloc", "NO_PREALLOC", Kernel{4, 6}, true, "allocates entries when they are written instead of at creation"},
	{noCommonLRU, "NoCommonLRU", "NO_COMMON_LRU", Kernel{4, 10}, true, "keeps one LRU list per CPU"},
	{numaNode, "NUMANode", "NUMA_NODE", Kernel{4, 14}, false, "makes the kernel look at the number of the NUMA node"},
	{rdOnly, "RdOnly", "RDONLY", Kernel{4, 15}, false, "opens for reading; it holds for the one file descriptor and isn't stored"},
	{wrOnly, "WrOnly", "WRONLY", Kernel{4, 15}, false, "opens for writing; it holds for the one file descriptor and isn't stored"},
	{stackBuildID, "StackBuildID", "STACK_BUILD_ID", Kernel{4, 17}, true, "stores build ids and offsets instead of addresses"},
	{zeroSeed, "ZeroSeed", "ZERO_SEED", Kernel{5, 0}, true, "uses a hash seed of zero, for benchmarks only"},
	{rdOnlyProg, "RdOnlyProg", "RDONLY_PROG", Kernel{5, 2}, true, "makes the map read-only for BPF programs"},
	{wrOnlyProg, "WrOnlyProg", "WRONLY_PROG", Kernel{5, 2}, true, "makes the map write-only for BPF programs"},
	{clone, "Clone", "CLONE", Kernel{5, 4}, true, "copies a socket's storage to the sockets that it accepts"},
	{mmapable, "Mmapable", "MMAPABLE", Kernel{5, 5}, true, "lets user space map the values into its memory"},
	{preserveElems, "PreserveElems", "PRESERVE_ELEMS", Kernel{5, 10}, true, "keeps perf events after the process that put them in is gone"},
	{innerMap, "InnerMap", "INNER_MAP", Kernel{5, 10}, true, "lets inner maps of one outer map differ in maxEntries"},
	{link, "Link", "LINK", Kernel{6, 4}, false, "makes a struct_ops map be registered through a link"},
	{pathFD, "PathFD", "PATH_FD", Kernel{6, 5}, false, "makes pin and get take a directory's file descriptor"},
	{vtypeBTFObjFD, "VTypeBTFObjFD", "VTYPE_BTF_OBJ_FD", Kernel{6, 9}, false, "makes the kernel look at the BTF object of the value's type"},
	{tokenFD, "TokenFD", "TOKEN_FD", Kernel{6, 9}, false, "makes the kernel look at a BPF token"},
	{segvOnFault, "SegvOnFault", "SEGV_ON_FAULT", Kernel{6, 9}, true, "makes user space get SIGSEGV at an arena's absent page instead of a new page"},
	{noUserConv, "NoUserConv", "NO_USER_CONV", Kernel{6, 9}, true, "leaves pointers into an arena as they are when programs cast them for user space"},
	{rbOverwrite, "RBOverwrite", "RB_OVERWRITE", Kernel{6, 19}, true, "makes a full ring buffer drop its oldest records instead of refusing new ones"},
}

// AllFlags are the flags of map creation in the order of their bits.
func AllFlags() []Flag { return allFlags }

// UAPIName is the flag's name in the kernel's headers, for example "BPF_F_NO_PREALLOC".
func (f Flag) UAPIName() string { return "BPF_F_" + f.UAPI }

// Split are the flags of the set, in the order of their bits; bits that aren't known are left out.
func (f Flags) Split() []Flag {
	var set []Flag
	for ; f != 0; f &= f - 1 {
		if i := bits.TrailingZeros32(uint32(f)); i < len(allFlags) {
			set = append(set, allFlags[i])
		}
	}
	return set
}

// Names are the API's names of the set, in the order of their bits.
func (f Flags) Names() []string {
	var names []string
	for _, flag := range f.Split() {
		names = append(names, flag.Name)
	}
	return names
}

// FlagByName is the flag with that name in the API, in any case.
func FlagByName(name string) (Flag, bool) {
	for _, f := range allFlags {
		if strings.EqualFold(f.Name, name) {
			return f, true
		}
	}
	return Flag{}, false
}
