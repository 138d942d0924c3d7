// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package kernel

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/bpfmap-io/bpfmap-operator/internal/bpf"
	"github.com/bpfmap-io/bpfmap-operator/internal/engine"
)

// Users are the programs that use a map. Others may hold it, too: processes, and maps of maps. The map isn't
// opened, so that asking doesn't keep it in the kernel.
func (b *Backend) Users(ctx context.Context, mapID uint32) ([]string, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	id, ok, err := bpf.GetNextID(mapID - 1)
	switch {
	case err != nil:
		return nil, unknown(mapID, err)
	case !ok || id != mapID:
		return nil, absent("map %d", mapID)
	}
	programs, err := b.programs.using(ctx, mapID)
	if err != nil {
		return nil, unknown(mapID, err)
	}
	users := make([]string, len(programs))
	for i, p := range programs {
		users[i] = p.String()
	}
	return users, nil
}

// unknown is the error of a question about a map that the kernel didn't answer.
func unknown(mapID uint32, err error) error {
	if errors.Is(err, bpf.ErrNotPermitted) {
		return fmt.Errorf("who uses map %d %w: %w", mapID, engine.ErrUnknown, err)
	}
	return explain(err)
}

// rescan is how often all programs are looked at again: ids of programs start over at the end, and a map may
// be bound to a program after that was loaded (BPF_PROG_BIND_MAP, Linux 5.10).
const rescan = time.Minute

// programIndex finds the programs that use a map. Looking at every program of the node for every map would
// cost programs × maps; it is done once per rescan, and between two only new programs and those that were
// found are looked at. It is safe for concurrent use.
type programIndex struct {
	mu      sync.Mutex
	scanned time.Time
	last    uint32 // the highest id that was seen
	users   map[uint32][]bpf.ProgramInfo
}

// using are the loaded programs that use a map, in the order of their ids.
func (x *programIndex) using(ctx context.Context, mapID uint32) ([]bpf.ProgramInfo, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.users == nil || time.Since(x.scanned) > rescan {
		x.users, x.last, x.scanned = map[uint32][]bpf.ProgramInfo{}, 0, time.Now()
	}
	for p, err := range bpf.Programs(x.last) {
		if err = errors.Join(err, ctx.Err()); err != nil {
			return nil, err // the next question continues behind the last one
		}
		x.last = p.ID
		for _, m := range p.Maps {
			x.users[m] = append(x.users[m], p)
		}
	}
	var err error
	x.users[mapID] = slices.DeleteFunc(x.users[mapID], func(p bpf.ProgramInfo) bool {
		loaded, lookErr := isLoaded(p.ID)
		err = errors.Join(err, lookErr)
		return lookErr == nil && !loaded
	})
	return slices.Clone(x.users[mapID]), err
}

// isLoaded says whether there is a program with the id.
func isLoaded(id uint32) (bool, error) {
	for p, err := range bpf.Programs(id - 1) {
		return p.ID == id, err
	}
	return false, nil
}
