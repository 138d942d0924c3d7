// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package engine_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/bpf"
	"github.com/bpfmap-io/bpfmap-operator/internal/bpf/bpftest"
	"github.com/bpfmap-io/bpfmap-operator/internal/engine"
	"github.com/bpfmap-io/bpfmap-operator/internal/engine/kernel"
	"github.com/bpfmap-io/bpfmap-operator/internal/quota"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
)

// limited is an engine with limits over a kernel.
func limited(t *testing.T, b *kernel.Backend, limits quota.Limits, rooms func() ([]quota.CgroupLimit, error)) *world {
	t.Helper()
	ledger := quota.New(limits, quota.Sources{Usage: b.Usage, UsageOf: b.UsageOf, Cgroups: rooms})
	return &world{t, engine.New(b, engine.Options{Quota: ledger}), b}
}

func newKernel(t *testing.T) *kernel.Backend {
	t.Helper()
	b, err := kernel.New(bpftest.BPFFS(t), kernel.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// megabytes is an Array of about this many MiB.
func megabytes(t *testing.T, name string, n int, more string) *revision.Revision {
	t.Helper()
	r := rev(t, fmt.Sprintf("{type: Array, value: {type: bytes, size: 1024}, maxEntries: %d, %s}", n*1024, more))
	r.Key.Name = name
	r.Pin.Path = revision.DefaultPinPath(r.Key)
	return r
}

func (w *world) refused(r *revision.Revision, words ...string) {
	w.Helper()
	report := w.sync(r, stalled, engine.ActionNone)
	if report.Reason != v1alpha1.NodeReasonQuotaExceeded {
		w.Errorf("%s: %s", report.Reason, report.Message)
	}
	for _, word := range words {
		if !strings.Contains(report.Message, word) {
			w.Errorf("message %q doesn't say %q", report.Message, word)
		}
	}
}

func TestMemoryLimits(t *testing.T) {
	for name, c := range map[string]struct {
		limits quota.Limits
		rooms  func() ([]quota.CgroupLimit, error)
		words  []string
	}{
		"node":      {quota.Limits{Node: 7 << 20}, nil, []string{"--memory-limit"}},
		"namespace": {quota.Limits{Memory: map[string]int64{"edge": 7 << 20}}, nil, []string{"namespace edge", "--namespace-memory-limit"}},
		"any":       {quota.Limits{Memory: map[string]int64{"*": 7 << 20}}, nil, []string{"namespace edge"}},
	} {
		t.Run(name, func(t *testing.T) {
			w := limited(t, newKernel(t), c.limits, c.rooms)
			w.ready(megabytes(t, "a", 4, ""), engine.ActionCreated)
			w.refused(megabytes(t, "b", 4, ""), append(c.words, "about 4Mi", "take 4Mi", "their 7Mi")...)
			w.ready(megabytes(t, "c", 2, ""), engine.ActionCreated) // others go on
			w.ready(megabytes(t, "a", 4, ""), engine.ActionNone)
			if waiting := w.Unblocked(); len(waiting) != 0 {
				t.Errorf("nothing was freed, and %v are called", waiting)
			}
			// Room appears: the map is called once, and made.
			if r := w.Remove(t.Context(), revision.Key{Namespace: "edge", Name: "a"}); r.Err != nil {
				t.Fatal(r.Err)
			}
			want := []revision.Key{{Namespace: "edge", Name: "b"}}
			if waiting := w.Unblocked(); !slices.Equal(waiting, want) || len(w.Unblocked()) != 0 {
				t.Errorf("%v are called, want %v once", waiting, want)
			}
			w.ready(megabytes(t, "b", 4, ""), engine.ActionCreated)
		})
	}
}

// TestOldAndNewTogether counts both maps of a replacement; the old one stays as it is when that is too much.
func TestOldAndNewTogether(t *testing.T) {
	b := newKernel(t)
	w := limited(t, b, quota.Limits{Node: 9 << 20}, nil)
	old := megabytes(t, "a", 4, "replacePolicy: Swap, ")
	id := w.ready(old, engine.ActionCreated).MapID
	w.refused(megabytes(t, "a", 6, "replacePolicy: Swap, "))
	if m := w.open(old); w.id(m) != id {
		t.Error("the old map is gone")
	}
	w = limited(t, b, quota.Limits{Node: 16 << 20}, nil) // an agent with a raised limit
	w.ready(megabytes(t, "a", 6, "replacePolicy: Swap, "), engine.ActionReplaced)
}

// TestLoweredLimit leaves what exists, repairs it, and lets it shrink, but not grow.
func TestLoweredLimit(t *testing.T) {
	b := newKernel(t)
	trie := func(n int) *revision.Revision {
		entries := make([]string, n)
		for i := range entries {
			entries[i] = fmt.Sprintf("10.%d.%d.0/24=1", i/256, i%256)
		}
		return table(t, "{type: LPMTrie, key: {type: ipv4Prefix}, value: {type: u32}, maxEntries: 4000, syncPolicy: Mirror, ", entries...)
	}
	w := limited(t, b, quota.Limits{}, nil)
	w.ready(trie(2000), engine.ActionCreated)
	w = limited(t, b, quota.Limits{Node: 100 << 10}, nil)
	w.ready(trie(2000), engine.ActionNone)
	w.refused(trie(4000), "kernel memory are needed")
	w.ready(trie(100), engine.ActionUpdated)
	if bpf.MeasuresMemory() {
		w.ready(trie(101), engine.ActionUpdated)
	} else {
		w.refused(trie(101), "kernel memory are needed") // a trie counts as full, whatever is in it
	}
}

func TestMapLimit(t *testing.T) {
	w := limited(t, newKernel(t), quota.Limits{Maps: map[string]int64{"edge": 2, "*": 1}}, nil)
	for _, name := range []string{"a", "b"} {
		w.ready(megabytes(t, name, 1, ""), engine.ActionCreated)
	}
	w.refused(megabytes(t, "c", 1, ""), "namespace edge has 2 maps", "--namespace-map-limit")
	w.ready(megabytes(t, "a", 1, ""), engine.ActionNone)
}

// TestOwnCgroup keeps the process from being killed for a map.
func TestOwnCgroup(t *testing.T) {
	room := quota.CgroupLimit{Limit: 64 << 20, Used: 40 << 20}
	w := limited(t, newKernel(t), quota.Limits{}, func() ([]quota.CgroupLimit, error) { return []quota.CgroupLimit{room}, nil })
	w.ready(megabytes(t, "a", 4, ""), engine.ActionCreated)
	w.refused(megabytes(t, "b", 16, ""), "memory limit of 64Mi", "keeps 16Mi for itself", "uses 40Mi")
}

// TestRetainedMapsCount: giving maps up doesn't make room, in this agent and in the next one.
func TestRetainedMapsCount(t *testing.T) {
	b := newKernel(t)
	limits := quota.Limits{Memory: map[string]int64{"edge": 7 << 20}}
	w := limited(t, b, limits, nil)
	kept := megabytes(t, "a", 4, "deletionPolicy: Retain, ")
	w.ready(kept, engine.ActionCreated)
	if r := w.Remove(t.Context(), kept.Key); r.Action != engine.ActionRetained {
		t.Fatalf("%+v", r)
	}
	w.refused(megabytes(t, "b", 4, ""), "take 4Mi")
	w = limited(t, b, limits, nil)
	w.refused(megabytes(t, "b", 4, ""), "take 4Mi")
	w.ready(kept, engine.ActionAdopted)
}

// TestMapsThatWereLeftCount: a namespace doesn't get more maps by giving up those that were made for it. A map that
// somebody else made doesn't count once it is given back.
func TestMapsThatWereLeftCount(t *testing.T) {
	for _, policy := range []string{"deletionPolicy: Retain, ", "deletionPolicy: GiveBack, "} {
		b := newKernel(t)
		limits := quota.Limits{Maps: map[string]int64{"*": 3}}
		w := limited(t, b, limits, nil)
		theirs := megabytes(t, "theirs", 1, "")
		w.foreign(theirs, theirs.Shape)
		w.ready(theirs, engine.ActionAdopted)
		if r := w.Remove(t.Context(), theirs.Key); r.Action != engine.ActionGivenBack {
			t.Fatalf("%+v", r)
		}
		for _, name := range []string{"a", "b", "c"} {
			kept := megabytes(t, name, 1, policy)
			w.ready(kept, engine.ActionCreated)
			if r := w.Remove(t.Context(), kept.Key); r.Err != nil || r.Action == engine.ActionRemoved {
				t.Fatalf("%+v", r)
			}
		}
		w.refused(megabytes(t, "d", 1, ""), "namespace edge has 3 maps", "3 of them kept", "limit is 3")
		w = limited(t, b, limits, nil) // the next agent knows them, too
		w.refused(megabytes(t, "d", 1, ""), "3 of them kept")
		w.ready(megabytes(t, "a", 1, policy), engine.ActionAdopted) // it isn't one more
		w.refused(megabytes(t, "d", 1, ""), "2 of them kept")
		last := megabytes(t, "b", 1, "deletionPolicy: Delete, ")
		w.ready(last, engine.ActionAdopted)
		w.must(w.Remove(t.Context(), last.Key).Err)
		w.ready(megabytes(t, "d", 1, ""), engine.ActionCreated)
	}
}

// TestConcurrentSyncs never let more through than there is room for, whatever their order.
func TestConcurrentSyncs(t *testing.T) {
	b := newKernel(t)
	const limit, each, all = 10, 2, 12 // the first two in MiB
	const slack = 256 << 10            // for what maps and records take besides
	w := limited(t, b, quota.Limits{Node: limit<<20 + slack}, nil)
	revs := make([]*revision.Revision, all)
	for i := range revs {
		revs[i] = megabytes(t, fmt.Sprintf("m%02d", i), each, "")
	}
	var group sync.WaitGroup
	var mu sync.Mutex
	made := 0
	for _, r := range revs {
		group.Go(func() {
			report := w.Sync(context.Background(), r)
			mu.Lock()
			defer mu.Unlock()
			switch {
			case report.Err == nil:
				made++
			case report.Reason != v1alpha1.NodeReasonQuotaExceeded:
				t.Errorf("%s: %s", report.Reason, report.Message)
			}
		})
	}
	group.Wait()
	uses, err := b.Usage(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var sum int64
	for _, u := range uses {
		sum += u.Bytes
	}
	if made == 0 || made > limit/each || sum > limit<<20+slack {
		t.Errorf("%d maps with %d bytes were made under a limit of %d MiB", made, sum, limit)
	}
	// Those that were promised room only for a moment are called, and what fits gets in.
	for _, k := range w.Unblocked() {
		i := slices.IndexFunc(revs, func(r *revision.Revision) bool { return r.Key == k })
		if w.Sync(t.Context(), revs[i]).Err == nil {
			made++
		}
	}
	if made != limit/each {
		t.Errorf("%d maps were made, %d fit", made, limit/each)
	}
}
