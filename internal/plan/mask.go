// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"bytes"
	"encoding/binary"
)

// Mask are the bits of a value, as this node's kernel shows it, that the declaration owns: 1 for those, 0 for bits of
// programs. Nil are all bits.
type Mask []byte

// Same says whether two values agree in what is declared.
func (m Mask) Same(a, b []byte) bool {
	if m == nil || bytes.Equal(a, b) {
		return bytes.Equal(a, b)
	}
	i := 0
	for ; i+8 <= len(m); i += 8 {
		if (binary.NativeEndian.Uint64(a[i:])^binary.NativeEndian.Uint64(b[i:]))&binary.NativeEndian.Uint64(m[i:]) != 0 {
			return false
		}
	}
	for ; i < len(m); i++ {
		if (a[i]^b[i])&m[i] != 0 {
			return false
		}
	}
	return true
}

// IsZero says whether what is declared of a value is zero.
func (m Mask) IsZero(value []byte) bool {
	if m == nil {
		return isZero(value)
	}
	for i, b := range value {
		if b&m[i] != 0 {
			return false
		}
	}
	return true
}

// Merge is what is declared of one value with the programs' bits of another one, appended to dst.
func (m Mask) Merge(dst, declared, programs []byte) []byte {
	if m == nil {
		return append(dst, declared...)
	}
	for i, bits := range m {
		dst = append(dst, declared[i]&bits|programs[i]&^bits)
	}
	return dst
}

// Programs are the bits of the programs: the mask the other way round. Nil are none.
func (m Mask) Programs() []byte {
	if m == nil {
		return nil
	}
	inverse := make([]byte, len(m))
	for i, bits := range m {
		inverse[i] = ^bits
	}
	return inverse
}

// Declares is how many bytes of a value hold declared bits.
func (m Mask) Declares() (n int) {
	for _, bits := range m {
		if bits != 0 {
			n++
		}
	}
	return n
}
