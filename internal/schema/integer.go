// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package schema

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"math/bits"
	"strconv"
	"strings"

	"github.com/bpfmap-io/bpfmap-operator/internal/rawjson"
)

// encodeInteger takes numbers and strings, decimal or 0x…. Nothing is ever cut or rounded.
func encodeInteger(s *scalar, dst []byte, value literal) string {
	bits, msg := s.integerOf(value)
	if msg == "" {
		s.put(dst, bits)
	}
	return msg
}

// integerOf is the two's complement bits of an integer, from a number or its text.
func (s *scalar) integerOf(value literal) (uint64, string) {
	text, isNumber, msg := integerText(value)
	if msg != "" {
		return 0, msg
	}
	bits, msg := s.parseBytes(text)
	if msg == "" && isNumber && !s.signed && bits > math.MaxInt64 {
		msg = notCarried(text)
	}
	return bits, msg
}

// integerText is the digits of an integer, and whether it is a JSON number. One with a fraction or an
// exponent is the same number in quotes as without.
func integerText(value literal) (text []byte, isNumber bool, msg string) {
	text, isText := value.wordBytes()
	isNumber = !isText && rawjson.IsNumber(value.raw)
	switch {
	case isNumber:
		text = value.raw
	case !isText:
		return nil, false, value.String() + " is not an integer"
	}
	if isDigits(text) || !isFloat(text) {
		return text, isNumber, ""
	}
	whole, ok := wholeNumber(string(text))
	if !ok {
		return nil, isNumber, floatMessage(value, string(text))
	}
	return []byte(whole), isNumber, ""
}

// isFloat says whether a number has a fraction or an exponent.
func isFloat(text []byte) bool {
	if digits := bytes.TrimLeft(text, "+-"); len(digits) > 1 && digits[0] == '0' && digits[1]|0x20 == 'x' {
		return false
	}
	return bytes.ContainsAny(text, ".eE")
}

// notCarried says that a JSON number is too large for the API server.
func notCarried(text []byte) string {
	return string(text) + " exceeds what a JSON number carries through the API server (" + maxJSONInteger + "): quote it"
}

// maxJSONInteger is math.MaxInt64.
const maxJSONInteger = "9223372036854775807"

// exactFloat is the largest integer up to which a float64 holds every integer.
const exactFloat = 1 << 53

// wholeNumber is text, a number with a fraction or an exponent, as a plain integer, if it is one that no
// float could have rounded.
func wholeNumber(text string) (string, bool) {
	f, err := strconv.ParseFloat(text, 64)
	if err != nil || f != math.Trunc(f) || math.Abs(f) > exactFloat {
		return "", false
	}
	return strconv.FormatInt(int64(f), 10), true
}

func floatMessage(value literal, text string) string {
	f, err := strconv.ParseFloat(text, 64)
	if err == nil && f == math.Trunc(f) && !math.IsInf(f, 0) {
		return text + " was rounded on its way here: the API server carries JSON numbers up to " + maxJSONInteger + "; quote a larger integer"
	}
	return value.String() + " is not an integer"
}

// parse is the two's complement bits of an integer, checked against the type's range.
func (s *scalar) parse(text string) (uint64, string) { return s.parseBytes([]byte(text)) }

func (s *scalar) parseBytes(text []byte) (uint64, string) {
	digits, negative, base := cutSign(text)
	n, fits := uint64(0), true
	for _, c := range digits {
		digit := digitOf(c)
		if digit >= base {
			return 0, notInteger(text)
		}
		over, product := bits.Mul64(n, base)
		sum, carry := bits.Add64(product, digit, 0)
		fits = fits && over == 0 && carry == 0
		n = sum
	}
	switch {
	case len(digits) == 0:
		return 0, notInteger(text)
	case s.signed && negative:
		fits = fits && n <= uint64(1)<<(s.width()-1)
	case s.signed:
		fits = fits && n < uint64(1)<<(s.width()-1)
	default:
		fits = fits && n <= s.masked(math.MaxUint64) && (!negative || n == 0)
	}
	if !fits {
		return 0, s.outOfRange(string(text))
	}
	if negative {
		n = -n
	}
	return n, ""
}

// cutSign cuts an integer into its digits, its sign and its base.
func cutSign(text []byte) (digits []byte, negative bool, base uint64) {
	digits, base = text, 10
	if len(digits) > 0 && (digits[0] == '-' || digits[0] == '+') {
		negative, digits = digits[0] == '-', digits[1:]
	}
	if len(digits) > 1 && digits[0] == '0' && digits[1]|0x20 == 'x' {
		digits, base = digits[2:], 16
	}
	return digits, negative, base
}

func notInteger(text []byte) string { return fmt.Sprintf("%q is not an integer", text) }

// digitOf is what a digit counts; anything else counts more than any base.
func digitOf(c byte) uint64 {
	switch {
	case '0' <= c && c <= '9':
		return uint64(c - '0')
	case 'a' <= c && c <= 'f':
		return uint64(c-'a') + 10
	case 'A' <= c && c <= 'F':
		return uint64(c-'A') + 10
	}
	return math.MaxUint64
}

// outOfRange names the bounds that a number exceeds.
func (s *scalar) outOfRange(text string) string {
	if s.signed {
		limit := uint64(1) << (s.width() - 1)
		return fmt.Sprintf("%s is out of range for %s (-%d…%d)", text, s.what(), limit, limit-1)
	}
	return fmt.Sprintf("%s is out of range for %s (0…%d)", text, s.what(), s.masked(math.MaxUint64))
}

func cutHexPrefix(s string) (string, bool) {
	if rest, ok := strings.CutPrefix(s, "0x"); ok {
		return rest, true
	}
	return strings.CutPrefix(s, "0X")
}

func isRange(err error) bool { return errors.Is(err, strconv.ErrRange) }

func (s *scalar) put(dst []byte, bits uint64) {
	switch s.size {
	case 1:
		dst[0] = byte(bits)
	case 2:
		s.order.PutUint16(dst, uint16(bits))
	case 4:
		s.order.PutUint32(dst, uint32(bits))
	case 8:
		s.order.PutUint64(dst, bits)
	}
}

func (s *scalar) get(b []byte) uint64 {
	switch s.size {
	case 1:
		return uint64(b[0])
	case 2:
		return uint64(s.order.Uint16(b))
	case 4:
		return uint64(s.order.Uint32(b))
	}
	return s.order.Uint64(b)
}

// value is the number in b, with the sign of signed types.
func (s *scalar) value(b []byte) int64 {
	shift := 64 - s.width()
	if s.signed {
		return int64(s.get(b)<<shift) >> shift
	}
	return int64(s.get(b))
}

func appendInteger(s *scalar, dst, b []byte) []byte {
	if s.signed {
		return strconv.AppendInt(dst, s.value(b), 10)
	}
	return strconv.AppendUint(dst, s.get(b), 10)
}

// appendIntegerJSON quotes what JSON numbers don't carry through an API server.
func appendIntegerJSON(s *scalar, dst, b []byte) []byte {
	if !s.signed && s.get(b) > math.MaxInt64 {
		return append(appendInteger(s, append(dst, '"'), b), '"')
	}
	return appendInteger(s, dst, b)
}

// encodeBool takes true and false, and 0 and 1 as numbers; in cells as texts.
func encodeBool(_ *scalar, dst []byte, value literal) string {
	text := value.raw
	if word, ok := value.wordBytes(); ok && value.cells {
		text = word
	}
	switch string(text) {
	case "true", "1":
		dst[0] = 1
		return ""
	case "false", "0":
		dst[0] = 0
		return ""
	}
	return value.String() + " is neither true nor false"
}

// appendBool shows a byte that is neither 0 nor 1 as the number that it is.
func appendBool(_ *scalar, dst, b []byte) []byte {
	if b[0] > 1 {
		return strconv.AppendUint(dst, uint64(b[0]), 10)
	}
	return strconv.AppendBool(dst, b[0] == 1)
}

// width is the number of bits that an integer has room for.
func (s *scalar) width() uint {
	if s.bits > 0 {
		return uint(s.bits)
	}
	return uint(8 * s.size)
}

// what is the type in a message about a range.
func (s *scalar) what() string {
	switch {
	case s.bits == 1:
		return "1 bit"
	case s.bits > 0:
		return fmt.Sprintf("%d bits", s.bits)
	}
	return string(s.typ)
}
