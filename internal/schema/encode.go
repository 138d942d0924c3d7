// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package schema

import (
	"strings"

	"github.com/bpfmap-io/bpfmap-operator/internal/rawjson"
)

// Encode writes the bytes of a JSON value to dst, which is Size bytes long and zero. The error is an
// *Error that names the place in the value, the value and the bound: ".action: 300 is out of range
// for u8 (0…255)". A field of a struct that has no default must be given: one that is left out by mistake
// would silently be zero. {"$hex": "0102"} stands for the bytes of anything.
func (l *Layout) Encode(dst []byte, raw []byte) error { return l.encodeText(dst, raw, Reading{}) }

// EncodeCells is Encode for values of tables, which have no types of their own: a string in raw is a
// cell's text, which the schema types. "true", "false", "1" and "0" are bools then, "[1, 2]" is a list
// where one is needed, and white space around anything but a string doesn't count.
func (l *Layout) EncodeCells(dst []byte, raw []byte) error {
	return l.encodeText(dst, raw, Reading{Cells: true})
}

func (l *Layout) encodeText(dst, raw []byte, how Reading) error {
	value, err := l.checked(dst, raw, how)
	if err != nil {
		return err
	}
	if e := l.encode(dst, value); e != nil {
		return e
	}
	return nil
}

func (l *Layout) encode(dst []byte, value literal) *Error {
	switch {
	case isHexForm(value.raw):
		return l.encodeHexForm(dst, value)
	case l.of != nil:
		return l.encodeArray(dst, value)
	case l.scalar != nil:
		if msg := l.scalar.encode(l.scalar, dst, value); msg != "" {
			return errorf("", "%s", msg)
		}
		return nil
	case l.union:
		return l.encodeUnion(dst, value)
	}
	return l.encodeStruct(dst, value)
}

func (l *Layout) encodeArray(dst []byte, value literal) *Error {
	list, ok := value.list()
	if !ok {
		return errorf("", "%s is not a list: a list of %d elements is required", value, l.count)
	}
	n, size := 0, l.of.size
	for w := rawjson.Walk(list); ; n++ {
		v, ok := w.Element()
		if !ok {
			break
		}
		if n >= l.count {
			continue // the message has their number
		}
		if err := l.of.encode(dst[n*size:(n+1)*size], literal{raw: v}); err != nil {
			return err.below(elementStep(n))
		}
	}
	switch {
	case n < l.count && l.fallback.known:
		return l.fillElements(dst, n)
	case n > l.count && l.fallback.known:
		return errorf("", "has %d elements, at most %d are possible", n, l.count)
	case n < l.count:
		return errorf("", "has %d of %d elements, and the others have no default", n, l.count)
	case n > l.count:
		return errorf("", "has %d elements, exactly %d are required", n, l.count)
	}
	return nil
}

// usualFields is how many fields are noted as seen without an allocation.
const usualFields = 64

func (l *Layout) encodeStruct(dst []byte, value literal) *Error {
	if !rawjson.IsObject(value.raw) {
		return errorf("", "%s is not an object with the fields %s", value, l.names())
	}
	var room [usualFields]bool
	seen := room[:]
	if len(l.fields) > len(seen) {
		seen = make([]bool, len(l.fields))
	}
	for w := rawjson.Walk(value.raw); ; {
		quoted, member, _, ok := w.Member()
		if !ok {
			break
		}
		i, name := l.fieldNamed(quoted)
		if i < 0 {
			return errorf("."+name, "unknown field%s, must be one of %s", suggestion(name, l.memberNames()), l.names())
		}
		if seen[i] {
			return errorf("."+name, "is given twice")
		}
		seen[i] = true
		if err := l.fields[i].encodeCells(dst, value.with(member)); err != nil {
			return err.below("." + name)
		}
	}
	for i := range l.fields {
		f := &l.fields[i]
		switch {
		case seen[i] || f.silent:
		case !f.layout.fallback.known:
			missing := errorf("."+f.name, "is missing, and has no default")
			missing.IsMissing = true
			return missing
		default:
			if err := f.fillDefault(dst); err != nil {
				return err.below("." + f.name)
			}
		}
	}
	return nil
}

// encode writes a field to the struct in dst.
func (f *field) encode(dst []byte, value literal) *Error {
	if f.bits > 0 {
		return f.encodeBits(dst, value)
	}
	return f.layout.encode(f.room(dst), value)
}

func (l *Layout) encodeUnion(dst []byte, value literal) *Error {
	if !rawjson.IsObject(value.raw) {
		return errorf("", "%s is not an object with one of the members %s", value, l.names())
	}
	given := -1
	for w := rawjson.Walk(value.raw); ; {
		quoted, member, _, ok := w.Member()
		if !ok {
			break
		}
		i, name := l.fieldNamed(quoted)
		switch {
		case i < 0:
			return errorf("."+name, "unknown member%s, must be one of %s", suggestion(name, l.memberNames()), l.names())
		case value.cells && isBlank(member):
			continue
		case given == i:
			return errorf("."+name, "is given twice")
		case given >= 0:
			return errorf("", "gives both %s and %s: a value of a union has exactly one member", l.fields[given].name, name)
		}
		given = i
		if err := l.fields[i].encode(dst, value.with(member)); err != nil {
			return err.below("." + name)
		}
	}
	if given < 0 {
		return errorf("", "gives no member: a value of a union has exactly one of %s", l.names())
	}
	return nil
}

// fieldNamed is the index of the field that a member's name in quotes stands for, and the name; -1 if
// there is none.
func (l *Layout) fieldNamed(quoted []byte) (int, string) {
	inside := quoted[1 : len(quoted)-1]
	for i := range l.fields {
		if string(inside) == l.fields[i].name && !l.fields[i].layout.isPadding() {
			return i, l.fields[i].name
		}
	}
	name, err := rawjson.Text(quoted) // with escapes in it
	if err != nil {
		return -1, string(inside)
	}
	for i := range l.fields {
		if l.fields[i].name == name && name != "" {
			return i, name
		}
	}
	return -1, name
}

func (l *Layout) names() string { return strings.Join(l.memberNames(), ", ") }

func (l *Layout) memberNames() []string {
	names := make([]string, 0, len(l.fields))
	for i := range l.fields {
		if f := &l.fields[i]; f.name != "" {
			names = append(names, f.name)
		}
	}
	return names
}
