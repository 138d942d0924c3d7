// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package schema

import (
	"bytes"
	"encoding/hex"
	"strconv"

	"github.com/bpfmap-io/bpfmap-operator/internal/rawjson"
)

// Decode is the JSON of b, which is Size bytes long: what Encode takes back, to the same bytes. What no
// value encodes to is {"$hex": "07"}, at the innermost place that it can be said of: a bool of 7, a string with
// bytes behind its NUL, a struct whose padding isn't zero, a union of which no member makes all bytes.
func (l *Layout) Decode(b []byte) []byte { return l.AppendJSON(nil, b) }

// AppendJSON appends Decode's result to dst.
func (l *Layout) AppendJSON(dst, b []byte) []byte {
	switch {
	case l.prefix != nil && !l.prefix.isPlain(b):
		return appendHexForm(dst, b)
	case l.of != nil:
		dst = append(dst, '[')
		for i := range l.count {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = l.of.AppendJSON(dst, b[i*l.of.size:(i+1)*l.of.size])
		}
		return append(dst, ']')
	case l.scalar != nil:
		if !l.scalar.holds(b) {
			return appendHexForm(dst, b)
		}
		return l.scalar.appendJSON(l.scalar, dst, b)
	case l.union:
		f := l.memberOf(b)
		if f == nil {
			return appendHexForm(dst, b)
		}
		return append(f.appendJSON(append(dst, '{'), b), '}')
	case !areZero(l.gaps, b) || !l.areBitsTyped(b):
		return appendHexForm(dst, b)
	}
	dst = append(dst, '{')
	first := true
	for i := range l.fields {
		f := &l.fields[i]
		if f.silent {
			continue
		}
		if !first {
			dst = append(dst, ',')
		}
		first = false
		dst = f.appendJSON(dst, b)
	}
	return append(dst, '}')
}

// areBitsTyped says whether all bit-fields of the struct in b hold what values encode to.
func (l *Layout) areBitsTyped(b []byte) bool {
	for i := range l.fields {
		if f := &l.fields[i]; f.bits > 0 && !f.silent && !f.isTyped(b) {
			return false
		}
	}
	return true
}

// appendJSON appends the name and value of a field of the struct in b.
func (f *field) appendJSON(dst, b []byte) []byte {
	dst = append(strconv.AppendQuote(dst, f.name), ':')
	if f.bits > 0 {
		f.withUnit(b, func(unit []byte) { dst = f.layout.AppendJSON(dst, unit) })
		return dst
	}
	return f.layout.AppendJSON(dst, f.room(b))
}

// Format is b in one short line for people: "{action: 1, rule: 7}".
func (l *Layout) Format(b []byte) string { return string(l.AppendText(nil, b)) }

// AppendText appends Format's result to dst.
func (l *Layout) AppendText(dst, b []byte) []byte {
	dst = l.appendText(dst, b)
	if l.prefix != nil {
		dst = append(dst, l.prefix.note(b)...)
	}
	if l.isDirty(b) {
		dst = append(dst, " (padding is not zero)"...)
	}
	return dst
}

func (l *Layout) appendText(dst, b []byte) []byte {
	switch {
	case l.of != nil:
		dst = append(dst, '[')
		for i := range l.count {
			if i > 0 {
				dst = append(dst, ", "...)
			}
			dst = l.of.appendText(dst, b[i*l.of.size:(i+1)*l.of.size])
		}
		return append(dst, ']')
	case l.scalar != nil:
		return l.scalar.appendText(l.scalar, dst, b)
	case l.union:
		f := l.memberOf(b)
		if f == nil {
			return hex.AppendEncode(append(dst, "hex:"...), b)
		}
		return append(f.appendText(append(dst, '{'), b), '}')
	}
	dst = append(dst, '{')
	first := true
	for i := range l.fields {
		f := &l.fields[i]
		if f.silent {
			continue // Encode takes none
		}
		if !first {
			dst = append(dst, ", "...)
		}
		first = false
		dst = f.appendText(dst, b)
	}
	return append(dst, '}')
}

// appendText appends the name and value of a field of the struct in b.
func (f *field) appendText(dst, b []byte) []byte {
	dst = append(append(dst, f.name...), ": "...)
	if f.bits > 0 {
		f.withUnit(b, func(unit []byte) { dst = f.layout.appendText(dst, unit) })
		return dst
	}
	return f.layout.appendText(dst, f.room(b))
}

// holds says whether b is what encode writes for the value that it is printed as.
func (s *scalar) holds(b []byte) bool {
	if s.exact != nil {
		return s.exact(s, b)
	}
	value, err := rawjson.Check(s.appendJSON(s, nil, b))
	if err != nil {
		return false
	}
	again := make([]byte, len(b))
	return s.encode(s, again, literal{raw: value}) == "" && bytes.Equal(again, b)
}
