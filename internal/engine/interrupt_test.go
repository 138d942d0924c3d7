// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package engine_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/engine"
	"github.com/bpfmap-io/bpfmap-operator/internal/engine/enginetest"
	"github.com/bpfmap-io/bpfmap-operator/internal/pinstore"
)

// interrupted wants a report that says so, and nothing worse.
func (w *world) interrupted(report engine.Report) {
	w.Helper()
	if report.State != v1alpha1.NodeMapPending || report.Reason != v1alpha1.NodeReasonInterrupted || !errors.Is(report.Err, context.Canceled) ||
		report.Action != engine.ActionNone || report.Digest != "" {
		w.Errorf("%s (%s), action %q: %s, error %v", report.State, report.Reason, report.Action, report.Message, report.Err)
	}
}

// TestInterruptedBeforeEachCall cancels every journey before each call of the backend: the report says so,
// and the next run continues from there.
func TestInterruptedBeforeEachCall(t *testing.T) {
	for name, newBackend := range backends {
		for _, j := range journeys {
			t.Run(name+"/"+j.name, func(t *testing.T) {
				for call, hit := 0, "first"; hit != "" && !t.Failed(); call += stride {
					t.Run(fmt.Sprintf("call %d", call), func(t *testing.T) {
						b := newBackend(t, pinstore.Options{})
						w := newWorld(t, b)
						id := j.prepare(w)
						ctx, cancel := context.WithCancel(t.Context())
						defer cancel()
						faulty := &enginetest.Faulty{Backend: b, Fault: enginetest.Fault{Call: call, Kind: enginetest.Cancelled, Cancel: cancel}}
						report := engine.New(faulty, engine.Options{}).Sync(ctx, j.to(t))
						switch hit = faulty.Hit(); {
						case (hit == "Users" || hit == "Read") && report.State == ready: // everything is done; a kernel that tells no count is read for it
						case hit != "":
							t.Logf("cancelled before %s", hit)
							w.interrupted(report)
						}
						j.finish(w, id)
					})
				}
			})
		}
	}
}

// TestCancelledContext does nothing at all.
func TestCancelledContext(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		r := hash(t, "", "1=10")
		w.interrupted(w.Sync(ctx, r))
		w.holds(r, "no map")
		if _, err := w.Plan(ctx, r); !errors.Is(err, context.Canceled) {
			t.Errorf("plan: %v", err)
		}
		w.ready(r, engine.ActionCreated)
		w.interrupted(w.Sync(ctx, hash(t, "", "1=11")))
		w.interrupted(w.Remove(ctx, key))
		w.holds(r, "1=10")
	})
}

// TestInterruptedBetweenWindows stops in the middle of a large fill, and of a large update.
func TestInterruptedBetweenWindows(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		big := func(first byte) *manyEntries { return &manyEntries{first: first, value: 4000, n: 1000} }
		for _, step := range []struct {
			to      *manyEntries
			changed int // elements that are written before the end
		}{{big(1), 0}, {big(2), 256}} {
			r := step.to.revision(t)
			ctx, cancel := context.WithCancel(t.Context())
			faulty := &enginetest.Faulty{Backend: w.b, Fault: enginetest.Fault{Call: -1}}
			writes := 0
			faulty.Before = func(name string, _ engine.Map) {
				if name == "Write" {
					if writes++; writes == 2 {
						cancel()
					}
				}
			}
			e := engine.New(faulty, engine.Options{})
			w.interrupted(e.Sync(ctx, r))
			if m := w.open(r); m == nil != (step.changed == 0) {
				t.Errorf("a map that isn't full is pinned")
			} else if n := step.to.count(w, m); m != nil && (n == 0 || n > 2*step.changed) {
				t.Errorf("%d elements were written in one window", n)
			}
			cancel()
			if report := e.Sync(t.Context(), r); report.State != ready || report.Drift != nil {
				t.Errorf("the next run: %s: %s", report.State, report.Message)
			}
			if n := step.to.count(w, w.open(r)); n != step.to.n {
				t.Errorf("the map holds %d of %d elements", n, step.to.n)
			}
		}
	})
}
