// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package maptype

import (
	"math"
	"slices"
	"strings"
)

// kmallocMax is KMALLOC_MAX_SIZE, the largest object of the kernel's allocator.
const kmallocMax = 4 << 20

// The limits of sizes, in bytes.
const (
	// maxHashElement bounds key and value of a hash table together: an element is one object, and its
	// struct htab_elem takes 48 bytes.
	maxHashElement = kmallocMax - 48 - 1
	maxPerCPUValue = 32 << 10                // PCPU_MIN_UNIT_SIZE
	maxTrieKey     = 4 + 256                 // LPM_DATA_SIZE_MAX behind the length
	maxTrieValue   = kmallocMax - 256 - 24   // LPM_VAL_SIZE_MAX
	maxStorage     = math.MaxUint16 - 128    // BPF_LOCAL_STORAGE_MAX_VALUE_SIZE
	maxFrames      = 127                     // /proc/sys/kernel/perf_event_max_stack as it comes
	maxSockHashKey = 512                     // MAX_BPF_STACK
	cpuQueue       = 16384*8 + 4096          // a CPU map's entry: mostly its queue, which may have 16384 places
	accessFlags    = rdOnlyProg | wrOnlyProg // ACCESS_MASK without the flags of one file descriptor
	hashFlags      = noPrealloc | zeroSeed | accessFlags
	lruFlags       = noCommonLRU | zeroSeed | accessFlags
)

// The commands that families of types share.
const (
	element  = Lookup | Update | Delete | NextKey | Freeze
	hashOps  = element | LookupAndDelete | LookupBatch | UpdateBatch | DeleteBatch | LookupAndDeleteBatch
	arrayOps = Lookup | Update | NextKey | LookupBatch | UpdateBatch | Freeze
	queueOps = Lookup | Update | LookupAndDelete | Freeze
)

// Keys and values that families of types share.
var (
	hashKey     = Datum{Min: 1, Max: maxHashElement - 1}
	hashValue   = Datum{Min: 1, Max: maxHashElement - 1}
	perCPUValue = Datum{Min: 1, Max: maxPerCPUValue}
	index       = Datum{Min: 4, Max: 4, Default: Schema{Type: "u32"}}
	descriptor  = Datum{Min: 4, Max: 4, Default: Schema{Type: "u32"}}
	cookie      = Datum{Min: 4, Max: 8, Multiple: 4, Default: Schema{Type: "u64"}}
	owner       = Datum{Min: 4, Max: 4, Default: Schema{Type: "i32"}} // a file descriptor
	cgroupKey   = Datum{Min: 8, Max: 16, Multiple: 8}
)

// linked is a value that names an object of the node.
func linked(to string) Datum {
	return Datum{Min: 4, Max: 4, Default: Schema{Type: to}, References: []string{to}}
}

// withProgram is a number and, in values of 8 bytes, a program that it goes with.
func withProgram(number string) Datum {
	return Datum{Min: 4, Max: 8, Multiple: 4, Default: Schema{Type: number}, References: []string{"progPin"}}
}

// all are the types, in the order in which the API lists them.
var all = slices.Concat(declared, objects, atRuntime)

var (
	byNumber = indexed(func(t *Type) uint32 { return t.Number })
	byName   = indexed(func(t *Type) string { return t.Name })
)

func indexed[K comparable](key func(*Type) K) map[K]*Type {
	found := make(map[K]*Type, len(all))
	for i := range all {
		found[key(&all[i])] = &all[i]
	}
	return found
}

// All are the map types of Linux 7.2, in the order in which the API lists them.
func All() []*Type {
	types := make([]*Type, len(all))
	for i := range all {
		types[i] = &all[i]
	}
	return types
}

// Offered are the types that the API offers.
func Offered() []*Type { return slices.DeleteFunc(All(), func(t *Type) bool { return !t.IsOffered() }) }

// ByNumber is the type with the kernel's number, nil if there is none.
func ByNumber(n uint32) *Type { return byNumber[n] }

// ByName is the type with the API's name, for example "LPMTrie", nil if there is none.
func ByName(name string) *Type { return byName[name] }

// Parse is the type of a name in the API or in the kernel's headers, with or without BPF_MAP_TYPE_;
// nil if there is none.
func Parse(name string) *Type {
	if t := byName[name]; t != nil {
		return t
	}
	short := strings.TrimPrefix(name, "BPF_MAP_TYPE_")
	for i := range all {
		if all[i].UAPI == short {
			return &all[i]
		}
	}
	return nil
}

// Or is t, or a type that can do nothing if t is nil: for names that may not be known.
func (t *Type) Or() *Type {
	if t == nil {
		return &Type{}
	}
	return t
}
