// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package revision

import (
	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/maptype"
)

// traits are what the kernel does with maps of the type; those of an unknown type are none.
func (s Shape) traits() *maptype.Type { return maptype.ByName(string(s.Type)).Or() }

// IsPerCPU says whether an element has one value for each possible CPU.
func (s Shape) IsPerCPU() bool { return s.traits().PerCPU }

// IsArray says whether keys are indexes and every one always exists: deleting writes zeros.
func (s Shape) IsArray() bool { return s.traits().Array }

// IsIndexed says whether keys are indexes below MaxEntries. Unless IsArray, elements may be absent.
func (s Shape) IsIndexed() bool { return s.traits().Indexed }

// IsKeyless says whether elements have no key: they can be pushed, and popped or asked for.
func (s Shape) IsKeyless() bool { return s.traits().IsKeyless() }

// IsBloom says whether the map can only be asked whether it holds a value; values can't be taken out.
func (s Shape) IsBloom() bool { return s.traits().Reading == maptype.Asked }

// IsLRU says whether the kernel evicts elements when the map runs full.
func (s Shape) IsLRU() bool { return s.traits().LRU }

// IsLPM says whether keys are prefixes: a 32-bit length in the node's byte order, then the address.
func (s Shape) IsLPM() bool { return s.traits().LPM }

// IsMapOfMaps says whether values are maps.
func (s Shape) IsMapOfMaps() bool { return s.traits().MapOfMaps }

// TakesFDs says whether values hold file descriptors when they are written and ids when they are read.
func (s Shape) TakesFDs() bool { return s.traits().Values != maptype.Plain && !s.IsFilledAtRuntime() }

// HoldsObjects says whether values are maps or programs, which can't be opened by the ids that are read:
// alone, or behind a number in values of 8 bytes.
func (s Shape) HoldsObjects() bool {
	t := s.traits()
	return t.MapOfMaps || t.Value.Default.Type == string(v1alpha1.TypeProgPin) ||
		t.Values == maptype.DescriptorsBehind && s.ValueSize > 4
}

// HoldsSameAs says whether values of maps of both shapes name objects of the same kind, so that elements
// of one can be elements of the other.
func (s Shape) HoldsSameAs(other Shape) bool {
	a, b := s.traits(), other.traits()
	return s.Type == other.Type || a.Values == b.Values && a.Value.Default.Type == b.Value.Default.Type
}

// IsHidden says whether the elements can't be listed.
func (s Shape) IsHidden() bool { return s.traits().Reading != maptype.Listed }

// IsFilledAtRuntime says whether programs and processes alone put elements in: none can be declared.
func (s Shape) IsFilledAtRuntime() bool { return s.traits().Runtime }

// Stride is how many bytes the value of an element takes in a system call on a node with a number of
// possible CPUs: in per-CPU maps those of all of them.
func (s Shape) Stride(cpus int) int {
	if s.IsPerCPU() {
		return cpus * maptype.Slot(int(s.ValueSize))
	}
	return int(s.ValueSize)
}
