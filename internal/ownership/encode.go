// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package ownership

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math"

	"github.com/bpfmap-io/bpfmap-operator/internal/schema"
)

// MaxTextBytes bounds the JSON part of a record: the schemas, which a BPFMap's own size bounds, and names.
const MaxTextBytes = 2 << 20

// version is the first byte of the binary form.
const version = 2

// The binary form is a header, the JSON, the changes of Keys and PreviousKeys, and a SHA-256 over everything
// before it. The header is the version, three zero bytes, the length of the JSON, and for each of the two
// logs its key size, generation, length of the base, and lengths of Added and Removed: little-endian
// integers of 32 bits, but generation and base of 64.
const (
	logHeader = 4 + 8 + 8 + 4 + 4
	header    = 4 + 4 + 2*logHeader
)

// Encode is the binary form of r. The error names what is out of bounds.
func Encode(r *Record) ([]byte, error) {
	b, err := encode(r)
	if err != nil {
		return nil, fmt.Errorf("encode record of %s: %w", r.Key, err)
	}
	return b, nil
}

func encode(r *Record) ([]byte, error) {
	if err := r.check(); err != nil {
		return nil, err
	}
	text, err := json.Marshal(r)
	if err != nil {
		return nil, err
	}
	if len(text) > MaxTextBytes {
		return nil, fmt.Errorf("it has %d bytes besides keys, more than %d", len(text), MaxTextBytes)
	}
	logs := []*KeyLog{&r.Keys, &r.PreviousKeys}
	b := make([]byte, 4, header+len(text)+r.Keys.LogBytes()+r.PreviousKeys.LogBytes()+sha256.Size)
	b[0] = version
	b = binary.LittleEndian.AppendUint32(b, uint32(len(text)))
	for _, l := range logs {
		b = binary.LittleEndian.AppendUint32(b, uint32(l.KeySize))
		b = binary.LittleEndian.AppendUint64(b, l.Generation)
		b = binary.LittleEndian.AppendUint64(b, uint64(l.BaseLen))
		b = binary.LittleEndian.AppendUint32(b, uint32(len(l.Added)))
		b = binary.LittleEndian.AppendUint32(b, uint32(len(l.Removed)))
	}
	b = append(b, text...)
	for _, l := range logs {
		b = append(append(b, l.Added...), l.Removed...)
	}
	sum := sha256.Sum256(b)
	return append(b, sum[:]...), nil
}

// Decode reads what Encode wrote, with or without bytes behind it, or a record of version 1, whose keys are
// then all in the log: a new base is due before it is saved again. Every length and the checksum are
// checked.
func Decode(b []byte) (*Record, error) {
	var r *Record
	err := errors.New("it is empty")
	if len(b) > 0 {
		switch b[0] {
		case version:
			r, err = decode(b)
		case version1:
			r, err = decode1(b)
		default:
			err = fmt.Errorf("version %d is not known", b[0])
		}
	}
	if err != nil {
		return nil, fmt.Errorf("decode record: %w", err)
	}
	return r, nil
}

func decode(b []byte) (*Record, error) {
	if len(b) < header {
		return nil, fmt.Errorf("cut short at %d bytes", len(b))
	}
	r := &Record{}
	text := uint64(binary.LittleEndian.Uint32(b[4:]))
	parts := []uint64{text}
	for i, l := range []*KeyLog{&r.Keys, &r.PreviousKeys} {
		h := b[8+i*logHeader:]
		keySize, baseLen := binary.LittleEndian.Uint32(h), binary.LittleEndian.Uint64(h[12:])
		if keySize > math.MaxInt32 || baseLen > MaxBaseBytes {
			return nil, fmt.Errorf("a base of %d keys of %d bytes is too large", baseLen, keySize)
		}
		l.KeySize, l.Generation, l.BaseLen = int(keySize), binary.LittleEndian.Uint64(h[4:]), int(baseLen)
		parts = append(parts, uint64(binary.LittleEndian.Uint32(h[20:])), uint64(binary.LittleEndian.Uint32(h[24:])))
	}
	body, err := checked(b, header, parts...)
	if err != nil {
		return nil, err
	}
	r.Keys.Added, r.Keys.Removed = body[1], body[2]
	r.PreviousKeys.Added, r.PreviousKeys.Removed = body[3], body[4]
	if err := json.Unmarshal(body[0], r); err != nil {
		return nil, err
	}
	return r, r.check()
}

// checked splits what follows a header into parts of these lengths, nil for those that are empty, and
// compares the SHA-256 behind them.
func checked(b []byte, header uint64, lengths ...uint64) (parts [][]byte, err error) {
	end := header
	for _, n := range lengths {
		end += n
	}
	if end+sha256.Size > uint64(len(b)) {
		return nil, fmt.Errorf("cut short at %d bytes", len(b))
	}
	sum := sha256.Sum256(b[:end])
	if !bytes.Equal(sum[:], b[end:end+sha256.Size]) {
		return nil, errors.New("wrong checksum")
	}
	rest := b[header:end]
	for _, n := range lengths {
		part := rest[:n:n]
		if n == 0 {
			part = nil
		}
		parts, rest = append(parts, part), rest[n:]
	}
	return parts, nil
}

// version1 is the binary form of records that held all keys: its header is the version, three zero bytes,
// and the lengths of the JSON and of the keys.
const (
	version1 = 1
	header1  = 4 + 4 + 4
)

// decode1 reads a record of version 1. The keys of a map that was being replaced are left out: they are of
// an unknown size, and what nobody remembers is left alone.
func decode1(b []byte) (*Record, error) {
	if len(b) < header1 {
		return nil, fmt.Errorf("cut short at %d bytes", len(b))
	}
	body, err := checked(b, header1, uint64(binary.LittleEndian.Uint32(b[4:])), uint64(binary.LittleEndian.Uint32(b[8:])))
	if err != nil {
		return nil, err
	}
	r := &Record{}
	if err := json.Unmarshal(body[0], r); err != nil {
		return nil, err
	}
	r.Replaced, r.EarlierMaps = distinct(r.Replaced...), distinct(r.EarlierMaps...)
	r.Replaced, r.EarlierMaps = r.Replaced[:min(len(r.Replaced), MaxReplaced)], r.EarlierMaps[:min(len(r.EarlierMaps), MaxEarlier)]
	if len(body[1]) == 0 {
		return r, nil
	}
	size := 4 // of an index, which needs no schema
	if r.KeySchema != nil {
		layout, err := schema.New(r.KeySchema)
		if err != nil {
			return nil, fmt.Errorf("key: %w", err)
		}
		size = layout.Size()
	}
	if size <= 0 || len(body[1])%size != 0 {
		return nil, fmt.Errorf("%d bytes of keys of %d bytes each", len(body[1]), size)
	}
	r.Keys = KeyLog{KeySize: size, Added: SortKeys(size, body[1])}
	return r, nil
}
