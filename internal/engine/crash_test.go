// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package engine_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/bpfmap-io/bpfmap-operator/internal/engine"
	"github.com/bpfmap-io/bpfmap-operator/internal/engine/enginetest"
	"github.com/bpfmap-io/bpfmap-operator/internal/pinstore"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
)

// journey is a change that may be cut off anywhere.
type journey struct {
	name string
	// from is what was there before; nil for nothing.
	from func(t *testing.T) *revision.Revision
	to   func(t *testing.T) *revision.Revision
	// foreign are elements that others wrote before.
	foreign []byte
	// want is what the map holds at the end, and sameMap whether it is still the same map.
	want    string
	sameMap bool
}

var journeys = []journey{
	{
		name: "create", to: func(t *testing.T) *revision.Revision { return hash(t, "freeze: true,", "1=10", "2=20") },
		want: "1=10 2=20",
	},
	{
		name:    "update",
		from:    func(t *testing.T) *revision.Revision { return hash(t, "", "1=10", "2=20", "3=30", "4=40") },
		to:      func(t *testing.T) *revision.Revision { return hash(t, "", "1=11", "2=21", "5=50", "6=60") },
		foreign: []byte{9, 90}, want: "1=11 2=21 5=50 6=60 9=90", sameMap: true,
	},
	{
		name: "update and freeze",
		from: func(t *testing.T) *revision.Revision { return hash(t, "", "1=10") },
		to:   func(t *testing.T) *revision.Revision { return hash(t, "freeze: true,", "2=20") },
		want: "2=20", sameMap: true,
	},
	{
		name: "replace",
		from: func(t *testing.T) *revision.Revision { return hash(t, "freeze: true,", "1=10") },
		to: func(t *testing.T) *revision.Revision {
			return hash(t, "freeze: true, replacePolicy: Swap,", "1=11", "2=20")
		},
		want: "1=11 2=20",
	},
	{
		name: "grow",
		from: func(t *testing.T) *revision.Revision { return hash(t, "", "1=10", "2=20") },
		to: func(t *testing.T) *revision.Revision {
			return table(t, "{type: Hash, key: {type: u8}, value: {type: u8}, maxEntries: 16, replacePolicy: Swap, ", "1=11")
		},
		foreign: []byte{9, 90}, want: "1=11 9=90",
	},
	{
		name: "move",
		from: func(t *testing.T) *revision.Revision { return hash(t, "", "1=10") },
		to: func(t *testing.T) *revision.Revision {
			return hash(t, "pin: {path: globals/table, gid: 2000, mode: '0640'},", "2=20")
		},
		foreign: []byte{9, 90}, want: "2=20 9=90", sameMap: true,
	},
}

// prepare brings the backend to the start of a journey.
func (j *journey) prepare(w *world) (id uint32) {
	w.Helper()
	if j.from == nil {
		return 0
	}
	from := j.from(w.T)
	id = w.ready(from, engine.ActionCreated).MapID
	if j.foreign != nil {
		w.must(w.open(from).Write(w.Context(), j.foreign[:1], j.foreign[1:]))
	}
	return id
}

// finish lets a new engine go on and checks where it arrives.
func (j *journey) finish(w *world, id uint32) {
	w.Helper()
	to := j.to(w.T)
	report := w.Sync(w.Context(), to)
	if report.State != ready || report.Drift != nil {
		w.Fatalf("after the crash: %s (%s), drift %+v\n%s", report.State, report.Message, report.Drift, report.Plan.String())
	}
	if again := w.Sync(w.Context(), to); again.Action != engine.ActionNone {
		w.Errorf("a second Sync after the crash: %s\n%s", again.Action, again.Plan.String())
	}
	w.holds(to, j.want)
	if j.sameMap && report.MapID != id {
		w.Errorf("map %d, was %d", report.MapID, id)
	}
	if j.from != nil {
		if from := j.from(w.T); from.Pin.Path != to.Pin.Path {
			w.holds(from, "no map")
		}
	}
	if report := w.Remove(w.Context(), key); report.Err != nil {
		w.Error(report.Err)
	}
	w.holds(to, "no map")
}

// TestCrashAfterEveryStep cuts every journey off after each change of the backend.
func TestCrashAfterEveryStep(t *testing.T) {
	for name, newBackend := range backends {
		for _, j := range journeys {
			t.Run(name+"/"+j.name, func(t *testing.T) {
				for steps := 0; ; steps += stride {
					if !crashAt(t, newBackend(t, pinstore.Options{}), j, steps) {
						if steps < 3 {
							t.Errorf("the journey has %d steps", steps)
						}
						return
					}
				}
			})
		}
	}
}

func crashAt(t *testing.T, b engine.Backend, j journey, steps int) (crashed bool) {
	t.Helper()
	t.Run(fmt.Sprintf("step %d", steps), func(t *testing.T) {
		w := newWorld(t, b)
		id := j.prepare(w)
		dying := &enginetest.Faulty{Backend: b, Fault: enginetest.Crash(steps)}
		report := engine.New(dying, engine.Options{}).Sync(t.Context(), j.to(t))
		if crashed = (dying.Hit() != ""); crashed != errors.Is(report.Err, enginetest.ErrCrashed) {
			t.Errorf("crashed: %t, error %v", crashed, report.Err)
		}
		j.finish(w, id)
	})
	return crashed
}

// TestCrashBetweenPins cuts every journey off between any two changes of the BPF file system.
func TestCrashBetweenPins(t *testing.T) {
	for _, j := range journeys {
		t.Run(j.name, func(t *testing.T) {
			for steps := 0; ; steps += stride {
				crashed := false
				t.Run(fmt.Sprintf("step %d", steps), func(t *testing.T) {
					left, armed := steps, false
					w := newWorld(t, backends["kernel"](t, pinstore.Options{BeforeStep: func(string) error {
						if !armed {
							return nil
						}
						if left--; left < 0 {
							crashed = true
							return enginetest.ErrCrashed
						}
						return nil
					}}))
					id := j.prepare(w)
					armed = true
					report := w.Sync(t.Context(), j.to(t))
					if crashed != errors.Is(report.Err, enginetest.ErrCrashed) {
						t.Errorf("crashed: %t, error %v", crashed, report.Err)
					}
					armed = false
					j.finish(w, id)
				})
				if !crashed {
					return
				}
			}
		})
	}
}

// TestCrashWhileRemoving leaves nothing behind that nobody would remove.
func TestCrashWhileRemoving(t *testing.T) {
	for name, newBackend := range backends {
		t.Run(name, func(t *testing.T) {
			for steps := range 3 {
				b := newBackend(t, pinstore.Options{})
				w := newWorld(t, b)
				r := hash(t, "", "1=10")
				w.ready(r, engine.ActionCreated)
				dying := &enginetest.Faulty{Backend: b, Fault: enginetest.Crash(steps)}
				engine.New(dying, engine.Options{}).Remove(t.Context(), key)
				records, err := w.Records(t.Context())
				w.must(err)
				if (dying.Hit() != "") != (len(records) == 1) {
					t.Errorf("step %d: crashed %t, %d records", steps, (dying.Hit() != ""), len(records))
				}
				if report := w.Remove(t.Context(), key); report.Err != nil {
					t.Error(report.Err)
				}
				w.holds(r, "no map")
			}
		})
	}
}
