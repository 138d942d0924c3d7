// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package schema

import "bytes"

// gap are bits of a struct that belong to no value: len bytes from offset on, of each of them the bits in mask.
type gap struct {
	offset, len int
	mask        byte
}

// isZero says whether nothing is in a gap of b.
func (g *gap) isZero(b []byte) bool {
	if g.len == 1 {
		return b[g.offset]&g.mask == 0
	}
	return isZero(b[g.offset : g.offset+g.len])
}

func isZero(b []byte) bool { return len(bytes.TrimLeft(b, "\x00")) == 0 }

func areZero(gaps []gap, b []byte) bool {
	for i := range gaps {
		if !gaps[i].isZero(b) {
			return false
		}
	}
	return true
}

// findGaps notes the bits of a struct from one on that no field with a value has; of a union, those that each member
// hasn't.
func (l *Layout) findGaps(start int) {
	end := start
	for i := range l.fields {
		f := &l.fields[i]
		if l.union {
			f.rest = appendGap(nil, f.end(), byteBits*l.size)
			continue
		}
		if f.silent {
			continue
		}
		l.gaps = appendGap(l.gaps, end, f.at)
		end = f.end()
	}
	if !l.union {
		l.gaps = appendGap(l.gaps, end, byteBits*l.size)
	}
}

// end is the first bit behind a field.
func (f *field) end() int {
	if f.bits > 0 {
		return f.at + f.bits
	}
	return f.at + byteBits*f.layout.size
}

// appendGap appends the bits from one up to, but not including, another.
func appendGap(gaps []gap, from, to int) []gap {
	if at := from % byteBits; at != 0 && from < to {
		count := min(byteBits-at, to-from)
		gaps = append(gaps, gap{from / byteBits, 1, bitMask(at, count)})
		from += count
	}
	if whole := (to - from) / byteBits; whole > 0 {
		gaps = append(gaps, gap{from / byteBits, whole, 0xff})
		from += byteBits * whole
	}
	if from < to {
		gaps = append(gaps, gap{from / byteBits, 1, bitMask(0, to-from)})
	}
	return gaps
}

// bitMask are count bits of a byte from at on, in the machine's order.
func bitMask(at, count int) byte {
	if bigEndian {
		return lowest(count) << (byteBits - at - count)
	}
	return lowest(count) << at
}

// isTyped says whether b is what Encode writes for some value: what isn't comes back from {"$hex": …} alone.
func (l *Layout) isTyped(b []byte) bool {
	switch {
	case l.of != nil:
		for i := range l.count {
			if !l.of.isTyped(b[i*l.of.size : (i+1)*l.of.size]) {
				return false
			}
		}
		return true
	case l.scalar != nil:
		return l.scalar.holds(b)
	case l.union:
		return l.memberOf(b) != nil
	}
	if !areZero(l.gaps, b) {
		return false
	}
	for i := range l.fields {
		if f := &l.fields[i]; !f.silent && !f.isTyped(b) {
			return false
		}
	}
	return true
}

// isTyped is that of a field of the struct in b.
func (f *field) isTyped(b []byte) (typed bool) {
	if f.bits == 0 {
		return f.layout.isTyped(f.room(b))
	}
	f.withUnit(b, func(unit []byte) { typed = f.layout.isTyped(unit) })
	return typed
}

// memberOf is the first member of a union that makes all of the bytes in b; nil if none does.
func (l *Layout) memberOf(b []byte) *field {
	for i := range l.fields {
		if f := &l.fields[i]; !f.silent && areZero(f.rest, b) && f.isTyped(b) {
			return f
		}
	}
	return nil
}

// isDirty says whether padding of a struct holds anything: two values that print alike are different then.
func (l *Layout) isDirty(b []byte) bool {
	switch {
	case l.of != nil:
		if l.of.scalar != nil {
			return false
		}
		for i := range l.count {
			if l.of.isDirty(b[i*l.of.size : (i+1)*l.of.size]) {
				return true
			}
		}
		return false
	case l.scalar != nil:
		return !areZero(l.gaps, b)
	case l.union:
		return false // a union of which no member makes all bytes prints as hex
	case !areZero(l.gaps, b):
		return true
	}
	for i := range l.fields {
		if f := &l.fields[i]; f.bits == 0 && !f.silent && f.layout.isDirty(f.room(b)) {
			return true
		}
	}
	return false
}
