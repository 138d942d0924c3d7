// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package schema

import "github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"

// Size is the number of bytes.
func (l *Layout) Size() int { return l.size }

// Align is the alignment in bytes, as C's _Alignof gives it.
func (l *Layout) Align() int { return l.align }

// IsUnion says that the members all begin at the same byte and a value has one of them.
func (l *Layout) IsUnion() bool { return l.union }

// Member is a field of a struct or union with its place.
type Member struct {
	// Name is empty for padding, whose Layout's Scalar (or that of its elements) is padding.
	Name string
	// Offset is in bytes from the beginning of the struct; of a bit-field, the byte that its first bit is in.
	Offset int
	// BitOffset is in bits from the beginning of the struct, as BTF has it. In a byte, bits count from the
	// least significant one on little-endian machines, and from the most significant one on others.
	BitOffset int
	// Bits is the width of a bit-field, and 0 for anything else.
	Bits int
	// Layout is that of the member's type; of a bit-field that of the integer that it is cut from.
	Layout *Layout
}

// Members are the fields of a struct or union, padding among them, in their order; none for anything else.
func (l *Layout) Members() []Member {
	members := make([]Member, len(l.fields))
	for i := range l.fields {
		f := &l.fields[i]
		members[i] = Member{Name: f.name, Offset: f.offset, BitOffset: f.at, Bits: f.bits, Layout: f.layout}
	}
	return members
}

// Element is the layout of an array's elements and how many there are; l itself and 0 for anything else.
// The elements of an array of arrays are arrays.
func (l *Layout) Element() (*Layout, int) {
	if l.of == nil {
		return l, 0
	}
	return l.of, l.count
}

// Dimensions are the numbers of elements of an array of arrays, the outermost first: [3, 4] for C's
// m[3][4]. It is one number for an array, and none for anything else.
func (l *Layout) Dimensions() []int {
	var dimensions []int
	for ; l.of != nil; l = l.of {
		dimensions = append(dimensions, l.count)
	}
	return dimensions
}

// Scalar is the type of a scalar; empty for structs, unions and arrays.
func (l *Layout) Scalar() v1alpha1.ScalarType {
	if l.scalar == nil {
		return ""
	}
	return l.scalar.typ
}
