// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package kernel

import (
	"bytes"
	"context"
	"sync"

	"github.com/bpfmap-io/bpfmap-operator/internal/bpf"
	"github.com/bpfmap-io/bpfmap-operator/internal/bpf/stores"
	"github.com/bpfmap-io/bpfmap-operator/internal/engine"
)

// Add writes elements whose keys aren't there.
func (o openMap) Add(ctx context.Context, keys, values []byte) (added int, err error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	added, err = o.m.AddBatch(ctx, keys, values)
	return added, o.explain(err)
}

// Store writes bits of elements that are there.
func (o openMap) Store(ctx context.Context, keys, values, mask []byte) (engine.Stored, error) {
	if err := ctx.Err(); err != nil {
		return engine.Stored{}, err
	}
	w, err := o.writers.get(o.m, mask, o.flags)
	if err != nil {
		return engine.Stored{}, o.explain(err)
	}
	stored := engine.Stored{}
	stored.Missing, err = w.Store(ctx, keys, values)
	if stored.Missing*o.m.KeySize() < len(keys) {
		stored.Way, stored.Why = storeWays[w.Way()], w.Why()
	}
	return stored, o.explain(err)
}

// storeWays are the engine's words.
var storeWays = map[stores.Way]engine.StoreWay{
	stores.ByProgram: engine.StoredByProgram, stores.UnderLock: engine.StoredUnderLock, stores.ByReadModifyWrite: engine.StoredByReadModifyWrite,
}

// writers keeps what stores into a map until the map is closed: its programs were loaded once then. A map
// has one mask, so that the last one is enough.
type writers struct {
	mu    sync.Mutex
	last  *stores.Writer
	mask  []byte
	flags bpf.ElemFlags
}

// get is the writer of a mask. Like a map's handle it is used by one caller at a time.
func (w *writers) get(m *bpf.Map, mask []byte, flags bpf.ElemFlags) (*stores.Writer, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.last != nil && w.flags == flags && (w.mask == nil) == (mask == nil) && bytes.Equal(w.mask, mask) {
		return w.last, nil
	}
	made, err := stores.New(m, mask, flags)
	if err != nil {
		return nil, err
	}
	before := w.last
	w.last, w.mask, w.flags = made, bytes.Clone(mask), flags
	if before != nil {
		err = before.Close()
	}
	return made, err
}

func (w *writers) close() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.last == nil {
		return nil
	}
	defer func() { w.last = nil }()
	return w.last.Close()
}
