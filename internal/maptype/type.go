// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package maptype

import "math"

// Type is a map type and all that depends on it.
type Type struct {
	// Number is the kernel's, enum bpf_map_type.
	Number uint32
	// Name is the API's: the kernel's in CamelCase. UAPI is the kernel's without BPF_MAP_TYPE_.
	Name, UAPI string
	// Since is the kernel that brought the type.
	Since Kernel
	// NotOffered is why the API doesn't offer the type; empty if it does.
	NotOffered string

	// Key and Value are what the kernel takes as key and value; zero if there is none.
	Key, Value Datum
	// FlagValue takes the place of Value if the map carries one of its flags.
	FlagValue FlagValue
	// MaxElement bounds key and value together, in bytes; 0 if nothing but Key and Value does.
	MaxElement int
	// Capacity is what max_entries counts.
	Capacity Capacity
	// HashFunctions is the most that map_extra may ask for; 0 if it may not.
	HashFunctions int
	// Extra is what map_extra means, for types whose map_extra the API has as mapExtra.
	Extra Extra

	// Indexed says that keys are indexes below max_entries.
	Indexed bool
	// Array says that every index always exists: deleting writes zeros. Array implies Indexed.
	Array bool
	// PerCPU says that an element has one value for each possible CPU.
	PerCPU bool
	// LRU says that the kernel evicts elements when the map runs full.
	LRU bool
	// LPM says that keys are prefixes: a 32-bit length in the node's byte order, then the address.
	LPM bool
	// InPlace says that an update of an element that is there writes into its value, so that others who read it
	// meanwhile may see a part of the old value and a part of the new one. All arrays do so, too.
	InPlace bool
	// MapOfMaps says that values are maps.
	MapOfMaps bool

	// Runtime says that programs and processes alone put elements in: none can be declared.
	Runtime bool
	// Reading is how the contents can be compared with what is declared.
	Reading Reading
	// Count is how the kernel tells the number of elements without a walk.
	Count Count
	// Values says what is written as a value.
	Values Values

	// Flags are the creation flags that the type takes, of those that the API offers. Implied is the one
	// that the kernel demands.
	Flags, Implied Flags
	// NUMA says that the kernel takes a NUMA node.
	NUMA bool
	// BTF is whether the map gets a description of key and value.
	BTF BTF
	// SpinLock says that values may hold a struct bpf_spin_lock.
	SpinLock bool
	// Inner is whether maps of the type may be in a map of maps.
	Inner Inner
	// NetAdmin says that creation needs CAP_NET_ADMIN beside CAP_BPF.
	NetAdmin bool
	// Ops are the commands of bpf(2) that the type has.
	Ops Ops
	// Memory is how much kernel memory a map takes.
	Memory Memory
}

// CanShare says whether a part of each value can be the declaration's and the rest the programs': values are bytes that
// can be compared, by a key.
func (t *Type) CanShare() bool {
	return !t.Runtime && t.Reading == Listed && t.Values == Plain && !t.IsKeyless()
}

// Datum is what the kernel takes as key or value. The zero Datum is none.
type Datum struct {
	// Min and Max bound the size in bytes. Multiple is what the size must be a multiple of, 0 for any.
	Min, Max, Multiple int
	// Default is the schema if none is declared; zero if one must be.
	Default Schema
	// References are the types, as in the API, that alone this datum may hold, such as mapRef.
	References []string
}

// Schema is a schema of the API: a scalar type, or Length of them.
type Schema struct {
	Type   string
	Length int32
}

// FlagValue is what the kernel takes as value of maps that carry one of some flags.
type FlagValue struct {
	Flags Flags
	Value Datum
}

// ValueWith is what the kernel takes as value of a map that carries some flags.
func (t *Type) ValueWith(flags Flags) Datum {
	if t.FlagValue.Flags&flags != 0 {
		return t.FlagValue.Value
	}
	return t.Value
}

// Exists says whether there is such a datum at all.
func (d Datum) Exists() bool { return d.Max > 0 }

// Takes says whether a size in bytes is within the limits.
func (d Datum) Takes(size int) bool {
	return size >= d.Min && size <= d.Max && (d.Multiple == 0 || size%d.Multiple == 0)
}

// Capacity is what max_entries counts.
type Capacity int

// The units of max_entries.
const (
	// Elements: 1 or more.
	Elements Capacity = iota
	// CPUs: elements, at most as many as the kernel has CPUs.
	CPUs
	// Bytes: a power of two and a multiple of the page size.
	Bytes
	// Pages of memory.
	Pages
	// Unbounded: max_entries must be 0, the map grows with what it is attached to.
	Unbounded
)

// Extra is what map_extra means.
type Extra int

// The meanings of map_extra, beside the number of hash functions.
const (
	// NoExtra: it must be 0.
	NoExtra Extra = iota
	// Address: where user space maps the memory, a multiple of the page size; 0 for any place.
	Address
	// SizeHint: for how many elements there is room at creation, at most 65535 and max_entries; 0 for the kernel's
	// choice.
	SizeHint
)

// MaxSizeHint is the largest map_extra that is a SizeHint.
const MaxSizeHint = math.MaxUint16

// Reading is how the contents of a map can be compared with what is declared.
type Reading int

// The ways of reading.
const (
	// Listed: the elements can be listed.
	Listed Reading = iota
	// Consumed: an element can only be taken out.
	Consumed
	// Asked: the map can be asked whether it holds a value.
	Asked
	// Unreadable: nobody can list what the map holds.
	Unreadable
)

// Count is how the kernel tells the number of elements without a walk.
type Count int

// The ways of counting.
const (
	// NoCount: it doesn't.
	NoCount Count = iota
	// Sum: by the kfunc bpf_map_sum_elem_count (Linux 6.6).
	Sum
	// TrieEntries: in struct lpm_trie.
	TrieEntries
)

// Values says what is written as a value.
type Values int

// The kinds of values.
const (
	// Plain: bytes, read as they were written.
	Plain Values = iota
	// Descriptors: a file descriptor, read as an id or a cookie if it can be read at all.
	Descriptors
	// DescriptorsBehind: a number, and in values of 8 bytes a program's file descriptor behind it, read
	// as the program's id.
	DescriptorsBehind
)

// BTF is whether a map gets a description of key and value.
type BTF int

// The uses of BTF.
const (
	// NoBTF: creation fails with it, or it would tell nothing.
	NoBTF BTF = iota
	// OptionalBTF: for tools that print fields by name.
	OptionalBTF
	// RequiredBTF: creation fails without it.
	RequiredBTF
	// KernelBTF: the value's type is one of the kernel's.
	KernelBTF
)

// Inner is whether maps of a type may be in a map of maps.
type Inner int

// The rules for inner maps.
const (
	// NotInner: the kernel refuses them, or a template for them can't be made from a declaration alone.
	NotInner Inner = iota
	// AnyCapacity: max_entries may differ from that of the template.
	AnyCapacity
	// SameCapacity: max_entries must be that of the template, unless both carry the flag InnerMap.
	SameCapacity
)

// Ops is a set of commands of bpf(2).
type Ops uint16

// The commands. For types without keys Lookup is peek, and LookupAndDelete pop.
const (
	Lookup Ops = 1 << iota
	Update
	Delete
	LookupAndDelete
	NextKey
	LookupBatch
	UpdateBatch
	DeleteBatch
	LookupAndDeleteBatch
	Freeze
)

// Has says whether all of want are in the set.
func (o Ops) Has(want Ops) bool { return o&want == want }

// Memory is how much kernel memory a map takes: the formula, which internal/footprint has, and its
// parameter.
type Memory struct {
	Formula Formula
	// Object is the size in bytes, rounded up, of what an element points to; 0 for nothing that is the
	// map's own.
	Object int64
}

// Formula names a layout of memory.
type Formula int

// The layouts of memory.
const (
	UnknownLayout Formula = iota
	HashTable
	ValueArray
	PerCPUValueArray
	PointerArray
	PointerHash
	SocketHash
	Trie
	RingOfValues
	Bits
	StackBuckets
	RingBuffer
	LazyPages
	KernelStruct
	LocalStorage
	ResizableHash
)

// IsKeyless says whether elements have no key.
func (t *Type) IsKeyless() bool { return !t.Key.Exists() }

// IsOffered says whether the API offers the type.
func (t *Type) IsOffered() bool { return t.NotOffered == "" }

// UAPIName is the type's name in the kernel's headers, for example "BPF_MAP_TYPE_LPM_TRIE".
func (t *Type) UAPIName() string { return "BPF_MAP_TYPE_" + t.UAPI }

// TakesExtra says whether map_extra may be something else than 0.
func (t *Type) TakesExtra() bool { return t.HashFunctions > 0 || t.Extra != NoExtra }

// FlagSince is the kernel that brought a flag for this type.
func (t *Type) FlagSince(f Flag) Kernel { return later(t.Since, f.Since) }

// Smallest is the smallest size of a key or value that is convenient to make: 4 bytes where it may be.
func (d Datum) Smallest() int {
	switch {
	case d.Takes(4):
		return 4
	default:
		return d.Min
	}
}

// Slot is how many bytes the value of one CPU takes in a system call: a per-CPU map's value of size bytes,
// rounded up to 8.
func Slot(size int) int { return (size + 7) &^ 7 }
