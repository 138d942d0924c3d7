// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package kernel

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/bpfmap-io/bpfmap-operator/internal/bpf"
	"github.com/bpfmap-io/bpfmap-operator/internal/bpf/users"
	"github.com/bpfmap-io/bpfmap-operator/internal/engine"
	"github.com/bpfmap-io/bpfmap-operator/internal/inuse"
)

// Programs is an inventory of this kernel's programs and maps, as of now. A process that may not make one gets
// engine.ErrUnknown, with what is missing.
func Programs(ctx context.Context) (*inuse.Inventory, error) {
	found, err := users.Look(ctx)
	if errors.Is(err, bpf.ErrNotPermitted) {
		return nil, fmt.Errorf("%w which programs use a map: %w", engine.ErrUnknown, err)
	}
	if err != nil {
		return nil, explain(err)
	}
	programs := make([]inuse.Program, len(found.Programs))
	for i := range found.Programs {
		p := &found.Programs[i]
		programs[i] = inuse.Program{
			ID: p.ID, Name: p.Name, Type: p.TypeName(), Tag: hex.EncodeToString(p.Tag[:]), Maps: p.Maps, Own: users.IsOwn(p),
		}
	}
	maps := make([]inuse.Map, len(found.Maps))
	for i, m := range found.Maps {
		maps[i] = inuse.Map{ID: m.ID, Type: m.Type, Name: m.Name, KeySize: m.KeySize, ValueSize: m.ValueSize, Held: m.Held}
	}
	return inuse.New(programs, maps), nil
}

// Users are the programs that use a map. Others may hold it, too: processes, and maps of maps. The map isn't
// opened, so that asking doesn't keep it in the kernel.
func (b *Backend) Users(ctx context.Context, mapID uint32) ([]string, error) {
	found, err := b.programs.recent(ctx, mapID)
	switch {
	case err != nil:
		return nil, err
	case !found.Has(mapID):
		return nil, absent("map %d", mapID)
	}
	programs := found.Users(mapID)
	texts := make([]string, len(programs))
	for i, p := range programs {
		texts[i] = p.String()
	}
	return texts, nil
}

// maxShare is how much of the time is spent looking at most, however many maps ask: one part in so many.
const maxShare = 20

// recentPrograms is the last inventory that was made for single maps. It is safe for concurrent use.
type recentPrograms struct {
	mu    sync.Mutex
	last  *inuse.Inventory
	until time.Time
}

// recent is an inventory of now, or one of not long ago that has the map: where many maps ask one after the other,
// they share it.
func (r *recentPrograms) recent(ctx context.Context, mapID uint32) (*inuse.Inventory, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	start := time.Now()
	if r.last != nil && start.Before(r.until) && r.last.Has(mapID) {
		return r.last, nil
	}
	found, err := Programs(ctx)
	if err != nil {
		return nil, err
	}
	now := time.Now()
	r.last, r.until = found, now.Add(maxShare*now.Sub(start))
	return found, nil
}
