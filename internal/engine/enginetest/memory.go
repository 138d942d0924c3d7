// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package enginetest

import (
	"context"
	"fmt"
	"path"
	"sync"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/engine"
	"github.com/bpfmap-io/bpfmap-operator/internal/ownership"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
)

// memoryCPUs is how many CPUs the memory backend has, unless CPUs says otherwise.
const memoryCPUs = 2

// Memory is a Backend without a kernel. It outlives engines, as a kernel outlives agents.
type Memory struct {
	// CPUs is how many possible CPUs there are, to be set before the first map is made; 2 if 0.
	CPUs int

	mu      sync.Mutex
	lastID  uint32
	pins    map[string]pin
	kept    map[revision.Key]*memoryMap // by their keep-alive pins
	records map[revision.Key][]byte
	bases   map[revision.Key]map[uint64][]byte
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
		pins: map[string]pin{}, kept: map[revision.Key]*memoryMap{}, records: map[revision.Key][]byte{}, bases: map[revision.Key]map[uint64][]byte{}, links: map[v1alpha1.Reference]uint64{},
	}
}

// Open shows what there is of a map.
func (b *Memory) Open(ctx context.Context, key revision.Key, want *revision.Pin) (*engine.State, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	state := &engine.State{}
	if text, ok := b.records[key]; ok {
		r, err := ownership.Decode(text)
		if err != nil {
			return nil, err
		}
		state.Record = r
	}
	if m := b.kept[key]; m != nil {
		state.KeepAlive = b.handle(m)
	}
	if want == nil {
		return state, nil
	}
	state.PinPath = path.Join("/memory", want.Path)
	if at, ok := b.pins[want.Path]; ok {
		state.Pinned, state.Found = b.handle(at.m), at.Pin
		state.Found.Stated = revision.PinStated{}
	}
	return state, nil
}

// Create makes a map that nothing refers to yet.
func (b *Memory) Create(ctx context.Context, rev *revision.Revision) (engine.Map, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.lastID++
	return b.handle(newMemoryMap(b.lastID, rev.Shape, b.PossibleCPUs())), nil
}

// Resolve finds a map by its BPFMap, and anything else among what SetLink told. As in a kernel, what is
// written of maps, programs and cgroups isn't what is read.
func (b *Memory) Resolve(ctx context.Context, key revision.Key, link v1alpha1.Reference) (engine.Target, error) {
	if err := ctx.Err(); err != nil {
		return engine.Target{}, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	target := engine.Target{}
	if link.Type == v1alpha1.TypeMapRef {
		m := b.kept[revision.Key{Namespace: key.Namespace, Name: link.Name}]
		if m == nil {
			return engine.Target{}, fmt.Errorf("map of BPFMap %s %w", link.Name, engine.ErrAbsent)
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
func (b *Memory) Users(ctx context.Context, mapID uint32) ([]string, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return nil, fmt.Errorf("users of map %d: %w", mapID, engine.ErrUnknown)
}

// SetLink says what a link stands for; 0 takes that away.
func (b *Memory) SetLink(link v1alpha1.Reference, id uint64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.links[link] = id
}

// PossibleCPUs is how many values an element of a per-CPU map has.
func (b *Memory) PossibleCPUs() int {
	if b.CPUs > 0 {
		return b.CPUs
	}
	return memoryCPUs
}

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
