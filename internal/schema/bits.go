// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package schema

import (
	"encoding/binary"
	"math"
	"sync"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
)

// maxBits is the width of the widest bit-field.
const maxBits = 64

// checkBits refuses what can't be a bit-field.
func checkBits(s *v1alpha1.Schema, path string) *Error {
	widest := byteBits * scalars[s.Type].size
	switch s.Type {
	case v1alpha1.TypeBool:
		widest = 1
	case v1alpha1.TypeU8, v1alpha1.TypeU16, v1alpha1.TypeU32, v1alpha1.TypeU64,
		v1alpha1.TypeI8, v1alpha1.TypeI16, v1alpha1.TypeI32, v1alpha1.TypeI64:
	default:
		return errorf(path+".bits", "%s can't be a bit-field, only an integer in the node's byte order of at most %d bits, a bool or padding can", s.Type, maxBits)
	}
	switch {
	case s.Bits < 1 || int(s.Bits) > widest:
		return errorf(path+".bits", "%d is out of range for %s (1…%d)", s.Bits, s.Type, widest)
	case s.Align != 0:
		return errorf(path+".align", "a bit-field takes no alignment: put padding in front of it")
	}
	return nil
}

// units are room for the unit that a bit-field is cut from: types read and write whole units.
var units = sync.Pool{New: func() any { return new([maxBits / byteBits]byte) }}

// encodeBits writes a bit-field to the struct in dst.
func (f *field) encodeBits(dst []byte, value literal) *Error {
	room, _ := units.Get().(*[maxBits / byteBits]byte)
	defer units.Put(room)
	s := f.layout.scalar
	unit := room[:s.size]
	clear(unit)
	if err := f.layout.encode(unit, value); err != nil {
		return err
	}
	n := s.number(unit)
	if n != s.number64(n&(math.MaxUint64>>(64-s.width()))) {
		if s.signed {
			return errorf("", "%d is out of range for %s (%d…%d)", int64(n), s.what(), -int64(1)<<(s.bits-1), int64(1)<<(s.bits-1)-1)
		}
		return errorf("", "%d is out of range for %s (0…%d)", n, s.what(), uint64(1)<<s.bits-1)
	}
	putBits(dst, f.at, f.bits, n, bigEndian)
	return nil
}

// number is the integer in a unit, in 64 bits.
func (s *scalar) number(unit []byte) uint64 {
	n := s.get(unit)
	if s.signed {
		shift := 64 - byteBits*uint(s.size)
		n = uint64(int64(n<<shift) >> shift)
	}
	return n
}

// number64 is the integer whose lowest bits are those of a bit-field.
func (s *scalar) number64(bits uint64) uint64 {
	if !s.signed {
		return bits
	}
	shift := 64 - s.width()
	return uint64(int64(bits<<shift) >> shift)
}

// withUnit calls do with the unit that a bit-field of the struct in b is cut from.
func (f *field) withUnit(b []byte, do func(unit []byte)) {
	room, _ := units.Get().(*[maxBits / byteBits]byte)
	defer units.Put(room)
	s := f.layout.scalar
	unit := room[:s.size]
	n := s.number64(getBits(b, f.at, f.bits, bigEndian))
	if s.order == nil {
		unit[0] = byte(n)
	} else {
		s.put(unit, n)
	}
	do(unit)
}

var bigEndian = binary.NativeEndian.Uint16([]byte{0, 1}) == 1

// putBits writes the lowest bits of n, as many as width says, to the bits of b from at on, which are zero.
// Bits count from the least significant one in each byte, or on big-endian machines from the most
// significant one, where n's most significant bits come first.
func putBits(b []byte, at, width int, n uint64, big bool) {
	for width > 0 {
		from := at % byteBits
		count := min(byteBits-from, width)
		width -= count
		if big {
			b[at/byteBits] |= byte(n>>width) & lowest(count) << (byteBits - from - count)
		} else {
			b[at/byteBits] |= byte(n) & lowest(count) << from
			n >>= count
		}
		at += count
	}
}

// getBits is the inverse of putBits.
func getBits(b []byte, at, width int, big bool) (n uint64) {
	for done := 0; done < width; {
		from := at % byteBits
		count := min(byteBits-from, width-done)
		if big {
			n = n<<count | uint64(b[at/byteBits]>>(byteBits-from-count)&lowest(count))
		} else {
			n |= uint64(b[at/byteBits]>>from&lowest(count)) << done
		}
		at, done = at+count, done+count
	}
	return n
}

// lowest has the lowest n bits set.
func lowest(n int) byte { return byte(1<<n - 1) }
