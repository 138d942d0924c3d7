// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package schema

// Carry takes what programs own from values of one layout to those of another one, field by field by their names. The
// zero Carry takes nothing.
type Carry struct {
	spans []carried
	// Lost are the program's fields that the earlier layout doesn't have, or has as something else: they start with
	// their first values. "" is the value as a whole.
	Lost []string
}

// carried are bits that have the same meaning in both values.
type carried struct{ from, to, bits int }

// NewCarry finds what values of a layout have of what programs own in those of another one.
func NewCarry(from, to *Layout) Carry {
	var c Carry
	c.add(from, to, 0, 0, "")
	return c
}

// Copy writes the parts of src, a value of the earlier layout, into dst.
func (c *Carry) Copy(dst, src []byte) {
	for _, s := range c.spans {
		if s.from%byteBits == 0 && s.to%byteBits == 0 && s.bits%byteBits == 0 {
			copy(dst[s.to/byteBits:(s.to+s.bits)/byteBits], src[s.from/byteBits:])
			continue
		}
		for _, g := range appendGap(nil, s.to, s.to+s.bits) {
			for at := range g.len {
				dst[g.offset+at] &^= g.mask
			}
		}
		putBits(dst, s.to, s.bits, getBits(src, s.from, s.bits, bigEndian), bigEndian)
	}
}

// add looks for the parts of to, which begins at bit toAt, in from, nil for nothing.
func (c *Carry) add(from, to *Layout, fromAt, toAt int, path string) {
	switch {
	case !to.hasProgram():
	case from == nil:
		c.Lost = append(c.Lost, path)
	case to.program && alike(from, to):
		c.span(fromAt, toAt, byteBits*to.size)
	case to.of != nil && from.of != nil && from.count == to.count:
		for n := range to.count {
			c.add(from.of, to.of, fromAt+byteBits*n*from.of.size, toAt+byteBits*n*to.of.size, path+elementStep(n))
		}
	case len(to.fields) > 0 && len(from.fields) > 0 && !to.union && !from.union:
		for i := range to.fields {
			if f := &to.fields[i]; !f.silent {
				c.addField(from.memberLike(f), f, fromAt, toAt, path)
			}
		}
	default:
		c.Lost = append(c.Lost, path)
	}
}

// addField is add for a member of a struct that begins at bit toAt.
func (c *Carry) addField(from, to *field, fromAt, toAt int, path string) {
	if path != "" {
		path += "."
	}
	path += to.name
	switch {
	case from == nil:
		c.add(nil, to.layout, 0, 0, path)
	case to.bits == 0:
		c.add(from.layout, to.layout, fromAt+from.at, toAt+to.at, path)
	case to.layout.program:
		c.span(fromAt+from.at, toAt+to.at, to.bits)
	}
}

// memberLike is the field with the name of another one, and as many bits; nil if there is none.
func (l *Layout) memberLike(f *field) *field {
	for i := range l.fields {
		if other := &l.fields[i]; other.name == f.name && !other.silent && other.bits == f.bits {
			return other
		}
	}
	return nil
}

// span adds bits, to the last ones if they follow them in both values.
func (c *Carry) span(from, to, bits int) {
	if n := len(c.spans); n > 0 {
		if last := &c.spans[n-1]; last.from+last.bits == from && last.to+last.bits == to && from%byteBits == 0 && to%byteBits == 0 {
			last.bits += bits
			return
		}
	}
	c.spans = append(c.spans, carried{from, to, bits})
}

// alike says whether the same bytes mean the same in two layouts, but for their fields' names for numbers.
func alike(a, b *Layout) bool {
	if a.size != b.size || a.count != b.count || a.union != b.union || len(a.fields) != len(b.fields) || (a.scalar == nil) != (b.scalar == nil) {
		return false
	}
	if a.of != nil {
		return alike(a.of, b.of)
	}
	if a.scalar != nil {
		return a.scalar.typ == b.scalar.typ
	}
	for i := range a.fields {
		f, g := &a.fields[i], &b.fields[i]
		if f.name != g.name || f.at != g.at || f.bits != g.bits || !alike(f.layout, g.layout) {
			return false
		}
	}
	return true
}
