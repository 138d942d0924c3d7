// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package schema

import (
	"fmt"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
)

// MaxSize bounds a layout in bytes. No map takes larger keys or values.
const MaxSize = 1 << 30

// Layout is a checked schema with its offsets and sizes. It is immutable and safe for concurrent
// use.
type Layout struct {
	scalar *scalar // nil for structs
	fields []field // nil for scalars
	// count is the number of elements of an array, 0 for anything else.
	count int
	// elem is the size of one element including the padding at its end; size is elem*max(count, 1).
	elem, size, align int
	// prefix is there for the key of an LPM trie whose prefix length stands in front.
	prefix *prefix
}

type field struct {
	name   string
	offset int
	layout *Layout
}

// Error is a schema or a value that doesn't fit, and where in it.
type Error struct {
	// Path is the place relative to the schema or value, for example ".ports[2]"; empty for the
	// whole.
	Path string
	// Message says what is wrong, with the value and the bound.
	Message string
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
	if err := checkPrefixes(s); err != nil {
		return nil, err
	}
	l, err := b.layout(s, "", 0)
	if err != nil {
		return nil, err
	}
	if hasPrefix(s) {
		l.setPrefix(s)
	}
	if n := l.countLinks(); n > MaxReferenceFields {
		return nil, errorf("", "has %d places of interfaces, maps, programs and cgroups, at most %d are possible", n, MaxReferenceFields)
	}
	return l, nil
}

// builder lays schemas out.
type builder struct {
	collect func(v1alpha1.Reference) // nil for layouts without links
}

func (b builder) layout(s *v1alpha1.Schema, path string, depth int) (*Layout, *Error) {
	l := &Layout{}
	switch {
	case s.Type != "" && len(s.Fields) > 0:
		return nil, errorf(path, "type and fields exclude each other")
	case s.Type != "":
		if err := b.setScalar(l, s, path); err != nil {
			return nil, err
		}
	case len(s.Fields) > 0:
		if s.Size != 0 {
			return nil, errorf(path+".size", "a struct's size follows from its fields")
		}
		if depth == v1alpha1.MaxFieldDepth {
			return nil, errorf(path+".fields", "structs nest to %d levels", v1alpha1.MaxFieldDepth)
		}
		if err := b.setFields(l, s, path, depth); err != nil {
			return nil, err
		}
	default:
		return nil, errorf(path, "type or fields is required")
	}
	l.size = l.elem
	if s.Length != 0 {
		if s.Length < 0 || int(s.Length) > MaxSize/max(l.elem, 1) {
			return nil, errorf(path+".length", "%d is out of range (1…%d)", s.Length, MaxSize/max(l.elem, 1))
		}
		l.count, l.size = int(s.Length), l.elem*int(s.Length)
	}
	return l, nil
}

func (b builder) setScalar(l *Layout, s *v1alpha1.Schema, path string) *Error {
	sc, err := scalarOf(s, path)
	if err != nil {
		return err
	}
	if sc.linked {
		sc.collect = b.collect
	}
	l.scalar, l.elem, l.align = sc, sc.size, sc.align
	return nil
}

func (b builder) setFields(l *Layout, s *v1alpha1.Schema, path string, depth int) *Error {
	names := make(map[string]bool, len(s.Fields))
	offset := 0
	l.align = 1
	if depth == 0 && hasPrefix(s) {
		offset = prefixLength
		if !s.Packed {
			l.align = prefixLength
		}
	}
	for i := range s.Fields {
		f := &s.Fields[i]
		at := fmt.Sprintf("%s.fields[%d]", path, i)
		if f.Name == "" {
			return errorf(at+".name", "is missing")
		}
		if names[f.Name] {
			return errorf(at+".name", "%q is taken by an earlier field", f.Name)
		}
		names[f.Name] = true
		layout, err := b.layout(&f.Schema, at, depth+1)
		if err != nil {
			return err
		}
		if !s.Packed {
			offset = roundUp(offset, layout.align)
			l.align = max(l.align, layout.align)
		}
		l.fields = append(l.fields, field{name: f.Name, offset: offset, layout: layout})
		if layout.size > MaxSize-offset {
			return errorf(at, "the struct grows over %d bytes", MaxSize)
		}
		offset += layout.size
	}
	l.elem = roundUp(offset, l.align)
	return nil
}

// Size is the number of bytes.
func (l *Layout) Size() int { return l.size }

// Align is the alignment in bytes, as C's _Alignof gives it.
func (l *Layout) Align() int { return l.align }

// element is the layout of one element of an array.
func (l *Layout) element() *Layout {
	e := *l
	e.count, e.size = 0, l.elem
	return &e
}

func roundUp(n, to int) int { return (n + to - 1) / to * to }

// Member is a field of a struct with its place.
type Member struct {
	Name string
	// Offset is in bytes from the beginning of the struct.
	Offset int
	Layout *Layout
}

// Members are the fields of a struct, in the order of their offsets; none for anything else.
func (l *Layout) Members() []Member {
	members := make([]Member, len(l.fields))
	for i, f := range l.fields {
		members[i] = Member{f.name, f.offset, f.layout}
	}
	return members
}

// Element is the layout of an array's elements and how many there are; l itself and 0 for anything else.
func (l *Layout) Element() (*Layout, int) {
	if l.count == 0 {
		return l, 0
	}
	return l.element(), l.count
}

// Scalar is the type of a scalar; empty for structs.
func (l *Layout) Scalar() v1alpha1.ScalarType {
	if l.scalar == nil {
		return ""
	}
	return l.scalar.typ
}
