// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package loaders_test

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/engine"
)

// misfit is a program one of whose maps differs from what testdata/maps declares.
type misfit struct {
	name   string
	macros []string
	// ours are the differences as our report lists them, theirs what each loader says.
	ours   []string
	theirs map[string][]string
}

// Libbpf lists what it compares, whatever differs.
const libbpfSays = "parameter mismatch"

var misfits = []misfit{
	{
		name: "blocklist", macros: []string{"MAX_RULES=2048"},
		ours:   []string{"maxEntries: have 2048, want 1024"},
		theirs: map[string][]string{"libbpf": {libbpfSays, "blocklist"}, "cilium": {"blocklist", "MaxEntries", "1024", "2048"}},
	},
	{
		name: "rule_weights", macros: []string{"MAX_RULES=2048", "weight_t=__u32"},
		ours:   []string{"maxEntries: have 2048, want 1024", "value size: have 4, want 8"},
		theirs: map[string][]string{"libbpf": {libbpfSays, "rule_weights"}, "cilium": {"rule_weights", "MaxEntries", "ValueSize"}},
	},
	{
		name: "counters", macros: []string{"weight_t=__u32"},
		ours:   []string{"value size: have 4, want 8"},
		theirs: map[string][]string{"libbpf": {libbpfSays, "counters"}, "cilium": {"counters", "ValueSize"}},
	},
}

func wantWords(t *testing.T, who, message string, words []string) {
	t.Helper()
	for _, word := range words {
		if !strings.Contains(message, word) {
			t.Errorf("%s says %q, want it to say %q", who, message, word)
		}
	}
}

func eachMisfit(t *testing.T, test func(w *world, loader string, m misfit)) {
	for name := range loaders {
		for _, m := range misfits {
			t.Run(name+"/"+m.name, func(t *testing.T) { test(newWorld(t), name, m) })
		}
	}
}

// TestTheyRefuseOurMisfit loads a program that wants another map than the one that we made.
func TestTheyRefuseOurMisfit(t *testing.T) {
	eachMisfit(t, func(w *world, loader string, m misfit) {
		made := w.sync(m.name, engine.ActionCreated)
		before := w.read(m.name)
		p, err := loaders[loader](w.T, object(w.T, m.macros...), w.root)
		if err == nil {
			w.must(p.close())
			w.Fatal("the program was loaded")
		}
		wantWords(w.T, loader, err.Error(), m.theirs[loader])
		if r := w.sync(m.name, engine.ActionNone); r.MapID != made.MapID || len(before) == 0 || len(w.read(m.name)) != len(before) {
			w.Errorf("the map was %d with %d elements, and is %d with %d", made.MapID, len(before), r.MapID, len(w.read(m.name)))
		}
	})
}

// TestWeRefuseTheirMisfit leaves the map of a running program alone that isn't the declared one, with
// replacePolicy Swap, too.
func TestWeRefuseTheirMisfit(t *testing.T) {
	eachMisfit(t, func(w *world, loader string, m misfit) {
		w.makeRoot()
		p := w.start(loaders[loader], object(w.T, m.macros...))
		for _, policy := range []v1alpha1.ReplacePolicy{v1alpha1.ReplaceNever, v1alpha1.ReplaceSwap} {
			rev := *w.revisions[m.name]
			rev.Policy.Replace = policy
			r := w.Sync(w.Context(), &rev)
			if r.State != v1alpha1.NodeMapStalled || r.Reason != v1alpha1.NodeReasonIncompatible || r.Action != engine.ActionNone {
				w.Fatalf("state %s, reason %s, action %q", r.State, r.Reason, r.Action)
			}
			wantWords(w.T, "the report", r.Message, append(m.ours, "not made by this operator"))
		}
		if id := w.pinnedID(m.name); id != p.mapID(m.name) {
			w.Errorf("map %d is at the pin, the program has %d", id, p.mapID(m.name))
		}
		if verdict, err := p.run(packet("192.0.2.1")); verdict != 0 || err != nil {
			w.Errorf("the program works no more: verdict %d, %v", verdict, err)
		}
		if left, err := filepath.Glob(filepath.Join(w.bpffs, "bpfmap", "_state", "*", "*", "*")); err != nil || len(left) > 0 {
			w.Errorf("we keep %v of a map that isn't ours (%v)", left, err)
		}
	})
}
