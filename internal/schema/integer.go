// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package schema

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/bpfmap-io/bpfmap-operator/internal/rawjson"
)

// encodeInteger takes numbers and strings, decimal or 0x…. Nothing is ever cut or rounded.
func encodeInteger(s *scalar, dst []byte, value literal) string {
	text, isText := value.word()
	isNumber := !isText && rawjson.IsNumber(value.raw)
	switch {
	case isNumber:
		text = string(value.raw)
	case !isText:
		return value.String() + " is not an integer"
	}
	if isNumber && strings.ContainsAny(text, ".eE") {
		whole, ok := wholeNumber(text)
		if !ok {
			return floatMessage(text)
		}
		text = whole
	}
	bits, msg := s.parse(text)
	if msg != "" {
		return msg
	}
	if isNumber && !s.signed && bits > math.MaxInt64 {
		return text + " exceeds what a JSON number carries through the API server (" + maxJSONInteger + "): quote it"
	}
	s.put(dst, bits)
	return ""
}

// maxJSONInteger is math.MaxInt64.
const maxJSONInteger = "9223372036854775807"

// exactFloat is the largest integer up to which a float64 holds every integer.
const exactFloat = 1 << 53

// wholeNumber is text, a JSON number with a fraction or an exponent, as a plain integer, if it is
// one that no float could have rounded.
func wholeNumber(text string) (string, bool) {
	f, err := strconv.ParseFloat(text, 64)
	if err != nil || f != math.Trunc(f) || math.Abs(f) > exactFloat {
		return "", false
	}
	return strconv.FormatInt(int64(f), 10), true
}

func floatMessage(text string) string {
	f, err := strconv.ParseFloat(text, 64)
	if err == nil && f == math.Trunc(f) {
		return text + " was rounded on its way here: the API server carries JSON numbers up to " + maxJSONInteger + "; quote a larger integer"
	}
	return text + " is not an integer"
}

// parse is the two's complement bits of an integer, checked against the type's range.
func (s *scalar) parse(text string) (uint64, string) {
	digits, base := text, 10
	negative := strings.HasPrefix(digits, "-")
	digits = strings.TrimPrefix(digits, "-")
	if rest, ok := cutHexPrefix(digits); ok {
		digits, base = rest, 16
	}
	n, err := strconv.ParseUint(digits, base, 64)
	if err != nil && !isRange(err) {
		return 0, fmt.Sprintf("%q is not an integer", text)
	}
	width := s.width()
	if s.signed {
		limit := uint64(1) << (width - 1)
		if err != nil || (negative && n > limit) || (!negative && n >= limit) {
			return 0, fmt.Sprintf("%s is out of range for %s (-%d…%d)", text, s.what(), limit, limit-1)
		}
		if negative {
			n = -n
		}
		return n, ""
	}
	largest := uint64(math.MaxUint64) >> (64 - width)
	if err != nil || n > largest || (negative && n != 0) {
		return 0, fmt.Sprintf("%s is out of range for %s (0…%d)", text, s.what(), largest)
	}
	return n, ""
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

func appendInteger(s *scalar, dst, b []byte) []byte {
	if s.signed {
		shift := uint(64 - 8*s.size)
		return strconv.AppendInt(dst, int64(s.get(b)<<shift)>>shift, 10)
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
	text := string(value.raw)
	if word, ok := value.word(); ok && value.cells {
		text = word
	}
	switch text {
	case "true", "1":
		dst[0] = 1
		return ""
	case "false", "0":
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
