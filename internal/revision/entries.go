// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package revision

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"fmt"
	"slices"
	"sort"
)

// Entries are packed elements: Len keys of KeySize bytes after each other, and as many values of
// ValueSize bytes. One allocation holds a million of them.
type Entries struct {
	// KeySize is 0 for keyless maps, ValueSize that of one value.
	KeySize, ValueSize int
	// Len is the number of elements.
	Len int
	// Keys and Values hold Len*KeySize and Len*ValueSize bytes. For an element with PerCPU values
	// the slot in Values is zero.
	Keys, Values []byte
	// PerCPU holds the elements of a per-CPU map whose values are given CPU by CPU: index of the
	// element → values of ValueSize bytes each, in the order of CPUs. Nil if there are none.
	PerCPU map[int][]byte
}

// Key is the key of element i.
func (e *Entries) Key(i int) []byte { return e.Keys[i*e.KeySize : (i+1)*e.KeySize] }

// Value is the value of element i (of every CPU unless PerCPU has element i).
func (e *Entries) Value(i int) []byte { return e.Values[i*e.ValueSize : (i+1)*e.ValueSize] }

// Append adds an element. values is one value of ValueSize bytes, or several for a per-CPU element
// that is given CPU by CPU (perCPU true).
func (e *Entries) Append(key, values []byte, perCPU bool) {
	e.Keys = append(e.Keys, key...)
	if perCPU {
		if e.PerCPU == nil {
			e.PerCPU = map[int][]byte{}
		}
		e.PerCPU[e.Len] = bytes.Clone(values)
		e.Values = append(e.Values, make([]byte, e.ValueSize)...)
	} else {
		e.Values = append(e.Values, values...)
	}
	e.Len++
}

// AppendAll adds all elements of another set of the same sizes.
func (e *Entries) AppendAll(other *Entries) {
	for i, v := range other.PerCPU {
		if e.PerCPU == nil {
			e.PerCPU = map[int][]byte{}
		}
		e.PerCPU[e.Len+i] = v
	}
	e.Keys, e.Values = append(e.Keys, other.Keys...), append(e.Values, other.Values...)
	e.Len += other.Len
}

// Without is e without the elements that drop names, in the same order. Elements keep sharing the
// memory of per-CPU values.
func (e *Entries) Without(drop func(i int) bool) Entries {
	kept := Entries{
		KeySize: e.KeySize, ValueSize: e.ValueSize,
		Keys: make([]byte, 0, len(e.Keys)), Values: make([]byte, 0, len(e.Values)),
	}
	for i := range e.Len {
		if drop(i) {
			continue
		}
		kept.Keys, kept.Values = append(kept.Keys, e.Key(i)...), append(kept.Values, e.Value(i)...)
		if v, ok := e.PerCPU[i]; ok {
			if kept.PerCPU == nil {
				kept.PerCPU = map[int][]byte{}
			}
			kept.PerCPU[kept.Len] = v
		}
		kept.Len++
	}
	return kept
}

// checkKeySize refuses key sizes that CompareKeys can't read.
func (s Shape) checkKeySize() error {
	switch {
	case s.IsIndexed() && s.KeySize != 4:
		return fmt.Errorf("keys of a %s are %d bytes, not 4", s.Type, s.KeySize)
	case s.IsLPM() && s.KeySize < 5:
		return fmt.Errorf("keys of a %s are %d bytes, fewer than 5", s.Type, s.KeySize)
	}
	return nil
}

// CompareKeys orders two keys of a map type: indexes by number, LPM tries by address and then by
// prefix length (the order in which a trie is fastest to fill), everything else byte by byte.
// Keyless elements are equal, so that a stable sort leaves them alone.
func (s Shape) CompareKeys(a, b []byte) int { return s.keyOrder()(a, b) }

// keyOrder is CompareKeys for many keys: what follows from the map type is found out once.
func (s Shape) keyOrder() func(a, b []byte) int {
	switch t := s.traits(); {
	case t.Indexed:
		return compareNumbers
	case t.LPM:
		return comparePrefixes
	}
	return bytes.Compare
}

func compareNumbers(a, b []byte) int {
	return cmp.Compare(binary.NativeEndian.Uint32(a), binary.NativeEndian.Uint32(b))
}

func comparePrefixes(a, b []byte) int {
	if len(a) == 8 && len(b) == 8 { // addresses of IPv4
		return cmp.Compare(ipv4Order(a), ipv4Order(b))
	}
	if c := bytes.Compare(a[4:], b[4:]); c != 0 {
		return c
	}
	return compareNumbers(a, b)
}

// ipv4Order is a number that orders prefixes of 4 bytes of data: by these, and then by the length.
func ipv4Order(key []byte) uint64 {
	return uint64(binary.BigEndian.Uint32(key[4:]))<<32 | uint64(binary.NativeEndian.Uint32(key))
}

// Canonical is key as declared ones are: it clears the bits of an LPM key that don't count, in place.
func (s Shape) Canonical(key []byte) []byte {
	if s.IsLPM() {
		MaskPrefix(key)
	}
	return key
}

// Sorted is e in the order of s.CompareKeys, and order[i] is where element i was before. Equal keys
// keep their order.
func (e *Entries) Sorted(s Shape) (sorted Entries, order []int) {
	order = make([]int, e.Len)
	inOrder, compare := true, s.keyOrder()
	for i := range order {
		order[i] = i
		inOrder = inOrder && (i == 0 || compare(e.Key(i-1), e.Key(i)) <= 0)
	}
	if inOrder || s.IsKeyless() {
		return *e, order
	}
	slices.SortFunc(order, func(i, j int) int {
		if c := compare(e.Key(i), e.Key(j)); c != 0 {
			return c
		}
		return i - j
	})
	sorted = Entries{
		KeySize: e.KeySize, ValueSize: e.ValueSize, Len: e.Len,
		Keys:   make([]byte, 0, len(e.Keys)),
		Values: make([]byte, 0, len(e.Values)),
	}
	for to, from := range order {
		sorted.Keys = append(sorted.Keys, e.Key(from)...)
		sorted.Values = append(sorted.Values, e.Value(from)...)
		if v, ok := e.PerCPU[from]; ok {
			if sorted.PerCPU == nil {
				sorted.PerCPU = map[int][]byte{}
			}
			sorted.PerCPU[to] = v
		}
	}
	return sorted, order
}

// Find is the index of key in sorted entries, or where it would be, and whether it is there.
func (e *Entries) Find(s Shape, key []byte) (int, bool) {
	compare := s.keyOrder()
	return sort.Find(e.Len, func(i int) int { return compare(key, e.Key(i)) })
}

// IsMasked says whether the bits of an LPM key behind its prefix length are clear, or the length is
// beyond the key.
func IsMasked(key []byte) bool {
	bits := int(binary.NativeEndian.Uint32(key))
	data := key[4:]
	if bits >= 8*len(data) {
		return true
	}
	if data[bits/8]&(byte(0xff)>>(bits%8)) != 0 {
		return false
	}
	for _, b := range data[bits/8+1:] {
		if b != 0 {
			return false
		}
	}
	return true
}

// MaskPrefix clears the bits of an LPM key behind its prefix length. The kernel ignores them when it
// compares and keeps them when it stores, so keys that were read are masked before comparing. A
// length beyond the key leaves it as it is.
func MaskPrefix(key []byte) {
	bits := int(binary.NativeEndian.Uint32(key))
	data := key[4:]
	if bits >= 8*len(data) {
		return
	}
	data[bits/8] &= ^(byte(0xff) >> (bits % 8))
	clear(data[bits/8+1:])
}
