// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package schema

import (
	"fmt"
	"math"
	"math/bits"
	"strings"
	"time"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
)

// nanoseconds are how many of them a unit has.
var nanoseconds = map[v1alpha1.TimeUnit]uint64{
	v1alpha1.UnitNanoseconds: 1, v1alpha1.UnitMicroseconds: 1e3, v1alpha1.UnitMilliseconds: 1e6, v1alpha1.UnitSeconds: 1e9,
}

func (s *scalar) setUnit(property string, unit v1alpha1.TimeUnit, path string) *Error {
	if nanoseconds[unit] == 0 {
		return errorf(path+"."+property, "unknown unit %q, must be one of ns, us, ms, s", unit)
	}
	s.unit = unit
	return nil
}

// setDuration makes 1h30m the way to write and print an integer.
func (s *scalar) setDuration(unit v1alpha1.TimeUnit, path string) *Error {
	s.encode, s.appendText, s.appendJSON = encodeDuration, appendDurationText, appendDurationJSON
	return s.setUnit("duration", unit, path)
}

// setTime makes RFC 3339 the way to write and print an integer.
func (s *scalar) setTime(unit v1alpha1.TimeUnit, path string) *Error {
	s.encode, s.appendText, s.appendJSON = encodeTime, appendTimeText, appendTimeJSON
	return s.setUnit("time", unit, path)
}

// units is n seconds and nanos nanoseconds in the type's unit, which has to count them without a rest. nanos is
// from 0 to 999999999.
func (s *scalar) units(text string, n, nanos int64) (uint64, string) {
	per := nanoseconds[s.unit]
	if uint64(nanos)%per != 0 {
		return 0, fmt.Sprintf("%s isn't a whole number of %s, which the type counts", text, s.unit)
	}
	rest, negative := uint64(nanos)/per, n < 0
	whole := uint64(n)
	if negative { // -1.25 s is given as -2 s and 750 ms
		whole = uint64(-n)
	}
	high, all := bits.Mul64(whole, 1e9/per)
	if negative {
		all -= rest
	} else {
		all += rest
	}
	largest := s.masked(math.MaxUint64)
	if s.signed {
		largest >>= 1
	}
	switch {
	case high != 0, negative && !s.signed, negative && all > largest+1, !negative && (all > largest || all < rest):
		return 0, s.outOfRange(fmt.Sprintf("%s in %s", text, s.unit))
	case negative:
		return -all, ""
	}
	return all, ""
}

// encodeDuration takes 1h30m as time.ParseDuration does, or a number of the unit.
func encodeDuration(s *scalar, dst []byte, value literal) string {
	text, ok := value.word()
	if !ok || isPlainNumber(text) {
		return encodeInteger(s, dst, value)
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		return value.String() + " is neither a duration (such as 1h30m, 1.5s, 250ms, of at most 292 years) nor a number of " + string(s.unit)
	}
	seconds, nanos := int64(d/time.Second), int64(d%time.Second)
	if nanos < 0 {
		seconds, nanos = seconds-1, nanos+1e9
	}
	n, msg := s.units(text, seconds, nanos)
	if msg == "" {
		s.put(dst, n)
	}
	return msg
}

// isPlainNumber says whether a text has nothing of a unit or of a date.
func isPlainNumber(text string) bool {
	if _, ok := cutHexPrefix(strings.TrimLeft(text, "+-")); ok {
		return true
	}
	return strings.Trim(text, "+-.0123456789eE") == "" && strings.LastIndexByte(text, '-') <= 0
}

// durationOf is the number in b, if a time.Duration holds it.
func (s *scalar) durationOf(b []byte) (time.Duration, bool) {
	n := s.value(b)
	if !s.signed && n < 0 {
		return 0, false
	}
	per := int64(nanoseconds[s.unit])
	if n > math.MaxInt64/per || n < math.MinInt64/per {
		return 0, false
	}
	return time.Duration(n * per), true
}

// appendDuration appends 1h30m instead of 1h30m0s.
func appendDuration(dst []byte, d time.Duration) []byte {
	text := strings.Replace(d.String(), "µ", "u", 1)
	if rest, ok := strings.CutSuffix(text, "m0s"); ok {
		text = rest + "m"
	}
	if rest, ok := strings.CutSuffix(text, "h0m"); ok {
		text = rest + "h"
	}
	return append(dst, text...)
}

func appendDurationText(s *scalar, dst, b []byte) []byte {
	if d, ok := s.durationOf(b); ok {
		return appendDuration(dst, d)
	}
	return appendInteger(s, dst, b)
}

func appendDurationJSON(s *scalar, dst, b []byte) []byte {
	if d, ok := s.durationOf(b); ok {
		return append(appendDuration(append(dst, '"'), d), '"')
	}
	return appendIntegerJSON(s, dst, b)
}

// encodeTime takes a time as RFC 3339 writes it, or a number of the unit since 1970.
func encodeTime(s *scalar, dst []byte, value literal) string {
	text, ok := value.word()
	if !ok || isPlainNumber(text) {
		return encodeInteger(s, dst, value)
	}
	t, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		return value.String() + " is neither a time (such as 2030-01-01T00:00:00Z) nor a number of " + string(s.unit) + " since 1970"
	}
	n, msg := s.units(text, t.Unix(), int64(t.Nanosecond()))
	if msg == "" {
		s.put(dst, n)
	}
	return msg
}

// The seconds of the years 1 to 9999, all that RFC 3339 writes.
const (
	firstSecond = -62135596800
	lastSecond  = 253402300799
)

// timeOf is the time in b. 0 stays a number: programs take it for no time at all.
func (s *scalar) timeOf(b []byte) (time.Time, bool) {
	n := s.value(b)
	per := int64(nanoseconds[s.unit])
	inSecond := int64(1e9) / per
	seconds, rest := n/inSecond, n%inSecond
	switch {
	case n == 0:
		return time.Time{}, false
	case !s.signed: // the uppermost bit is none of a sign
		seconds, rest = int64(uint64(n)/uint64(inSecond)), int64(uint64(n)%uint64(inSecond))
	case rest < 0:
		seconds, rest = seconds-1, rest+inSecond
	}
	if seconds < firstSecond || seconds > lastSecond {
		return time.Time{}, false
	}
	return time.Unix(seconds, rest*per).UTC(), true
}

func appendTimeText(s *scalar, dst, b []byte) []byte {
	if t, ok := s.timeOf(b); ok {
		return t.AppendFormat(dst, time.RFC3339Nano)
	}
	return appendInteger(s, dst, b)
}

func appendTimeJSON(s *scalar, dst, b []byte) []byte {
	if t, ok := s.timeOf(b); ok {
		return append(t.AppendFormat(append(dst, '"'), time.RFC3339Nano), '"')
	}
	return appendIntegerJSON(s, dst, b)
}
