// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package sighting

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"slices"
)

// Max bounds the keys of one table, and with it what one BPFMap takes in the API server: 12 bytes for each.
const Max = 256 << 10

// Over is the time of a key whose lifetime is over: it stays so as long as the source holds the key, whatever the clock
// says later.
const Over = 0

// Record is one key of one source.
type Record struct {
	// Key is the hash of the source and the key, see Scope.
	Key uint64
	// Time is when the source held the key first, in seconds since 1970; Over if its lifetime is over.
	Time uint32
}

// Table is sorted by the keys, each of which is in it once.
type Table []Record

// Compare is the order of a table.
func Compare(a, b Record) int { return cmp.Compare(a.Key, b.Key) }

// New sorts records to a table. Of several of a key any one stays.
func New(records []Record) Table {
	slices.SortFunc(records, Compare)
	return slices.CompactFunc(records, func(a, b Record) bool { return a.Key == b.Key })
}

// Find is the time of a key.
func (t Table) Find(key uint64) (when uint32, found bool) {
	i, found := slices.BinarySearchFunc(t, key, func(r Record, key uint64) int { return cmp.Compare(r.Key, key) })
	if !found {
		return 0, false
	}
	return t[i].Time, true
}

// Bytes is about what the table takes when it is stored.
func (t Table) Bytes() int64 { return int64(header + len(t)*recordSize) }

// Scope hashes the keys of one source of one BPFMap. Keys of different sources and maps have different hashes, and who
// publishes a source can't choose keys with the same one, since the UID of the map isn't known to them. It isn't safe
// for concurrent use.
type Scope struct{ buffer []byte }

// scopeSize leaves room for keys of up to 39 bytes in one block of SHA-256.
const scopeSize = 16

// NewScope is that of the source with a name that is the n-th of that name, counted from 0.
func NewScope(uid, source string, n int) *Scope {
	sum := sha256.Sum256(fmt.Appendf(nil, "%q %q %d", uid, source, n))
	return &Scope{buffer: sum[:scopeSize:scopeSize]}
}

// Hash is the hash of an encoded key.
func (s *Scope) Hash(key []byte) uint64 {
	s.buffer = append(s.buffer[:scopeSize], key...)
	sum := sha256.Sum256(s.buffer)
	return binary.BigEndian.Uint64(sum[:])
}
