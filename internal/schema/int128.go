// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package schema

import (
	"encoding/binary"
	"math"
	"math/bits"
	"strconv"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
)

// int128 is an integer of 128 bits, __int128: its alignment is 16 on all 64-bit machines.
func int128(typ v1alpha1.ScalarType, signed bool) scalar {
	return scalar{
		typ: typ, size: 16, align: 16, signed: signed, order: binary.NativeEndian,
		encode: encode128, appendText: append128, appendJSON: append128JSON, exact: always,
	}
}

// uint128 is a number of 128 bits, or the two's complement of a signed one.
type uint128 struct{ hi, lo uint64 }

func (n uint128) negated() uint128 {
	lo, borrow := bits.Sub64(0, n.lo, 0)
	hi, _ := bits.Sub64(0, n.hi, borrow)
	return uint128{hi, lo}
}

// encode128 takes what encodeInteger does.
func encode128(s *scalar, dst []byte, value literal) string {
	text, isNumber, msg := integerText(value)
	if msg != "" {
		return msg
	}
	n, msg := s.parse128(text)
	if msg != "" {
		return msg
	}
	if isNumber && !n.isInt64() {
		return notCarried(text)
	}
	s.put128(dst, n)
	return ""
}

// isInt64 says whether n, read as signed, is one of 64 bits.
func (n uint128) isInt64() bool {
	return n.hi == 0 && n.lo <= math.MaxInt64 || n.hi == math.MaxUint64 && n.lo > math.MaxInt64
}

func (s *scalar) parse128(text []byte) (uint128, string) {
	digits, negative, base := cutSign(text)
	n, fits := uint128{}, true
	for _, c := range digits {
		digit := digitOf(c)
		if digit >= base {
			return n, notInteger(text)
		}
		over, product := bits.Mul64(n.lo, base)
		overflow, high := bits.Mul64(n.hi, base)
		lo, carry := bits.Add64(product, digit, 0)
		hi, lost := bits.Add64(high, over, carry)
		fits = fits && overflow == 0 && lost == 0
		n = uint128{hi, lo}
	}
	switch top := n.hi>>63 == 1; {
	case len(digits) == 0:
		return n, notInteger(text)
	case s.signed && negative && top:
		fits = fits && n == uint128{1 << 63, 0}
	case s.signed:
		fits = fits && !top
	case negative:
		fits = fits && n == uint128{}
	}
	if !fits {
		return n, s.outOfRange128(string(text))
	}
	if negative {
		n = n.negated()
	}
	return n, ""
}

func (s *scalar) outOfRange128(text string) string {
	if s.signed {
		return text + " is out of range for i128 (-2¹²⁷…2¹²⁷-1)"
	}
	return text + " is out of range for u128 (0…2¹²⁸-1)"
}

// isLittle says whether this machine's byte order is little-endian.
var isLittle = binary.NativeEndian.Uint16([]byte{1, 0}) == 1

func (s *scalar) put128(dst []byte, n uint128) {
	if isLittle {
		n.hi, n.lo = n.lo, n.hi
	}
	binary.NativeEndian.PutUint64(dst, n.hi)
	binary.NativeEndian.PutUint64(dst[8:], n.lo)
}

func (s *scalar) get128(b []byte) uint128 {
	n := uint128{binary.NativeEndian.Uint64(b), binary.NativeEndian.Uint64(b[8:])}
	if isLittle {
		n.hi, n.lo = n.lo, n.hi
	}
	return n
}

// wideDigits is how many decimal digits are printed at a time, the most that fit 64 bits.
const wideDigits = 19

func append128(s *scalar, dst, b []byte) []byte {
	n := s.get128(b)
	if s.signed && n.hi>>63 == 1 {
		dst = append(dst, '-')
		n = n.negated()
	}
	var low [2]uint64 // groups of digits, the lowest first
	groups := 0
	for n.hi > 0 {
		var rest uint64
		n.hi, rest = n.hi/1e19, n.hi%1e19
		n.lo, low[groups] = bits.Div64(rest, n.lo, 1e19)
		groups++
	}
	dst = strconv.AppendUint(dst, n.lo, 10)
	for groups--; groups >= 0; groups-- {
		var room [wideDigits + 1]byte
		digits := strconv.AppendUint(room[:0], low[groups], 10)
		for range wideDigits - len(digits) {
			dst = append(dst, '0')
		}
		dst = append(dst, digits...)
	}
	return dst
}

// append128JSON quotes what JSON numbers don't carry through an API server.
func append128JSON(s *scalar, dst, b []byte) []byte {
	n := s.get128(b)
	if n.hi == 0 && n.lo <= math.MaxInt64 || s.signed && n.isInt64() {
		return append128(s, dst, b)
	}
	return append(append128(s, append(dst, '"'), b), '"')
}
