// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package kernel

import (
	"context"
	"errors"
	"path/filepath"

	"github.com/bpfmap-io/bpfmap-operator/internal/bpf"
	"github.com/bpfmap-io/bpfmap-operator/internal/engine"
	"github.com/bpfmap-io/bpfmap-operator/internal/mounts"
	"github.com/bpfmap-io/bpfmap-operator/internal/pinstore"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
)

// Options tune a Backend.
type Options struct {
	// Root is where this process finds the node's file system.
	Root mounts.Root
	// Pins are those of the store of pins.
	Pins pinstore.Options
	// References says what names in entries may stand for.
	References ReferenceOptions
}

// Backend keeps maps in the kernel and their pins in one BPF file system.
type Backend struct {
	pins     *pinstore.Store
	links    ReferenceOptions
	cpus     int
	programs programIndex
}

// New is the backend of the BPF file system mounted at bpffs on the node. Preflight says whether that can work.
func New(bpffs string, o Options) (*Backend, error) {
	cpus, err := bpf.PossibleCPUs()
	if err != nil {
		return nil, err
	}
	o.Pins.ShownAs = filepath.Clean(bpffs)
	return &Backend{pins: pinstore.New(o.Root.Here(bpffs), o.Pins), links: o.References, cpus: cpus}, nil
}

// Prepare makes what Identity needs to tell the BPF file system from another one.
func (b *Backend) Prepare() error { return explain(b.pins.Prepare()) }

// Identity tells the BPF file system that is mounted now from one that was before.
func (b *Backend) Identity() (pinstore.Identity, error) { return b.pins.Identity() }

// Lock takes the lock of a map among all processes that manage maps of the BPF file system.
func (b *Backend) Lock(ctx context.Context, key revision.Key) (unlock func() error, err error) {
	lock, err := b.pins.Lock(ctx, key)
	if err != nil {
		return nil, explain(err)
	}
	return lock.Unlock, nil
}

// Open shows what there is of a map, after finishing what a crash interrupted.
func (b *Backend) Open(ctx context.Context, key revision.Key, pin *revision.Pin) (*engine.State, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := b.pins.Recover(key); err != nil && (pin != nil || !errors.Is(err, pinstore.ErrOccupied)) {
		return nil, explain(err)
	}
	record, err := b.pins.LoadRecord(key)
	if err != nil {
		return nil, explain(err)
	}
	state := &engine.State{Record: record}
	kept, err := b.pins.KeepAlive(key)
	if err != nil {
		return nil, explain(err)
	}
	if kept != nil {
		state.KeepAlive = newOpenMap(kept)
	}
	if pin == nil {
		return state, nil
	}
	if err := b.openPin(state, *pin); err != nil {
		if kept != nil {
			err = errors.Join(err, kept.Close())
		}
		return nil, explain(err)
	}
	return state, nil
}

func (b *Backend) openPin(state *engine.State, pin revision.Pin) error {
	state.PinPath = b.pins.Path(pin.Path)
	pinned, err := b.pins.Pinned(pin.Path)
	if err != nil || pinned == nil {
		return err
	}
	if state.Found, err = b.pins.Look(pin.Path); err != nil {
		return errors.Join(err, pinned.Close())
	}
	state.Pinned = newOpenMap(pinned)
	return nil
}

// Publish pins m.
func (b *Backend) Publish(ctx context.Context, key revision.Key, m engine.Map, pin revision.Pin, replaces ...uint32) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return explain(b.pins.Publish(key, m.(openMap).m, pin, replaces...))
}

// Unpin removes the pin at path if one of the maps is there.
func (b *Backend) Unpin(ctx context.Context, key revision.Key, path string, maps ...uint32) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return explain(b.pins.Unpin(key, path, maps...))
}

// SaveRecord replaces the record.
func (b *Backend) SaveRecord(ctx context.Context, r *engine.Record) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return explain(b.pins.SaveRecord(ctx, r))
}

// SaveKeys stores the keys of a generation.
func (b *Backend) SaveKeys(ctx context.Context, key revision.Key, generation uint64, keys []byte) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return explain(b.pins.SaveKeys(ctx, key, generation, keys))
}

// Keys are the stored keys of a generation.
func (b *Backend) Keys(ctx context.Context, key revision.Key, generation uint64) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	keys, err := b.pins.Keys(ctx, key, generation)
	return keys, explain(err)
}

// Owners are the other BPFMaps whose records claim a pin and a map.
func (b *Backend) Owners(ctx context.Context, key revision.Key, pinPath string, mapID uint32) (ofPin, ofMap *revision.Key, err error) {
	if err := ctx.Err(); err != nil {
		return nil, nil, err
	}
	ofPin, ofMap, err = b.pins.Owners(ctx, key, pinPath, mapID)
	return ofPin, ofMap, explain(err)
}

// Forget removes the record, the stored keys, the claims and the KeepAlive pin.
func (b *Backend) Forget(ctx context.Context, key revision.Key) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return explain(b.pins.Forget(ctx, key))
}

// Records lists the records that can be believed.
func (b *Backend) Records(ctx context.Context) ([]engine.Record, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	records, err := b.pins.Records()
	return records, explain(err)
}

// PossibleCPUs is how many values an element of a per-CPU map has.
func (b *Backend) PossibleCPUs() int { return b.cpus }
