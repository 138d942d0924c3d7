// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package schema

import (
	"fmt"
	"math"
	"slices"
	"unicode/utf8"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
)

// lengthTypes are the integers that may count a string's bytes.
var lengthTypes = []v1alpha1.ScalarType{
	v1alpha1.TypeU8, v1alpha1.TypeU16, v1alpha1.TypeU32, v1alpha1.TypeU64, v1alpha1.TypeBE16, v1alpha1.TypeBE32, v1alpha1.TypeBE64,
}

// setLength lays a counted string out: struct { lengthType len; char text[size]; }, with the padding at its end
// that C gives it.
func (s *scalar) setLength(typ v1alpha1.ScalarType, path string) *Error {
	if typ == "" {
		typ = v1alpha1.TypeU8
	}
	if !slices.Contains(lengthTypes, typ) {
		return errorf(path+".lengthType", "invalid type %q, must be one of u8, u16, u32, u64, be16, be32, be64", typ)
	}
	length := scalars[typ]
	s.length, s.room, s.align = &length, s.size, length.align
	s.size = roundUp(length.size+s.size, s.align)
	return nil
}

// encodeCounted writes how many bytes the text has, and the text with zeros behind it.
func encodeCounted(s *scalar, dst []byte, value literal) string {
	text, ok, msg := value.bytes()
	if msg != "" {
		return msg
	}
	if !ok {
		return value.String() + " is not a string"
	}
	if len(text) > s.room {
		return fmt.Sprintf("%s is %d bytes long, more than size %d", value, len(text), s.room)
	}
	if most := s.length.masked(math.MaxUint64); uint64(len(text)) > most {
		return fmt.Sprintf("%s is %d bytes long, more than the %d that a length of type %s counts", value, len(text), most, s.length.typ)
	}
	s.length.put(dst[:s.length.size], uint64(len(text)))
	copy(dst[s.length.size:], text)
	return ""
}

// countedOf is the text in b, and false if b isn't what encodeCounted writes.
func (s *scalar) countedOf(b []byte) (string, bool) {
	n, text := s.length.get(b), b[s.length.size:]
	if n > uint64(s.room) {
		return "", false
	}
	return string(text[:n]), utf8.Valid(text[:n]) && isZero(text[n:])
}

func appendCountedText(s *scalar, dst, b []byte) []byte {
	text, ok := s.countedOf(b)
	if !ok {
		return appendHex(s, append(dst, "hex:"...), b)
	}
	return appendPlain(dst, text)
}

func appendCountedJSON(s *scalar, dst, b []byte) []byte {
	text, _ := s.countedOf(b)
	return appendQuoted(dst, text)
}

func exactCounted(s *scalar, b []byte) bool {
	_, ok := s.countedOf(b)
	return ok
}
