// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"context"
	"fmt"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/engine"
	"github.com/bpfmap-io/bpfmap-operator/internal/nodelock"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
)

// Locked is next, one call at a time among all processes that work on the BPF file system at bpffs: an
// agent that is being replaced, its successor, and the command line.
func Locked(next Engine, bpffs string) Engine { return &lockedEngine{next, bpffs} }

type lockedEngine struct {
	next  Engine
	bpffs string
}

func (e *lockedEngine) Sync(ctx context.Context, rev *revision.Revision) engine.Report {
	return e.locked(ctx, engine.Report{Key: rev.Key, UID: rev.UID, Revision: rev.Name}, func() engine.Report {
		return e.next.Sync(ctx, rev)
	})
}

func (e *lockedEngine) Remove(ctx context.Context, key revision.Key) engine.Report {
	return e.locked(ctx, engine.Report{Key: key}, func() engine.Report { return e.next.Remove(ctx, key) })
}

func (e *lockedEngine) Records(ctx context.Context) ([]engine.Record, error) {
	return e.next.Records(ctx)
}

func (e *lockedEngine) Unblocked() []revision.Key { return e.next.Unblocked() }

func (e *lockedEngine) locked(ctx context.Context, failure engine.Report, do func() engine.Report) engine.Report {
	lock, err := nodelock.Acquire(ctx, e.bpffs)
	if err != nil {
		return fail(failure, v1alpha1.NodeMapFailed, v1alpha1.NodeReasonSyncFailed, err)
	}
	report := do()
	if err := lock.Unlock(); err != nil && report.Err == nil {
		return fail(report, v1alpha1.NodeMapFailed, v1alpha1.NodeReasonSyncFailed, fmt.Errorf("after the work on map %s: %w", report.Key, err))
	}
	return report
}

// fail makes a report one of a failure.
func fail(r engine.Report, state v1alpha1.NodeMapState, reason string, err error) engine.Report {
	r.State, r.Reason, r.Message, r.Err, r.Digest = state, reason, err.Error(), err, ""
	return r
}
