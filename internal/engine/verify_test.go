// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package engine_test

import (
	"context"
	"strings"
	"testing"

	"github.com/bpfmap-io/bpfmap-operator/internal/engine"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
)

// readCounter is a backend that counts readings of maps, and may have no hashes.
type readCounter struct {
	engine.Backend
	reads    int
	hashless bool
}

type readCounterMap struct {
	engine.Map
	b *readCounter
}

func (b *readCounter) Open(ctx context.Context, key revision.Key, pin *revision.Pin) (*engine.State, error) {
	s, err := b.Backend.Open(ctx, key, pin)
	if err == nil && s.Pinned != nil {
		s.Pinned = readCounterMap{s.Pinned, b}
	}
	return s, err
}

func (b *readCounter) Publish(ctx context.Context, key revision.Key, m engine.Map, pin revision.Pin, replaces ...uint32) error {
	if c, ok := m.(readCounterMap); ok {
		m = c.Map
	}
	return b.Backend.Publish(ctx, key, m, pin, replaces...)
}

func (m readCounterMap) Read(ctx context.Context, yield func(keys, values []byte)) (complete bool, err error) {
	m.b.reads++
	return m.Map.Read(ctx, yield)
}

func (m readCounterMap) Hash(ctx context.Context) (sum [32]byte, known bool) {
	if m.b.hashless {
		return sum, false
	}
	return m.Map.Hash(ctx)
}

// TestFrozenArrayIsNotRead verifies a frozen array by the kernel's hash, and says the same as a reading: of what is
// as declared, of other declared values, and of elements that nobody declared.
func TestFrozenArrayIsNotRead(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		const spec = "{type: Array, value: {type: hex, size: 3}, maxEntries: 5, freeze: true, "
		first := table(t, spec, `1="010203"`, `4="ffffff"`)
		w.ready(first, engine.ActionCreated)
		b := &readCounter{Backend: w.b}
		w = &world{t, engine.New(b, engine.Options{}), b}
		hashes := frozenHashes(t, w)
		say := func(r *revision.Revision, wantReads int) string {
			t.Helper()
			b.reads = 0
			report := w.Sync(t.Context(), r)
			if !b.hashless && hashes && b.reads != wantReads {
				t.Errorf("%d readings, want %d", b.reads, wantReads)
			}
			if (b.hashless || !hashes) && b.reads == 0 {
				t.Error("without a hash it isn't read")
			}
			return strings.Join([]string{string(report.State), string(report.Action), report.Reason, report.Message, report.Plan.String()}, "\n")
		}
		for what, c := range map[string]struct {
			rev   *revision.Revision
			reads int
		}{
			"as declared":          {first, 0},
			"another value":        {table(t, spec, `1="010204"`, `4="ffffff"`), 1},
			"one value less":       {table(t, spec, `4="ffffff"`), 1},
			"one more":             {table(t, spec, `0="000001"`, `1="010203"`, `4="ffffff"`), 1},
			"a zero more":          {table(t, spec, `0="000000"`, `1="010203"`, `4="ffffff"`), 0},
			"the wrong elements":   {table(t, spec, `2="010203"`, `4="ffffff"`), 1},
			"the last one missing": {table(t, spec, `1="010203"`), 1},
		} {
			b.hashless = false
			w.Sync(t.Context(), c.rev) // the record names it then
			byHash := say(c.rev, c.reads)
			b.hashless = true
			if byReading := say(c.rev, 1); byHash != byReading {
				t.Errorf("%s: by the hash\n%s\nby reading\n%s", what, byHash, byReading)
			}
		}
	})
}

// frozenHashes says whether the backend tells the hash of the world's map, which is frozen.
func frozenHashes(t *testing.T, w *world) bool {
	t.Helper()
	r := rev(t, "{type: Array, value: {type: u8}, maxEntries: 1}")
	state, err := w.b.Open(t.Context(), key, &r.Pin)
	if err != nil || state.Pinned == nil {
		t.Fatal(err)
	}
	defer func() {
		_ = state.Pinned.Close()
		if state.KeepAlive != nil {
			_ = state.KeepAlive.Close()
		}
	}()
	_, known := state.Pinned.Hash(t.Context())
	return known
}
