// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package schema

import (
	"encoding/binary"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/rawjson"
)

// Place is a part of a layout, and where in its bytes it is.
type Place struct {
	layout *Layout
	// from and to are the bytes that the part's layout reads.
	from, to int
	// at and bits are the place of a bit-field, in bits of the bytes above, which are those of its struct then; bits is 0
	// for anything else.
	at, bits int
}

// At is the part of l that a path names: "" is the whole, "tuple.ports[0]" the first element of the field ports of
// the field tuple. The error is an *Error without a path, which says what there is instead.
func (l *Layout) At(path string) (Place, error) {
	p := Place{layout: l, to: l.size}
	for rest := path; rest != ""; {
		var step string
		step, rest = nextStep(rest)
		if err := p.descend(step, path); err != nil {
			return Place{}, err
		}
	}
	return p, nil
}

// nextStep cuts the first step off a path: a name, or an index with its brackets.
func nextStep(path string) (step, rest string) {
	path = strings.TrimPrefix(path, ".")
	for i := 1; i < len(path); i++ {
		if path[i] == '.' || path[i] == '[' {
			return path[:i], path[i:]
		}
	}
	return path, ""
}

// descend makes p the place of its field or element.
func (p *Place) descend(step, path string) *Error {
	l := p.layout
	if index, ok := strings.CutPrefix(step, "["); ok {
		if l.of == nil {
			return errorf("", "%q: %s is not an array", path, step)
		}
		n, err := strconv.ParseUint(strings.TrimSuffix(index, "]"), 10, 31)
		if err != nil || !strings.HasSuffix(index, "]") || int(n) >= l.count {
			return errorf("", "%q: %s is not an index of its array of %d elements ([0]…[%d])", path, step, l.count, l.count-1)
		}
		p.from += int(n) * l.of.size
		p.layout, p.to = l.of, p.from+l.of.size
		return nil
	}
	var names []string
	for i := range l.fields {
		f := &l.fields[i]
		if f.silent {
			continue
		}
		if f.name == step {
			p.enter(f)
			return nil
		}
		names = append(names, f.name)
	}
	switch {
	case l.of != nil:
		return errorf("", "%q: an array of %d elements has no field %q: choose one by its index, such as [0]", path, l.count, step)
	case len(names) == 0:
		return errorf("", "%q: there is no field %q: a %s has none", path, step, l.scalar.typ)
	}
	return errorf("", "%q: there is no field %q%s, there are %s", path, step, suggestion(step, names), strings.Join(names, ", "))
}

// enter makes p the place of a field of its struct.
func (p *Place) enter(f *field) {
	p.layout = f.layout
	if f.bits > 0 {
		p.at, p.bits = f.at, f.bits
		return
	}
	p.from, p.to = p.from+f.start, p.from+f.offset+f.layout.size
}

// IsScalar says whether the part is one number, text or address, and neither struct, union nor array.
func (p Place) IsScalar() bool { return p.layout.scalar != nil }

// IsProgram says whether the part is a program's as a whole.
func (p Place) IsProgram() bool { return p.layout.program }

// maxExact bounds the texts of which a whole one fits into a label.
const maxExact = 64

// IsExact says that other bytes of a scalar always have another text, of at most 256 bytes.
func (p Place) IsExact() bool {
	s := p.layout.scalar
	return s != nil && p.bits == 0 && s.prefix == nil && s.typ != v1alpha1.TypeF32 && s.typ != v1alpha1.TypeF64 && p.to-p.from <= maxExact
}

// Bytes are those that the part is read from, in the bytes of the whole.
func (p Place) Bytes(b []byte) []byte { return b[p.from:p.to] }

// AppendLabel appends the text of a scalar as it stands in a label: that of an entry, without quotes.
func (p Place) AppendLabel(dst, b []byte) []byte {
	own := p.Bytes(b)
	if p.bits > 0 {
		f := field{at: p.at, bits: p.bits, layout: p.layout}
		f.withUnit(own, func(unit []byte) { dst = p.layout.appendLabel(dst, unit) })
		return dst
	}
	return p.layout.appendLabel(dst, own)
}

func (l *Layout) appendLabel(dst, b []byte) []byte {
	if l.scalar != nil && (l.prefix == nil || l.prefix.isPlain(b)) && l.scalar.holds(b) {
		if json := l.scalar.appendJSON(l.scalar, nil, b); rawjson.IsString(json) {
			if text, err := rawjson.Text(json); err == nil && utf8.ValidString(text) {
				return append(dst, text...)
			}
		}
	}
	return l.appendText(dst, b)
}

// Why a part isn't a number; empty if it is one: an integer of at most 64 bits, a float or a bool.
func (p Place) Why() string {
	s := p.layout.scalar
	switch {
	case p.layout.union:
		return "is a union: name one of its fields"
	case len(p.layout.fields) > 0:
		return "is a struct: name one of its fields"
	case p.layout.of != nil:
		return "is an array of " + strconv.Itoa(p.layout.count) + " elements: name one by its index, such as [0]"
	case s.linked || s.typ == v1alpha1.TypeSpinLock || s.order == nil && s.typ != v1alpha1.TypeBool || s.size > 8 || s.typ == v1alpha1.TypeBE16 && s.size != 2:
		return "is " + string(s.typ) + ", which is not a number of at most 64 bits"
	}
	return ""
}

// Number reads the number of a part whose Why is empty. Durations and times are in seconds.
type Number struct {
	Place
	// scale is what the number is multiplied by, and is 0 for 1.
	scale float64
}

// Number is how to read the part.
func (p Place) Number() Number {
	n := Number{Place: p}
	if per := nanoseconds[p.layout.scalar.unit]; per != 0 {
		n.scale = float64(per) / 1e9
	}
	return n
}

// Of is the number in the bytes of the whole.
func (n *Number) Of(b []byte) float64 {
	s := n.layout.scalar
	own := b[n.from:n.to]
	var f float64
	switch {
	case n.bits > 0:
		f = s.float(s.number64(getBits(own, n.at, n.bits, bigEndian)))
	case s.typ == v1alpha1.TypeF32:
		f = float64(math.Float32frombits(binary.NativeEndian.Uint32(own)))
	case s.typ == v1alpha1.TypeF64:
		f = math.Float64frombits(binary.NativeEndian.Uint64(own))
	case s.order == nil: // a bool
		f = float64(own[0])
	default:
		f = s.float(s.number(own))
	}
	if n.scale != 0 {
		f *= n.scale
	}
	return f
}

// float is an integer of 64 bits as a float.
func (s *scalar) float(n uint64) float64 {
	if s.signed {
		return float64(int64(n))
	}
	return float64(n)
}
