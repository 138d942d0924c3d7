// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package loaders_test

import (
	"testing"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/engine"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
)

// TestFrozenAndSwapped loads a program with a frozen map of ours, and again after new contents put
// another frozen map in its place: the one that runs keeps the old map.
func TestFrozenAndSwapped(t *testing.T) {
	eachLoader(t, func(t *testing.T, load loader) {
		w := newWorld(t)
		rev := w.revisions["blocklist"]
		rev.Policy.Freeze, rev.Policy.Replace = true, v1alpha1.ReplaceSwap
		first := w.sync("blocklist", engine.ActionCreated)
		before := w.start(load, object(t))
		if id := before.mapID("blocklist"); id != first.MapID || !first.Frozen {
			t.Errorf("the program has map %d, we made %d (frozen %t)", id, first.MapID, first.Frozen)
		}
		if err := before.put("blocklist", prefix("198.51.100.0/24"), rule(1, 1)); err == nil {
			t.Error("the program's owner wrote to a frozen map")
		}

		changed := *rev
		other := revision.Entries{KeySize: 8, ValueSize: 8}
		other.Append(prefix("198.51.100.0/24"), rule(1, 1), false)
		var err error
		if changed.Contents, err = revision.NewContents(changed.Shape, &other); err != nil {
			t.Fatal(err)
		}
		changed.Digest = changed.ContentDigest()
		w.revisions["blocklist"] = &changed
		second := w.sync("blocklist", engine.ActionReplaced)
		after := w.start(load, object(t))
		if id := after.mapID("blocklist"); id != second.MapID || id == first.MapID {
			t.Errorf("the program that was loaded later has map %d, the new one is %d", id, second.MapID)
		}
		for source, want := range map[string][2]uint32{"203.0.113.9": {2, 0}, "198.51.100.1": {0, 1}} {
			old, err := before.run(packet(source))
			w.must(err)
			verdict, err := after.run(packet(source))
			w.must(err)
			if old != want[0] || verdict != want[1] {
				t.Errorf("packet from %s: the earlier program's verdict is %d, the later one's %d, want %v", source, old, verdict, want)
			}
		}
	})
}
