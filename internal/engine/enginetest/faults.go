// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package enginetest

import (
	"context"
	"errors"

	"github.com/bpfmap-io/bpfmap-operator/internal/engine"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
)

// ErrCrashed is what everything returns once a Crashing backend has died.
var ErrCrashed = errors.New("crashed")

// Crashing is a Backend whose caller dies: the change after Steps changes doesn't happen, nor does
// anything after it. Of a change of many elements that is cut off, the first half happens.
type Crashing struct {
	engine.Backend
	// Steps is how many changes go well.
	Steps int
	// Err is the error; ErrCrashed if nil. With Once the backend works on after it.
	Err  error
	Once bool

	failed bool
}

// Failed says whether the failure has happened.
func (c *Crashing) Failed() bool { return c.failed }

// step is called before each change. It says whether this is the one that fails.
func (c *Crashing) step() (dying bool, err error) {
	fault := c.Err
	if fault == nil {
		fault = ErrCrashed
	}
	switch {
	case c.failed && !c.Once:
		return false, fault
	case !c.failed && c.Steps == 0:
		c.failed = true
		return true, fault
	}
	c.Steps--
	return false, nil
}

// Open shows what there is of a map.
func (c *Crashing) Open(ctx context.Context, key revision.Key, pin *revision.Pin) (*engine.State, error) {
	s, err := c.Backend.Open(ctx, key, pin)
	if err != nil {
		return nil, err
	}
	if s.Pinned != nil {
		s.Pinned = crashingMap{s.Pinned, c}
	}
	if s.Kept != nil {
		s.Kept = crashingMap{s.Kept, c}
	}
	return s, nil
}

// Create makes a map.
func (c *Crashing) Create(ctx context.Context, rev *revision.Revision) (engine.Map, error) {
	if _, err := c.step(); err != nil {
		return nil, err
	}
	m, err := c.Backend.Create(ctx, rev)
	if err != nil {
		return nil, err
	}
	return crashingMap{m, c}, nil
}

// Publish pins m.
func (c *Crashing) Publish(ctx context.Context, key revision.Key, m engine.Map, pin revision.Pin, replaces ...uint32) error {
	if _, err := c.step(); err != nil {
		return err
	}
	return c.Backend.Publish(ctx, key, m.(crashingMap).Map, pin, replaces...)
}

// Unpin removes a pin.
func (c *Crashing) Unpin(ctx context.Context, key revision.Key, path string, maps ...uint32) error {
	if _, err := c.step(); err != nil {
		return err
	}
	return c.Backend.Unpin(ctx, key, path, maps...)
}

// SaveRecord replaces the record.
func (c *Crashing) SaveRecord(ctx context.Context, r *engine.Record) error {
	if _, err := c.step(); err != nil {
		return err
	}
	return c.Backend.SaveRecord(ctx, r)
}

// SaveKeys stores keys.
func (c *Crashing) SaveKeys(ctx context.Context, key revision.Key, generation uint64, keys []byte) error {
	if _, err := c.step(); err != nil {
		return err
	}
	return c.Backend.SaveKeys(ctx, key, generation, keys)
}

// Forget removes the record and the second pin.
func (c *Crashing) Forget(ctx context.Context, key revision.Key) error {
	if _, err := c.step(); err != nil {
		return err
	}
	return c.Backend.Forget(ctx, key)
}

type crashingMap struct {
	engine.Map
	c *Crashing
}

// Locked is the map under its locks.
func (m crashingMap) Locked() engine.Map { return crashingMap{m.Map.Locked(), m.c} }

// Write writes elements, or half of them.
func (m crashingMap) Write(keys, values []byte) error {
	dying, err := m.c.step()
	if err == nil {
		return m.Map.Write(keys, values)
	}
	if dying && len(keys) > 0 {
		info, infoErr := m.Info()
		if infoErr != nil {
			return infoErr
		}
		n := len(keys) / int(info.Shape.KeySize)
		half := n / 2
		if writeErr := m.Map.Write(keys[:half*len(keys)/n], values[:half*len(values)/n]); writeErr != nil {
			return writeErr
		}
	}
	return err
}

// Delete deletes keys, or half of them.
func (m crashingMap) Delete(keys []byte) error {
	dying, err := m.c.step()
	if err == nil {
		return m.Map.Delete(keys)
	}
	if dying {
		info, infoErr := m.Info()
		if infoErr != nil {
			return infoErr
		}
		size := int(info.Shape.KeySize)
		if deleteErr := m.Map.Delete(keys[:len(keys)/size/2*size]); deleteErr != nil {
			return deleteErr
		}
	}
	return err
}

// Freeze makes the map read-only.
func (m crashingMap) Freeze() error {
	if _, err := m.c.step(); err != nil {
		return err
	}
	return m.Map.Freeze()
}
