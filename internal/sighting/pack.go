// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package sighting

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
)

// A table is stored as a tree of two levels: a root, and parts of consecutive records that the root names. A small table
// is in its root. Parts keep their bounds from one table to the next, so that a change of a few keys changes a few parts.
//
// All numbers are big-endian:
//
//	root or part: "bpfs", version u8 (1), 3 zero bytes, number of parts u32, number of records u32, parts, records
//	part:         number u64, digest [16]byte, first key u64, number of records u32
//	record:       key u64, time u32
const (
	magic      = "bpfs\x01\x00\x00\x00"
	header     = len(magic) + 4 + 4
	partSize   = 8 + digestSize + 8 + 4
	recordSize = 8 + 4
	digestSize = 16

	// maxPart is how many records a part has at most, some 60 KB. Parts are split before they have more, and joined when
	// two together have no more than half of it.
	maxPart = 5000
	// maxParts is how many parts a table can have: two that follow each other have more than half of maxPart together.
	maxParts = 4*Max/maxPart + 2
)

// Part names a stored part of a table.
type Part struct {
	// Number is that of the root with which the part was written first; roots after it may name it, too.
	Number uint64
	// Digest is the beginning of the SHA-256 of its bytes.
	Digest [digestSize]byte
	// First is its first key, and Len how many records it has.
	First uint64
	Len   int
}

// Packed is a part that isn't stored yet.
type Packed struct {
	Part
	Bytes []byte
}

// Pack is the table as the root of a number and the parts that have to be stored before it. Parts of the table before it
// that are still right aren't among them.
func (t Table) Pack(number uint64, before []Part) (root []byte, parts []Part, fresh []Packed) {
	if len(t) <= maxPart {
		return pack(nil, t), nil, nil
	}
	for _, piece := range t.cut(before) {
		b := pack(nil, piece)
		p := Part{Number: number, First: piece[0].Key, Len: len(piece)}
		sum := sha256.Sum256(b)
		copy(p.Digest[:], sum[:])
		if i := slices.IndexFunc(before, func(old Part) bool { return old.Digest == p.Digest }); i >= 0 {
			p.Number = before[i].Number
		} else {
			fresh = append(fresh, Packed{p, b})
		}
		parts = append(parts, p)
	}
	return pack(parts, nil), parts, fresh
}

// cut cuts a table where the parts before begin, as far as that makes parts that are neither too large nor too small.
func (t Table) cut(before []Part) (pieces []Table) {
	start, last := 0, 0 // of the piece at hand, and of the piece before it
	add := func(end int) {
		if end == start {
			return
		}
		if n := len(pieces); n > 0 && end-last <= maxPart/2 {
			pieces[n-1], start = t[last:end], end
			return
		}
		count := 1
		if end-start > maxPart {
			count = (end - start + maxPart*3/4 - 1) / (maxPart * 3 / 4)
		}
		for rest := count; rest > 0; rest-- {
			next := start + (end-start)/rest
			pieces = append(pieces, t[start:next])
			last, start = start, next
		}
	}
	for _, p := range before[min(1, len(before)):] {
		if end, _ := slices.BinarySearchFunc(t, p.First, func(r Record, key uint64) int {
			if r.Key < key {
				return -1
			}
			return 1
		}); end > start {
			add(end)
		}
	}
	add(len(t))
	return pieces
}

func pack(parts []Part, records Table) []byte {
	b := make([]byte, 0, header+len(parts)*partSize+len(records)*recordSize)
	b = append(b, magic...)
	b = binary.BigEndian.AppendUint32(b, uint32(len(parts)))
	b = binary.BigEndian.AppendUint32(b, uint32(len(records)))
	for _, p := range parts {
		b = binary.BigEndian.AppendUint64(b, p.Number)
		b = append(b, p.Digest[:]...)
		b = binary.BigEndian.AppendUint64(b, p.First)
		b = binary.BigEndian.AppendUint32(b, uint32(p.Len))
	}
	for _, r := range records {
		b = binary.BigEndian.AppendUint64(b, r.Key)
		b = binary.BigEndian.AppendUint32(b, r.Time)
	}
	return b
}

// Unpack reads a root: the parts that it names, or the table that it is.
func Unpack(b []byte) (parts []Part, table Table, err error) {
	if len(b) < header || string(b[:len(magic)]) != magic {
		return nil, nil, errors.New("these are no sightings of a version that is known")
	}
	nParts, nRecords := binary.BigEndian.Uint32(b[len(magic):]), binary.BigEndian.Uint32(b[len(magic)+4:])
	if nParts > maxParts || nRecords > maxPart || nParts > 0 && nRecords > 0 {
		return nil, nil, fmt.Errorf("%d parts and %d records are more than there can be", nParts, nRecords)
	}
	if want := header + int(nParts)*partSize + int(nRecords)*recordSize; len(b) != want {
		return nil, nil, fmt.Errorf("%d bytes of sightings, expected %d", len(b), want)
	}
	b = b[header:]
	all := 0
	for range nParts {
		p := Part{Number: binary.BigEndian.Uint64(b), First: binary.BigEndian.Uint64(b[8+digestSize:]), Len: int(binary.BigEndian.Uint32(b[16+digestSize:]))}
		copy(p.Digest[:], b[8:])
		if all += p.Len; p.Len < 1 || p.Len > maxPart || all > Max || len(parts) > 0 && parts[len(parts)-1].First >= p.First {
			return nil, nil, fmt.Errorf("part %d is too long, or out of order", len(parts))
		}
		parts, b = append(parts, p), b[partSize:]
	}
	for range nRecords {
		r := Record{binary.BigEndian.Uint64(b), binary.BigEndian.Uint32(b[8:])}
		if len(table) > 0 && table[len(table)-1].Key >= r.Key {
			return nil, nil, fmt.Errorf("record %d is out of order", len(table))
		}
		table, b = append(table, r), b[recordSize:]
	}
	return parts, table, nil
}

// Read reads the part's records out of its bytes.
func (p *Part) Read(b []byte) (Table, error) {
	if sum := sha256.Sum256(b); [digestSize]byte(sum[:digestSize]) != p.Digest {
		return nil, errors.New("the sightings were altered: their digest is another one")
	}
	_, table, err := Unpack(b)
	if err != nil {
		return nil, err
	}
	if len(table) != p.Len || table[0].Key != p.First {
		return nil, fmt.Errorf("%d sightings, expected %d that begin with %016x", len(table), p.Len, p.First)
	}
	return table, nil
}
