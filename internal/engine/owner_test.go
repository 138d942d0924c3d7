// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package engine_test

import (
	"context"
	"strings"
	"testing"

	"github.com/bpfmap-io/bpfmap-operator/internal/engine"
	"github.com/bpfmap-io/bpfmap-operator/internal/engine/enginetest"
	"github.com/bpfmap-io/bpfmap-operator/internal/ownership"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
)

// counted is a map of which programs own a part of the values.
const counted = "{type: Hash, key: {type: u8}, maxEntries: 8, value: {fields: [{name: a, type: u8}, {name: hits, type: u8, owner: Program}]}, "

// program writes an element of the map at the pin.
func (w *world) program(r *revision.Revision, bytes ...byte) {
	w.Helper()
	w.must(w.open(r).Write(w.Context(), bytes[:1], bytes[1:]))
}

// as is a copy of a revision with the name of the n-th.
func as(r *revision.Revision, name string) *revision.Revision { r.Name = name; return r }

// during lets something happen before the first call of a name, and syncs.
func (w *world) during(r *revision.Revision, call string, do func(on engine.Map)) engine.Report {
	done := false
	f := &enginetest.Faulty{Backend: w.b, Fault: enginetest.Fault{Call: never}}
	f.Before = func(name string, on engine.Map) {
		if name == call && !done {
			done = true
			do(on)
		}
	}
	report := engine.New(f, engine.Options{}).Sync(w.Context(), r)
	if !done {
		w.Errorf("%s was not called", call)
	}
	return report
}

// TestProgramsKeepWhatTheyOwn: through resyncs, edits of other entries and of the entry itself, and drift.
func TestProgramsKeepWhatTheyOwn(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		r := table(t, counted, "1={a: 1}", "2={a: 2, hits: 5}")
		w.ready(r, engine.ActionCreated)
		w.holds(r, "1={a: 1, hits: 0} 2={a: 2, hits: 5}")
		w.program(r, 1, 1, 77)
		w.ready(r, engine.ActionNone)
		next := as(table(t, counted, "1={a: 1}", "2={a: 3, hits: 9}", "3={a: 3, hits: 4}"), "table-2")
		report := w.ready(next, engine.ActionUpdated)
		w.holds(r, "1={a: 1, hits: 77} 2={a: 3, hits: 5} 3={a: 3, hits: 4}")
		if report.Shared == nil || report.Shared.Declared != 1 || report.Shared.Way == "" {
			w.Errorf("how it was written: %+v", report.Shared)
		}
		w.program(r, 1, 9, 78)
		if report := w.ready(next, engine.ActionRepaired); report.Drift.String() != "1 entry changed: 1: a 9 → 1" {
			w.Errorf("drift %s: %+v, of %+v", report.Drift, *report.Drift, report.Plan.Changes)
		}
		w.holds(r, "1={a: 1, hits: 78} 2={a: 3, hits: 5} 3={a: 3, hits: 4}")
		first := as(table(t, counted, "1={a: 1, hits: 99}", "2={a: 3}", "3={a: 3}"), "table-3")
		if p, err := w.Plan(w.Context(), first); err != nil || !p.Changes.IsEmpty() {
			w.Errorf("other first values are a change: %v\n%s", err, p.String())
		}
		w.ready(first, engine.ActionUpdated)
		w.holds(r, "1={a: 1, hits: 78} 2={a: 3, hits: 5} 3={a: 3, hits: 4}")
	})
}

// TestKeysAreDeclaredValuesAreThePrograms: Git adds and retires keys.
func TestKeysAreDeclaredValuesAreThePrograms(t *testing.T) {
	const keysOnly = "{type: Hash, key: {type: u8}, maxEntries: 8, value: {type: u8, owner: Program}, "
	onBoth(t, func(t *testing.T, w *world) {
		r := rev(t, keysOnly+"entries: [{key: 1}, {key: 2}]}")
		w.ready(r, engine.ActionCreated)
		w.program(r, 1, 10)
		w.program(r, 9, 90)
		w.ready(r, engine.ActionNone)
		w.ready(as(rev(t, keysOnly+"entries: [{key: 1}, {key: 3}]}"), "table-2"), engine.ActionUpdated)
		w.holds(r, "1=10 3=0 9=90")
	})
}

// TestAProgramMakesADeclaredKey between the look at the map and the write: what it owns stays.
func TestAProgramMakesADeclaredKey(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		w.ready(table(t, counted, "1={a: 1}"), engine.ActionCreated)
		r := as(table(t, counted, "1={a: 1}", "2={a: 2}"), "table-2")
		w.during(r, "Add", func(engine.Map) { w.program(r, 2, 0, 55) })
		w.holds(r, "1={a: 1, hits: 0} 2={a: 2, hits: 55}")
		w.ready(r, engine.ActionNone)
	})
}

// TestAProgramDeletesADeclaredKey between the look at the map and the write: it is there in the end, as a new one.
func TestAProgramDeletesADeclaredKey(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		w.ready(table(t, counted, "1={a: 1}"), engine.ActionCreated)
		r := as(table(t, counted, "1={a: 2, hits: 7}"), "table-2")
		w.program(r, 1, 1, 55)
		w.during(r, "Store", func(on engine.Map) { w.must(on.Delete(w.Context(), []byte{1})) })
		w.holds(r, "1={a: 2, hits: 7}")
		w.ready(r, engine.ActionNone)
	})
}

// TestArraysKeepWhatProgramsOwn where a key leaves the declaration.
func TestArraysKeepWhatProgramsOwn(t *testing.T) {
	const array = "{type: Array, maxEntries: 4, value: {fields: [{name: a, type: u8}, {name: hits, type: u8, owner: Program}]}, "
	onBoth(t, func(t *testing.T, w *world) {
		r := table(t, array, "1={a: 1, hits: 3}", "2={a: 2}")
		w.ready(r, engine.ActionCreated)
		w.must(w.open(r).Write(w.Context(), []byte{2, 0, 0, 0}, []byte{2, 66}))
		w.ready(as(table(t, array, "1={a: 1}", "3={a: 3, hits: 9}"), "table-2"), engine.ActionUpdated)
		w.holds(r, "0={a: 0, hits: 0} 1={a: 1, hits: 3} 2={a: 0, hits: 66} 3={a: 3, hits: 0}")
	})
}

// TestSwapKeepsWhatProgramsOwn: in a map of another capacity, in one with more fields, and what is written while that is
// made.
func TestSwapKeepsWhatProgramsOwn(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		r := table(t, counted+"replacePolicy: Swap, ", "1={a: 1}", "2={a: 2}")
		w.ready(r, engine.ActionCreated)
		w.program(r, 1, 1, 77)
		w.program(r, 9, 9, 99)
		old := w.open(r)
		larger := as(table(t, strings.Replace(counted, "maxEntries: 8", "maxEntries: 9", 1)+"replacePolicy: Swap, ", "1={a: 5}", "2={a: 2}"), "table-2")
		report := w.during(larger, "Publish", func(engine.Map) { w.must(old.Write(w.Context(), []byte{2}, []byte{2, 44})) })
		if report.Action != engine.ActionReplaced || !strings.Contains(report.Message, "1 element and what programs wrote into 3 declared entries moved over, 1 of them") {
			w.Errorf("%s: %s", report.Action, report.Message)
		}
		w.holds(larger, "1={a: 5, hits: 77} 2={a: 2, hits: 44} 9={a: 9, hits: 99}")
		w.must(w.open(larger).Delete(w.Context(), []byte{9}))
		more := as(table(t, "{type: Hash, key: {type: u8}, maxEntries: 9, replacePolicy: Swap, value: {fields: [{name: hits, type: u8, owner: Program}, {name: seen, type: u8, owner: Program, default: 8}, {name: a, type: u8}]}, ",
			"1={a: 5}", "2={a: 2}"), "table-3")
		report = w.ready(more, engine.ActionReplaced)
		w.holds(more, "1={hits: 77, seen: 8, a: 5} 2={hits: 44, seen: 8, a: 2}")
		if !strings.Contains(report.Message, "seen in declared entries starts anew: the map before has no such field of that type") {
			w.Errorf("the message: %s", report.Message)
		}
	})
}

// TestSeeds: each declared key is put in once, into adopted maps and for keys that are declared later, and is the programs'
// from then on.
func TestSeeds(t *testing.T) {
	const seeded = "syncPolicy: Seed, replacePolicy: Swap, "
	onBoth(t, func(t *testing.T, w *world) {
		r := hash(t, seeded, "1=10", "2=20")
		m := w.foreign(r, r.Shape)
		w.must(m.Write(w.Context(), []byte{2}, []byte{99}))
		w.ready(r, engine.ActionAdopted)
		w.holds(r, "1=10 2=99")
		w.must(m.Delete(w.Context(), []byte{1}))
		w.ready(r, engine.ActionNone)
		more := as(hash(t, seeded, "1=10", "2=20", "3=30", "4=40"), "table-2")
		again := engine.New(w.b, engine.Options{})
		if report := w.during(more, "Add", func(engine.Map) { w.must(m.Write(w.Context(), []byte{4}, []byte{44})) }); report.Action != engine.ActionUpdated {
			w.Errorf("%+v", report)
		}
		w.holds(r, "2=99 3=30 4=44")
		fewer := as(hash(t, seeded, "1=10", "3=30"), "table-3")
		w.ready(fewer, engine.ActionUpdated)
		w.holds(r, "2=99 3=30 4=44")
		w.must(m.Delete(w.Context(), []byte{3}))
		swapped := as(rev(t, "{type: Hash, key: {type: u8}, value: {type: u8}, maxEntries: 9, "+seeded+"entries: [{key: 1, value: 1}, {key: 3, value: 3}, {key: 5, value: 5}]}"), "table-4")
		if report := again.Sync(w.Context(), swapped); report.Action != engine.ActionReplaced {
			w.Errorf("%s: %s", report.Action, report.Message)
		}
		w.holds(swapped, "2=99 4=44 5=5")
	})
}

// TestSeedsOfBefore: records didn't tell which keys were put in. They count as put in, once the map was seen so.
func TestSeedsOfBefore(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		r := hash(t, "syncPolicy: Seed, ", "1=10", "2=20")
		w.ready(r, engine.ActionCreated)
		w.must(w.open(r).Delete(w.Context(), []byte{1}))
		state, err := w.b.Open(w.Context(), key, nil)
		w.must(err)
		w.must(state.KeepAlive.Close())
		rec := *state.Record
		rec.Seeded, rec.Keys.Added, rec.Origin = false, nil, ownership.Origin{}
		w.must(w.b.SaveRecord(w.Context(), &rec))
		w.ready(r, engine.ActionNone)
		w.ready(as(hash(t, "syncPolicy: Seed, ", "1=10", "2=20", "3=30"), "table-2"), engine.ActionUpdated)
		w.holds(r, "2=20 3=30")
	})
}

// TestQueuesTellWhatIsLeftOut: into one that is there nothing is pushed, and that is said each time.
func TestQueuesTellWhatIsLeftOut(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		r := table(t, "{type: Queue, value: {type: u32}, maxEntries: 8, ", "1", "2")
		w.foreign(r, r.Shape)
		w.ready(r, engine.ActionAdopted)
		for range 2 {
			if report := w.ready(r, engine.ActionNone); !strings.HasPrefix(report.Message, "2 entries are not written: a map of this type gets its entries only when it is made") {
				w.Errorf("the message: %s", report.Message)
			}
		}
	})
}

// TestReportsSurviveARestart: what others changed stays when another entry is edited, also for an agent that starts anew.
func TestReportsSurviveARestart(t *testing.T) {
	const reports = "driftPolicy: Report, "
	onBoth(t, func(t *testing.T, w *world) {
		r := hash(t, reports, "1=10", "2=20", "3=30")
		w.ready(r, engine.ActionCreated)
		w.program(r, 1, 11)
		w.must(w.open(r).Delete(w.Context(), []byte{2}))
		w.program(r, 3, 33)
		edited := as(hash(t, reports, "1=10", "2=20", "3=31", "4=40"), "table-2")
		report := engine.New(w.b, engine.Options{}).Sync(context.Background(), edited)
		w.holds(r, "1=11 3=31 4=40")
		if report.Drift == nil || report.Drift.Overwritten != 1 || report.Drift.Repaired {
			w.Errorf("drift %+v: %s", report.Drift, report.Message)
		}
	})
}

// TestReportsWithoutARecord of what was declared: everything is written, and that is said.
func TestReportsWithoutARecord(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		r := hash(t, "driftPolicy: Report, ", "1=10")
		w.ready(r, engine.ActionCreated)
		w.program(r, 1, 11)
		state, err := w.b.Open(w.Context(), key, nil)
		w.must(err)
		w.must(state.KeepAlive.Close())
		rec := *state.Record
		rec.Declared = nil
		w.must(w.b.SaveRecord(w.Context(), &rec))
		report := w.ready(as(hash(t, "driftPolicy: Report, ", "1=10", "2=20"), "table-2"), engine.ActionUpdated)
		w.holds(r, "1=10 2=20")
		if !strings.Contains(report.Message, "what others changed before this revision is not known, and was overwritten") {
			w.Errorf("the message: %s", report.Message)
		}
	})
}
