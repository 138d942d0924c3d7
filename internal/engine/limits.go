// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"context"
	"errors"
	"math"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/footprint"
	"github.com/bpfmap-io/bpfmap-operator/internal/plan"
	"github.com/bpfmap-io/bpfmap-operator/internal/quota"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
)

// Quota decides what maps may take of the node's kernel memory. A *quota.Ledger is one.
type Quota interface {
	// Reserve promises memory to a map, or returns a *quota.Refusal.
	Reserve(ctx context.Context, r quota.Request) error
	// Settle, Invalidate and Release end a promise: the map takes so much, nobody knows, there is no map.
	Settle(key revision.Key, bytes int64)
	Invalidate(key revision.Key)
	Release(key revision.Key)
	// Unblocked are maps that were refused and may be tried again, sorted.
	Unblocked() []revision.Key
}

// noQuota refuses nothing.
type noQuota struct{}

func (noQuota) Reserve(context.Context, quota.Request) error { return nil }
func (noQuota) Settle(revision.Key, int64)                   {}
func (noQuota) Invalidate(revision.Key)                      {}
func (noQuota) Release(revision.Key)                         {}
func (noQuota) Unblocked() []revision.Key                    { return nil }

// Unblocked are maps that were stalled by a limit of kernel memory and may be synced again, since room
// appeared. Each is told once, sorted by namespace and name.
func (e *Engine) Unblocked() []revision.Key { return e.options.Quota.Unblocked() }

// reserve asks for the kernel memory that the plan may take, before anything is done.
func (e *Engine) reserve(s *session) error {
	err := e.options.Quota.Reserve(s.ctx, quota.Request{
		Key: s.rev.Key, Bytes: s.growth(), IsNew: s.state.Record == nil,
	})
	if refusal := (*quota.Refusal)(nil); errors.As(err, &refusal) {
		return &Error{v1alpha1.NodeReasonQuotaExceeded, err}
	}
	return err
}

// settle tells the quota what came of a run.
func (e *Engine) settle(s *session, r *Report) {
	if r.MapID == 0 {
		return // nothing was made, and nothing promised
	}
	memory := footprint.Of(s.rev.Shape, e.backend.PossibleCPUs()).Charged(r.MemlockBytes)
	e.options.Quota.Settle(r.Key, memory+RecordBytes(s.recordKeys()))
}

// growth is how much kernel memory the plan adds: while a map is replaced, the old and the new one exist
// together. What an update deletes makes room for what it adds.
func (s *session) growth() int64 {
	estimate := footprint.Of(s.rev.Shape, s.backend.PossibleCPUs())
	keySize := int64(s.rev.Shape.KeySize)
	if s.rev.Policy.Sync != v1alpha1.SyncMerge {
		keySize = 0 // the record holds none
	}
	if s.base == nil || s.plan.Action == plan.Replace {
		return estimate.With(s.entries.Len+s.movedAtMost()) + RecordBytes(int64(s.entries.Len)*keySize)
	}
	added := int64(s.plan.Changes.Add.Len) - int64(s.plan.Changes.Deletes())
	if s.state.Record == nil {
		return max(0, added)*estimate.Element + RecordBytes(int64(s.entries.Len)*keySize)
	}
	return max(0, added) * (estimate.Element + keySize)
}

// movedAtMost bounds the elements that a replacement takes over from the old map.
func (s *session) movedAtMost() int {
	if s.foreign.from == nil {
		return 0
	}
	info := s.infos[s.foreign.from]
	old := footprint.Of(info.Shape, s.backend.PossibleCPUs())
	if old.Accounted == 0 {
		return int(min(int64(info.Shape.MaxEntries), int64(s.rev.Shape.MaxEntries)))
	}
	return int((old.Charged(info.MemlockBytes) - old.Empty) / old.Element)
}

// recordKeys is how many bytes of keys the record holds.
func (s *session) recordKeys() int64 {
	if rec := s.saved; rec != nil {
		return rec.KeyBytes()
	}
	if rec := s.state.Record; rec != nil {
		return rec.KeyBytes()
	}
	return 0
}

// recordText bounds what a record holds besides keys.
const recordText = 4 << 10

// RecordBytes is about the kernel memory of a record with so many bytes of keys.
func RecordBytes(keys int64) int64 {
	return footprint.Of(revision.Shape{
		Type: v1alpha1.MapTypeArray, KeySize: 4, ValueSize: uint32(min(keys+recordText, math.MaxUint32)), MaxEntries: 1,
	}, 1).Empty
}
