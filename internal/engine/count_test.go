// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package engine_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/bpfmap-io/bpfmap-operator/internal/bpf/bpftest"
	"github.com/bpfmap-io/bpfmap-operator/internal/bpf/counts"
	"github.com/bpfmap-io/bpfmap-operator/internal/engine"
	"github.com/bpfmap-io/bpfmap-operator/internal/engine/enginetest"
	"github.com/bpfmap-io/bpfmap-operator/internal/maptype"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
)

// counting runs a test on both backends, with maps that tell their count and maps that don't.
func counting(t *testing.T, test func(t *testing.T, w *world, watched *enginetest.Watched)) {
	onBoth(t, func(t *testing.T, w *world) {
		for _, cant := range []bool{false, true} {
			t.Run(fmt.Sprintf("counts %t", !cant), func(t *testing.T) {
				watched := &enginetest.Watched{Backend: w.b, CantCount: cant || !canCount(t, w.b)}
				sub := &world{t, engine.New(watched, engine.Options{IncrementalThreshold: incremental}), watched}
				test(t, sub, watched)
				sub.Remove(t.Context(), key)
			})
		}
	})
}

// canCount says whether maps of a backend tell their count: on kernels since Linux 6.6.
func canCount(t *testing.T, b engine.Backend) bool {
	t.Helper()
	if _, isMemory := b.(*enginetest.Memory); isMemory {
		return true
	}
	can := slices.Contains(counts.Features(), counts.FeatureHash)
	if newer := !bpftest.Kernel(t).Before(maptype.Kernel{Major: 6, Minor: 6}); can != newer {
		t.Errorf("maps tell their count: %t, on %s", can, bpftest.Kernel(t))
	}
	return can
}

// wantCount syncs and wants a count that took this many readings.
func (w *world) wantCount(r *revision.Revision, watched *enginetest.Watched, count int64, reads int) {
	w.Helper()
	watched.Reads = 0
	report := w.Sync(w.Context(), r)
	if report.Err != nil || report.Entries == nil || *report.Entries != count || watched.Reads != reads {
		var got int64 = -1
		if report.Entries != nil {
			got = *report.Entries
		}
		w.Errorf("%d entries after %d readings, want %d after %d (%v)", got, watched.Reads, count, reads, report.Err)
	}
}

// TestCountOfSeeded follows what programs do to a map that is never compared.
func TestCountOfSeeded(t *testing.T) {
	counting(t, func(t *testing.T, w *world, watched *enginetest.Watched) {
		reads := 0
		if watched.CantCount {
			reads = 1
		}
		r := hash(t, "syncPolicy: Seed,", "1=10")
		w.wantCount(r, watched, 1, 0)
		w.must(w.open(r).Write(w.Context(), []byte{8, 9}, []byte{80, 90}))
		w.wantCount(r, watched, 3, reads)
		w.must(w.open(r).Delete(w.Context(), []byte{1, 8}))
		w.wantCount(r, watched, 1, reads)
	})
}

// TestCountOfLRU counts after the comparison: such a map may evict what was just written.
func TestCountOfLRU(t *testing.T) {
	counting(t, func(t *testing.T, w *world, watched *enginetest.Watched) {
		reads := 1 // the comparison
		if watched.CantCount {
			reads = 2
		}
		r := table(t, "{type: LRUHash, key: {type: u32}, value: {type: u8}, maxEntries: 64, ", "1=1", "2=2")
		w.wantCount(r, watched, 2, reads-1)
		w.must(w.open(r).Write(w.Context(), []byte{9, 0, 0, 0}, []byte{9}))
		w.wantCount(r, watched, 3, reads)
	})
}

// TestCountOfUnread counts what others wrote to a large map that is written unread, if the map tells;
// otherwise the next comparison does.
func TestCountOfUnread(t *testing.T) {
	counting(t, func(t *testing.T, w *world, watched *enginetest.Watched) {
		first, second := hash(t, "", "1=10"), hash(t, "", "1=11", "2=20")
		w.wantCount(first, watched, 1, 0)
		w.must(w.open(first).Write(w.Context(), []byte{9}, []byte{90}))
		if watched.CantCount {
			w.wantCount(second, watched, 2, 0)
		} else {
			w.wantCount(second, watched, 3, 0)
		}
		w.wantCount(second, watched, 3, 1)
		w.holds(second, "1=11 2=20 9=90")
	})
}

// TestSmallMapsAreRead compares a small map at each revision.
func TestSmallMapsAreRead(t *testing.T) {
	counting(t, func(t *testing.T, w *world, watched *enginetest.Watched) {
		w.Engine = engine.New(watched, engine.Options{})
		first, second := hash(t, "", "1=10"), hash(t, "", "1=11", "2=20")
		w.wantCount(first, watched, 1, 0)
		w.must(w.open(first).Write(w.Context(), []byte{2, 9}, []byte{66, 90}))
		w.wantCount(second, watched, 3, 1)
		w.holds(second, "1=11 2=20 9=90")
	})
}
