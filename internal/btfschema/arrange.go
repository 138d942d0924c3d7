// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package btfschema

import "github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"

// part is a field and the bit at which it has to lie.
type part struct {
	field v1alpha1.Field
	at    int
}

// arrange is a struct or union of that size in which each field lies where it has to: as C lays it out, with padding
// where that leaves other gaps, or packed with padding for each gap. Nil if fields overlap, or are too many.
func arrange(parts []part, size int, union bool) *v1alpha1.Schema {
	if len(parts) == 0 {
		return nil
	}
	for _, packed := range []bool{false, true} {
		s := &v1alpha1.Schema{Packed: packed, Union: union}
		fill := fillStruct
		if union {
			fill = fillUnion
		}
		if fill(s, parts, size) && len(s.Fields) <= v1alpha1.MaxFields {
			return s
		}
	}
	return nil
}

func fillStruct(s *v1alpha1.Schema, parts []part, size int) bool {
	c := cursor{packed: s.Packed, align: 1}
	for _, p := range parts {
		trial := c
		if trial.next(&p.field) != p.at {
			if p.at < c.at {
				return false
			}
			for _, f := range paddings(c.at, p.at) {
				c.next(&f)
				s.Fields = append(s.Fields, f)
			}
			trial = c
			if trial.next(&p.field) != p.at {
				return false
			}
		}
		c = trial
		s.Fields = append(s.Fields, p.field)
	}
	if roundUp(roundUp(c.at, 8)/8, c.align) != size {
		if size*8 < c.at || size%c.align != 0 {
			return false
		}
		s.Fields = append(s.Fields, paddings(c.at, 8*size)...)
	}
	_, e := place(s)
	return e.size == size
}

func fillUnion(s *v1alpha1.Schema, parts []part, size int) bool {
	for _, p := range parts {
		if p.at != 0 {
			return false
		}
		s.Fields = append(s.Fields, p.field)
	}
	if _, e := place(s); e.size != size {
		s.Fields = append(s.Fields, paddings(0, 8*size)...)
	}
	_, e := place(s)
	return e.size == size
}

// paddings fill a gap, given in bits: by bits to the next byte, by bytes, and by bits of the last byte. Bits have no
// width of a type, as bits of fields have.
func paddings(from, to int) (fields []v1alpha1.Field) {
	bits := func(n int) {
		if n > 0 {
			fields = append(fields, v1alpha1.Field{Schema: v1alpha1.Schema{Type: v1alpha1.TypePadding, Bits: int32(n)}})
		}
	}
	start, end := roundUp(from, 8), to/8*8
	if end <= start {
		bits(to - from)
		return fields
	}
	bits(start - from)
	fields = append(fields, v1alpha1.Field{Schema: v1alpha1.Schema{Type: v1alpha1.TypePadding, Size: int32((end - start) / 8)}})
	bits(to - end)
	return fields
}
