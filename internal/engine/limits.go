// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"context"
	"errors"
	"math"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/footprint"
	"github.com/bpfmap-io/bpfmap-operator/internal/ownership"
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

// reserve asks for the kernel memory that a plan may take, before anything is done.
func (e *Engine) reserve(ctx context.Context, o *Observation, p *plan.Plan) (*plan.Memory, error) {
	request := quota.Request{Key: o.rev.Key, Bytes: growth(o, p), IsNew: o.record == nil}
	if p.Action == plan.Adopt {
		request.Adopts = o.pinned.id()
	}
	err := e.options.Quota.Reserve(ctx, request)
	if refusal := (*quota.Refusal)(nil); errors.As(err, &refusal) {
		return &plan.Memory{Refusal: err.Error()}, nil
	}
	return &plan.Memory{}, err
}

// settle tells the quota what a map takes.
func (e *Engine) settle(o *Observation, out *Outcome) {
	if out.after.info.ID == 0 {
		return // nothing was made, and nothing promised
	}
	rec := out.record
	if rec == nil {
		rec = o.record
	}
	memory := out.after.info.Memory(o.contents.cpus)
	if rec != nil {
		memory += RecordBytes(rec.KeyBytes())
	}
	e.options.Quota.Settle(o.rev.Key, memory)
}

// growth is how much kernel memory a plan adds: while a map is replaced, the old and the new one exist
// together. What an update deletes makes room for what it adds.
func growth(o *Observation, p *plan.Plan) int64 {
	rev, entries := o.rev, o.contents.Len()
	estimate := footprint.Of(rev.Shape, o.contents.cpus)
	keySize := int64(rev.Shape.KeySize)
	if o.reportsDrift() {
		keySize += 16 // and what was declared
	}
	if p.Base == plan.BaseNew {
		return estimate.With(entries+carriedAtMost(o, p)) + RecordBytes(int64(entries)*keySize)
	}
	added := max(0, int64(p.Changes.Insert.Len())-int64(p.Changes.Deletes()))
	elements := added * estimate.Element
	if base := o.base(p.Base); base != nil && !base.info.Measured {
		elements = 0 // it counts as full
	}
	if o.record == nil {
		return elements + RecordBytes(int64(entries)*keySize)
	}
	if added*keySize > ownership.MaxLogBytes/2 {
		return elements + RecordBytes(int64(entries)*keySize) // a new base beside the old one
	}
	return elements + added*keySize
}

// carriedAtMost bounds the elements that a new map takes over from the one that it replaces.
func carriedAtMost(o *Observation, p *plan.Plan) int {
	if !p.CarryOver {
		return 0
	}
	info := o.replaced().info
	old := footprint.Of(info.Shape, o.contents.cpus)
	if old.Accounted == 0 {
		return int(min(int64(info.Shape.MaxEntries), int64(o.rev.Shape.MaxEntries)))
	}
	return int((info.Memory(o.contents.cpus) - old.Empty) / old.Element)
}

// recordText bounds what a record holds besides keys.
const recordText = 4 << 10

// RecordBytes estimates the kernel memory of a record with keys of this many bytes.
func RecordBytes(keys int64) int64 {
	return footprint.Of(revision.Shape{
		Type: v1alpha1.MapTypeArray, KeySize: 4, ValueSize: uint32(min(keys+recordText, math.MaxUint32)), MaxEntries: 1,
	}, 1).Empty
}
