// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package engine_test

import (
	"context"
	"strings"
	"testing"

	"github.com/bpfmap-io/bpfmap-operator/internal/engine"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
)

// lateWriter is a backend whose map is written by somebody else in the last moment before it is replaced.
type lateWriter struct {
	engine.Backend
	old    engine.Map
	writes func(engine.Map)
}

func (b *lateWriter) Publish(ctx context.Context, key revision.Key, m engine.Map, pin revision.Pin, replaces ...uint32) error {
	if len(replaces) > 0 {
		b.writes(b.old)
	}
	return b.Backend.Publish(ctx, key, m, pin, replaces...)
}

// TestSecondSweep moves what others write between the copy and the switch, too.
func TestSecondSweep(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		first := hash(t, "", "1=10", "2=20")
		w.ready(first, engine.ActionCreated)
		old := w.open(first)
		w.must(old.Write(w.Context(), []byte{8, 9}, []byte{80, 90}))
		b := &lateWriter{Backend: w.b, old: old, writes: func(m engine.Map) {
			w.must(m.Write(w.Context(), []byte{9, 7, 1}, []byte{91, 70, 66}))
		}}
		bigger := table(t, "{type: Hash, key: {type: u8}, value: {type: u8}, maxEntries: 16, replacePolicy: Swap, ", "1=11")
		report := engine.New(b, engine.Options{}).Sync(t.Context(), bigger)
		if report.Action != engine.ActionReplaced || !strings.Contains(report.Message, "4 elements moved over, 2 of them written in the") {
			t.Errorf("%s: %s", report.Action, report.Message)
		}
		w.holds(bigger, "1=11 7=70 8=80 9=91")

		// A frozen map takes nothing after the switch: what is written then is lost, and the message
		// says where it is.
		b.old, b.writes = w.open(bigger), func(m engine.Map) { w.must(m.Write(w.Context(), []byte{6}, []byte{60})) }
		frozen := table(t, "{type: Hash, key: {type: u8}, value: {type: u8}, maxEntries: 32, freeze: true, replacePolicy: Swap, ", "1=11")
		report = engine.New(b, engine.Options{}).Sync(t.Context(), frozen)
		if report.Action != engine.ActionReplaced || !strings.Contains(report.Message, "are not copied") {
			t.Errorf("%s: %s", report.Action, report.Message)
		}
		w.holds(frozen, "1=11 7=70 8=80 9=91")
	})
}

// TestUnfrozenTwin freezes what somebody put in the place of a frozen map.
func TestUnfrozenTwin(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		r := hash(t, "freeze: true,", "1=10")
		ours := w.ready(r, engine.ActionCreated)
		twin := w.foreign(r, r.Shape)
		w.must(twin.Write(w.Context(), []byte{1}, []byte{10}))
		report := w.Sync(t.Context(), r)
		if report.Drift == nil || report.Drift.Summary != "another map took the pin" || !report.Drift.Repaired || !report.Frozen {
			t.Errorf("%+v, drift %+v", report, report.Drift)
		}
		if report.MapID == ours.MapID || report.MapID != w.id(twin) {
			t.Errorf("map %d, want the twin %d in place of %d", report.MapID, w.id(twin), ours.MapID)
		}
		w.ready(r, engine.ActionNone)
	})
}
