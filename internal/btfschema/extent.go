// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package btfschema

import (
	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/schema"
)

// extent is how much room something takes, and where it may begin, in bytes.
type extent struct{ size, align int }

// extents are those of the scalars whose schema gives no size, as package schema lays them out.
var extents = func() map[v1alpha1.ScalarType]extent {
	known := map[v1alpha1.ScalarType]extent{}
	for _, t := range schema.Types() {
		if l, err := schema.New(&v1alpha1.Schema{Type: t}); err == nil {
			known[t] = extent{l.Size(), l.Align()}
		}
	}
	return known
}()

// extentOf is the room of a schema, with all elements of arrays.
func extentOf(s *v1alpha1.Schema) extent {
	e := elementExtent(s)
	for _, n := range dimensions(s) {
		e.size *= n
	}
	return e
}

// elementExtent is the room of one element.
func elementExtent(s *v1alpha1.Schema) extent {
	if len(s.Fields) > 0 {
		_, e := place(s)
		return e
	}
	e, fixed := extents[s.Type]
	switch {
	case s.Type == v1alpha1.TypeCountedString:
		length := extents[lengthType(s)]
		e = extent{roundUp(length.size+int(s.Size), length.align), length.align}
	case !fixed:
		e = extent{int(s.Size), 1}
	case s.Size > int32(e.size):
		e = extent{int(s.Size), int(s.Size)} // an index in network order
	}
	e.align = max(e.align, int(s.Align))
	if s.Align > 0 && schema.IsByteArray(s.Type) {
		e.align = int(s.Align)
	}
	return e
}

// lengthType is the integer in front of a countedString.
func lengthType(s *v1alpha1.Schema) v1alpha1.ScalarType {
	if s.LengthType == "" {
		return v1alpha1.TypeU8
	}
	return s.LengthType
}

// dimensions are the lengths of an array, the outermost first; none for anything else.
func dimensions(s *v1alpha1.Schema) []int {
	lengths := s.Dimensions
	if len(lengths) == 0 && s.Length > 0 {
		lengths = []int32{s.Length}
	}
	all := make([]int, len(lengths))
	for i, n := range lengths {
		all[i] = int(n)
	}
	return all
}

// spot is where a field lies in its struct or union, in bits.
type spot struct {
	field  *v1alpha1.Field
	at, to int
}

// place lays the fields of a struct or union out.
func place(s *v1alpha1.Schema) ([]spot, extent) {
	spots := make([]spot, len(s.Fields))
	c := cursor{packed: s.Packed, align: max(1, int(s.Align))}
	longest := 0
	for i := range s.Fields {
		if s.Union {
			c.at = 0
		}
		f := &s.Fields[i]
		at := c.next(f)
		spots[i] = spot{f, at, c.at}
		longest = max(longest, c.at)
	}
	return spots, extent{roundUp(roundUp(longest, 8)/8, c.align), c.align}
}

// cursor walks through a struct as a C compiler does.
type cursor struct {
	packed bool
	// at is where the last field ends, in bits.
	at int
	// align is the strictest alignment so far, in bytes.
	align int
}

// next is where a field begins; the cursor is behind it then.
func (c *cursor) next(f *v1alpha1.Field) int {
	e := extentOf(&f.Schema)
	align := e.align
	if c.packed {
		align = max(1, int(f.Align))
	}
	if f.Bits > 0 {
		return c.nextBits(f, int(f.Bits), e, align)
	}
	at := roundUp(c.at, 8*align)
	c.at, c.align = at+8*e.size, max(c.align, align)
	return at
}

// nextBits is next of a bit-field: it doesn't cross the boundaries of its type, unless the struct is packed.
func (c *cursor) nextBits(f *v1alpha1.Field, width int, e extent, align int) int {
	at := c.at
	if f.Type == v1alpha1.TypePadding {
		c.at = at + width
		return at
	}
	if unit := 8 * e.size; !c.packed && at/unit != (at+width-1)/unit {
		at = roundUp(at, unit)
	}
	c.at, c.align = at+width, max(c.align, align)
	return at
}

func roundUp(n, to int) int { return (n + to - 1) / to * to }
