// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package enginetest

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/engine"
	"github.com/bpfmap-io/bpfmap-operator/internal/ownership"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
)

func conflict(format string, args ...any) error {
	return &engine.Error{ReasonCode: v1alpha1.NodeReasonPinConflict, Err: fmt.Errorf(format, args...)}
}

// Publish pins m.
func (b *Memory) Publish(ctx context.Context, key revision.Key, m engine.Map, want revision.Pin, replaces ...uint32) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	target := m.(*memoryHandle).m
	b.kept[key] = target
	if at, ok := b.pins[want.Path]; ok && at.m != target && !slices.Contains(replaces, at.m.id) {
		return conflict("pin %s: map %d is there", want.Path, at.m.id)
	}
	b.pins[want.Path] = pin{target, want}
	return nil
}

// Unpin removes the pin at path if one of the maps is there.
func (b *Memory) Unpin(ctx context.Context, _ revision.Key, path string, maps ...uint32) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if at, ok := b.pins[path]; ok && slices.Contains(maps, at.m.id) {
		delete(b.pins, path)
	}
	return nil
}

// SaveRecord replaces the record.
func (b *Memory) SaveRecord(ctx context.Context, r *engine.Record) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	text, err := ownership.Encode(r)
	if err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := b.claimable(r.Key, r.ClaimedPaths(), r.ClaimedMaps()); err != nil {
		return err
	}
	b.records[r.Key] = text
	for generation := range b.bases[r.Key] {
		if !slices.Contains(r.Generations(), generation) {
			delete(b.bases[r.Key], generation)
		}
	}
	return nil
}

// claimable says whether no record of another BPFMap claims one of the paths or maps.
func (b *Memory) claimable(key revision.Key, paths []string, maps []uint32) error {
	for _, path := range paths {
		if owner, _, err := b.owners(key, path, 0); err != nil || owner != nil {
			return conflict("pin %s belongs to BPFMap %s (%w)", path, owner, err)
		}
	}
	for _, id := range maps {
		if _, owner, err := b.owners(key, "", id); err != nil || owner != nil {
			return conflict("map %d belongs to BPFMap %s (%w)", id, owner, err)
		}
	}
	return nil
}

// SaveKeys stores keys.
func (b *Memory) SaveKeys(ctx context.Context, key revision.Key, generation uint64, keys []byte) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.bases[key] == nil {
		b.bases[key] = map[uint64][]byte{}
	}
	b.bases[key][generation] = bytes.Clone(keys)
	return nil
}

// Keys are the stored keys.
func (b *Memory) Keys(ctx context.Context, key revision.Key, generation uint64) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	keys, ok := b.bases[key][generation]
	if !ok && generation != 0 {
		return nil, fmt.Errorf("keys of %s, generation %d: %w", key, generation, ownership.ErrNoBase)
	}
	return bytes.Clone(keys), nil
}

// Owners are the other BPFMaps that claim a pin and a map.
func (b *Memory) Owners(ctx context.Context, key revision.Key, pinPath string, mapID uint32) (ofPin, ofMap *revision.Key, err error) {
	if err := ctx.Err(); err != nil {
		return nil, nil, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.owners(key, pinPath, mapID)
}

func (b *Memory) owners(key revision.Key, pinPath string, mapID uint32) (ofPin, ofMap *revision.Key, err error) {
	for other, text := range b.records {
		if other == key {
			continue
		}
		r, err := ownership.Decode(text)
		if err != nil {
			return nil, nil, err
		}
		if pinPath != "" && slices.Contains(r.ClaimedPaths(), pinPath) {
			ofPin = &r.Key
		}
		if mapID != 0 && slices.Contains(r.ClaimedMaps(), mapID) {
			ofMap = &r.Key
		}
	}
	return ofPin, ofMap, nil
}

// Forget removes the record, the stored keys and the KeepAlive pin.
func (b *Memory) Forget(ctx context.Context, key revision.Key) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.records, key)
	delete(b.bases, key)
	delete(b.kept, key)
	return nil
}

// Records lists the records.
func (b *Memory) Records(ctx context.Context) ([]engine.Record, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	var all []engine.Record
	for _, text := range b.records {
		r, err := ownership.Decode(text)
		if err != nil {
			return nil, err
		}
		all = append(all, *r)
	}
	slices.SortFunc(all, func(a, b engine.Record) int { return cmp.Compare(a.Key.String(), b.Key.String()) })
	return all, nil
}
