// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package engine_test

import (
	"fmt"
	"strings"
	"syscall"
	"testing"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/engine"
	"github.com/bpfmap-io/bpfmap-operator/internal/engine/enginetest"
	"github.com/bpfmap-io/bpfmap-operator/internal/plan"
)

// Nothing that programs or others put into a map of ours is lost when it is replaced or moved.

// refused wants that Sync does nothing, says why, and leaves the map with id at its pin.
func (w *wrecked) refused(report engine.Report, reason string, parts ...string) {
	w.Helper()
	if report.Reason != reason || report.Action != engine.ActionNone || report.Plan.Action != plan.Stall {
		w.Errorf("%s (%s), action %q: %s", report.State, report.Reason, report.Action, report.Message)
	}
	for _, part := range parts {
		if !strings.Contains(report.Message, part) {
			w.Errorf("message %q, want %q in it", report.Message, part)
		}
	}
}

// TestShorterArray: an element of others that has no place in the new array is for people to decide on.
func TestShorterArray(t *testing.T) {
	onRigs(t, func(w *wrecked) {
		const array = "{type: Array, value: {type: u8}, replacePolicy: Swap, maxEntries: "
		long, short := table(w.T, array+"8", "1=10"), table(w.T, array+"6", "1=10")
		id := w.ready(long, engine.ActionCreated).MapID
		w.must(w.open(long).Write(w.Context(), []byte{7, 0, 0, 0}, []byte{70}))
		w.refused(w.sync(short, stalled, engine.ActionNone), v1alpha1.NodeReasonIncompatible,
			fmt.Sprintf("map %d can't be replaced", id), "element 7 is not declared", "maxEntries 6")
		w.holds(long, "0=0 1=10 2=0 3=0 4=0 5=0 6=0 7=70")
		mirror := table(w.T, strings.Replace(array, "{", "{syncPolicy: Mirror, ", 1)+"6", "1=10")
		w.ready(mirror, engine.ActionReplaced)
		w.holds(mirror, "0=0 1=10 2=0 3=0 4=0 5=0")
	})
}

// TestMovedOntoWithContents: a compatible map of others at the new path isn't taken over in place of ours
// as long as ours holds what nobody declared.
func TestMovedOntoWithContents(t *testing.T) {
	onRigs(t, func(w *wrecked) {
		for _, policy := range []string{"", "replacePolicy: Swap,", "syncPolicy: Seed,"} {
			first := hash(w.T, policy, "1=10")
			ours := w.ready(first, engine.ActionCreated).MapID
			w.must(w.open(first).Write(w.Context(), []byte{9}, []byte{90}))
			moved := hash(w.T, policy+"adoptionPolicy: Adopt, pin: {path: globals/table},", "1=10")
			theirs := w.id(w.foreign(moved, moved.Shape))
			for range 2 {
				w.refused(w.sync(moved, failed, engine.ActionNone), v1alpha1.NodeReasonPinConflict,
					fmt.Sprintf("already taken by unmanaged map %d", theirs), fmt.Sprintf("abandon managed map %d (currently at bpfmap/edge/table)", ours))
			}
			w.holds(first, "1=10 9=90")
			w.holds(moved, "")
			// Once the other map is away, ours moves.
			w.must(w.b.Unpin(w.Context(), key, moved.Pin.Path, theirs))
			if report := w.ready(moved, engine.ActionUpdated); report.MapID != ours {
				w.Errorf("map %d, want %d", report.MapID, ours)
			}
			w.holds(moved, "1=10 9=90")
			w.must(w.Remove(w.Context(), key).Err)
		}
	})
}

// TestMovedOntoByMirror gives up what isn't declared, as it always does.
func TestMovedOntoByMirror(t *testing.T) {
	onRigs(t, func(w *wrecked) {
		first := hash(w.T, "", "1=10")
		w.ready(first, engine.ActionCreated)
		w.must(w.open(first).Write(w.Context(), []byte{9}, []byte{90}))
		moved := hash(w.T, "syncPolicy: Mirror, adoptionPolicy: Adopt, pin: {path: globals/table},", "1=10")
		w.foreign(moved, moved.Shape)
		w.ready(moved, engine.ActionAdopted)
		w.holds(moved, "1=10")
		w.holds(first, "no map")
	})
}

// TestMovedOntoUnlisted: what a queue holds can't be known, so it isn't given up.
func TestMovedOntoUnlisted(t *testing.T) {
	onRigs(t, func(w *wrecked) {
		const queue = "{type: Queue, value: {type: u8}, maxEntries: 4"
		w.ready(table(w.T, queue, "1"), engine.ActionCreated)
		moved := table(w.T, queue+", adoptionPolicy: Adopt, pin: {path: globals/table}", "1")
		w.foreign(moved, moved.Shape)
		w.refused(w.sync(moved, failed, engine.ActionNone), v1alpha1.NodeReasonPinConflict, "cannot be listed")
	})
}

// TestRetainedWhileThePinMoved: one pin stays, whichever call was the last one.
func TestRetainedWhileThePinMoved(t *testing.T) {
	onRigs(t, func(w *wrecked) {
		for call, hit := 0, "first"; hit != ""; call += stride {
			first := hash(w.T, "deletionPolicy: Retain,", "1=10")
			id := w.ready(first, engine.ActionCreated).MapID
			moved := hash(w.T, "deletionPolicy: Retain, adoptionPolicy: Adopt, pin: {path: globals/table},", "1=10")
			dying := &enginetest.Faulty{Backend: w.b, Fault: enginetest.Fault{Call: call, Err: syscall.EIO, Dead: true}}
			engine.New(dying, engine.Options{}).Sync(w.Context(), moved)
			hit = dying.Hit()
			if report := w.Remove(w.Context(), key); report.Action != engine.ActionRetained || report.Err != nil {
				w.Errorf("%s: %v", report.Action, report.Err)
			}
			var at []string
			for _, r := range []string{w.contents(first), w.contents(moved)} {
				if r == "1=10" {
					at = append(at, r)
				}
			}
			if len(at) != 1 {
				w.Errorf("dead at call %d (%s): the map is at %d pins, want one", call, hit, len(at))
			}
			w.must(w.b.Unpin(w.Context(), key, first.Pin.Path, id))
			w.must(w.b.Unpin(w.Context(), key, moved.Pin.Path, id))
		}
	})
}

// TestPrefixWithOtherHostBits: others may write a declared prefix with bits that don't count. It is the
// declared one nevertheless, and its old value isn't moved over the new one.
func TestPrefixWithOtherHostBits(t *testing.T) {
	onRigs(t, func(w *wrecked) {
		const trie = "{type: LPMTrie, key: {type: ipv4Prefix}, value: {type: u8}, replacePolicy: Swap, maxEntries: "
		first := table(w.T, trie+"8", "10.0.0.0/8=1")
		w.ready(first, engine.ActionCreated)
		w.must(w.open(first).Write(w.Context(), []byte{8, 0, 0, 0, 10, 9, 8, 7}, []byte{66}))
		larger := table(w.T, trie+"16", "10.0.0.0/8=2")
		w.ready(larger, engine.ActionReplaced)
		w.holds(larger, "10.0.0.0/8=2")
	})
}

// TestHeldEntriesMove: what an entry had that waits now goes with it into the new map.
func TestHeldEntriesMove(t *testing.T) {
	b := enginetest.NewMemory()
	w := newWorld(t, b)
	peers := func(maxEntries string) string {
		return "{type: Hash, key: {type: u8}, value: {type: ifindex}, replacePolicy: Swap, maxEntries: " + maxEntries
	}
	eth0 := v1alpha1.Reference{Type: v1alpha1.TypeIfindex, Name: "eth0"}
	b.SetLink(eth0, 7)
	w.ready(table(t, peers("8"), "1=eth0"), engine.ActionCreated)
	b.SetLink(eth0, 0)
	larger := table(t, peers("16"), "1=eth0")
	w.waiting(larger, engine.ActionReplaced, "eth0")
	w.holds(larger, "1=7")
}

// TestHeldInnerMapStopsReplacement: an inner map can't be moved, also if it is ours.
func TestHeldInnerMapStopsReplacement(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		blue := w.ready(inner(t, "blue", ""), engine.ActionCreated)
		o := outer(t, "", "1=blue")
		w.ready(o, engine.ActionCreated)
		w.must(w.Remove(t.Context(), inner(t, "blue", "").Key).Err)
		larger := outer(t, "replacePolicy: Swap, flags: [NoPrealloc],", "1=blue")
		if r := w.sync(larger, stalled, engine.ActionNone); !strings.Contains(r.Message, "undeclared or pending elements (1 in all) hold objects of others") {
			t.Errorf("message %q", r.Message)
		}
		w.holds(o, fmt.Sprintf("1=%d", blue.MapID))
	})
}

// TestValuesThatAreNoDescriptors: numbers of a Hash are not written where the kernel takes file
// descriptors.
func TestValuesThatAreNoDescriptors(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		const wordHash = "{type: Hash, key: {type: u8}, value: {type: u32}, maxEntries: 8"
		first := table(t, wordHash, "1=10")
		w.ready(first, engine.ActionCreated)
		w.must(w.open(first).Write(w.Context(), []byte{9}, []byte{3, 0, 0, 0}))
		w.ready(inner(t, "blue", ""), engine.ActionCreated)
		if r := w.sync(outer(t, "replacePolicy: Swap,", "1=blue"), stalled, engine.ActionNone); r.Reason != v1alpha1.NodeReasonIncompatible {
			t.Errorf("%s: %s", r.Reason, r.Message)
		}
		w.holds(first, "1=10 9=3")
	})
}
