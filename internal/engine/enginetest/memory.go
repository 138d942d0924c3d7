// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package enginetest

import (
	"cmp"
	"context"
	"fmt"
	"path"
	"slices"
	"sync"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/engine"
	"github.com/bpfmap-io/bpfmap-operator/internal/record"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
)

// memoryCPUs is how many CPUs the memory backend has.
const memoryCPUs = 2

// Memory is a Backend without a kernel. It outlives engines, as a kernel outlives agents.
type Memory struct {
	mu      sync.Mutex
	lastID  uint32
	pins    map[string]pin
	kept    map[revision.Key]*memoryMap
	records map[revision.Key][]byte
	links   map[v1alpha1.Reference]uint64
	open    int
}

// pin is a map at a path.
type pin struct {
	m *memoryMap
	revision.Pin
}

// NewMemory is an empty backend.
func NewMemory() *Memory {
	return &Memory{
		pins: map[string]pin{}, kept: map[revision.Key]*memoryMap{}, records: map[revision.Key][]byte{}, links: map[v1alpha1.Reference]uint64{},
	}
}

// Open shows what there is of a map.
func (b *Memory) Open(_ context.Context, key revision.Key, want *revision.Pin) (*engine.State, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	state := &engine.State{}
	if text, ok := b.records[key]; ok {
		r, err := record.Decode(text)
		if err != nil {
			return nil, err
		}
		state.Record = r
	}
	if m := b.kept[key]; m != nil {
		state.Kept = b.handle(m)
	}
	if want == nil {
		return state, nil
	}
	state.PinPath = path.Join("/memory", want.Path)
	if at, ok := b.pins[want.Path]; ok {
		state.Pinned, state.PinDiffers = b.handle(at.m), at.Pin != *want
	}
	return state, nil
}

// Create makes a map that nothing refers to yet.
func (b *Memory) Create(_ context.Context, rev *revision.Revision) (engine.Map, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.lastID++
	return b.handle(newMemoryMap(b.lastID, rev.Shape)), nil
}

// Link finds a map by its BPFMap, and anything else among what SetLink told. As in a kernel, what is
// written of maps, programs and cgroups isn't what is read.
func (b *Memory) Link(_ context.Context, key revision.Key, link v1alpha1.Reference) (engine.Target, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	target := engine.Target{}
	if link.Type == v1alpha1.TypeMapRef {
		m := b.kept[revision.Key{Namespace: key.Namespace, Name: link.Name}]
		if m == nil {
			return engine.Target{}, fmt.Errorf("the map of BPFMap %s %w", link.Name, engine.ErrAbsent)
		}
		target.Read, target.Shape = uint64(m.id), &m.shape
	} else if target.Read = b.links[link]; target.Read == 0 {
		return engine.Target{}, fmt.Errorf("%s %s %w", link.Type, link.Name, engine.ErrAbsent)
	}
	target.Write = target.Read
	if link.Type != v1alpha1.TypeIfindex && link.Type != v1alpha1.TypeCgroupID {
		target.Write += memoryFDs
		b.open++
		target.Close = func() error {
			b.mu.Lock()
			defer b.mu.Unlock()
			b.open--
			return nil
		}
	}
	return target, nil
}

// memoryFDs is the distance between the id and the file descriptor of an object in memory.
const memoryFDs = 1 << 20

// Users are none: there are no programs here.
func (b *Memory) Users(_ context.Context, mapID uint32) ([]string, error) {
	return nil, fmt.Errorf("who uses map %d %w", mapID, engine.ErrUnknown)
}

// SetLink says what a link stands for; 0 takes that away.
func (b *Memory) SetLink(link v1alpha1.Reference, id uint64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.links[link] = id
}

// Publish pins m.
func (b *Memory) Publish(_ context.Context, key revision.Key, m engine.Map, want revision.Pin, over bool) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	target := m.(*memoryHandle).m
	b.kept[key] = target
	if at, ok := b.pins[want.Path]; ok && at.m != target && !over {
		return &engine.Error{ReasonWord: v1alpha1.NodeReasonPinConflict, Err: fmt.Errorf("pin %s: map %d is there", want.Path, at.m.id)}
	}
	b.pins[want.Path] = pin{target, want}
	return nil
}

// Unpin removes the pin at path if one of the maps is there.
func (b *Memory) Unpin(_ context.Context, path string, maps ...uint32) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if at, ok := b.pins[path]; ok && slices.Contains(maps, at.m.id) {
		delete(b.pins, path)
	}
	return nil
}

// SaveRecord replaces the record.
func (b *Memory) SaveRecord(_ context.Context, r *engine.Record) error {
	text, err := record.Encode(r)
	if err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.records[r.Key] = text
	return nil
}

// Forget removes the record and the second pin.
func (b *Memory) Forget(_ context.Context, key revision.Key) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.records, key)
	delete(b.kept, key)
	return nil
}

// Records lists the records.
func (b *Memory) Records(context.Context) ([]engine.Record, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	var all []engine.Record
	for _, text := range b.records {
		r, err := record.Decode(text)
		if err != nil {
			return nil, err
		}
		all = append(all, *r)
	}
	slices.SortFunc(all, func(a, b engine.Record) int { return cmp.Compare(a.Key.String(), b.Key.String()) })
	return all, nil
}

// PossibleCPUs is how many values an element of a per-CPU map has.
func (b *Memory) PossibleCPUs() int { return memoryCPUs }

// OpenHandles is how many maps are open; a caller that closes what it opens leaves 0.
func (b *Memory) OpenHandles() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.open
}

// RemovePin removes a pin behind everybody's back.
func (b *Memory) RemovePin(path string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.pins, path)
}

func (b *Memory) handle(m *memoryMap) engine.Map {
	b.open++
	return &memoryHandle{b: b, m: m}
}
