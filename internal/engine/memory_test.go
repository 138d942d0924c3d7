// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package engine_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"runtime"
	"testing"

	"github.com/bpfmap-io/bpfmap-operator/internal/engine"
	"github.com/bpfmap-io/bpfmap-operator/internal/engine/enginetest"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
)

// What the engine allocates is bounded in bytes, whatever a map holds. The bounds are of all allocations of
// a Sync together, so they bound its peak, too.

const mebibyte = 1 << 20

// allocated is how many bytes do allocates.
func allocated(do func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	do()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// atMost wants that a Sync succeeds with an action, and allocates no more than this many MiB.
func (w *world) atMost(mib uint64, r *revision.Revision, action engine.Action) engine.Report {
	w.Helper()
	var report engine.Report
	bytes := allocated(func() { report = w.Sync(w.Context(), r) })
	if report.State != ready || report.Action != action {
		w.Fatalf("%s (%s), action %q: %s", report.State, report.Reason, report.Action, report.Message)
	}
	w.Logf("%s: %.1f MiB allocated", action, float64(bytes)/mebibyte)
	if bytes > mib*mebibyte {
		w.Errorf("%s allocated %.1f MiB, at most %d are allowed", action, float64(bytes)/mebibyte, mib)
	}
	return report
}

// million is how many entries the tests of memory use; MILLION makes it fewer, where filling maps is slow.
var million = int(fromEnvironment("MILLION", 1_000_000))

// numbers is a map of a type with a million entries of 8 bytes, one of which has another value.
func numbers(t *testing.T, typ string, changed, more int) *revision.Revision {
	t.Helper()
	key := map[string]string{"Hash": "u32", "LPMTrie": "ipv4Prefix"}[typ]
	r := rev(t, fmt.Sprintf("{type: %s, key: {type: %s}, value: {type: u32}, maxEntries: %d}", typ, key, 2*million))
	e := revision.Entries{KeySize: int(r.Shape.KeySize), ValueSize: 4}
	for i := range million + more {
		k := binary.BigEndian.AppendUint32(nil, uint32(i))
		if typ == "LPMTrie" {
			k = append(binary.NativeEndian.AppendUint32(nil, 32), k...)
		}
		value := uint32(i)
		if i == changed {
			value = ^value
		}
		e.Append(k, binary.NativeEndian.AppendUint32(nil, value), false)
	}
	var err error
	if r.Contents, err = revision.NewContents(r.Shape, &e); err != nil {
		t.Fatal(err)
	}
	r.Digest = r.ContentDigest()
	return r
}

// TestMemoryOfAMillion fills a map of this machine's kernel, changes one entry and adds another.
func TestMemoryOfAMillion(t *testing.T) {
	for _, typ := range []string{"Hash", "LPMTrie"} {
		t.Run(typ, func(t *testing.T) {
			w := &world{T: t, b: newKernel(t)}
			w.Engine = engine.New(w.b, engine.Options{})
			first := numbers(t, typ, -1, 0)
			w.atMost(24, first, engine.ActionCreated) // the revision itself has 8 MB or 12 MB
			second := numbers(t, typ, 4711, 0)
			report := w.atMost(8, second, engine.ActionUpdated)
			if n := report.Plan.Changes; n.Update.Len() != 1 || n.Insert.Len() != 0 || report.Entries == nil || *report.Entries != int64(million) {
				t.Errorf("%s, %v entries", n.Summary(), report.Entries)
			}
			third := numbers(t, typ, 4711, 1)
			w.atMost(8, third, engine.ActionUpdated)
			w.atMost(4, third, engine.ActionNone) // all is compared
			// A new process doesn't know what was applied: it reads the map, and the keys.
			w.Engine = engine.New(w.b, engine.Options{})
			w.atMost(32, second, engine.ActionUpdated)
			if report := w.Remove(t.Context(), key); report.Err != nil {
				t.Error(report.Err)
			}
		})
	}
}

// sink is a backend whose maps drop what is written and show nothing. It notes the largest write.
type sink struct {
	*enginetest.Memory
	written, largest int
}

type sinkMap struct {
	engine.Map
	s *sink
}

func (s *sink) Create(ctx context.Context, rev *revision.Revision) (engine.Map, error) {
	m, err := s.Memory.Create(ctx, rev)
	return sinkMap{m, s}, err
}

func (s *sink) Publish(ctx context.Context, key revision.Key, m engine.Map, pin revision.Pin, replaces ...uint32) error {
	return s.Memory.Publish(ctx, key, m.(sinkMap).Map, pin, replaces...)
}

func (m sinkMap) Write(_ context.Context, keys, values []byte) error {
	m.s.written += len(values)
	m.s.largest = max(m.s.largest, len(keys)+len(values))
	return nil
}

// TestMemoryOfManyCPUs: values for each of 128 possible CPUs are never all in memory: a million of 8 bytes
// would be a gigabyte.
func TestMemoryOfManyCPUs(t *testing.T) {
	const cpus = 128
	s := &sink{Memory: enginetest.NewMemory()}
	s.CPUs = cpus
	w := &world{t, engine.New(s, engine.Options{}), s}
	r := rev(t, fmt.Sprintf("{type: PerCPUHash, key: {type: u32}, value: {type: u64}, maxEntries: %d}", million))
	e := revision.Entries{KeySize: 4, ValueSize: 8}
	for i := range million {
		e.Append(binary.BigEndian.AppendUint32(nil, uint32(i)), binary.NativeEndian.AppendUint64(nil, uint64(i)), false)
	}
	var err error
	if r.Contents, err = revision.NewContents(r.Shape, &e); err != nil {
		t.Fatal(err)
	}
	r.Digest = r.ContentDigest()
	w.atMost(24, r, engine.ActionCreated)
	if s.written != million*8*cpus || s.largest > mebibyte {
		t.Errorf("%d bytes were written, want %d; at most %d at once", s.written, million*8*cpus, s.largest)
	}
}

// TestMemoryOfLargeValues: one element is larger than a window.
func TestMemoryOfLargeValues(t *testing.T) {
	s := &sink{Memory: enginetest.NewMemory()}
	s.CPUs = 128
	w := &world{t, engine.New(s, engine.Options{}), s}
	r := rev(t, "{type: PerCPUHash, key: {type: u32}, value: {type: string, size: 16384}, maxEntries: 100000, entries: [{key: 1, value: a}, {key: 2, value: b}]}")
	w.atMost(8, r, engine.ActionCreated)
	if s.written != 2*128*16384 || s.largest != 128*16384+4 {
		t.Errorf("%d bytes were written, at most %d at once", s.written, s.largest)
	}
}
