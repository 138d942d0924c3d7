// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package schema

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"unicode/utf8"
)

// appendPrefixField appends a prefix as text, without the bits that don't count: appendPrefixKey tells of them.
func appendPrefixField(s *scalar, dst, key []byte) []byte {
	p := s.prefix
	length, ok := p.length(key)
	if !ok {
		return hexBytes(dst, p.bytes(key))
	}
	return p.text(p, dst, maskedBits(p.bytes(key), length), length)
}

func hexBytes(dst, b []byte) []byte { return fmt.Appendf(dst, "hex:%x", b) }

// appendPrefixFieldJSON appends a prefix that appendPrefixKeyJSON found to be one.
func appendPrefixFieldJSON(s *scalar, dst, key []byte) []byte {
	p := s.prefix
	length, _ := p.length(key)
	dst, _ = p.json(p, dst, p.bytes(key), length)
	return dst
}

// isPlain says whether the prefix a key is what a value encodes to, with its length.
func (p *prefix) isPlain(key []byte) bool {
	length, ok := p.length(key)
	if !ok || !bytes.Equal(maskedBits(p.bytes(key), length), p.bytes(key)) {
		return false
	}
	if !areZero(p.gaps, key) {
		return false
	}
	_, ok = p.json(p, nil, p.bytes(key), length)
	return ok
}

func exactPrefixField(s *scalar, key []byte) bool { return s.prefix.isPlain(key) }

// note says what text of a key leaves out; empty if that is nothing.
func (p *prefix) note(key []byte) string {
	length, ok := p.length(key)
	switch all := binary.NativeEndian.Uint32(key); {
	case !ok && length < 0:
		return fmt.Sprintf(" (prefix length %d ends before bit %d, where the prefix begins)", all, p.before())
	case !ok:
		return fmt.Sprintf(" (prefix length %d is more than %d)", all, p.before()+8*p.field.size)
	case !bytes.Equal(maskedBits(p.bytes(key), length), p.bytes(key)):
		return " (bits behind the prefix are not zero)"
	}
	return ""
}

func addressPrefixText(p *prefix, dst, b []byte, length int) []byte {
	return p.field.prefixOf(b, length).AppendTo(dst)
}

// quotedPrefix is the text in quotes.
func quotedPrefix(p *prefix, dst, b []byte, length int) ([]byte, bool) {
	return append(p.text(p, append(dst, '"'), b, length), '"'), true
}

func integerPrefixText(p *prefix, dst, b []byte, length int) []byte {
	dst = appendInteger(&p.field, dst, b)
	if width := 8 * p.field.size; length < width {
		last := p.field.get(b) | ones(width-length).low
		dst = strconv.AppendUint(append(dst, '-'), last, 10)
	}
	return dst
}

func integerPrefixJSON(p *prefix, dst, b []byte, length int) ([]byte, bool) {
	if length == 8*p.field.size && p.field.get(b) <= math.MaxInt64 {
		return appendInteger(&p.field, dst, b), true
	}
	return quotedPrefix(p, dst, b, length)
}

// stringPrefix is what a prefix of whole characters begins with; false for another one.
func stringPrefix(b []byte, length int) (string, bool) {
	text := b[:length/8]
	ok := length%8 == 0 && utf8.Valid(text) && bytes.IndexByte(text, 0) < 0 && isZero(b[length/8:])
	return string(text), ok
}

func stringPrefixText(p *prefix, dst, b []byte, length int) []byte {
	text, ok := stringPrefix(b, length)
	if !ok {
		return strconv.AppendInt(append(hexBytes(dst, b[:(length+7)/8]), '/'), int64(length), 10)
	}
	return appendStringText(&p.field, dst, []byte(text))
}

func stringPrefixJSON(_ *prefix, dst, b []byte, length int) ([]byte, bool) {
	text, ok := stringPrefix(b, length)
	if !ok {
		return dst, false
	}
	quoted, err := json.Marshal(text)
	return append(dst, quoted...), err == nil
}

func hexPrefixText(_ *prefix, dst, b []byte, length int) []byte {
	return fmt.Appendf(dst, "%x/%d", b[:(length+7)/8], length)
}
