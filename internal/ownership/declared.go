// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package ownership

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"iter"
	"slices"
	"sort"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
)

// sumSize is how many bytes of Declared's sums an entry takes: a hash of its key, and one of key and value.
const sumSize = 16

// maxInlineSums bounds the sums that a record holds itself.
const maxInlineSums = 512 * sumSize

// Declared tells what was declared in a map when that was brought to a revision, in hashes: whether an element is as it
// was declared can then be told without that revision. It is kept for maps whose drift is only reported.
type Declared struct {
	// Sync, Mask and References are the revision's policy, a hash of the declared bits (empty for all bits), and whether
	// names stood in it. Where they differ, what was declared isn't compared.
	Sync       v1alpha1.SyncPolicy `json:"sync"`
	Mask       string              `json:"mask,omitempty"`
	References bool                `json:"references,omitempty"`
	// Generation names the stored sums, 0 if Sums has them; Len is how many entries they are of.
	Generation uint64 `json:"generation,omitempty"`
	Len        int    `json:"len,omitempty"`
	Sums       []byte `json:"sums,omitempty"`
}

// Sums makes the sums of declared entries. The slices that are yielded are used during the call.
func Sums(n int, entries iter.Seq2[[]byte, []byte]) []byte {
	pairs := make([][sumSize]byte, 0, n)
	for key, value := range entries {
		ofKey, both := sums(key, value)
		var pair [sumSize]byte
		binary.BigEndian.PutUint64(pair[:], ofKey)
		binary.BigEndian.PutUint64(pair[8:], both)
		pairs = append(pairs, pair)
	}
	slices.SortFunc(pairs, func(a, b [sumSize]byte) int { return bytes.Compare(a[:], b[:]) })
	all := make([]byte, 0, len(pairs)*sumSize)
	for i := range pairs {
		all = append(all, pairs[i][:]...)
	}
	return all
}

func sums(key, value []byte) (ofKey, both uint64) {
	h := sha256.New()
	_, _ = h.Write(key) // never fails
	ofKey = binary.BigEndian.Uint64(h.Sum(nil))
	_, _ = h.Write(value)
	return ofKey, binary.BigEndian.Uint64(h.Sum(nil))
}

// IsInline says whether a record has room for the sums.
func IsInline(all []byte) bool { return len(all) <= maxInlineSums }

// Check says whether sums are those that d tells of.
func (d *Declared) Check(all []byte) error {
	if len(all) != d.Len*sumSize {
		return fmt.Errorf("%w: sums of %d bytes, of %d entries", ErrNoBase, len(all), d.Len)
	}
	return nil
}

// Bytes is how many bytes the stored sums take; those in the record itself don't count.
func (d *Declared) Bytes() int64 {
	if d == nil || d.Generation == 0 {
		return 0
	}
	return int64(d.Len) * sumSize
}

// HasKey says whether the sums have an entry with a key.
func HasKey(all, key []byte) bool {
	ofKey, _ := sums(key, nil)
	_, ok := findSum(all, ofKey)
	return ok
}

// HasEntry says whether the sums have an entry with a key and a value.
func HasEntry(all, key, value []byte) bool {
	ofKey, both := sums(key, value)
	at, ok := findSum(all, ofKey)
	return ok && binary.BigEndian.Uint64(all[at+8:]) == both
}

// findSum is the place of the sums of a key.
func findSum(all []byte, ofKey uint64) (at int, ok bool) {
	n := len(all) / sumSize
	i := sort.Search(n, func(i int) bool { return binary.BigEndian.Uint64(all[i*sumSize:]) >= ofKey })
	return i * sumSize, i < n && binary.BigEndian.Uint64(all[i*sumSize:]) == ofKey
}

// check says whether a record may hold d.
func (d *Declared) check() error {
	switch {
	case d == nil:
		return nil
	case d.Len < 0 || int64(d.Len)*sumSize > MaxBaseBytes:
		return fmt.Errorf("sums of %d entries are out of range", d.Len)
	case d.Generation != 0 && len(d.Sums) != 0:
		return fmt.Errorf("sums are stored under generation %d and in the record", d.Generation)
	case d.Generation == 0:
		return d.Check(d.Sums)
	}
	return nil
}
