// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package revision

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math/bits"
	"strings"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
)

// Chunk is a part of a revision's entries: those whose keys have a hash in one range.
type Chunk struct {
	// Name is the map's name and a digest of Packed.
	Name   string
	Len    int
	Packed []byte
}

// targetChunkBytes is how large chunks are on average at most: half of the bound, so that none that is
// fuller than the others passes it.
const targetChunkBytes = v1alpha1.MaxChunkBytes / 2

// chunkDigest is how many hex digits of the SHA-256 a chunk's name carries.
const chunkDigest = 40

// Split cuts entries into chunks by a hash of their keys: a change of one entry changes one chunk. How
// many there are is a power of two that follows from the size. Elements without keys are cut in their
// order. It fails if there are elements too large for a chunk.
func (e *Entries) Split(mapName string) ([]Chunk, error) {
	for depth := bits.Len(uint((e.PackedSize() - 1) / targetChunkBytes)); 1<<depth <= v1alpha1.MaxChunks; depth++ {
		if chunks, ok := e.split(mapName, depth); ok {
			return chunks, nil
		}
	}
	return nil, fmt.Errorf("%d entries of %d+%d bytes don't fit into %d chunks of %d bytes",
		e.Len, e.KeySize, e.ValueSize, v1alpha1.MaxChunks, v1alpha1.MaxChunkBytes)
}

// split cuts into 1<<depth chunks, and says whether all are small enough.
func (e *Entries) split(mapName string, depth int) ([]Chunk, bool) {
	parts := make([]Entries, 1<<depth)
	for i := range parts {
		parts[i] = Entries{KeySize: e.KeySize, ValueSize: e.ValueSize}
	}
	each := (e.Len + len(parts) - 1) / len(parts)
	for i := range e.Len {
		at := 0
		switch {
		case e.KeySize == 0:
			at = i / each
		case depth > 0:
			at = int(hashKey(e.Key(i)) >> (64 - depth))
		}
		if values, ok := e.PerCPU[i]; ok {
			parts[at].Append(e.Key(i), values, true)
		} else {
			parts[at].Append(e.Key(i), e.Value(i), false)
		}
	}
	chunks := make([]Chunk, len(parts))
	for i := range parts {
		if parts[i].PackedSize() > v1alpha1.MaxChunkBytes {
			return nil, false
		}
		packed := parts[i].Pack()
		chunks[i] = Chunk{Name: chunkName(mapName, packed), Len: parts[i].Len, Packed: packed}
	}
	return chunks, true
}

// hashKey is FNV-1a, with its bits mixed so that the upper ones count.
func hashKey(key []byte) uint64 {
	x := uint64(14695981039346656037)
	for _, c := range key {
		x = (x ^ uint64(c)) * 1099511628211
	}
	x ^= x >> 33
	x *= 0xff51afd7ed558ccd
	return x ^ x>>33
}

func chunkName(mapName string, packed []byte) string {
	sum := sha256.Sum256(packed)
	return mapName + "-" + hex.EncodeToString(sum[:])[:chunkDigest]
}

// CheckChunk says whether packed entries are those that a chunk's name promises.
func CheckChunk(name string, packed []byte) error {
	at := strings.LastIndexByte(name, '-')
	if at < 0 || chunkName(name[:at], packed) != name {
		return fmt.Errorf("chunk %s doesn't hold what its name promises: its entries were altered", name)
	}
	return nil
}

// Join puts chunks together again, sorted.
func Join(shape Shape, packed [][]byte) (Entries, error) {
	all := Entries{KeySize: int(shape.KeySize), ValueSize: int(shape.ValueSize)}
	for i, b := range packed {
		part, err := Unpack(b)
		if err != nil {
			return Entries{}, fmt.Errorf("chunk %d: %w", i, err)
		}
		if part.KeySize != all.KeySize || part.ValueSize != all.ValueSize {
			return Entries{}, fmt.Errorf("chunk %d: entries are %d+%d bytes each, the map's are %d+%d", i, part.KeySize, part.ValueSize, all.KeySize, all.ValueSize)
		}
		all.AppendAll(&part)
	}
	sorted, _ := all.Sorted(shape)
	return sorted, nil
}
