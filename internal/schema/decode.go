// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package schema

import (
	"bytes"
	"encoding/hex"
	"strconv"
)

// Decode is the JSON of b, which is Size bytes long: what Encode takes back. Bytes that no value
// encodes to (a bool of 7, a string that isn't UTF-8) show as numbers and hex.
func (l *Layout) Decode(b []byte) []byte { return l.AppendJSON(nil, b) }

// AppendJSON appends Decode's result to dst.
func (l *Layout) AppendJSON(dst, b []byte) []byte {
	if l.prefix != nil && (!l.prefix.plain(b) || l.dirty(b)) {
		return appendHexMarker(dst, b)
	}
	return l.append(dst, b, func(dst []byte, name string) []byte {
		return append(strconv.AppendQuote(dst, name), ':')
	}, ",", func(s *scalar, dst, b []byte) []byte { return s.appendJSON(s, dst, b) })
}

// Format is b in one short line for people: "{action: 1, rule: 7}".
func (l *Layout) Format(b []byte) string { return string(l.AppendText(nil, b)) }

// AppendText appends Format's result to dst.
func (l *Layout) AppendText(dst, b []byte) []byte {
	dst = l.append(dst, b, func(dst []byte, name string) []byte {
		return append(append(dst, name...), ": "...)
	}, ", ", func(s *scalar, dst, b []byte) []byte { return s.appendText(s, dst, b) })
	if l.prefix != nil {
		dst = append(dst, l.prefix.note(b)...)
	}
	if l.dirty(b) {
		dst = append(dst, " (padding is not zero)"...)
	}
	return dst
}

func (l *Layout) append(dst, b []byte, name func([]byte, string) []byte, comma string,
	value func(*scalar, []byte, []byte) []byte) []byte {
	if l.count > 0 {
		element := l.element()
		dst = append(dst, '[')
		for i := range l.count {
			if i > 0 {
				dst = append(dst, comma...)
			}
			dst = element.append(dst, b[i*l.elem:(i+1)*l.elem], name, comma, value)
		}
		return append(dst, ']')
	}
	if l.scalar != nil {
		return value(l.scalar, dst, b)
	}
	dst = append(dst, '{')
	first := true
	for i := range l.fields {
		f := &l.fields[i]
		if f.layout.isSpinLock() {
			continue // Encode takes none, and readers see zeros
		}
		if !first {
			dst = append(dst, comma...)
		}
		first = false
		dst = f.layout.append(name(dst, f.name), f.room(b), name, comma, value)
	}
	return append(dst, '}')
}

// dirty says whether padding of a struct holds anything: two values that print alike are different
// then.
func (l *Layout) dirty(b []byte) bool {
	if l.scalar != nil {
		return l.prefix != nil && l.prefix.isDirty(b)
	}
	start := 0
	if l.prefix != nil {
		start = prefixLength
	}
	for i := range max(l.count, 1) {
		element, end := b[i*l.elem:(i+1)*l.elem], start
		for _, f := range l.fields {
			if !isZero(element[end:f.offset]) || f.layout.dirty(element[f.offset:f.offset+f.layout.size]) {
				return true
			}
			end = f.offset + f.layout.size
		}
		if !isZero(element[end:]) {
			return true
		}
	}
	return false
}

func isZero(b []byte) bool { return len(bytes.TrimLeft(b, "\x00")) == 0 }

// appendHexMarker appends bytes that no value encodes to.
func appendHexMarker(dst, b []byte) []byte {
	return append(hex.AppendEncode(append(dst, `{"$hex":"`...), b), `"}`...)
}
