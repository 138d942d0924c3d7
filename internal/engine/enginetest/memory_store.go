// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package enginetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/engine"
)

// Add writes elements whose keys aren't there.
func (h *memoryHandle) Add(ctx context.Context, keys, values []byte) (added int, err error) {
	err = h.use(ctx, func(m *memoryMap) error {
		if err := m.writable(m.shape.IsArray() || m.shape.IsKeyless()); err != nil {
			return err
		}
		size := int(m.shape.KeySize)
		for i := 0; i*size < len(keys); i++ {
			key, value := keys[i*size:(i+1)*size], values[i*m.stride:(i+1)*m.stride]
			if _, there := m.values[m.canonical(key)]; there {
				continue
			}
			if err := m.set(key, m.shown(bytes.Clone(value))); err != nil {
				return err
			}
			added++
		}
		return nil
	})
	return added, err
}

// Store writes bits of elements that are there. Nothing comes between two of them here.
func (h *memoryHandle) Store(ctx context.Context, keys, values, mask []byte) (s engine.Stored, err error) {
	err = h.use(ctx, func(m *memoryMap) error {
		if err := m.writable(m.shape.TakesFDs() || m.shape.IsKeyless()); err != nil {
			return err
		}
		if mask != nil && len(mask) != m.stride {
			return fmt.Errorf("the mask has %d bytes, must have %d", len(mask), m.stride)
		}
		size := int(m.shape.KeySize)
		for i := 0; i*size < len(keys); i++ {
			there, ok := m.values[m.canonical(keys[i*size:(i+1)*size])]
			if !ok {
				s.Missing++
				continue
			}
			merge(there, values[i*m.stride:(i+1)*m.stride], mask)
			s.Way = engine.StoredByProgram
		}
		return nil
	})
	return s, err
}

// merge puts the bits of mask, nil for all, from value into there.
func merge(there, value, mask []byte) {
	if mask == nil {
		copy(there, value)
	}
	for i, bits := range mask {
		there[i] ^= (there[i] ^ value[i]) & bits
	}
}

// writable is the error of a map that can't be written to in some way, or not at all any more.
func (m *memoryMap) writable(unsupported bool) error {
	switch {
	case unsupported:
		return &engine.Error{ReasonCode: v1alpha1.NodeReasonNotSupported, Err: errors.New("no such operation")}
	case m.frozen:
		return &engine.Error{ReasonCode: v1alpha1.NodeReasonFrozen, Err: errors.New("map is frozen")}
	}
	return nil
}
