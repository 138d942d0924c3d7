// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package schema

import (
	"encoding/binary"
	"math/bits"
)

// wide is an unsigned integer of up to 128 bits: what prefixes of addresses and integers are made of.
type wide struct{ high, low uint64 }

// wideOf is the number that big-endian bytes are, 16 at most.
func wideOf(b []byte) wide {
	var full [16]byte
	copy(full[len(full)-len(b):], b)
	return wide{binary.BigEndian.Uint64(full[:8]), binary.BigEndian.Uint64(full[8:])}
}

// put writes w to b as a big-endian number, 16 bytes at most.
func (w wide) put(b []byte) {
	var full [16]byte
	binary.BigEndian.PutUint64(full[:8], w.high)
	binary.BigEndian.PutUint64(full[8:], w.low)
	copy(b, full[len(full)-len(b):])
}

// ones is a number of that many bits, all set.
func ones(n int) wide {
	if n >= 64 {
		return wide{1<<(n-64) - 1, 1<<64 - 1}
	}
	return wide{0, 1<<n - 1}
}

func (w wide) less(than wide) bool {
	return w.high < than.high || w.high == than.high && w.low < than.low
}

func (w wide) or(o wide) wide     { return wide{w.high | o.high, w.low | o.low} }
func (w wide) and(o wide) wide    { return wide{w.high & o.high, w.low & o.low} }
func (w wide) andNot(o wide) wide { return wide{w.high &^ o.high, w.low &^ o.low} }

// next is w+1; 0 behind the largest number.
func (w wide) next() wide {
	low, carry := bits.Add64(w.low, 1, 0)
	return wide{w.high + carry, low}
}

// trailingZeros is how many of the lowest bits are clear, 128 for 0.
func (w wide) trailingZeros() int {
	if w.low != 0 {
		return bits.TrailingZeros64(w.low)
	}
	return 64 + bits.TrailingZeros64(w.high)
}

// span is a range of numbers of width bits, both ends included.
type span struct {
	from, to wide
	width    int
}

// first is the longest prefix that begins where s does and lies in s: its number and its length in bits.
func (s *span) first() (from wide, length int) {
	free := min(s.from.trailingZeros(), s.width)
	for s.to.less(s.from.or(ones(free))) {
		free--
	}
	return s.from, s.width - free
}

// skip makes s begin behind its first prefix; false if that was all of it. Prefixes that are taken one after
// the other are the fewest that make up the range, at most 2*width-2.
func (s *span) skip() bool {
	from, length := s.first()
	last := from.or(ones(s.width - length))
	if !last.less(s.to) {
		return false
	}
	s.from = last.next()
	return true
}

// count is how many prefixes make up the range.
func (s *span) count() int { // s is a copy that is used up
	n, rest := 1, *s
	for rest.skip() {
		n++
	}
	return n
}
