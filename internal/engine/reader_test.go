// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package engine_test

import (
	"context"
	"strings"
	"testing"

	"github.com/bpfmap-io/bpfmap-operator/internal/engine"
	"github.com/bpfmap-io/bpfmap-operator/internal/engine/enginetest"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
)

// TestNoReaderFindsNeither: while one key takes the place of another, a program that looks at any time finds
// one of them, unless the map has no room for both.
func TestNoReaderFindsNeither(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		for name, e := range map[string]engine.Options{"compared": {}, "unread": {IncrementalThreshold: 1}} {
			t.Run(name, func(t *testing.T) {
				w := &world{t, engine.New(w.b, engine.Options{}), w.b}
				faulty := &enginetest.Faulty{Backend: w.b, Fault: enginetest.Fault{Call: -1}}
				sut := engine.New(faulty, e)
				first, second := hash(t, "", "1=10"), hash(t, "", "2=20")
				sut.Sync(t.Context(), first)
				looks := 0
				faulty.Before = func(string, engine.Map) {
					if held := w.contents(first); held == "" {
						t.Error("a reader finds neither of two keys")
					}
					looks++
				}
				if report := sut.Sync(t.Context(), second); report.Err != nil || looks < 5 {
					t.Errorf("%d looks, %v", looks, report.Err)
				}
				w.holds(second, "2=20")
				w.must(w.Remove(t.Context(), key).Err)
			})
		}
	})
}

// restless is a backend whose maps are read completely only after some tries.
type restless struct {
	engine.Backend
	tries int
}

type restlessMap struct {
	engine.Map
	b *restless
}

func (b *restless) Open(ctx context.Context, key revision.Key, pin *revision.Pin) (*engine.State, error) {
	s, err := b.Backend.Open(ctx, key, pin)
	if err == nil && s.Pinned != nil {
		s.Pinned = restlessMap{s.Pinned, b}
	}
	return s, err
}

func (b *restless) Publish(ctx context.Context, key revision.Key, m engine.Map, pin revision.Pin, replaces ...uint32) error {
	if w, ok := m.(restlessMap); ok {
		m = w.Map
	}
	return b.Backend.Publish(ctx, key, m, pin, replaces...)
}

func (m restlessMap) Read(ctx context.Context, yield func(keys, values []byte)) (bool, error) {
	complete, err := m.Map.Read(ctx, yield)
	m.b.tries--
	return complete && m.b.tries < 0, err
}

// TestReadsAgain: a reading that may have missed elements is tried again, up to twice; then what was seen
// counts.
func TestReadsAgain(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		for incomplete, complete := range map[int]bool{0: true, 1: true, 2: true, 3: false} {
			first, second := hash(t, "", "1=10", "2=20"), hash(t, "", "1=10")
			w.Sync(t.Context(), first)
			report := engine.New(&restless{w.b, incomplete}, engine.Options{}).Sync(t.Context(), second)
			if report.Err != nil || report.Plan.Changes.Incomplete == complete {
				t.Errorf("%d incomplete readings: incomplete %t, %v", incomplete, report.Plan.Changes.Incomplete, report.Err)
			}
			records, err := w.Records(t.Context())
			w.must(err)
			if (records[0].Applied != "") != complete {
				t.Errorf("%d incomplete readings: applied %q", incomplete, records[0].Applied)
			}
			w.must(w.Remove(t.Context(), key).Err)
		}
	})
}

// TestReadsWholeMapsAgain: what would be lost with a map that is replaced is looked for up to three times; a map
// that was never read completely stays.
func TestReadsWholeMapsAgain(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		for incomplete, want := range map[int]bool{0: true, 1: true, 2: true, 3: false} {
			small := hash(t, "", "1=10")
			bigger := table(t, "{type: Hash, key: {type: u8}, value: {type: u8}, maxEntries: 16, replacePolicy: Swap, ", "1=10")
			w.ready(small, engine.ActionCreated)
			w.must(w.open(small).Write(t.Context(), []byte{8}, []byte{80}))
			report := engine.New(&restless{w.b, incomplete}, engine.Options{}).Sync(t.Context(), bigger)
			if (report.Err == nil) != want || !want && !strings.Contains(report.Message, "3 readings may have missed elements") {
				t.Errorf("%d incomplete readings: %s, %v", incomplete, report.Action, report.Err)
			}
			if want {
				w.holds(bigger, "1=10 8=80")
			} else {
				w.holds(small, "1=10 8=80")
			}
			w.must(w.Remove(t.Context(), key).Err)
		}
	})
}
