// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package contents

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"hash"
	"math/bits"
)

// Summer makes a digest of elements that doesn't depend on their order: the sum of their SHA-256, modulo 2^256, as four words of
// little-endian order. Each is salted, so that whoever writes into maps can't look for two contents of one sum beforehand.
type Summer struct {
	salt []byte
	h    hash.Hash
	sum  [4]uint64
	n    int
	out  [sha256.Size]byte
}

// NewSummer makes a digest of nothing.
func NewSummer(salt string) *Summer { return &Summer{salt: []byte(salt), h: sha256.New()} }

// Add adds an element, as a manifest has it: on machines of either byte order, and with names in place of the numbers that are
// each node's own, the same element has the same text.
func (s *Summer) Add(element []byte) {
	s.h.Reset()
	s.h.Write(s.salt) // a hash's Write never fails
	s.h.Write(element)
	one := s.h.Sum(s.out[:0])
	var carry uint64
	for i := range s.sum {
		s.sum[i], carry = bits.Add64(s.sum[i], binary.LittleEndian.Uint64(one[8*i:]), carry)
	}
	s.n++
}

// Len is how many elements were added.
func (s *Summer) Len() int { return s.n }

// String is the digest in hex.
func (s *Summer) String() string {
	var b [sha256.Size]byte
	for i, word := range s.sum {
		binary.LittleEndian.PutUint64(b[8*i:], word)
	}
	return hex.EncodeToString(b[:])
}
