// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package footprint

import (
	"math"
	"math/bits"
	"slices"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/maptype"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
)

// Estimate is how much kernel memory a map takes, in bytes.
type Estimate struct {
	// Empty is what the map takes from its creation on.
	Empty int64
	// Element is what each element adds, 0 for types that take everything at creation. For an arena
	// it is one page.
	Element int64
	// Accounted is how much of Element the kernel shows in fdinfo's memlock: without the rounding of
	// its allocator, and for an LPM trie without the nodes in between. 0 if it shows nothing.
	Accounted int64
	// Elements is how many elements there can be; 0 if the map doesn't say (local storage).
	Elements int64

	shown int64 // of Empty in memlock, for maps whose elements are allocated one by one
}

// With is what the map takes with n elements.
func (e Estimate) With(n int) int64 { return add(e.Empty, times(int64(n), e.Element)) }

// Full is what the map takes when it is full.
func (e Estimate) Full() int64 { return add(e.Empty, times(e.Elements, e.Element)) }

// Charged is what a map really takes of which the kernel shows memlock in fdinfo. The two differ for maps
// whose elements are allocated one by one, and for arrays that were rounded up. Before Linux 6.4 the kernel doesn't measure
// it but shows what sizes and the number of elements come to: then every map counts as full.
func (e Estimate) Charged(memlock int64, measured bool) int64 {
	if !measured {
		return e.Full()
	}
	if e.Accounted == 0 {
		return max(memlock, e.Empty)
	}
	elements := max(0, memlock-e.shown) / e.Accounted
	if e.Elements > 0 {
		elements = min(elements, e.Elements)
	}
	return add(e.Empty, times(elements, e.Element))
}

// Of estimates a map of a shape on a node with a number of possible CPUs. A type that isn't known is
// estimated as if it took all its elements at creation.
func Of(s revision.Shape, cpus int) Estimate {
	m := layout{
		Shape: s, cpus: int64(max(cpus, 1)), entries: int64(s.MaxEntries),
		key: roundUp(int64(s.KeySize), word), value: roundUp(int64(s.ValueSize), word),
	}
	memory := maptype.ByName(string(s.Type)).Or().Memory
	m.objectSize = memory.Object
	estimate, ok := formulas[memory.Formula]
	if !ok {
		estimate = layout.unknown
	}
	e := estimate(m)
	e.Empty = add(e.Empty, header)
	if e.Elements == 0 {
		e.Elements = m.entries
	}
	return e
}

// layout is a shape with what the formulas need. Sizes are rounded up to words.
type layout struct {
	revision.Shape
	cpus, entries, key, value int64
	objectSize                int64 // of what an element points to
}

func (m layout) has(flag v1alpha1.MapFlag) bool { return slices.Contains(m.Flags, flag) }

// Sizes in bytes.
const (
	word = 8
	page = 4096
	// header bounds what goes with a map besides its table; tableHeader is what stands before the table of
	// arrays.
	header      = 2 << 10
	tableHeader = 384
)

// kmalloc is what the kernel's allocator gives for an object of n bytes that it charges to a cgroup: the
// next of its sizes, and a pointer to the cgroup. Beyond two pages it gives whole pages, in powers of two.
func kmalloc(n int64) int64 {
	switch {
	case n > 2*page:
		return roundUpPow2(n)
	case n > 64 && n <= 96:
		return 96 + word
	case n > 128 && n <= 192:
		return 192 + word
	}
	return roundUpPow2(max(n, word)) + word
}

// area is what the kernel gives for one table of n bytes: up to 32 KiB in one piece, whose size is a power
// of two, else as pages.
func area(n int64) int64 {
	if n <= 8*page {
		return roundUpPow2(n)
	}
	return roundUp(n, page)
}

func roundUp(n, to int64) int64 {
	if n > math.MaxInt64-to {
		return math.MaxInt64
	}
	return (n + to - 1) / to * to
}

// roundUpPow2 is the next power of two from n on, at least 1.
func roundUpPow2(n int64) int64 {
	if n <= 1 {
		return 1
	}
	if n > 1<<62 {
		return math.MaxInt64
	}
	return 1 << bits.Len64(uint64(n-1))
}

// times and add stop at the largest number: the largest shapes are beyond every limit anyway.
func times(a, b int64) int64 {
	hi, lo := bits.Mul64(uint64(a), uint64(b))
	if hi > 0 || lo > math.MaxInt64 {
		return math.MaxInt64
	}
	return int64(lo)
}

func add(all ...int64) int64 {
	var sum int64
	for _, n := range all {
		if n > math.MaxInt64-sum {
			return math.MaxInt64
		}
		sum += n
	}
	return sum
}
