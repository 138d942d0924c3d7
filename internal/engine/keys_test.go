// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package engine_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/engine"
	"github.com/bpfmap-io/bpfmap-operator/internal/engine/enginetest"
	"github.com/bpfmap-io/bpfmap-operator/internal/pinstore"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
)

// TestKeysAreReadWhenNeeded: the stored keys of a map are neither read nor written again unless a comparison
// meets an element that isn't declared, or more keys change than a record has room for.
func TestKeysAreReadWhenNeeded(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		var calls []string
		faulty := &enginetest.Faulty{Backend: w.b, Fault: enginetest.Fault{Call: never}}
		faulty.Before = func(name string, _ engine.Map) {
			if name == "Keys" || name == "SaveKeys" {
				calls = append(calls, name)
			}
		}
		e := engine.New(faulty, engine.Options{IncrementalThreshold: 1})
		step := func(what string, r *revision.Revision, want ...string) {
			t.Helper()
			calls = nil
			if report := e.Sync(t.Context(), r); report.State != ready {
				t.Fatalf("%s: %s (%s): %s", what, report.State, report.Reason, report.Message)
			}
			if !slices.Equal(calls, want) {
				t.Errorf("%s: %v, want %v", what, calls, want)
			}
		}
		of := func(n int, first byte) *revision.Revision {
			return (&manyEntries{n: n, value: 4, first: first, room: 60000}).revision(t)
		}
		step("create", of(20000, 1), "SaveKeys")
		step("other values", of(20000, 2))
		step("more keys", of(20100, 2))
		step("compare", of(20100, 2))
		step("fewer keys", of(19990, 2))
		w.must(w.open(of(1, 1)).Write(t.Context(), []byte{9, 9, 9, 9}, []byte{9, 9, 9, 9}))
		step("an element of others", of(19990, 2), "Keys")
		step("many more keys", of(40000, 2), "Keys", "SaveKeys")
		e = engine.New(faulty, engine.Options{})
		step("a new process, same keys", of(40000, 2), "Keys")
		e = engine.New(faulty, engine.Options{})
		step("a new process, other keys", of(39000, 3), "Keys")
		if got := len(elementsOf(w, of(1, 1))); got != 39001 {
			t.Errorf("the map holds %d elements, want those of others and 39000", got)
		}
	})
}

// elementsOf are the keys in the map at a pin.
func elementsOf(w *world, r *revision.Revision) (all []string) {
	w.Helper()
	_, err := w.open(r).Read(w.Context(), func(keys, _ []byte) {
		for key := range slices.Chunk(keys, int(r.Shape.KeySize)) {
			all = append(all, string(key))
		}
	})
	w.must(err)
	return all
}

// TestKeysThatWereGivenUp: a key that left the declaration is nobody's any more, also if the map wasn't read
// for that. What others write there later stays.
func TestKeysThatWereGivenUp(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		w.Sync(t.Context(), hash(t, "", "1=10", "2=20"))
		fewer := hash(t, "", "1=10")
		if report := w.Sync(t.Context(), fewer); report.State != ready || report.Plan.Changes.Deletes() != 1 {
			t.Errorf("%s: %s", report.State, report.Message)
		}
		w.must(w.open(fewer).Write(t.Context(), []byte{2}, []byte{99}))
		w.ready(fewer, engine.ActionNone)
		w.Engine = engine.New(w.b, engine.Options{})
		w.ready(hash(t, "", "1=11"), engine.ActionUpdated)
		w.holds(fewer, "1=11 2=99")
	})
}

// TestOtherTargetsInTheSameEntries: where a name stands for something else now, entries that didn't change
// are written nevertheless.
func TestOtherTargetsInTheSameEntries(t *testing.T) {
	b := enginetest.NewMemory()
	w := newWorld(t, b)
	peers := func(mode string) *revision.Revision {
		return table(t, "{type: Hash, key: {type: u8}, value: {type: ifindex}, maxEntries: 8, pin: {mode: '"+mode+"'}", "1=eth0", "2=eth1")
	}
	eth0, eth1 := v1alpha1.Reference{Type: v1alpha1.TypeIfindex, Name: "eth0"}, v1alpha1.Reference{Type: v1alpha1.TypeIfindex, Name: "eth1"}
	b.SetLink(eth0, 7)
	b.SetLink(eth1, 8)
	w.Sync(t.Context(), peers("0600"))
	b.SetLink(eth0, 9)
	if report := w.Sync(t.Context(), peers("0640")); report.State != ready || report.Plan.Changes.Update.Len() != 1 {
		t.Errorf("%s: %s", report.State, report.Plan.String())
	}
	w.holds(peers("0640"), "1=9 2=8")
}

// TestCrashWithStoredKeys cuts off a change of enough keys that they are stored anew: whatever was the last
// step, what was declared is known to be ours, and goes when it isn't declared any more.
func TestCrashWithStoredKeys(t *testing.T) {
	of := func(n int) *revision.Revision {
		return (&manyEntries{n: n, value: 4, first: 1, room: 30000}).revision(t)
	}
	for name, newBackend := range backends {
		for steps, hit := 0, "first"; hit != ""; steps += stride {
			t.Run(fmt.Sprintf("%s/step %d", name, steps), func(t *testing.T) {
				w := newWorld(t, newBackend(t, pinstore.Options{}))
				w.must(w.Sync(t.Context(), of(9000)).Err)
				dying := &enginetest.Faulty{Backend: w.b, Fault: enginetest.Crash(steps)}
				engine.New(dying, engine.Options{}).Sync(t.Context(), of(26000))
				hit = dying.Hit()
				w.Engine = engine.New(w.b, engine.Options{})
				if report := w.Sync(t.Context(), of(100)); report.State != ready || *report.Entries != 100 {
					t.Errorf("after the crash at %s: %s: %s", hit, report.State, report.Message)
				}
				if got := len(elementsOf(w, of(100))); got != 100 {
					t.Errorf("after the crash at %s: %d elements, want 100", hit, got)
				}
			})
		}
	}
}
