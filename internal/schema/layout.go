// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package schema

import (
	"fmt"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
)

// MaxSize bounds a layout in bytes. No map takes larger keys or values.
const MaxSize = 1 << 30

// Layout is a checked schema with its offsets and sizes: a scalar, a struct, a union, or an array of
// one of them or of arrays. It is immutable and safe for concurrent use.
type Layout struct {
	scalar *scalar // nil for anything else
	fields []field // of structs and unions, in their order
	union  bool
	// of is the layout of an array's elements, and count how many there are; nil and 0 for anything else.
	of    *Layout
	count int
	// size is that of the whole, of structs including the padding at their end.
	size, align int
	// gaps are the bits of a struct that no field has.
	gaps []gap
	// fallback is the default, see defaults.go.
	fallback fallback
	// program says that programs own the whole, see owner.go.
	program bool
	// prefix is there for the key of an LPM trie that has the prefix length in front, see prefix.go.
	prefix *prefix
	// ranges reads ranges, of prefixes that hold their length; nil for anything else.
	ranges *prefix
}

// field is a member. bits is 0 for all but bit-fields, and offset that of the first byte that a member's
// bits are in.
type field struct {
	name             string
	offset, at, bits int
	layout           *Layout
	// start is the first byte that the layout reads: offset, but for prefixes, which read the length in front of all
	// fields.
	start int
	// silent fields have no value: padding and spin locks.
	silent bool
	// rest are the bits of a union that this member doesn't have.
	rest []gap
}

// Error is a schema or a value that doesn't fit, and where in it.
type Error struct {
	// Path is the place relative to the schema or value, for example ".ports[2]"; empty for the
	// whole.
	Path string
	// Message says what is wrong, with the value and the bound.
	Message string
	// IsMissing says that it is a field that isn't given and has no default.
	IsMissing bool
}

// Error is the path and the message.
func (e *Error) Error() string {
	if e.Path == "" {
		return e.Message
	}
	return e.Path + ": " + e.Message
}

// below is e of a value that stands at step in another one.
func (e *Error) below(step string) *Error {
	e.Path = step + e.Path
	return e
}

func errorf(path, format string, args ...any) *Error {
	return &Error{Path: path, Message: fmt.Sprintf(format, args...)}
}

// New checks a schema and lays it out as a C compiler for a 64-bit machine does: fields at multiples
// of their alignment, a struct's size a multiple of its own, unless packed. The error is an *Error
// whose path is in terms of the schema, for example ".fields[1].size".
func New(s *v1alpha1.Schema) (*Layout, error) { return newChecked(s, builder{}) }

func newChecked(s *v1alpha1.Schema, b builder) (*Layout, error) {
	switch {
	case s.Type == v1alpha1.TypePadding:
		return nil, errorf(".type", "padding is possible between the fields of a struct alone")
	case s.Bits != 0:
		return nil, errorf(".bits", "only a field of a struct or union can be a bit-field")
	}
	if err := checkPrefixes(s); err != nil {
		return nil, err
	}
	l, err := b.layout(s, "", 0)
	if err != nil {
		return nil, err
	}
	l.setRanges()
	if hasPrefix(s) {
		if err := l.setPrefix(s); err != nil {
			return nil, err
		}
	}
	if n := l.countLinks(); n > MaxReferenceFields {
		return nil, errorf("", "has %d places of interfaces, maps, programs and cgroups, at most %d are possible", n, MaxReferenceFields)
	}
	return l, nil
}

// builder lays schemas out.
type builder struct {
	collect func(v1alpha1.Reference) // nil for layouts without links
	program bool                     // what is laid out is a part of what programs own
}

func (b builder) layout(s *v1alpha1.Schema, path string, depth int) (*Layout, *Error) {
	if err := checkOwner(s, path); err != nil {
		return nil, err
	}
	b.program = b.program || s.Owner == v1alpha1.OwnerProgram
	l := &Layout{program: b.program}
	switch {
	case s.Type != "" && len(s.Fields) > 0:
		return nil, errorf(path, "type and fields exclude each other")
	case s.Type != "":
		if err := b.setScalar(l, s, path); err != nil {
			return nil, err
		}
	case len(s.Fields) > 0:
		if depth == v1alpha1.MaxFieldDepth {
			return nil, errorf(path+".fields", "structs nest to %d levels", v1alpha1.MaxFieldDepth)
		}
		if err := b.setFields(l, s, path, depth); err != nil {
			return nil, err
		}
	default:
		return nil, errorf(path, "type or fields is required")
	}
	l, err := arrays(l, s, path)
	if err != nil {
		return nil, err
	}
	return l, b.setDefault(l, s, path)
}

// arrays is l in the arrays that a schema makes of it.
func arrays(l *Layout, s *v1alpha1.Schema, path string) (*Layout, *Error) {
	dimensions, at := s.Dimensions, path+".dimensions"
	if s.Length != 0 {
		if len(dimensions) > 0 {
			return nil, errorf(path, "length and dimensions exclude each other")
		}
		dimensions, at = []int32{s.Length}, path+".length"
	}
	if s.Bits != 0 && len(dimensions) > 0 {
		return nil, errorf(at, "C knows no arrays of bit-fields")
	}
	for i := len(dimensions) - 1; i >= 0; i-- {
		n := dimensions[i]
		if n < 1 || int(n) > MaxSize/max(l.size, 1) {
			return nil, errorf(at, "%d is out of range (1…%d)", n, MaxSize/max(l.size, 1))
		}
		if err := l.inherit(); err != nil {
			return nil, err
		}
		l = &Layout{of: l, count: int(n), size: l.size * int(n), align: l.align, program: l.program}
	}
	return l, nil
}

func (b builder) setScalar(l *Layout, s *v1alpha1.Schema, path string) *Error {
	sc, err := scalarFor(s, path)
	if err != nil {
		return err
	}
	if sc.linked {
		sc.collect = b.collect
	}
	if b.program {
		if err := checkZero(s, path); err != nil {
			return err
		}
	}
	l.scalar, l.size, l.align = sc, sc.size, max(sc.align, int(s.Align))
	if s.Align != 0 && IsByteArray(s.Type) {
		l.align = int(s.Align)
	}
	return checkAlign(s, path)
}

func scalarFor(s *v1alpha1.Schema, path string) (*scalar, *Error) {
	if s.Type == v1alpha1.TypePadding {
		return paddingOf(s, path)
	}
	if s.Bits != 0 {
		if err := checkBits(s, path); err != nil {
			return nil, err
		}
	}
	return scalarOf(s, path)
}

// IsByteArray says whether C programs write a type as an array of bytes as well, whose alignment is 1.
// `align` sets the alignment of these, where it raises that of all others.
func IsByteArray(t v1alpha1.ScalarType) bool {
	switch t {
	case v1alpha1.TypeIPv4, v1alpha1.TypeIPv6, v1alpha1.TypeIP, v1alpha1.TypeIPv4Prefix, v1alpha1.TypeIPv6Prefix, v1alpha1.TypeIPPrefix:
		return true
	}
	return false
}

// maxAlign is the largest alignment that can be declared.
const maxAlign = 128

func checkAlign(s *v1alpha1.Schema, path string) *Error {
	if a := s.Align; a < 0 || a > maxAlign || a&(a-1) != 0 {
		return errorf(path+".align", "%d is not a power of two from 1 to %d", a, maxAlign)
	}
	return nil
}

func roundUp(n, to int) int { return (n + to - 1) / to * to }
