// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package enginetest

import (
	"io/fs"
	"slices"

	"github.com/bpfmap-io/bpfmap-operator/internal/engine"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
)

// Pins are the paths of all pins, sorted; keep-alive pins and records are "kept:" and "record:" with their
// key.
func (b *Memory) Pins() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	var all []string
	for path := range b.pins {
		all = append(all, path)
	}
	for key := range b.kept {
		all = append(all, "kept:"+key.String())
	}
	for key := range b.records {
		all = append(all, "record:"+key.String())
	}
	slices.Sort(all)
	return all
}

// Wipe removes all pins and records, as a reboot does.
func (b *Memory) Wipe() {
	b.mu.Lock()
	defer b.mu.Unlock()
	clear(b.pins)
	clear(b.kept)
	clear(b.records)
}

// LoseKept removes the keep-alive pin of a map, LoseRecord its record.
func (b *Memory) LoseKept(key revision.Key) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.kept, key)
}

// LoseRecord removes the record of a map.
func (b *Memory) LoseRecord(key revision.Key) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.records, key)
}

// Chmod sets the mode of a pin, if there is one.
func (b *Memory) Chmod(path string, mode fs.FileMode) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if at, ok := b.pins[path]; ok {
		at.Mode = mode
		b.pins[path] = at
	}
}

// Elements are what a map holds, by packed key, also of a map that nobody can list; those of a filter are
// by value. Nil for queues, stacks and buffers.
func (b *Memory) Elements(m engine.Map) map[string]string {
	b.mu.Lock()
	defer b.mu.Unlock()
	from := m.(*memoryHandle).m
	if from.shape.IsKeyless() && !from.shape.IsBloom() {
		return nil
	}
	all := map[string]string{}
	for key, value := range from.values {
		all[key] = string(value)
	}
	return all
}
