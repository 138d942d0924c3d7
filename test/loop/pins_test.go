// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package loop_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/bpfmap-io/bpfmap-operator/internal/bpf"
)

// TestPinsAreRepairedAtOnce: the agent hears of what happens to its pins; its resync is an hour away.
func TestPinsAreRepairedAtOnce(t *testing.T) {
	w := newWorld(t)
	n := newNode(t, w, true).start(t)
	w.apply("blocklist", blocklist)
	w.awaitReady("blocklist")
	id := n.id(t, "blocklist")
	start := time.Now()
	took := func(what string) {
		t.Logf("%s: %s", what, time.Since(start).Round(time.Millisecond))
		start = time.Now()
	}

	if err := os.Remove(n.pin("blocklist")); err != nil {
		t.Fatal(err)
	}
	n.awaitContents(t, "blocklist", contents{1: 10, 2: 20})
	if now := n.id(t, "blocklist"); now != id {
		t.Errorf("map id is %d after the pin came back, was %d", now, id)
	}
	took("a pin that was removed")

	// A program that is started again makes its maps anew, and pins them over those that are there.
	m, err := bpf.Create(bpf.CreateOpts{Type: bpf.Hash, KeySize: 4, ValueSize: 4, MaxEntries: 16, Name: "blocklist"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = m.Close() })
	aside := filepath.Join(n.bpffs, "aside")
	if err := m.Pin(aside); err != nil {
		t.Fatal(err)
	}
	if err := bpf.RenamePin(aside, n.pin("blocklist"), true); err != nil {
		t.Fatal(err)
	}
	info, err := m.Info()
	if err != nil {
		t.Fatal(err)
	}
	n.awaitContents(t, "blocklist", contents{1: 10, 2: 20})
	if now := n.id(t, "blocklist"); now != info.ID {
		t.Errorf("map id is %d, and that of the map that was put there %d", now, info.ID)
	}
	took("a pin that was replaced")

	if err := os.RemoveAll(filepath.Dir(n.pin("blocklist"))); err != nil {
		t.Fatal(err)
	}
	n.awaitContents(t, "blocklist", contents{1: 10, 2: 20})
	took("a folder that was removed")
	w.awaitReady("blocklist")
}
