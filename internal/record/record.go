// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package record is the ownership record of one managed map: what a node remembers of it beside what
// the kernel shows. It is a value with a binary form.
//
// It is not for storing records (pinstore) nor for deciding by them (plan).
package record

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
)

// Record is what a node remembers of a map.
type Record struct {
	Key revision.Key `json:"key"`
	// UID is the BPFMap's, empty without a cluster.
	UID string `json:"uid,omitempty"`
	// Revision is the name of the revision that was applied last, Digest its digest.
	Revision string `json:"revision,omitempty"`
	Digest   string `json:"digest"`
	// Linked tells what the names in its entries stood for.
	Linked string `json:"linked,omitempty"`
	// Applied is the fingerprint of what was applied completely; empty while work is going on.
	Applied string `json:"applied,omitempty"`
	// MapID is our map's id in the running kernel, PreviousMapID that of the map which
	// it is about to replace or to be kept instead of; 0 once that is done.
	MapID         uint32 `json:"mapID"`
	PreviousMapID uint32 `json:"previousMapID,omitempty"`

	// Replaced are the ids of maps that were replaced, the last one first.
	Replaced []uint32 `json:"replaced,omitempty"`

	Pin revision.Pin `json:"pin"`
	// PreviousPaths are where our maps were pinned before, until those pins are removed, and EarlierMaps
	// the ids of the maps that were, besides MapID.
	PreviousPaths []string                `json:"previousPaths,omitempty"`
	EarlierMaps   []uint32                `json:"earlierMaps,omitempty"`
	Deletion      v1alpha1.DeletionPolicy `json:"deletion"`
	// DriftCount is how many times drift was found.
	DriftCount int64 `json:"driftCount,omitempty"`
	// DriftReported says that the drift which is there now has been counted.
	DriftReported bool `json:"driftReported,omitempty"`

	// KeySchema and ValueSchema let tools print the map.
	KeySchema   *v1alpha1.Schema `json:"keySchema,omitempty"`
	ValueSchema v1alpha1.Schema  `json:"valueSchema"`

	// PreviousKeys are the declared keys of the map PreviousMapID, of its own key size.
	PreviousKeys []byte `json:"previousKeys,omitempty"`
	// Keys are the declared keys, packed and sorted: the base of the three-way merge. Empty for
	// policies that need none.
	Keys []byte `json:"-"`
}

// version is the first byte of the binary form.
const version = 1

// header is the version, three zero bytes, the length of the JSON and of the keys as little-endian
// 32-bit integers; behind it JSON, keys and a SHA-256 over everything before it.
const header = 4 + 4 + 4

// Encode is the binary form of r.
func Encode(r *Record) ([]byte, error) {
	text, err := json.Marshal(r)
	if err != nil {
		return nil, fmt.Errorf("encode record of %s: %w", r.Key, err)
	}
	b := make([]byte, 4, header+len(text)+len(r.Keys)+sha256.Size)
	b[0] = version
	b = binary.LittleEndian.AppendUint32(b, uint32(len(text)))
	b = binary.LittleEndian.AppendUint32(b, uint32(len(r.Keys)))
	b = append(append(b, text...), r.Keys...)
	sum := sha256.Sum256(b)
	return append(b, sum[:]...), nil
}

// Decode reads what Encode wrote, with or without bytes behind it. Every length and the checksum are
// checked.
func Decode(b []byte) (*Record, error) {
	if len(b) < header || b[0] != version {
		return nil, fmt.Errorf("decode record: no record of version %d", version)
	}
	text, keys := uint64(binary.LittleEndian.Uint32(b[4:])), uint64(binary.LittleEndian.Uint32(b[8:]))
	end := header + text + keys
	if end+sha256.Size > uint64(len(b)) {
		return nil, fmt.Errorf("decode record: cut short at %d bytes", len(b))
	}
	sum := sha256.Sum256(b[:end])
	if !bytes.Equal(sum[:], b[end:end+sha256.Size]) {
		return nil, fmt.Errorf("decode record: wrong checksum")
	}
	r := &Record{}
	if err := json.Unmarshal(b[header:header+text], r); err != nil {
		return nil, fmt.Errorf("decode record: %w", err)
	}
	if keys > 0 {
		r.Keys = b[header+text : end : end]
	}
	return r, nil
}
