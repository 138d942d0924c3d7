// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e_test

import (
	"context"
	"maps"
	"path/filepath"
	"strings"
	"testing"
)

// adjacent is a commit that stands for the release before this one.
const adjacent = "5d00e26"

// TestAdjacentReleases has agents and controllers of two releases work together in both orders, as during an upgrade that
// takes time, and goes back to the older release and forward again. The maps are the same ones all the time, are read
// without a gap, and follow each edit.
func TestAdjacentReleases(t *testing.T) {
	loadRelease(t, adjacent)
	t.Cleanup(func() {
		if err := install(context.Background()); err != nil {
			t.Error(err)
		}
	})
	w := newWorld(t)
	w.make("blocklist", contents{1: 10, 2: 0, 7: 70})
	w.awaitReady("blocklist", 3)
	newer := image(t)
	older := newer[:strings.LastIndex(newer, ":")] + ":" + adjacent
	before := ids(t, w.namespace, "blocklist")
	stop := w.readAlong(contents{1: 10, 7: 70})
	// Each step edits the map once, so that contents go all the way through the mixture.
	n := uint32(0)
	step := func(what string) {
		t.Helper()
		n++
		w.edit(declare(contents{1: 10, 2: n, 7: 70}))
		w.awaitEverywhere("blocklist", contents{1: 10, 2: n, 7: 70})
		w.awaitReady("blocklist", 3)
		if now := ids(t, w.namespace, "blocklist"); !maps.Equal(now, before) {
			t.Errorf("%s: map ids are %v, were %v", what, now, before)
		}
	}
	run := func(agent string) {
		t.Helper()
		kubectl(t, "set", "image", "daemonset/bpfmap-bpfmap-operator-agent", "agent="+agent, "--namespace", system)
		if err := rolledOut(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	run(older)
	step("older agents, newer controller")

	// The older release as a whole: records and revisions of the newer one are there.
	if err := quiet(t.Context(), "helm", "upgrade", "bpfmap", filepath.Join(clusterDir, "release-"+adjacent, "charts/bpfmap-operator"),
		"--namespace", system, "--reset-values", "--set", "image.tag="+adjacent, "--wait", "--timeout", "2m"); err != nil {
		t.Fatal(err)
	}
	if err := rolledOut(t.Context()); err != nil {
		t.Fatal(err)
	}
	step("the older release again")
	run(newer)
	step("newer agents, older controller")
	// A newer controller waits for the newer CRDs: TestOlderCRDs.

	if err := install(t.Context()); err != nil {
		t.Fatal(err)
	}
	step("the newer release again")
	stop()
}
