// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package engine_test

import (
	"encoding/binary"
	"strings"
	"testing"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/engine"
	"github.com/bpfmap-io/bpfmap-operator/internal/engine/enginetest"
)

// TestEvictedEntriesAreSparing lets a program fill an LRU map, which evicts the declared entries: a resync
// doesn't evict as many of the program's at once, and later ones bring back all. What somebody deleted from
// a map that has room comes back at once.
func TestEvictedEntriesAreSparing(t *testing.T) {
	const declared, capacity = 30000, 64000
	onBoth(t, func(t *testing.T, w *world) {
		j := &manyEntries{n: declared, value: 1, first: 1, room: capacity}
		r := j.revision(t)
		r.Shape.Type, r.Policy.Sync = v1alpha1.MapTypeLRUHash, v1alpha1.SyncMerge
		r.Digest = r.ContentDigest()
		w.ready(r, engine.ActionCreated)
		m := w.open(r)
		var keys []byte
		for i := range uint32(capacity) {
			keys = binary.BigEndian.AppendUint32(keys, 1<<30+i)
		}
		w.must(m.Write(w.Context(), keys, make([]byte, capacity)))
		theirs := &manyEntries{value: 1, first: 0}
		left, others := j.count(w, m), theirs.count(w, m)
		if left > declared/10 {
			t.Fatalf("%d entries weren't evicted", left)
		}
		report := w.sync(r, v1alpha1.NodeMapReady, engine.ActionUpdated)
		if lost := others - theirs.count(w, m); lost > capacity/10 || !strings.Contains(report.Message, "wait for later resyncs") {
			t.Errorf("%d elements were lost, %q", lost, report.Message)
		}
		for n := 0; w.Sync(w.Context(), r).Action != engine.ActionNone; n++ {
			if n > 20 {
				t.Fatal("the entries don't come back")
			}
		}
		if got := j.count(w, m); got != declared {
			t.Errorf("%d entries came back, want %d", got, declared)
		}

		ours := make([]byte, 0, 4*declared)
		for i := range uint32(declared) {
			ours = binary.BigEndian.AppendUint32(ours, i)
		}
		w.must(m.Delete(w.Context(), ours))
		w.ready(r, engine.ActionUpdated)
		if got := j.count(w, m); got != declared {
			t.Errorf("%d deleted entries came back, want %d", got, declared)
		}
	})
}

// TestUnchangedKeysAreNotWritten: an update of a key in a full LRU map may evict another one, so what is as declared
// isn't written again, neither by a comparison nor by a revision that changes another entry.
func TestUnchangedKeysAreNotWritten(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		watched := &enginetest.Watched{Backend: w.b}
		w = &world{t, engine.New(watched, engine.Options{}), watched}
		const spec = "{type: LRUHash, key: {type: u32}, value: {type: u8}, maxEntries: 1024, "
		first, second := table(t, spec, "1=1", "2=2", "3=3"), table(t, spec, "1=1", "2=7", "3=3")
		w.ready(first, engine.ActionCreated)
		watched.KeyBytes = 0
		w.ready(first, engine.ActionNone)
		if watched.KeyBytes != 0 {
			t.Errorf("a comparison wrote %d bytes of keys", watched.KeyBytes)
		}
		w.ready(second, engine.ActionUpdated)
		if watched.KeyBytes != 4 {
			t.Errorf("%d bytes of keys were written for one changed entry, want 4", watched.KeyBytes)
		}
	})
}
