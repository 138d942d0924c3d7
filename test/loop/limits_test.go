// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package loop_test

import (
	"testing"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
)

// TestLimitAndRoom stalls a map that is over a limit, and makes it as soon as another one has gone: by
// itself, long before the next resync.
func TestLimitAndRoom(t *testing.T) {
	w := newWorld(t)
	n := newNode(t, w, true).start(t, "--memory-limit=1Gi", "--namespace-map-limit=*=1", "--namespace-memory-limit="+w.namespace+"=512Ki")
	first := w.apply("first", blocklist)
	w.awaitReady("first")
	w.apply("second", blocklist)
	w.awaitMessage("second", v1alpha1.ConditionStalled, "--namespace-map-limit")
	if err := w.Delete(t.Context(), first); err != nil {
		t.Fatal(err)
	}
	w.awaitReady("second")
	n.awaitContents(t, "second", contents{1: 10, 2: 20})
	w.edit("second", setEntries(1, 11))
	n.awaitContents(t, "second", contents{1: 11})
}
