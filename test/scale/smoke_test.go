// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package scale

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-logr/logr"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/controller/process"
)

const (
	smokeNodes = 20
	// smokeReal is how many of them run the agent's own code.
	smokeReal = 4
	// smokeEntries of 8 bytes are 16 KiB of contents.
	smokeEntries = 2048
	contents     = 8 * smokeEntries
	// batches are those of the default rollout.
	batches = 4
)

func TestMain(m *testing.M) {
	process.UseLogger(logr.Discard())
	os.Exit(m.Run())
}

// TestGoals holds a small cluster to what has to hold in one of any size, as far as it can be counted.
func TestGoals(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "plane"), 0o700); err != nil {
		t.Fatal(err)
	}
	b, err := New(t.Context(), Options{Dir: dir, Nodes: smokeNodes, Maps: 2, Entries: smokeEntries, RealAgents: smokeReal, FlowControl: true, Patience: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	start := b.measure(t, func(ctx context.Context) (time.Duration, error) {
		if err := b.fleet.start(ctx, b.fleet.nodes); err != nil {
			return 0, err
		}
		if err := b.create(ctx, "some", b.someNodes(0)); err != nil {
			return 0, err
		}
		if _, err := b.apply(ctx); err != nil {
			return 0, err
		}
		return 0, b.await(ctx, "map some is Ready", func(maps map[string]*v1alpha1.BPFMap) bool { return isReady(maps["some"], smokeNodes/10) })
	})
	if start.Refused > 0 {
		t.Errorf("%d requests were refused", start.Refused)
	}
	t.Run("one entry changes", b.oneEntryChanges)
	t.Run("one entry of a map of some nodes changes", b.mapOfSomeNodesChanges)
	t.Run("nothing happens", b.nothingHappens)
}

func (b *Bench) measure(t *testing.T, what func(context.Context) (time.Duration, error)) Figures {
	t.Helper()
	f, err := b.Measure(t.Context(), what)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// someNodes is a map of every tenth node.
func (b *Bench) someNodes(first int) v1alpha1.BPFMapSpec {
	s := b.spec(smokeEntries, first)
	s.NodeSelector = map[string]string{labelTenth: "true"}
	return s
}

// Each node gets one event for the new revision, one for each batch, and one for the old revision's retirement, and
// reads the chunk that changed.
func (b *Bench) oneEntryChanges(t *testing.T) {
	f := b.measure(t, func(ctx context.Context) (time.Duration, error) { return b.change(ctx, 1, "25%") })
	t.Logf("%d events and %d bytes per node, %d chunks read; writes: %s", f.EventsPerNode, f.BytesPerNode, f.ChunkReads, counts(f.Writes))
	if f.EventsPerNode > batches+2 {
		t.Errorf("%d events per node, want at most %d", f.EventsPerNode, batches+2)
	}
	if f.BytesPerNode > 2*contents {
		t.Errorf("%d bytes of watches per node, want at most twice the contents, %d", f.BytesPerNode, 2*contents)
	}
	if f.ChunkReads != smokeNodes {
		t.Errorf("%d chunks were read, want one by each of %d nodes", f.ChunkReads, smokeNodes)
	}
}

// Nodes that a map doesn't select get its events and none of its contents.
func (b *Bench) mapOfSomeNodesChanges(t *testing.T) {
	before, err := b.snap(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	f := b.measure(t, func(ctx context.Context) (time.Duration, error) {
		begin := time.Now()
		generation, err := b.replaceEntries(ctx, "some", "50%")
		if err != nil {
			return 0, err
		}
		return time.Since(begin), b.await(ctx, "map some is Ready", func(maps map[string]*v1alpha1.BPFMap) bool {
			return maps["some"].Generation >= generation && isReady(maps["some"], smokeNodes/10)
		})
	})
	after, err := b.snap(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	const selected = smokeNodes / 10
	if f.ChunkReads != selected {
		t.Errorf("%d chunks were read, want one by each of %d nodes", f.ChunkReads, selected)
	}
	for i, n := range b.fleet.nodes {
		was, now := before.nodes[i], after.nodes[i]
		is := n.name[len(n.name)-1] == '0'
		if reads := now.chunks - was.chunks; (reads > 0) != is {
			t.Errorf("%s, selected %t, read %d chunks", n.name, is, reads)
		}
		// What is left is the shape of the map, several times.
		if got := now.bytes - was.bytes; got >= contents {
			t.Errorf("%s received %d bytes of revisions", n.name, got)
		}
	}
}

// nothingHappens is an idle cluster, in which nobody writes.
func (b *Bench) nothingHappens(t *testing.T) {
	b.Steady = 10 * time.Second
	if f := b.measure(t, b.steady); len(f.Writes) > 0 || f.EventsPerNode > 0 {
		t.Errorf("writes: %s; %d events per node", counts(f.Writes), f.EventsPerNode)
	}
}

// TestCountedEvents cuts a watch's body anywhere.
func TestCountedEvents(t *testing.T) {
	const bookmark = `{"type":"BOOKMARK","object":{}}` + "\n"
	const text = `{"type":"ADDED","object":{}}` + "\n" + bookmark + `{"type":"MODIFIED","object":{"message":"BOOKMARK"}}` + "\n"
	for size := 1; size <= len(text); size++ {
		var events, got atomic.Int64
		r := &countedEvents{body: io.NopCloser(strings.NewReader(text)), events: &events, bytes: &got}
		buffer := make([]byte, size)
		for {
			if _, err := r.Read(buffer); err != nil {
				break
			}
		}
		if want := int64(len(text) - len(bookmark)); events.Load() != 2 || got.Load() != want {
			t.Errorf("read by %d bytes: %d events of %d bytes, want 2 of %d", size, events.Load(), got.Load(), want)
		}
	}
}
