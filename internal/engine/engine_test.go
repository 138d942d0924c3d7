// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package engine_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/engine"
	"github.com/bpfmap-io/bpfmap-operator/internal/plan"
)

const (
	ready   = v1alpha1.NodeMapReady
	stalled = v1alpha1.NodeMapStalled
	failed  = v1alpha1.NodeMapFailed
)

func TestCreateUpdateRemove(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		first := hash(t, "", "1=10", "2=20")
		report := w.ready(first, engine.ActionCreated)
		if report.MapID == 0 || report.PinPath == "" || report.Digest != first.Digest || *report.Entries != 2 || report.MemlockBytes == 0 {
			t.Errorf("report %+v", report)
		}
		w.holds(first, "1=10 2=20")
		second := hash(t, "", "2=21", "3=30")
		if updated := w.ready(second, engine.ActionUpdated); updated.MapID != report.MapID || *updated.Entries != 2 {
			t.Errorf("report %+v, want the same map", updated)
		}
		w.holds(second, "2=21 3=30")
		if removed := w.Remove(t.Context(), key); removed.State != ready || removed.Action != engine.ActionRemoved {
			t.Errorf("Remove: %+v", removed)
		}
		w.holds(second, "no map")
		if again := w.Remove(t.Context(), key); again.Action != engine.ActionNone || again.Err != nil {
			t.Errorf("a second Remove: %+v", again)
		}
	})
}

func TestMergeLeavesOthersAlone(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		first := hash(t, "", "1=10", "2=20")
		w.ready(first, engine.ActionCreated)
		m := w.open(first)
		w.must(m.Write(w.Context(), []byte{9}, []byte{90}))
		w.ready(first, engine.ActionNone)
		second := hash(t, "", "1=11")
		w.ready(second, engine.ActionUpdated)
		w.holds(second, "1=11 9=90")
		// A key that others wrote first becomes ours when it is declared, and goes with the declaration.
		w.ready(hash(t, "", "9=91"), engine.ActionUpdated)
		w.holds(second, "9=91")
		w.ready(hash(t, ""), engine.ActionUpdated)
		w.holds(second, "")
	})
}

func TestMirrorHoldsExactly(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		r := hash(t, "syncPolicy: Mirror,", "1=10")
		w.ready(r, engine.ActionCreated)
		w.must(w.open(r).Write(w.Context(), []byte{9, 8, 1}, []byte{90, 80, 11}))
		report := w.ready(r, engine.ActionRepaired)
		if report.Drift == nil || report.Drift.Summary != "1 entry changed, 2 to delete" || report.DriftCount != 1 {
			t.Errorf("report %+v, drift %+v", report, report.Drift)
		}
		w.holds(r, "1=10")
	})
}

func TestSeedIsWrittenOnce(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		r := hash(t, "syncPolicy: Seed,", "1=10", "2=20")
		w.ready(r, engine.ActionCreated)
		w.must(w.open(r).Write(w.Context(), []byte{1, 9}, []byte{11, 90}))
		w.must(w.open(r).Delete(w.Context(), []byte{2}))
		w.ready(r, engine.ActionNone)
		changed := hash(t, "syncPolicy: Seed,", "1=12")
		w.ready(changed, engine.ActionUpdated)
		w.holds(r, "1=11 9=90")
	})
}

func TestArraysDeleteByZero(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		const spec = "{type: Array, value: {type: u16}, maxEntries: 4, "
		w.ready(table(t, spec, "0=7", "2=300"), engine.ActionCreated)
		r := table(t, spec, "1=5")
		w.must(w.open(r).Write(w.Context(), []byte{3, 0, 0, 0}, []byte{1, 0}))
		report := w.ready(r, engine.ActionUpdated)
		w.holds(r, "0=0 1=5 2=0 3=1")
		if report.Entries != nil {
			t.Errorf("entries of an array: %d", *report.Entries)
		}
		w.ready(table(t, spec+"syncPolicy: Mirror, ", "1=5"), engine.ActionUpdated)
		w.holds(r, "0=0 1=5 2=0 3=0")
	})
}

func TestLPM(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		const spec = "{type: LPMTrie, key: {type: ipv4Prefix}, value: {type: u8}, maxEntries: 16, "
		r := table(t, spec, "10.0.0.0/8=1", "10.1.0.0/16=2", "0.0.0.0/0=3")
		w.ready(r, engine.ActionCreated)
		w.holds(r, "0.0.0.0/0=3 10.0.0.0/8=1 10.1.0.0/16=2")
		r = table(t, spec, "10.0.0.0/8=1")
		w.ready(r, engine.ActionUpdated)
		w.holds(r, "10.0.0.0/8=1")
	})
}

func TestPerCPU(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		cpus := w.b.PossibleCPUs()
		list := strings.TrimSuffix(strings.Repeat("7, ", cpus), ", ")
		r := rev(t, "{type: PerCPUHash, key: {type: u8}, value: {type: u32}, maxEntries: 4, entries: [{key: 1, value: 5}, {key: 2, values: ["+list+"]}]}")
		report := w.ready(r, engine.ActionCreated)
		w.holds(r, "1=5 2=7")
		if *report.Entries != 2 {
			t.Errorf("%d entries", *report.Entries)
		}
		wrong := rev(t, "{type: PerCPUHash, key: {type: u8}, value: {type: u32}, maxEntries: 4, entries: [{key: 2, values: ["+list+", 7]}]}")
		report = w.sync(wrong, stalled, engine.ActionNone)
		if want := fmt.Sprintf("lists the values of %d CPUs, this node has %d possible CPUs", cpus+1, cpus); report.Reason != v1alpha1.NodeReasonInvalidRevision || !strings.Contains(report.Message, want) {
			t.Errorf("%s: %s", report.Reason, report.Message)
		}
		w.holds(r, "1=5 2=7")
	})
}

func TestLRUEvictionIsNoDrift(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		r := table(t, "{type: LRUHash, key: {type: u32}, value: {type: u8}, maxEntries: 64, ", "1=1", "2=2", "3=3")
		w.ready(r, engine.ActionCreated)
		w.must(w.open(r).Delete(w.Context(), []byte{2, 0, 0, 0}))
		report := w.sync(r, ready, engine.ActionUpdated)
		if report.Drift != nil || report.DriftCount != 0 {
			t.Errorf("an evicted element counts as drift: %+v", report.Drift)
		}
		w.holds(r, "1=1 2=2 3=3")
		w.must(w.open(r).Write(w.Context(), []byte{2, 0, 0, 0}, []byte{9}))
		if w.sync(r, ready, engine.ActionRepaired).Drift == nil {
			t.Error("another value in an LRU map is not drift")
		}
	})
}

func TestKeyless(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		for _, typ := range []string{"Queue", "Stack"} {
			r := table(t, "{type: "+typ+", value: {type: u16}, maxEntries: 2, syncPolicy: Seed, pin: {path: bpfmap/edge/"+typ+"}, ", "1", "2")
			r.Key.Name = strings.ToLower(typ)
			report := w.ready(r, engine.ActionCreated)
			if report.Entries != nil {
				t.Errorf("%s has %d entries", typ, *report.Entries)
			}
		}
	})
}

func TestFreezeIsForGood(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		r := hash(t, "freeze: true,", "1=10")
		report := w.ready(r, engine.ActionCreated)
		if !report.Frozen {
			t.Error("the map isn't frozen")
		}
		changed := hash(t, "freeze: true,", "1=11")
		report2 := w.sync(changed, stalled, engine.ActionNone)
		if report2.Reason != v1alpha1.NodeReasonFrozen || !strings.Contains(report2.Message, "1 entry changed") || report2.MapID != report.MapID {
			t.Errorf("%+v", report2)
		}
		thawed := w.sync(hash(t, "", "1=10"), stalled, engine.ActionNone)
		if thawed.Reason != v1alpha1.NodeReasonFrozen {
			t.Errorf("%s: %s", thawed.Reason, thawed.Message)
		}
		w.holds(r, "1=10")
		swapped := w.ready(hash(t, "freeze: true, replacePolicy: Swap,", "1=11"), engine.ActionReplaced)
		if swapped.MapID == report.MapID || !swapped.Frozen {
			t.Errorf("%+v", swapped)
		}
		w.holds(r, "1=11")
	})
}

func TestLateFreeze(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		first := w.ready(hash(t, "", "1=10"), engine.ActionCreated)
		r := hash(t, "freeze: true,", "1=11")
		if second := w.ready(r, engine.ActionUpdated); second.MapID != first.MapID || !second.Frozen {
			t.Errorf("%+v", second)
		}
		w.holds(r, "1=11")
	})
}

func TestAdoption(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		r := hash(t, "", "1=10")
		m := w.foreign(r, r.Shape)
		w.must(m.Write(w.Context(), []byte{9}, []byte{90}))
		report := w.ready(r, engine.ActionAdopted)
		if report.MapID != w.id(m) {
			t.Errorf("adopted map %d, want %d", report.MapID, w.id(m))
		}
		w.holds(r, "1=10 9=90")
	})
}

func TestIncompatibleMapIsNeverTouched(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		r := hash(t, "replacePolicy: Swap,", "1=10")
		other := r.Shape
		other.MaxEntries, other.ValueSize = 9, 2
		m := w.foreign(r, other)
		report := w.sync(r, stalled, engine.ActionNone)
		for _, want := range []string{"value size: have 2, want 1", "maxEntries: have 9, want 8", "not made by this operator"} {
			if !strings.Contains(report.Message, want) {
				t.Errorf("message %q doesn't say %q", report.Message, want)
			}
		}
		if report.Reason != v1alpha1.NodeReasonIncompatible || w.id(w.open(r)) != w.id(m) {
			t.Errorf("reason %s, map %d, want map %d", report.Reason, w.id(w.open(r)), w.id(m))
		}
	})
}

func TestDrift(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		r := hash(t, "", "1=10", "2=20")
		id := w.ready(r, engine.ActionCreated).MapID
		for i, c := range []struct {
			kind  plan.DriftKind
			wreck func()
		}{
			{plan.DriftContents, func() { w.must(w.open(r).Write(w.Context(), []byte{1}, []byte{66})) }},
			{plan.DriftContents, func() { w.must(w.open(r).Delete(w.Context(), []byte{2})) }},
			{plan.DriftPinRemoved, func() { w.must(w.b.Unpin(t.Context(), key, r.Pin.Path, id)) }},
			{plan.DriftPinMode, func() {
				pin := r.Pin
				pin.Mode = 0o666
				w.must(w.b.Publish(t.Context(), key, w.open(r), pin))
			}},
		} {
			c.wreck()
			report := w.ready(r, engine.ActionRepaired)
			if report.Drift == nil || report.Drift.Kind != c.kind || !report.Drift.Repaired || report.DriftCount != int64(i+1) || report.MapID != id {
				t.Errorf("%s: report %+v, drift %+v", c.kind, report, report.Drift)
			}
			w.holds(r, "1=10 2=20")
		}
	})
}

func TestPinReplacedByOthers(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		r := hash(t, "", "1=10")
		w.ready(r, engine.ActionCreated)
		m := w.foreign(r, r.Shape)
		w.must(m.Write(w.Context(), []byte{9}, []byte{90}))
		report := w.ready(r, engine.ActionAdopted)
		if report.Drift == nil || report.Drift.Kind != plan.DriftPinReplaced || report.MapID != w.id(m) {
			t.Errorf("report %+v, drift %+v", report, report.Drift)
		}
		w.holds(r, "1=10 9=90")
		other := r.Shape
		other.MaxEntries = 99
		w.foreign(r, other)
		if report := w.sync(r, stalled, engine.ActionNone); report.Reason != v1alpha1.NodeReasonIncompatible {
			t.Errorf("report %+v", report)
		}
	})
}

func TestDriftIsOnlyReported(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		r := hash(t, "driftPolicy: Report,", "1=10")
		w.ready(r, engine.ActionCreated)
		w.must(w.open(r).Write(w.Context(), []byte{1}, []byte{66}))
		for range 2 {
			report := w.sync(r, ready, engine.ActionNone)
			if report.Reason != v1alpha1.NodeReasonDrifted || report.Drift == nil || report.Drift.Repaired || report.DriftCount != 1 || report.Digest != "" {
				t.Errorf("report %+v, drift %+v", report, report.Drift)
			}
			w.holds(r, "1=66")
		}
		changed := hash(t, "driftPolicy: Report,", "1=11")
		w.ready(changed, engine.ActionUpdated)
		w.holds(r, "1=11")
	})
}
