// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package schema

import (
	"encoding/binary"
	"math"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
)

// indexSize is how long the index of an array is.
const indexSize = 4

// networkIndex is a be16 of 4 bytes: the index of an array that a program looks up with two bytes of a packet as its
// C type __u32 takes them. On a little-endian machine, port 80 is index 20480.
func networkIndex() scalar {
	s := integer(v1alpha1.TypeBE16, 2, false, binary.BigEndian)
	encode := s.encode
	s.size, s.align = indexSize, indexSize
	narrow := s
	narrow.size = 2
	s.encode = func(_ *scalar, dst []byte, value literal) string {
		var b [2]byte
		msg := encode(&narrow, b[:], value)
		binary.NativeEndian.PutUint32(dst, uint32(binary.NativeEndian.Uint16(b[:])))
		return msg
	}
	s.appendText = func(_ *scalar, dst, b []byte) []byte {
		if two, ok := narrowIndex(b); ok {
			return appendInteger(&narrow, dst, two[:])
		}
		return hexBytes(dst, b)
	}
	s.appendJSON = func(_ *scalar, dst, b []byte) []byte {
		if two, ok := narrowIndex(b); ok {
			return appendInteger(&narrow, dst, two[:])
		}
		return appendHexForm(dst, b)
	}
	return s
}

// narrowIndex is the two bytes that make an index; false for one that none do.
func narrowIndex(b []byte) (two [2]byte, ok bool) {
	index := binary.NativeEndian.Uint32(b)
	binary.NativeEndian.PutUint16(two[:], uint16(index))
	return two, index <= math.MaxUint16
}
