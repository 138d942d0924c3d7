// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package pinstore

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/bpfmap-io/bpfmap-operator/internal/bpf"
	"github.com/bpfmap-io/bpfmap-operator/internal/ownership"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
)

// keysMapName is what the kernel calls the maps that hold declared keys.
const keysMapName = "bpfmap_keys"

// keysWindow bounds the bytes of one element, and so of each system call.
const keysWindow = 1 << 20

// Stored keys are the elements of a frozen array, one after the other: their length in bytes as a 64-bit
// little-endian integer, the keys, and a SHA-256 over both.
const keysHeader = 8

// SaveKeys stores packed keys under a generation. The record may name it once this has returned.
func (s *Store) SaveKeys(ctx context.Context, key revision.Key, generation uint64, keys []byte) error {
	if generation == 0 || len(keys) > ownership.MaxBaseBytes {
		return fmt.Errorf("save keys of %s: generation %d with %d bytes is not allowed: from 1 on, at most %d bytes", key, generation, len(keys), ownership.MaxBaseBytes)
	}
	own, err := s.makeDirs(state(key, ""), stateDirMode)
	if err != nil {
		return err
	}
	defer own.Close() // nothing is written through it
	if err := s.checkUnnamed(own, key, generation); err != nil {
		return err
	}
	m, err := keysMap(ctx, keys)
	if err != nil {
		return fmt.Errorf("save keys of %s: %w", key, err)
	}
	return errors.Join(s.pinComplete(own, m, nameKeysDraft, keysName(generation)), m.Close())
}

// checkUnnamed refuses to replace keys that the record names.
func (s *Store) checkUnnamed(own *bpf.Dir, key revision.Key, generation uint64) error {
	if _, err := own.Lstat(keysName(generation)); err != nil {
		return nil //nolint:nilerr // nothing is there that could be replaced
	}
	r, err := s.LoadRecord(key)
	if err == nil && r != nil && slices.Contains(r.Generations(), generation) {
		return fmt.Errorf("save keys of %s: the record names generation %d already", key, generation)
	}
	return err
}

// keysMap is a frozen map with keys.
func keysMap(ctx context.Context, keys []byte) (*bpf.Map, error) {
	head := binary.LittleEndian.AppendUint64(nil, uint64(len(keys)))
	h := sha256.New()
	h.Write(head)
	h.Write(keys)
	total := keysHeader + len(keys) + sha256.Size
	window := make([]byte, min(total, keysWindow))
	m, err := bpf.Create(bpf.CreateOpts{
		Type: bpf.Array, Name: keysMapName, KeySize: 4, ValueSize: uint32(len(window)),
		MaxEntries: uint32((total + len(window) - 1) / len(window)),
	})
	if err != nil {
		return nil, err
	}
	r := io.MultiReader(bytes.NewReader(head), bytes.NewReader(keys), bytes.NewReader(h.Sum(nil)))
	for i := range m.MaxEntries() {
		n, _ := io.ReadFull(r, window) // the last one is filled in part
		clear(window[n:])
		err := ctx.Err()
		if err == nil {
			err = m.UpdateElem(bpf.IndexKey(nil, i), window, bpf.Any)
		}
		if err != nil {
			return nil, errors.Join(err, m.Close())
		}
	}
	if err := m.Freeze(); err != nil {
		return nil, errors.Join(err, m.Close())
	}
	return m, nil
}

// Keys are the stored keys of a generation. The error is ownership.ErrNoBase if they can't be believed.
func (s *Store) Keys(ctx context.Context, key revision.Key, generation uint64) ([]byte, error) {
	if generation == 0 {
		return nil, nil
	}
	m, err := s.Pinned(state(key, keysName(generation)))
	if errors.Is(err, ErrOccupied) || err == nil && m == nil {
		return nil, fmt.Errorf("keys of %s, generation %d: %w", key, generation, ownership.ErrNoBase)
	}
	if err != nil {
		return nil, err
	}
	keys, err := readKeys(ctx, m)
	if err := errors.Join(err, m.Close()); err != nil {
		return nil, fmt.Errorf("keys of %s, generation %d: %w", key, generation, err)
	}
	return keys, nil
}

func readKeys(ctx context.Context, m *bpf.Map) ([]byte, error) {
	size := m.ValueStride()
	room := int64(size) * int64(m.MaxEntries()) // the kernel has as much
	if m.Type() != bpf.Array || size > keysWindow+7 || room > ownership.MaxBaseBytes+2*keysWindow {
		return nil, ownership.ErrNoBase
	}
	if info, err := m.FDInfo(); err != nil || !info.Frozen {
		return nil, errors.Join(err, ownership.ErrNoBase)
	}
	all, window := make([]byte, 0, room), make([]byte, size)
	for i := range m.MaxEntries() {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if err := m.LookupElem(bpf.IndexKey(nil, i), window); err != nil {
			return nil, err
		}
		all = append(all, window[:m.ValueSize()]...)
	}
	if len(all) < keysHeader {
		return nil, ownership.ErrNoBase
	}
	n := binary.LittleEndian.Uint64(all)
	if n > uint64(len(all)) || keysHeader+n+sha256.Size > uint64(len(all)) {
		return nil, ownership.ErrNoBase
	}
	end := keysHeader + n
	if sum := sha256.Sum256(all[:end]); !bytes.Equal(sum[:], all[end:end+sha256.Size]) {
		return nil, ownership.ErrNoBase
	}
	return all[keysHeader:end:end], nil
}

// dropKeys removes the stored keys that a record doesn't name, and what a crash left of others.
func (s *Store) dropKeys(own *bpf.Dir, names []string, r *ownership.Record) error {
	for _, name := range names {
		if !strings.HasPrefix(name, prefixKeys) || slices.ContainsFunc(r.Generations(), func(g uint64) bool { return keysName(g) == name }) {
			continue
		}
		if err := s.step("remove keys", func() error { return removeIfThere(own, name) }); err != nil {
			return err
		}
	}
	return nil
}
