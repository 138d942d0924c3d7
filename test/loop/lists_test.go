// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package loop_test

import (
	"context"
	"testing"
)

// TestWithoutWatchList: an API server without the feature WatchList answers the first list of a process that
// starts from its watch cache, of whatever age that is. Controller and agent restart there, and the map stays
// the same through that, an edit, and a broken spec.
func TestWithoutWatchList(t *testing.T) {
	if err := plane.RestartAPIServer(t.Context(), "WatchList=false"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := plane.RestartAPIServer(context.Background(), ""); err != nil {
			t.Error(err)
		}
	})
	w := newWorld(t)
	n := newNode(t, w, true).start(t)
	m := w.apply("blocklist", blocklist)
	w.awaitReadyOn("blocklist", n)
	id := n.id(t, "blocklist")
	n.set(t, "blocklist", 99, 990)

	w.controller.kill()
	n.agent.kill()
	w.edit("blocklist", setEntries(1, 11))
	w.startController(t)
	n.start(t)
	w.awaitReady("blocklist")
	n.awaitContents(t, "blocklist", contents{1: 11, 99: 990})
	if now := n.id(t, "blocklist"); now != id {
		t.Errorf("map id is %d, was %d", now, id)
	}

	n.agent.kill()
	if err := w.Delete(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	n.start(t)
	n.awaitNoPin(t)
	w.awaitGone(n.name)
}
