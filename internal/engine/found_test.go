// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package engine_test

import (
	"strings"
	"syscall"
	"testing"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/bpf/bpftest"
	"github.com/bpfmap-io/bpfmap-operator/internal/engine"
	"github.com/bpfmap-io/bpfmap-operator/internal/engine/enginetest"
	"github.com/bpfmap-io/bpfmap-operator/internal/plan"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
)

// What histories of the model found, each as a test of its own.

// wrecked is a world that can be wrecked as histories do.
type wrecked struct {
	*world
	rig *rig
}

// onRigs runs a test on both backends.
func onRigs(t *testing.T, test func(w *wrecked)) {
	t.Run("memory", func(t *testing.T) {
		r := memoryRig()
		test(&wrecked{newWorld(t, r.Backend), r})
	})
	t.Run("kernel", func(t *testing.T) {
		r := kernelRig(t, bpftest.BPFFS(t), "")
		test(&wrecked{newWorld(t, r.Backend), r})
	})
}

// cutOff lets an engine die at each call of a Sync, one after the other, each time in a new world.
// before makes the world, after checks what a new engine finds.
func cutOff(t *testing.T, before func(w *wrecked), to func(t *testing.T) *revision.Revision, after func(w *wrecked)) {
	for hit, call := true, 0; hit; call += stride {
		hit = false
		onRigs(t, func(w *wrecked) {
			before(w)
			dying := &enginetest.Faulty{Backend: w.b, Fault: enginetest.Fault{Call: call, Err: syscall.EIO, Dead: true}}
			engine.New(dying, engine.Options{}).Sync(w.Context(), to(w.T))
			hit = hit || dying.Hit() != ""
			after(w)
		})
	}
}

// with syncs through a backend with a fault.
func (w *wrecked) with(f enginetest.Fault, r *revision.Revision) engine.Report {
	w.Helper()
	return engine.New(&enginetest.Faulty{Backend: w.b, Fault: f}, engine.Options{}).Sync(w.Context(), r)
}

// incomplete is a map whose keys are deleted while it is read, all the time.
var incomplete = enginetest.Fault{Kind: enginetest.Incomplete}

const wide = "{type: Hash, key: {type: u16}, value: {type: u8}, maxEntries: 8, replacePolicy: Swap, "

func TestFailuresReportWhatIsThere(t *testing.T) {
	onRigs(t, func(w *wrecked) {
		first := hash(w.T, "", "1=10")
		w.ready(first, engine.ActionCreated)
		w.must(w.open(first).Write(w.Context(), []byte{9, 8}, []byte{90, 80}))
		full := hash(w.T, "", "1=10", "2=2", "3=3", "4=4", "5=5", "6=6", "7=7")
		if report := w.sync(full, failed, engine.ActionNone); *report.Entries > 8 {
			w.Errorf("a map of 8 is said to hold %d elements", *report.Entries)
		}
		w.must(w.Remove(w.Context(), key).Err)
		frozen := hash(w.T, "freeze: true,", "1=10")
		w.ready(frozen, engine.ActionCreated)
		if report := w.sync(hash(w.T, "freeze: true,", "1=10", "2=20"), stalled, engine.ActionNone); *report.Entries != 1 {
			w.Errorf("a frozen map of one element is said to hold %d", *report.Entries)
		}
	})
}

func TestAMapThatCannotBeDescribedIsNotReady(t *testing.T) {
	onRigs(t, func(w *wrecked) {
		r := hash(w.T, "", "1=10")
		for call := range 20 {
			report := w.with(enginetest.Fault{Call: call, Err: syscall.ENOMEM}, r)
			if report.State == ready && report.MapID == 0 {
				w.Errorf("call %d failed, and map 0 is ready", call)
			}
		}
	})
}

func TestSecondPinIsPutBack(t *testing.T) {
	onRigs(t, func(w *wrecked) {
		r := hash(w.T, "", "1=10")
		id := w.ready(r, engine.ActionCreated).MapID
		w.must(w.rig.lose(key, false))
		w.ready(r, engine.ActionNone)
		w.must(w.b.Unpin(w.Context(), key, r.Pin.Path, id))
		if report := w.ready(r, engine.ActionRepaired); report.MapID != id {
			w.Errorf("map %d, was %d", report.MapID, id)
		}
	})
}

func TestRecordNamesTheBPFMapOfToday(t *testing.T) {
	onRigs(t, func(w *wrecked) {
		mine := hash(w.T, "", "1=10")
		mine.UID = ""
		engine.New(w.b, engine.Options{Local: true}).Sync(w.Context(), mine)
		r := hash(w.T, "", "1=10")
		w.ready(r, engine.ActionUpdated)
		// The cluster has taken over what was declared here, so it removes it, too.
		if report := w.Remove(w.Context(), key); report.Action != engine.ActionRemoved {
			w.Errorf("%+v", report)
		}
		w.holds(r, "no map")
	})
}

func TestRecreatedWhileRemovalWasCutOff(t *testing.T) {
	onRigs(t, func(w *wrecked) {
		r := hash(w.T, "driftPolicy: Report,", "1=10")
		id := w.ready(r, engine.ActionCreated).MapID
		w.must(w.b.Unpin(w.Context(), key, r.Pin.Path, id)) // and then the process died
		w.must(w.rig.lose(key, false))
		again := hash(w.T, "driftPolicy: Report,", "1=10")
		again.UID = "uid-2"
		w.ready(again, engine.ActionCreated)
		w.holds(again, "1=10")
	})
}

func TestKeysOfAnotherSizeCutOff(t *testing.T) {
	cutOff(t,
		func(w *wrecked) { w.ready(hash(w.T, "", "1=10", "2=20"), engine.ActionCreated) },
		func(t *testing.T) *revision.Revision { return table(t, wide, "300=3") },
		func(w *wrecked) {
			r := table(w.T, wide, "300=3")
			if report := w.Sync(w.Context(), r); report.State != ready {
				w.Errorf("%s: %s", report.State, report.Message)
			}
			w.holds(r, "300=3")
		})
}

func TestKeysOfAnotherSizeRolledBack(t *testing.T) {
	cutOff(t,
		func(w *wrecked) {
			old := hash(w.T, "", "1=10", "2=20")
			w.ready(old, engine.ActionCreated)
		},
		func(t *testing.T) *revision.Revision { return table(t, wide, "300=3") },
		func(w *wrecked) {
			r := hash(w.T, "replacePolicy: Swap,", "1=10")
			if report := w.Sync(w.Context(), r); report.State != ready {
				w.Errorf("%s: %s", report.State, report.Message)
			}
			w.holds(r, "1=10")
		})
}

// TestKeysInAnotherOrderRolledBack: what a hash sorts by bytes, an array sorts by index.
func TestKeysInAnotherOrderRolledBack(t *testing.T) {
	const asHash = "{type: Hash, key: {type: u32}, value: {type: u8}, maxEntries: 300, replacePolicy: Swap, "
	cutOff(t,
		func(w *wrecked) { w.ready(table(w.T, asHash, "1=1", "2=2", "256=3", "257=4"), engine.ActionCreated) },
		func(t *testing.T) *revision.Revision {
			return table(t, "{type: Array, value: {type: u8}, maxEntries: 300, replacePolicy: Swap, ", "1=1", "256=3")
		},
		func(w *wrecked) {
			r := table(w.T, asHash, "2=2")
			if report := w.Sync(w.Context(), r); report.State != ready {
				w.Errorf("%s: %s", report.State, report.Message)
			}
			w.holds(r, "2=2")
		})
}

func TestPinMovedWithKeysOfAnotherSize(t *testing.T) {
	onRigs(t, func(w *wrecked) {
		w.ready(hash(w.T, "", "1=10", "2=20"), engine.ActionCreated)
		w.must(w.rig.lose(key, false))
		r := table(w.T, wide+"adoptionPolicy: Adopt, pin: {path: globals/table}, ", "300=3")
		if report := w.Sync(w.Context(), r); report.State != ready {
			w.Errorf("%s: %s", report.State, report.Message)
		}
		w.holds(r, "300=3")
	})
}

func TestMirrorBecomesMerge(t *testing.T) {
	onRigs(t, func(w *wrecked) {
		w.ready(hash(w.T, "syncPolicy: Mirror,", "1=10", "2=20"), engine.ActionCreated)
		r := hash(w.T, "", "1=10")
		w.must(w.open(r).Write(w.Context(), []byte{9}, []byte{90}))
		w.ready(r, engine.ActionUpdated)
		w.holds(r, "1=10 9=90")
	})
}

func movedOnto(t *testing.T) *revision.Revision {
	return hash(t, "adoptionPolicy: Adopt, pin: {path: globals/table},", "1=10")
}

// TestMovedOntoAnotherMapCutOff leaves no pin at the earlier path.
func TestMovedOntoAnotherMapCutOff(t *testing.T) {
	cutOff(t,
		func(w *wrecked) {
			w.ready(hash(w.T, "", "1=10"), engine.ActionCreated)
			to := movedOnto(w.T)
			w.foreign(to, to.Shape)
		},
		movedOnto,
		func(w *wrecked) {
			w.Sync(w.Context(), movedOnto(w.T))
			w.ready(movedOnto(w.T), engine.ActionNone)
			w.holds(hash(w.T, ""), "no map")
		})
}

// TestAdoptionCutOff: until the map of others is ours, our own stays.
func TestAdoptionCutOff(t *testing.T) {
	r := func(t *testing.T) *revision.Revision { return hash(t, "", "1=10", "2=20") }
	cutOff(t,
		func(w *wrecked) {
			first := hash(w.T, "", "1=10")
			w.ready(first, engine.ActionCreated)
			w.must(w.open(first).Write(w.Context(), []byte{9}, []byte{90}))
			w.foreign(first, first.Shape)
		},
		r,
		func(w *wrecked) {
			records, err := w.Records(w.Context())
			w.must(err)
			if records[0].Applied != "" {
				return // it wasn't cut off before the end, or not yet begun
			}
			s, err := w.b.Open(w.Context(), key, &r(w.T).Pin)
			w.must(err)
			pinned := w.id(s.Pinned)
			own := s.KeepAlive != nil && w.id(s.KeepAlive) != pinned
			w.must(s.Pinned.Close())
			w.must(s.KeepAlive.Close())
			w.must(w.b.Unpin(w.Context(), key, r(w.T).Pin.Path, pinned))
			w.Sync(w.Context(), r(w.T))
			if own {
				w.holds(r(w.T), "1=10 2=20 9=90")
			}
		})
}

// TestEarlierPinIsStillOurs: a pin that is being moved isn't free for another BPFMap.
func TestEarlierPinIsStillOurs(t *testing.T) {
	cutOff(t,
		func(w *wrecked) { w.ready(hash(w.T, "", "1=10"), engine.ActionCreated) },
		func(t *testing.T) *revision.Revision {
			return hash(t, "adoptionPolicy: Adopt, pin: {path: globals/table},", "1=10")
		},
		func(w *wrecked) {
			records, err := w.Records(w.Context())
			w.must(err)
			thief := hash(w.T, "", "1=66")
			thief.Key.Name = "thief"
			report := w.Sync(w.Context(), thief)
			if len(records[0].PreviousPaths) > 0 && report.Reason != v1alpha1.NodeReasonPinConflict {
				w.Errorf("%s: %s", report.Reason, report.Message)
			}
		})
}

func TestKeysOfOurMapAreNotThoseOfAnother(t *testing.T) {
	onRigs(t, func(w *wrecked) {
		w.ready(hash(w.T, "", "1=10", "2=20"), engine.ActionCreated)
		r := hash(w.T, "", "1=10")
		w.must(w.foreign(r, r.Shape).Write(w.Context(), []byte{2}, []byte{99}))
		w.ready(r, engine.ActionAdopted)
		w.holds(r, "1=10 2=99")
	})
}

func TestIncompleteReadingLosesNothing(t *testing.T) {
	onRigs(t, func(w *wrecked) {
		first := hash(w.T, "", "1=10", "2=20")
		w.ready(first, engine.ActionCreated)
		w.must(w.open(first).Write(w.Context(), []byte{8, 9}, []byte{80, 90}))
		// What wasn't seen isn't moved, so nothing is replaced.
		bigger := table(w.T, "{type: Hash, key: {type: u8}, value: {type: u8}, maxEntries: 16, replacePolicy: Swap, ", "1=10")
		if report := w.with(incomplete, bigger); report.State != failed {
			w.Errorf("%s: %s", report.State, report.Message)
		}
		w.holds(first, "1=10 2=20 8=80 9=90")
		// What is to go and wasn't seen is looked for again.
		fewer := hash(w.T, "", "1=10")
		w.with(incomplete, fewer)
		w.sync(fewer, ready, engine.ActionUpdated)
		w.holds(fewer, "1=10 8=80 9=90")
		// A frozen map doesn't need what wasn't seen.
		frozen := hash(w.T, "freeze: true,", "1=10", "2=20", "3=30", "4=40")
		w.ready(frozen, engine.ActionUpdated)
		if report := w.with(incomplete, frozen); report.State != ready || report.Action != engine.ActionNone {
			w.Errorf("%s %s: %s", report.State, report.Action, report.Message)
		}
	})
}

func TestFrozenByOthers(t *testing.T) {
	onRigs(t, func(w *wrecked) {
		r := hash(w.T, "replacePolicy: Swap, driftPolicy: Report,", "1=10")
		id := w.ready(r, engine.ActionCreated).MapID
		w.must(w.open(r).Freeze(w.Context()))
		if report := w.sync(r, ready, engine.ActionNone); report.Drift == nil || report.Drift.Kind != plan.DriftFrozen || report.MapID != id {
			w.Errorf("%+v", report)
		}
		repaired := hash(w.T, "replacePolicy: Swap,", "1=10")
		w.ready(repaired, engine.ActionReplaced)
		w.must(w.open(r).Freeze(w.Context()))
		if report := w.ready(repaired, engine.ActionReplaced); report.Drift == nil || !report.Drift.Repaired || report.DriftCount != 2 {
			w.Errorf("%+v, drift %+v", report, report.Drift)
		}
	})
}

func TestReportedDriftComesAgain(t *testing.T) {
	onRigs(t, func(w *wrecked) {
		r := hash(w.T, "driftPolicy: Report,", "1=10")
		w.ready(r, engine.ActionCreated)
		for want := int64(1); want <= 2; want++ {
			w.must(w.open(r).Write(w.Context(), []byte{1}, []byte{66}))
			for range 2 {
				if report := w.sync(r, ready, engine.ActionNone); report.DriftCount != want {
					w.Errorf("%d times, want %d", report.DriftCount, want)
				}
			}
			w.must(w.open(r).Write(w.Context(), []byte{1}, []byte{10}))
			w.ready(r, engine.ActionNone)
		}
	})
}

// TestNothingIsLeftOfACutOffCreation: not even a directory.
func TestNothingIsLeftOfACutOffCreation(t *testing.T) {
	root := bpftest.BPFFS(t)
	for hit, call := "first", 0; hit != ""; call += stride {
		r := kernelRig(t, root, "")
		w := newWorld(t, r.Backend)
		stop := r.arms(&modelFault{Fault: enginetest.Fault{Call: call, Dead: true}, errno: syscall.EIO, below: true}, nil)
		w.Sync(t.Context(), hash(t, "", "1=10"))
		hit = stop()
		if report := w.Remove(t.Context(), key); report.Err != nil {
			t.Error(report.Err)
		}
		all, err := r.everything()
		w.must(err)
		for _, path := range all {
			if !strings.Contains(path, ".") {
				t.Errorf("dead at call %d (%s): %s is left", call, hit, path)
			}
		}
		w.must(r.wipe())
	}
}
