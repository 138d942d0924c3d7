// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package engine_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/bpf"
	"github.com/bpfmap-io/bpfmap-operator/internal/compile"
	"github.com/bpfmap-io/bpfmap-operator/internal/engine"
	"github.com/bpfmap-io/bpfmap-operator/internal/plan"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
)

// limits is a revision of typed entries.
func limits(t *testing.T, number int, more string, entries ...string) *revision.Revision {
	t.Helper()
	m := &v1alpha1.BPFMap{}
	m.Namespace, m.Name, m.UID = "shop", "limits", "uid"
	text := "spec: {type: Hash, key: {type: string, size: 8}, value: {fields: [{name: rate, type: u32}]}, maxEntries: 64, " + more +
		"entries: [" + strings.Join(entries, ", ") + "]}"
	if err := yaml.UnmarshalStrict([]byte(text), m); err != nil {
		t.Fatal(err)
	}
	r, err := compile.Compile(m)
	if err != nil {
		t.Fatal(err)
	}
	r.Name, r.Number = fmt.Sprint("limits-", number), int64(number)
	return r
}

func entry(key string, rate int) string {
	return fmt.Sprintf("{key: %s, value: {rate: %d}}", key, rate)
}

// change writes elements behind the engine's back; a rate of 0 deletes.
func change(t *testing.T, dir string, rates map[string]byte) {
	t.Helper()
	m, err := bpf.GetPinned(dir+"/bpfmap/shop/limits", 0)
	if err != nil {
		t.Fatal(err)
	}
	for name, rate := range rates {
		key := make([]byte, 8)
		copy(key, name)
		if rate == 0 {
			err = m.DeleteElem(key)
		} else {
			err = m.UpdateElem(key, []byte{rate, 0, 0, 0}, bpf.Any)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestDriftedEntries are told with key, declared and found value, as dump prints them; a few of many, and none of
// a Secret.
func TestDriftedEntries(t *testing.T) {
	w, dir := tenants(t)
	rev := limits(t, 1, "syncPolicy: Mirror, ", entry("a", 10), entry("b", 20), entry("c", 30))
	w.ready(rev, engine.ActionCreated)
	change(t, dir, map[string]byte{"a": 90, "b": 0, "x": 7})
	drift := w.ready(rev, engine.ActionRepaired).Drift
	want := []v1alpha1.DriftedEntry{
		{Key: "a", Declared: "{rate: 10}", Found: "{rate: 90}"}, {Key: "b", Declared: "{rate: 20}"}, {Key: "x", Found: "{rate: 7}"},
	}
	if diff := cmp.Diff(want, drift.Entries); diff != "" || drift.Count != 3 {
		t.Errorf("%d entries (-want +got)\n%s", drift.Count, diff)
	}
	change(t, dir, map[string]byte{"p": 1, "q": 2, "r": 3, "s": 4, "t": 5, "u": 6})
	if drift := w.ready(rev, engine.ActionRepaired).Drift; len(drift.Entries) != v1alpha1.MaxDriftedEntries || !strings.HasSuffix(drift.String(), "; and 2 more") {
		t.Errorf("of many: %s", drift)
	}
	secret := *rev
	secret.Sensitive = true
	change(t, dir, map[string]byte{"a": 90})
	if drift := w.ready(&secret, engine.ActionRepaired).Drift; drift.Entries != nil || drift.String() != "1 entry changed" {
		t.Errorf("of a Secret: %s", drift)
	}
}

// TestReportAndNewRevision: with driftPolicy Report a new revision writes what it changes, tells what it
// overwrites, and leaves the rest as others made it.
func TestReportAndNewRevision(t *testing.T) {
	w, dir := tenants(t)
	const report = "driftPolicy: Report, "
	w.ready(limits(t, 1, report, entry("a", 10), entry("b", 20), entry("c", 30)), engine.ActionCreated)
	change(t, dir, map[string]byte{"a": 90, "b": 91})
	next := limits(t, 2, report, entry("a", 10), entry("b", 21), entry("c", 31))
	r := w.Sync(t.Context(), next)
	if r.Err != nil || r.Action != engine.ActionUpdated {
		t.Fatalf("%+v", r)
	}
	if again := w.Sync(t.Context(), next); again.Action != engine.ActionNone || again.DriftCount != 1 || again.Drift == nil {
		t.Errorf("a second time: %+v", again)
	}
	want := []v1alpha1.DriftedEntry{
		{Key: "a", Declared: "{rate: 10}", Found: "{rate: 90}"}, {Key: "b", Declared: "{rate: 21}", Found: "{rate: 91}"},
	}
	if diff := cmp.Diff(want, r.Drift.Entries); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if r.Drift.Overwritten != 1 || r.Drift.Repaired || r.DriftCount != 1 || r.Digest != "" || r.Reason != v1alpha1.NodeReasonDrifted {
		t.Errorf("%+v, drift %+v", r, r.Drift)
	}
	m, err := bpf.GetPinned(dir+"/bpfmap/shop/limits", 0)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = m.Close() }()
	for name, rate := range map[string]byte{"a": 90, "b": 21, "c": 31} {
		key, value := make([]byte, 8), make([]byte, 4)
		copy(key, name)
		if err := m.LookupElem(key, value); err != nil || value[0] != rate {
			t.Errorf("%s has the rate %d (%v), want %d", name, value[0], err, rate)
		}
	}
}

// TestLocalPlanOfAClusterMap: a local engine says how a map of a cluster differs, whether or not the manifest has
// a UID, and refuses to change it.
func TestLocalPlanOfAClusterMap(t *testing.T) {
	w, dir := tenants(t)
	rev := limits(t, 1, "", entry("a", 10))
	w.ready(rev, engine.ActionCreated)
	local := engine.New(w.b, engine.Options{Local: true})
	manifest := *rev
	manifest.UID, manifest.Name = "", ""
	if p, err := local.Plan(t.Context(), &manifest); err != nil || !p.IsEmpty() {
		t.Errorf("a map in sync: %v, %s", err, p.String())
	}
	change(t, dir, map[string]byte{"a": 90})
	p, err := local.Plan(t.Context(), &manifest)
	if text := p.Text(plan.Hex{}, plan.Hex{}); err != nil || !strings.Contains(text, "5a000000 → 0a000000") {
		t.Errorf("a map that drifted: %v, %s", err, text)
	}
	if r := local.Sync(t.Context(), &manifest); r.Err == nil || !strings.Contains(r.Message, "change it there") {
		t.Errorf("a change: %+v", r)
	}
}
