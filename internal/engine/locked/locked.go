// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package locked

import (
	"context"
	"errors"
	"fmt"

	"github.com/bpfmap-io/bpfmap-operator/internal/engine"
	"github.com/bpfmap-io/bpfmap-operator/internal/plan"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
)

// Lock takes the lock of a map, waiting until its holder is done or ctx ends.
type Lock func(ctx context.Context, key revision.Key) (unlock func() error, err error)

// Inner is what works under the locks; *engine.Engine is one.
type Inner interface {
	Sync(ctx context.Context, rev *revision.Revision) engine.Report
	SyncMember(ctx context.Context, rev *revision.Revision) (r engine.Report, alone bool)
	SyncGroup(ctx context.Context, members []engine.Member) []engine.Report
	Plan(ctx context.Context, rev *revision.Revision) (plan.Plan, error)
	Remove(ctx context.Context, key revision.Key) engine.Report
	Records(ctx context.Context) ([]engine.Record, error)
	Unblocked() []revision.Key
}

// Engine is an engine that takes the lock of each map that it works on. It is safe for concurrent use, also
// on the same key.
type Engine struct {
	inner Inner
	lock  Lock
}

// New is inner under locks.
func New(inner Inner, lock Lock) *Engine { return &Engine{inner, lock} }

// Sync brings a map to its revision.
func (e *Engine) Sync(ctx context.Context, rev *revision.Revision) (r engine.Report) {
	err := e.locked(ctx, rev.Key, func() { r = e.inner.Sync(ctx, rev) })
	return failed(r, engine.Report{Key: rev.Key, UID: rev.UID, Revision: rev.Name}, err)
}

// Plan says what Sync would do. It takes the lock, too: in the middle of somebody's work there is nothing to
// compare with.
func (e *Engine) Plan(ctx context.Context, rev *revision.Revision) (p plan.Plan, err error) {
	lockErr := e.locked(ctx, rev.Key, func() { p, err = e.inner.Plan(ctx, rev) })
	return p, errors.Join(err, lockErr)
}

// Remove gives a map up.
func (e *Engine) Remove(ctx context.Context, key revision.Key) (r engine.Report) {
	err := e.locked(ctx, key, func() { r = e.inner.Remove(ctx, key) })
	return failed(r, engine.Report{Key: key}, err)
}

// Records are the records of all managed maps. Each is read as it is, also while its map is worked on.
func (e *Engine) Records(ctx context.Context) ([]engine.Record, error) { return e.inner.Records(ctx) }

// Unblocked are maps that were refused and may be tried again.
func (e *Engine) Unblocked() []revision.Key { return e.inner.Unblocked() }

func (e *Engine) locked(ctx context.Context, key revision.Key, do func()) error {
	unlock, err := e.lock(ctx, key)
	if err != nil {
		return err
	}
	do()
	if err := unlock(); err != nil {
		return fmt.Errorf("after the work on map %s: %w", key, err)
	}
	return nil
}

// failed is the report of work whose lock failed: r if that was done before, else empty. A failure of the
// work itself is the one to tell.
func failed(r, empty engine.Report, err error) engine.Report {
	if err == nil || r.Err != nil {
		return r
	}
	if r.Key != empty.Key {
		r = empty
	}
	r.Fail(err)
	return r
}
