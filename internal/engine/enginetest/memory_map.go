// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package enginetest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"slices"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/engine"
	"github.com/bpfmap-io/bpfmap-operator/internal/plan"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
)

// memoryMap behaves as the kernel's map of that type does, as far as the engine can see.
type memoryMap struct {
	id     uint32
	shape  revision.Shape
	stride int
	frozen bool
	// order are the keys in the order of insertion; values are by key.
	order  []string
	values map[string][]byte
	// elements are those of keyless maps.
	elements [][]byte
	// fit is how any schemas fit; without it, the map tells nothing of key and value.
	fit *plan.Fit
}

func newMemoryMap(id uint32, shape revision.Shape, cpus int) *memoryMap {
	m := &memoryMap{id: id, shape: shape, stride: plan.Stride(shape, cpus), values: map[string][]byte{}}
	if shape.IsArray() {
		for i := range shape.MaxEntries {
			key := binary.NativeEndian.AppendUint32(nil, i)
			m.order = append(m.order, string(key))
			m.values[string(key)] = make([]byte, m.stride)
		}
	}
	return m
}

// memoryHandle is an open map.
type memoryHandle struct {
	b      *Memory
	m      *memoryMap
	closed bool
}

// use runs do with the lock of the backend, unless ctx has ended.
func (h *memoryHandle) use(ctx context.Context, do func(m *memoryMap) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	h.b.mu.Lock()
	defer h.b.mu.Unlock()
	if h.closed {
		return os.ErrClosed
	}
	return do(h.m)
}

// Reference is what a map of maps takes.
func (h *memoryHandle) Reference() uint64 { return uint64(h.m.id) + memoryFDs }

// Info describes the map.
func (h *memoryHandle) Info(ctx context.Context) (info engine.MapInfo, err error) {
	err = h.use(ctx, func(m *memoryMap) error {
		info = engine.MapInfo{ID: m.id, Shape: m.shape, Frozen: m.frozen, MemlockBytes: int64(m.shape.MaxEntries) * int64(m.stride), Measured: true}
		return nil
	})
	return info, err
}

// readBatch is small, so that a reader sees several batches.
const readBatch = 3

// Read streams the elements.
func (h *memoryHandle) Read(ctx context.Context, yield func(keys, values []byte)) (complete bool, err error) {
	var keys, values []byte
	err = h.use(ctx, func(m *memoryMap) error {
		if m.shape.IsHidden() {
			return &engine.Error{ReasonCode: v1alpha1.NodeReasonNotSupported, Err: errors.New("what such a map holds can't be listed")}
		}
		for _, key := range m.order {
			keys, values = append(keys, key...), append(values, m.values[key]...)
		}
		return nil
	})
	size, stride := int(h.m.shape.KeySize), h.m.stride
	for err == nil && len(keys) > 0 {
		if err = ctx.Err(); err != nil {
			break
		}
		n := min(readBatch, len(keys)/size)
		yield(bytes.Clone(keys[:n*size]), bytes.Clone(values[:n*stride]))
		keys, values = keys[n*size:], values[n*stride:]
	}
	return err == nil, err
}

// Count knows what the kernel knows.
func (h *memoryHandle) Count(ctx context.Context) (n int64, known bool) {
	err := h.use(ctx, func(m *memoryMap) error {
		n, known = int64(len(m.order)), !m.shape.IsArray() && !m.shape.IsKeyless()
		return nil
	})
	return n, known && err == nil
}

// Write writes elements in their order.
func (h *memoryHandle) Write(ctx context.Context, keys, values []byte) error {
	return h.use(ctx, func(m *memoryMap) error {
		if m.frozen {
			return &engine.Error{ReasonCode: v1alpha1.NodeReasonFrozen, Err: errors.New("map is frozen")}
		}
		size := int(m.shape.KeySize)
		for i := 0; i*m.stride < len(values); i++ {
			value := m.shown(bytes.Clone(values[i*m.stride : (i+1)*m.stride]))
			if m.shape.IsKeyless() {
				if err := m.push(value); err != nil {
					return err
				}
			} else if err := m.set(keys[i*size:(i+1)*size], value); err != nil {
				return err
			}
		}
		return nil
	})
}

func (m *memoryMap) full() error {
	return &engine.Error{ReasonCode: v1alpha1.NodeReasonMapFull, Err: fmt.Errorf("map is full (max_entries %d)", m.shape.MaxEntries)}
}

func (m *memoryMap) push(value []byte) error {
	if m.shape.IsBloom() {
		m.values[string(value)] = value
		return nil
	}
	if len(m.elements) == int(m.shape.MaxEntries) {
		return m.full()
	}
	m.elements = append(m.elements, value)
	return nil
}

func (m *memoryMap) set(key, value []byte) error {
	k := m.canonical(key)
	if m.shape.IsIndexed() && binary.NativeEndian.Uint32(key) >= m.shape.MaxEntries {
		return fmt.Errorf("index %d is out of range", binary.NativeEndian.Uint32(key))
	}
	if _, ok := m.values[k]; !ok {
		if len(m.order) == int(m.shape.MaxEntries) {
			if !m.shape.IsLRU() {
				return m.full()
			}
			delete(m.values, m.order[0])
			m.order = m.order[1:]
		}
		m.order = append(m.order, k)
	}
	m.values[k] = value
	return nil
}

// shown is a value as readers see it: a file descriptor becomes an id.
func (m *memoryMap) shown(value []byte) []byte {
	if m.shape.TakesFDs() {
		for at := 0; at+4 <= len(value); at += 4 {
			if n := binary.NativeEndian.Uint32(value[at:]); n >= memoryFDs {
				binary.NativeEndian.PutUint32(value[at:], n-memoryFDs)
			}
		}
	}
	return value
}

// canonical clears the bits of a prefix that don't count.
func (m *memoryMap) canonical(key []byte) string {
	if !m.shape.IsLPM() {
		return string(key)
	}
	masked := bytes.Clone(key)
	revision.MaskPrefix(masked)
	return string(masked)
}

// Delete deletes keys that are there.
func (h *memoryHandle) Delete(ctx context.Context, keys []byte) error {
	return h.use(ctx, func(m *memoryMap) error {
		switch {
		case m.shape.IsArray() || m.shape.IsKeyless():
			return &engine.Error{ReasonCode: v1alpha1.NodeReasonNotSupported, Err: errors.New("no such operation")}
		case m.frozen:
			return &engine.Error{ReasonCode: v1alpha1.NodeReasonFrozen, Err: errors.New("map is frozen")}
		}
		for size := int(m.shape.KeySize); len(keys) > 0; keys = keys[size:] {
			delete(m.values, m.canonical(keys[:size]))
		}
		m.order = slices.DeleteFunc(m.order, func(key string) bool {
			_, ok := m.values[key]
			return !ok
		})
		return nil
	})
}

// Contains asks a bloom filter.
func (h *memoryHandle) Contains(ctx context.Context, value []byte) (found bool, err error) {
	err = h.use(ctx, func(m *memoryMap) error {
		if !m.shape.IsBloom() {
			return &engine.Error{ReasonCode: v1alpha1.NodeReasonNotSupported, Err: errors.New("no such operation")}
		}
		_, found = m.values[string(value)]
		return nil
	})
	return found, err
}

// Hash is that of a frozen array.
func (h *memoryHandle) Hash(ctx context.Context) (sum [32]byte, known bool) {
	err := h.use(ctx, func(m *memoryMap) error {
		if known = m.frozen && m.shape.Type == v1alpha1.MapTypeArray; !known {
			return nil
		}
		var all []byte
		for i := range m.shape.MaxEntries {
			all = append(all, m.values[string(binary.NativeEndian.AppendUint32(nil, i))]...)
			for len(all)%8 != 0 {
				all = append(all, 0)
			}
		}
		sum = sha256.Sum256(all)
		return nil
	})
	return sum, known && err == nil
}

// Fit is what was set, or that the map tells nothing.
func (h *memoryHandle) Fit(ctx context.Context, _ *revision.Revision) (fit plan.Fit, err error) {
	err = h.use(ctx, func(m *memoryMap) error {
		fit = plan.Fit{Verified: v1alpha1.SchemaNoBTF}
		if m.fit != nil {
			fit = *m.fit
		}
		return nil
	})
	return fit, err
}

// Locked is the map: nothing tears here.
func (h *memoryHandle) Locked() engine.Map { return h }

// Freeze makes the map read-only.
func (h *memoryHandle) Freeze(ctx context.Context) error {
	return h.use(ctx, func(m *memoryMap) error {
		m.frozen = true
		return nil
	})
}

// Close gives the handle up. Closing twice is not an error.
func (h *memoryHandle) Close() error {
	h.b.mu.Lock()
	defer h.b.mu.Unlock()
	if !h.closed {
		h.closed = true
		h.b.open--
	}
	return nil
}
