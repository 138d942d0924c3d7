// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package schema

import (
	"fmt"
	"reflect"
	"strings"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
)

// byteBits is the number of bits in a byte.
const byteBits = 8

// placer finds the places of the members of one struct or union, as the System V and Itanium C ABIs lay
// them out, which gcc and clang follow on Linux.
type placer struct {
	packed, union bool
	// start is the first bit that a member may have.
	start int
	// end is the first bit behind what was placed, in a union behind the longest member.
	end int
	// align is the strictest alignment of a member in bytes.
	align int
}

// next is the first bit that a member may have.
func (p *placer) next() int {
	if p.union {
		return p.start
	}
	return p.end
}

// place is the first bit of a member that isn't a bit-field. In a packed struct it needs no alignment but
// what was declared for it.
func (p *placer) place(l *Layout, declared int) int {
	align := l.align
	if p.packed {
		align = max(declared, 1)
	}
	at := roundUp(p.next(), byteBits*align)
	p.align = max(p.align, align)
	p.end = max(p.end, at+byteBits*l.size)
	return at
}

// placeBits is the first bit of a bit-field. One that would straddle two units of its type begins with the next
// one, unless packed.
func (p *placer) placeBits(l *Layout, width int) int {
	at := p.next()
	if unit := byteBits * l.size; !p.packed && l.scalar.typ != v1alpha1.TypePadding {
		if at/unit != (at+width-1)/unit {
			at = roundUp(at, unit)
		}
		p.align = max(p.align, l.align)
	}
	p.end = max(p.end, at+width)
	return at
}

// size is that of the whole in bytes.
func (p *placer) size() int { return roundUp(roundUp(p.end, byteBits)/byteBits, p.align) }

func (b builder) setFields(l *Layout, s *v1alpha1.Schema, path string, depth int) *Error {
	if err := checkAlign(s, path); err != nil {
		return err
	}
	if s.Bits != 0 {
		return errorf(path+".bits", "only an integer, a bool or padding can be a bit-field")
	}
	if s.Union && !b.program {
		if err := checkMembers(s, path); err != nil {
			return err
		}
	}
	p := placer{packed: s.Packed, union: s.Union, align: max(int(s.Align), 1)}
	if depth == 0 && hasPrefix(s) {
		p.reserveLength()
	}
	if err := b.placeFields(l, &p, s, path, depth); err != nil {
		return err
	}
	l.union, l.align, l.size = s.Union, p.align, p.size()
	if s.Size != 0 && int(s.Size) != l.size {
		return errorf(path+".size", "is %d bytes long, size says %d (%s)", l.size, s.Size, l.offsets())
	}
	l.findGaps(p.start)
	return nil
}

// placeFields appends the fields of a struct behind what p holds.
func (b builder) placeFields(l *Layout, p *placer, s *v1alpha1.Schema, path string, depth int) *Error {
	names := make(map[string]bool, len(s.Fields))
	for i := range s.Fields {
		f := &s.Fields[i]
		at := fmt.Sprintf("%s.fields[%d]", path, i)
		if err := checkName(f, names, at); err != nil {
			return err
		}
		layout, err := b.layout(&f.Schema, at, depth+1)
		if err != nil {
			return err
		}
		member := field{name: f.Name, bits: int(f.Bits), layout: layout, silent: layout.isPadding() || layout.isSpinLock()}
		if member.bits > 0 {
			member.at = p.placeBits(layout, member.bits)
		} else {
			member.at = p.place(layout, int(f.Align))
		}
		if p.end > byteBits*MaxSize {
			return errorf(at, "the struct grows over %d bytes", MaxSize)
		}
		member.offset = member.at / byteBits
		member.start = member.offset
		l.fields = append(l.fields, member)
	}
	return nil
}

func checkName(f *v1alpha1.Field, names map[string]bool, at string) *Error {
	switch {
	case f.Type == v1alpha1.TypePadding:
		if f.Name != "" {
			return errorf(at+".name", "padding has no name")
		}
		return nil
	case f.Name == "":
		return errorf(at+".name", "is missing")
	case names[f.Name]:
		return errorf(at+".name", "%q is taken by an earlier field", f.Name)
	}
	names[f.Name] = true
	return nil
}

// shownOffsets bounds the fields in a message.
const shownOffsets = 16

// offsets says where the fields are: "a at 0, b at 8, mode at bit 67".
func (l *Layout) offsets() string {
	var places []string
	for i := range l.fields {
		switch f := &l.fields[i]; {
		case f.name == "":
		case len(places) == shownOffsets:
			return strings.Join(places, ", ") + ", …"
		case f.bits > 0:
			places = append(places, fmt.Sprintf("%s at bit %d", f.name, f.at))
		default:
			places = append(places, fmt.Sprintf("%s at %d", f.name, f.offset))
		}
	}
	return strings.Join(places, ", ")
}

// paddingOf is padding of a size, or as wide as a bit-field.
func paddingOf(s *v1alpha1.Schema, path string) (*scalar, *Error) {
	isArray := s.Length != 0 || len(s.Dimensions) > 0
	bare := *s
	bare.Type, bare.Size, bare.Bits, bare.Length, bare.Dimensions, bare.Align = "", 0, 0, 0, nil, 0
	switch {
	case s.Default != nil:
		return nil, errorf(path+".default", "padding has no value")
	case !reflect.ValueOf(bare).IsZero():
		return nil, errorf(path, "padding has a size, bits, a length and an alignment, and nothing else")
	case s.Bits != 0 && s.Size != 0:
		return nil, errorf(path, "padding has a size or bits, not both")
	case s.Bits < 0 || s.Bits > maxBits:
		return nil, errorf(path+".bits", "%d is out of range for padding (1…%d)", s.Bits, maxBits)
	case s.Bits != 0:
		return &scalar{typ: v1alpha1.TypePadding, size: roundUp(int(s.Bits), byteBits) / byteBits, align: 1}, nil
	case s.Size == 0 && !isArray:
		return nil, errorf(path, "padding needs size, bits or length")
	case s.Size < 0 || s.Size > MaxSize:
		return nil, errorf(path+".size", "padding needs a size from 1 to %d, not %d", MaxSize, s.Size)
	}
	return &scalar{typ: v1alpha1.TypePadding, size: max(int(s.Size), 1), align: 1}, nil
}

// isPadding says whether l is padding or an array of it.
func (l *Layout) isPadding() bool {
	for l.of != nil {
		l = l.of
	}
	return l.scalar != nil && l.scalar.typ == v1alpha1.TypePadding
}
