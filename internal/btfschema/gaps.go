// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package btfschema

import (
	"encoding/binary"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
)

// Gaps are the bytes of a layout that no field has, as a mask: 0xff for such a byte, and the bits of a byte that
// bit-fields leave. Members of a union leave what none of them has.
func Gaps(s *v1alpha1.Schema) []byte {
	if hasPrefix(s) {
		s = withLength(s)
	}
	mask := make([]byte, extentOf(s).size)
	for i := range mask {
		mask[i] = 0xff
	}
	cover(mask, parts(s, "", 0), 0)
	return mask
}

// cover clears what parts have.
func cover(mask []byte, all []node, by int) {
	for i := range all {
		n := &all[i]
		for _, m := range n.members {
			cover(mask, m.parts, by)
		}
		for i := range n.count {
			cover(mask, n.element, by+n.at+i*(n.size/n.count))
		}
		if n.scalar == nil || n.scalar.Type == v1alpha1.TypePadding {
			continue
		}
		for bit := by + n.at; bit < by+n.end(); bit++ {
			mask[bit/8] &^= bitOf(bit % 8)
		}
	}
}

// bitOf is a bit of a byte in the order in which the compilers of this machine give them to bit-fields.
func bitOf(n int) byte {
	if binary.NativeEndian.Uint16([]byte{0, 1}) == 1 {
		return 0x80 >> n
	}
	return 1 << n
}

// IsDirty says whether bytes hold anything in gaps.
func IsDirty(b, gaps []byte) bool {
	for i := range min(len(b), len(gaps)) {
		if b[i]&gaps[i] != 0 {
			return true
		}
	}
	return false
}
