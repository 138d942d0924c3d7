// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package bpf

import (
	"bytes"
	"cmp"
	"encoding/binary"
)

// keyOrder is the order in which the kernel walks a type that starts over when the key at the cursor is
// gone: every key is greater than the one before. nil for types without one, or which never start over.
func keyOrder(t MapType) func(a, b []byte) int {
	switch t {
	case LPMTrie:
		return comparePrefixes
	case StackTrace:
		return compareIndexes
	}
	return nil
}

// comparePrefixes orders keys of an LPM trie as trie_get_next_key walks them, in postorder: by the first
// bit in which they differ, and a prefix behind all longer ones that it contains. Bits behind the prefix
// don't count.
func comparePrefixes(a, b []byte) int {
	lenA, lenB := binary.NativeEndian.Uint32(a), binary.NativeEndian.Uint32(b)
	common := min(lenA, lenB)
	whole, rest := 4+common/8, common%8
	if c := bytes.Compare(a[4:whole], b[4:whole]); c != 0 {
		return c
	}
	if rest > 0 {
		shift := 8 - rest
		if c := cmp.Compare(a[whole]>>shift, b[whole]>>shift); c != 0 {
			return c
		}
	}
	return cmp.Compare(lenB, lenA)
}

func compareIndexes(a, b []byte) int {
	return cmp.Compare(binary.NativeEndian.Uint32(a), binary.NativeEndian.Uint32(b))
}
