// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package plugin_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
)

// addEntry adds one for 192.0.2.3.
func addEntry(s *v1alpha1.BPFMapSpec) {
	s.Entries = append(s.Entries, v1alpha1.Entry{
		Key: &apiextensionsv1.JSON{Raw: []byte(`"192.0.2.3"`)}, Value: &apiextensionsv1.JSON{Raw: []byte(`{"action": 2, "rule": 9}`)},
	})
}

// TestRollout takes a map through a rollout, a pause, and an undo, with the real controller.
func TestRollout(t *testing.T) {
	w := newWorld(t, 3)
	w.control()
	w.declare("flags", blocklist)
	w.awaitRevision("flags", "flags-1")
	w.run("rollout", "status", "flags").wants(t, 0, "Revision flags-1 is rolled out (Ready): 3 of 3 nodes ready")
	w.run("rollout", "undo", "flags").wants(t, 1, "no earlier revision that differs from flags-1")
	w.run("rollout", "resume", "flags").wants(t, 0, "neither paused nor rolled back")

	w.run("rollout", "pause", "flags").wants(t, 0, "bpfmap.bpfmap.io/flags paused")
	w.run("rollout", "pause", "flags").wants(t, 0, "is already paused")
	w.edit(addEntry)
	w.awaitMap("flags", func(m *v1alpha1.BPFMap) error {
		if r := m.Status.Rollout; r == nil || r.Revision != "flags-2" || r.Phase != "Paused" {
			return fmt.Errorf("rollout is %+v", r)
		}
		return nil
	})
	w.run("rollout", "status", "flags", "--timeout", "300ms").wants(t, 1, "Waiting: 0 of 3 nodes updated", "(spec.rollout.paused)", "not complete after 300ms")
	w.run("rollout", "status", "flags", "--watch=false").wants(t, 0, "Waiting: 0 of 3 nodes updated")
	w.run("status", "flags").wants(t, 0, "not Ready (Paused)", "ROLLOUT  Paused (Paused)", "kubectl bpfmap rollout resume -n "+w.namespace+" flags")
	w.run("why", "flags").wants(t, 0, "isn't Ready (Paused)", "spec.rollout.paused keeps further nodes from taking the revision")
	w.run("why", "flags", w.nodes[0]).wants(t, 0, "is to hold revision flags-1 for now: it is number ", "of 3 in the order in which nodes take flags-2, and 0 were told so far")

	// A status that waits sees the rollout to its end.
	waited := make(chan result, 1)
	go func() { waited <- w.run("rollout", "status", "flags", "--timeout", "2m") }()
	w.run("rollout", "resume", "flags").wants(t, 0, "bpfmap.bpfmap.io/flags resumed")
	w.awaitRevision("flags", "flags-2")
	(<-waited).wants(t, 0, "Revision flags-2 is rolled out")

	w.run("rollout", "history", "flags").wants(t, 0, "flags-2", "entries: 2 → 3", "the first one")
	w.run("rollout", "undo", "flags", "--dry-run").wants(t, 0, "would be rolled back to flags-1")
	w.run("rollout", "undo", "flags", "--to-revision", "9").wants(t, 1, "has no revision 9: there are [2 1]")
	w.run("rollout", "undo", "flags", "--to-revision", "-1").wants(t, 2, "begin with 1")
	w.run("rollout", "undo", "flags").wants(t, 0, "flags rolled back to flags-1", "have no effect until: kubectl bpfmap rollout resume -n "+w.namespace+" flags")
	w.awaitRevision("flags", "flags-3")
	w.run("rollout", "status", "flags").wants(t, 0, "EarlierRevision")
	w.run("rollout", "history", "flags").wants(t, 0, "back to flags-1 (entries: 3 → 2)")
	w.run("status", "flags").wants(t, 0, "Ready (EarlierRevision)", "contents of revision flags-1 (spec.rollbackTo)")
	w.run("why", "flags").wants(t, 0, "edits of the entries and changes of sources have no effect")
	w.run("rollout", "undo", "flags", "--to-revision", "1").wants(t, 0, "is already rolled back to flags-1")

	w.run("rollout", "pause", "flags").wants(t, 0, "paused")
	w.run("rollout", "resume", "flags").wants(t, 1, "is paused, and rolled back to flags-1", "--only")
	w.run("rollout", "resume", "flags", "--only", "everything").wants(t, 2, "must be paused or rollbackTo")
	w.run("rollout", "resume", "flags", "--only", "rollbackTo").wants(t, 0, "follow the spec again, no longer revision flags-1")
	w.run("rollout", "resume", "flags").wants(t, 0, "flags resumed")
	w.awaitRevision("flags", "flags-4")
	if m := w.get("flags"); m.Spec.RollbackTo != "" || len(m.Spec.Entries) != 3 {
		t.Errorf("spec is %+v", m.Spec)
	}
}

// TestRolloutStatusFails: it says why a rollout will not come to its end.
func TestRolloutStatusFails(t *testing.T) {
	w := newWorld(t, 2)
	w.control()
	w.declare("flags", strings.Replace(blocklist, "minReadySeconds: 0", "minReadySeconds: 0, maxFailed: 0", 1))
	w.awaitRevision("flags", "flags-1")
	for _, node := range w.nodes {
		w.fails[node] = true
	}
	w.edit(addEntry)
	w.awaitMap("flags", func(m *v1alpha1.BPFMap) error {
		if r := m.Status.Rollout; r == nil || r.Phase != "Halted" {
			return fmt.Errorf("rollout is %+v", r)
		}
		return nil
	})
	w.run("rollout", "status", "flags").wants(t, 1, "the rollout of flags-2 is Halted", "map is full")
	w.run("status", "flags").wants(t, 0, "Failed  MapFull", "raise spec.maxEntries")
	w.run("why", "flags").wants(t, 0, "the map is too small for the declared entries", "The rollout of revision flags-2 halted", "→ raise spec.maxEntries")

	w.edit(func(s *v1alpha1.BPFMapSpec) { s.Entries[0].Key.Raw = []byte(`"192.0.2.999"`) })
	w.awaitMap("flags", func(m *v1alpha1.BPFMap) error {
		if m.Status.ObservedGeneration != m.Generation {
			return fmt.Errorf("not seen yet")
		}
		return nil
	})
	w.run("rollout", "status", "flags").wants(t, 1, "the spec isn't accepted (InvalidEntry)", "192.0.2.999")
	w.run("why", "flags", w.nodes[0]).wants(t, 0, "The spec isn't accepted", "192.0.2.999")

	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	time.AfterFunc(300*time.Millisecond, func() { _ = w.Delete(ctx, w.get("flags")) })
	w.edit(func(s *v1alpha1.BPFMapSpec) { s.Entries = s.Entries[1:]; s.Rollout.Paused = true })
	r := runAs(ctx, t, w.kubeconfig, w.namespace, "", "rollout", "status", "flags", "--timeout", "1m")
	if r.code != 1 {
		t.Errorf("of a map that is deleted: %+v", r)
	}
}
