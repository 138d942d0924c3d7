// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package schema

import (
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
	text, ok := value.word()
	if !ok {
		if !rawjson.IsNumber(value.raw) {
			return notFloat(value)
		}
		text = string(value.raw)
	}
	sign, word := "", strings.ToLower(text)
	if strings.HasPrefix(word, "-") || strings.HasPrefix(word, "+") {
		sign, word = word[:1], word[1:]
	}
	switch strings.TrimPrefix(word, ".") { // YAML writes .nan and .inf
	case "nan":
		if sign != "" {
			return notFloat(value)
		}
		s.putNaN(dst)
		return ""
	case "inf", "infinity":
		text = sign + "inf"
	default:
		if strings.ContainsAny(text, "_pP") {
			return notFloat(value)
		}
	}
	f, err := strconv.ParseFloat(text, 8*s.size)
	switch {
	case err != nil && isRange(err):
		return fmt.Sprintf("%s is out of range for %s (largest: %g)", text, s.typ, s.largestFloat())
	case err != nil:
		return notFloat(value)
	case f == 0 && strings.ContainsAny(strings.FieldsFunc(word, isExponent)[0], "123456789"):
		return fmt.Sprintf("%s is too small for %s (smallest: %g)", text, s.typ, s.smallestFloat())
	}
	s.putFloat(dst, f)
	return ""
}

func isExponent(r rune) bool { return r == 'e' }

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
