// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package engine_test

import (
	"context"
	"syscall"
	"testing"

	"github.com/bpfmap-io/bpfmap-operator/internal/engine"
	"github.com/bpfmap-io/bpfmap-operator/internal/engine/enginetest"
	"github.com/bpfmap-io/bpfmap-operator/internal/quota"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
)

// promises is a quota that grants everything and notes what is open.
type promises struct {
	open, settled, doubted bool
	reserved               int64
}

func (p *promises) Reserve(_ context.Context, r quota.Request) error {
	p.open, p.reserved = true, r.Bytes
	return nil
}
func (p *promises) Settle(revision.Key, int64) { p.open, p.settled = false, true }
func (p *promises) Invalidate(revision.Key)    { p.open, p.doubted = false, true }
func (p *promises) Release(revision.Key)       { p.open = false }
func (p *promises) Unblocked() []revision.Key  { return nil }

// TestPromisesEnd: whatever goes wrong, no promise of memory outlives its run. After a failure nobody knows
// what the map takes.
func TestPromisesEnd(t *testing.T) {
	onRigs(t, func(w *wrecked) {
		for call, hit := 0, "first"; hit != ""; call += stride {
			p := &promises{}
			faulty := &enginetest.Faulty{Backend: w.b, Fault: enginetest.Fault{Call: call, Err: syscall.EIO}}
			e := engine.New(faulty, engine.Options{Quota: p})
			report := e.Sync(w.Context(), hash(w.T, "", "1=10", "2=20"))
			hit = faulty.Hit()
			if p.open || p.doubted && p.settled || p.reserved > 0 && p.doubted != (report.Err != nil) {
				w.Errorf("call %d (%s) failed: promise open %t, settled %t, doubted %t, error %v", call, hit, p.open, p.settled, p.doubted, report.Err)
			}
			w.must(w.Remove(w.Context(), key).Err)
		}
	})
}

// TestForgetsAfterFailure: what an engine brought to a map isn't believed any more once a run has failed.
func TestForgetsAfterFailure(t *testing.T) {
	onRigs(t, func(w *wrecked) {
		watched := &enginetest.Watched{Backend: w.b}
		faulty := &enginetest.Faulty{Backend: watched, Fault: enginetest.Fault{Call: never}}
		e := engine.New(faulty, engine.Options{IncrementalThreshold: 1})
		e.Sync(w.Context(), hash(w.T, "", "1=10"))
		*faulty = enginetest.Faulty{Backend: watched, Fault: enginetest.Fault{Call: 0, Err: syscall.EIO, Kind: enginetest.Late, OnlyChanges: true}}
		if report := e.Sync(w.Context(), hash(w.T, "", "1=11")); report.Err == nil {
			w.Error("no failure")
		}
		*faulty = enginetest.Faulty{Backend: watched, Fault: enginetest.Fault{Call: never}}
		watched.Reads = 0
		if report := e.Sync(w.Context(), hash(w.T, "", "1=12")); report.Err != nil || watched.Reads != 1 {
			w.Errorf("%d readings after a failure, want one (%v)", watched.Reads, report.Err)
		}
	})
}
