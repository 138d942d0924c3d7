// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package schema

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/rawjson"
)

// float is C's float or double.
func float(typ v1alpha1.ScalarType, size int) scalar {
	return scalar{
		typ: typ, size: size, align: size, order: binary.NativeEndian,
		encode: encodeFloat, appendText: appendFloat, appendJSON: appendFloatJSON, exact: exactBits,
	}
}

// The bits of the NaN that a C compiler's NAN and 0.0/0.0 in most languages are: quiet and without a payload.
// Go's has a payload.
const (
	quietNaN32 = 0x7fc00000
	quietNaN64 = 0x7ff8000000000000
)

// encodeFloat takes numbers and their texts, NaN, inf and -inf. As in C the nearest number that the type has
// is taken, but a number never becomes infinite, nor 0 if it isn't.
func encodeFloat(s *scalar, dst []byte, value literal) string {
	text, ok := value.wordBytes()
	if !ok {
		if !rawjson.IsNumber(value.raw) {
			return notFloat(value)
		}
		text = value.raw
	}
	if digits := bytes.TrimLeft(text, "+-"); len(digits) > 0 && (digits[0] > '9' || digits[0] == '.' && isLetter(digits, 1)) {
		return s.encodeNamedFloat(dst, strings.ToLower(string(text)), value)
	}
	if bytes.ContainsAny(text, "_xX") {
		return notFloat(value)
	}
	f, err := strconv.ParseFloat(string(text), 8*s.size)
	switch {
	case err != nil && isRange(err):
		return fmt.Sprintf("%s is out of range for %s (largest: %g)", text, s.typ, s.largestFloat())
	case err != nil:
		return notFloat(value)
	case f == 0 && !isZeroText(text):
		return fmt.Sprintf("%s is too small for %s (smallest: %g)", text, s.typ, s.smallestFloat())
	}
	s.putFloat(dst, f)
	return ""
}

func isLetter(text []byte, at int) bool { return at < len(text) && text[at] > '9' }

// encodeNamedFloat takes NaN and infinities, also as YAML writes them: .nan, -.inf.
func (s *scalar) encodeNamedFloat(dst []byte, text string, value literal) string {
	sign, word := 1, strings.TrimPrefix(text, "+")
	if rest, ok := strings.CutPrefix(text, "-"); ok {
		sign, word = -1, rest
	}
	switch strings.TrimPrefix(word, ".") {
	case "nan":
		if word != text { // a sign
			return notFloat(value)
		}
		s.putNaN(dst)
	case "inf", "infinity":
		s.putFloat(dst, math.Inf(sign))
	default:
		return notFloat(value)
	}
	return ""
}

// isZeroText says whether a number has no digit but 0 before its exponent.
func isZeroText(text []byte) bool {
	if i := bytes.IndexAny(text, "eE"); i >= 0 {
		text = text[:i]
	}
	return !bytes.ContainsAny(text, "123456789")
}

func notFloat(value literal) string {
	return value.String() + " is not a number (such as 0.5, -2e9, inf, NaN)"
}

func (s *scalar) largestFloat() float64 {
	if s.size == 4 {
		return math.MaxFloat32
	}
	return math.MaxFloat64
}

func (s *scalar) smallestFloat() float64 {
	if s.size == 4 {
		return math.SmallestNonzeroFloat32
	}
	return math.SmallestNonzeroFloat64
}

func (s *scalar) putNaN(dst []byte) {
	if s.size == 4 {
		s.put(dst, quietNaN32)
		return
	}
	s.put(dst, quietNaN64)
}

func (s *scalar) putFloat(dst []byte, f float64) {
	if s.size == 4 {
		s.put(dst, uint64(math.Float32bits(float32(f))))
		return
	}
	s.put(dst, math.Float64bits(f))
}

func (s *scalar) getFloat(b []byte) float64 {
	if s.size == 4 {
		return float64(math.Float32frombits(uint32(s.get(b))))
	}
	return math.Float64frombits(s.get(b))
}

func (s *scalar) isQuietNaN(b []byte) bool {
	return s.get(b) == quietNaN64 || s.size == 4 && s.get(b) == quietNaN32
}

func appendFloat(s *scalar, dst, b []byte) []byte {
	switch f := s.getFloat(b); {
	case math.IsNaN(f) && !s.isQuietNaN(b):
		return fmt.Appendf(dst, "NaN(0x%x)", s.get(b))
	case math.IsInf(f, 1):
		return append(dst, "inf"...)
	case math.IsInf(f, -1):
		return append(dst, "-inf"...)
	default:
		return strconv.AppendFloat(dst, f, 'g', -1, 8*s.size)
	}
}

// appendFloatJSON quotes what JSON numbers don't carry through an API server, which takes -0 for the integer
// 0.
func appendFloatJSON(s *scalar, dst, b []byte) []byte {
	switch f := s.getFloat(b); {
	case math.IsNaN(f), math.IsInf(f, 0), f == 0 && math.Signbit(f):
		return append(appendFloat(s, append(dst, '"'), b), '"')
	}
	return appendFloat(s, dst, b)
}

// exactBits is for all but NaNs with a payload, which have no text.
func exactBits(s *scalar, b []byte) bool { return !math.IsNaN(s.getFloat(b)) || s.isQuietNaN(b) }
