// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package loaders_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/bpf"
	"github.com/bpfmap-io/bpfmap-operator/internal/bpf/bpftest"
	"github.com/bpfmap-io/bpfmap-operator/internal/compile"
	"github.com/bpfmap-io/bpfmap-operator/internal/engine"
)

const (
	arenaAt   = 1 << 44
	elsewhere = 1 << 45
)

// declareArena has the map "shared" be an arena at an address.
func (w *world) declareArena(at uint64) {
	w.Helper()
	m := &v1alpha1.BPFMap{}
	m.Namespace, m.Name = "edge", "shared"
	m.Spec = v1alpha1.BPFMapSpec{Type: "Arena", MaxEntries: 16, MapExtra: int64(at)}
	rev, err := compile.Compile(m)
	w.must(err)
	w.revisions["shared"] = rev
}

// TestArena: loaders take the arena that we made, if it is where theirs is to be, and we take theirs on the same terms.
func TestArena(t *testing.T) {
	arena := compileBPF(t, "arena.bpf.c")
	if !bpftest.Since(t, 6, 9) {
		w := newWorld(t)
		w.declareArena(arenaAt)
		if r := w.Sync(w.Context(), w.revisions["shared"]); !errors.Is(r.Err, bpf.ErrNotSupported) || r.Reason != v1alpha1.NodeReasonNotSupported {
			t.Errorf("without arenas: %s, %v", r.Reason, r.Err)
		}
		return
	}
	t.Setenv("ARENA_AT", fmt.Sprint(arenaAt))
	eachLoader(t, func(t *testing.T, load loader) {
		libbpf := strings.HasSuffix(t.Name(), "/libbpf")
		t.Run("ours", func(t *testing.T) {
			w := newWorld(t)
			w.declareArena(arenaAt)
			made := w.sync("shared", engine.ActionCreated).MapID
			if id := w.start(load, arena).mapID("shared"); id != made {
				t.Errorf("the program has map %d, we made %d", id, made)
			}
			w.sync("shared", engine.ActionNone)
		})
		t.Run("ours, elsewhere", func(t *testing.T) {
			w := newWorld(t)
			w.declareArena(elsewhere)
			w.sync("shared", engine.ActionCreated)
			p, err := load(t, arena, w.root)
			if err == nil {
				w.must(p.close())
			}
			if refused := err != nil; refused != libbpf { // cilium/ebpf v0.22 doesn't compare the address
				t.Errorf("a program that wants an arena at another address: %v", err)
			}
		})
		t.Run("theirs", func(t *testing.T) {
			w := newWorld(t)
			w.makeRoot()
			p := w.start(load, arena)
			w.declareArena(elsewhere)
			r := w.Sync(w.Context(), w.revisions["shared"])
			if r.State != v1alpha1.NodeMapStalled || r.Reason != v1alpha1.NodeReasonIncompatible {
				t.Errorf("an arena at another address: %s, %s", r.State, r.Reason)
			}
			wantWords(t, "the report", r.Message, []string{"mapExtra: have 0x100000000000, want 0x200000000000"})
			w.declareArena(arenaAt)
			if r := w.sync("shared", engine.ActionAdopted); r.MapID != p.mapID("shared") {
				t.Errorf("adopted map %d, the program's is %d", r.MapID, p.mapID("shared"))
			}
		})
	})
}
