// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package enginetest

import (
	"context"

	"github.com/bpfmap-io/bpfmap-operator/internal/engine"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
)

// Watched is a Backend that notes how often maps are read as a whole, and what is written.
type Watched struct {
	engine.Backend
	// Reads is how many times a map was read.
	Reads int
	// KeyBytes is how many bytes of keys were written.
	KeyBytes int
	// CantCount makes maps unable to tell how many elements they hold, as on older kernels or without
	// the capabilities.
	CantCount bool
}

// Open shows what there is of a map.
func (w *Watched) Open(ctx context.Context, key revision.Key, pin *revision.Pin) (*engine.State, error) {
	s, err := w.Backend.Open(ctx, key, pin)
	if err != nil {
		return nil, err
	}
	if s.Pinned != nil {
		s.Pinned = watchedMap{s.Pinned, w}
	}
	if s.KeepAlive != nil {
		s.KeepAlive = watchedMap{s.KeepAlive, w}
	}
	return s, nil
}

// Create makes a map.
func (w *Watched) Create(ctx context.Context, rev *revision.Revision) (engine.Map, error) {
	m, err := w.Backend.Create(ctx, rev)
	if err != nil {
		return nil, err
	}
	return watchedMap{m, w}, nil
}

// Publish pins m.
func (w *Watched) Publish(ctx context.Context, key revision.Key, m engine.Map, pin revision.Pin, replaces ...uint32) error {
	return w.Backend.Publish(ctx, key, m.(watchedMap).Map, pin, replaces...)
}

type watchedMap struct {
	engine.Map
	w *Watched
}

// Write writes elements.
func (m watchedMap) Write(ctx context.Context, keys, values []byte) error {
	m.w.KeyBytes += len(keys)
	return m.Map.Write(ctx, keys, values)
}

// Read streams the elements.
func (m watchedMap) Read(ctx context.Context, yield func(keys, values []byte)) (complete bool, err error) {
	m.w.Reads++
	return m.Map.Read(ctx, yield)
}

// Count is how many elements the map holds, if it may tell.
func (m watchedMap) Count(ctx context.Context) (n int64, known bool) {
	if m.w.CantCount {
		return 0, false
	}
	return m.Map.Count(ctx)
}
