// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package kernel_test

import (
	"encoding/binary"
	"testing"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/bpf"
	"github.com/bpfmap-io/bpfmap-operator/internal/bpf/bpftest"
	"github.com/bpfmap-io/bpfmap-operator/internal/engine"
	"github.com/bpfmap-io/bpfmap-operator/internal/engine/kernel"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
)

const applied = 200000

// table is a revision of many entries.
func table(b *testing.B, typ v1alpha1.MapType) *revision.Revision {
	b.Helper()
	rev := &revision.Revision{
		Key: revision.Key{Namespace: "edge", Name: "bench"}, UID: "u", Name: "bench-1",
		Shape:  revision.Shape{Type: typ, KeySize: 8, ValueSize: 8, MaxEntries: applied, Name: "bench"},
		Policy: revision.Policy{Sync: v1alpha1.SyncMirror, Drift: v1alpha1.DriftRepair, Replace: v1alpha1.ReplaceNever, Deletion: v1alpha1.DeletionDelete},
		Pin:    revision.Pin{Path: "bpfmap/edge/bench", Mode: 0o600},
	}
	if typ == v1alpha1.MapTypeLPMTrie {
		rev.Shape.Flags = []v1alpha1.MapFlag{v1alpha1.FlagNoPrealloc}
	}
	if typ == v1alpha1.MapTypePerCPUArray {
		rev.Shape.KeySize = 4
	}
	e := revision.Entries{KeySize: int(rev.Shape.KeySize), ValueSize: 8}
	for i := range uint32(applied) {
		key := binary.NativeEndian.AppendUint32(nil, i)
		if rev.Shape.KeySize == 8 {
			key = binary.BigEndian.AppendUint32(binary.NativeEndian.AppendUint32(nil, 32), i)
		}
		e.Append(key, make([]byte, 8), false)
	}
	var err error
	if rev.Contents, err = revision.NewContents(rev.Shape, &e); err != nil {
		b.Fatal(err)
	}
	rev.Digest = rev.ContentDigest()
	return rev
}

// benchmarked are the types of BenchmarkApply and BenchmarkResync: those that got batches late, and one that had them early.
var benchmarked = []v1alpha1.MapType{v1alpha1.MapTypeHash, v1alpha1.MapTypeLPMTrie, v1alpha1.MapTypePerCPUArray}

// BenchmarkApply creates and fills a map by the engine, also as on a kernel without batches for its type, beside a bare
// loop of batches over the same entries.
func BenchmarkApply(b *testing.B) {
	for _, typ := range benchmarked {
		rev := table(b, typ)
		perEntry := func(b *testing.B) {
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/applied, "ns/entry")
		}
		byEngine := func(b *testing.B) {
			backend, err := kernel.New(bpftest.BPFFS(b), kernel.Options{})
			if err != nil {
				b.Fatal(err)
			}
			for b.Loop() {
				e := engine.New(backend, engine.Options{})
				if r := e.Sync(b.Context(), rev); r.Err != nil {
					b.Fatal(r.Err)
				}
				if r := e.Remove(b.Context(), rev.Key); r.Err != nil {
					b.Fatal(r.Err)
				}
			}
			perEntry(b)
		}
		b.Run(string(typ)+"/engine", byEngine)
		b.Run(string(typ)+"/engine one by one", func(b *testing.B) {
			disable(b, "Batch")
			byEngine(b)
		})
		if typ == v1alpha1.MapTypePerCPUArray {
			continue // a value for each CPU: what the engine makes of the one that is declared is part of the work
		}
		b.Run(string(typ)+"/batches", func(b *testing.B) {
			kind, err := bpf.ParseMapType(string(typ))
			if err != nil {
				b.Fatal(err)
			}
			flat := rev.Contents.Flat(rev.Shape)
			o := bpf.CreateOpts{Type: kind, KeySize: 8, ValueSize: 8, MaxEntries: applied}
			if kind == bpf.LPMTrie {
				o.Flags = bpf.NoPrealloc
			}
			for b.Loop() {
				m, err := bpf.Create(o)
				if err != nil {
					b.Fatal(err)
				}
				if _, err := m.UpdateBatch(b.Context(), flat.Keys, flat.Values, bpf.Any); err != nil {
					b.Fatal(err)
				}
				if err := m.Close(); err != nil {
					b.Fatal(err)
				}
			}
			perEntry(b)
		})
	}
}

// BenchmarkResync compares a map in sync with its revision, also as on a kernel without batches for its type.
func BenchmarkResync(b *testing.B) {
	for _, typ := range benchmarked {
		rev := table(b, typ)
		b.Run(string(typ), func(b *testing.B) { resync(b, rev) })
		b.Run(string(typ)+"/one by one", func(b *testing.B) {
			disable(b, "Batch")
			resync(b, rev)
		})
	}
}

func resync(b *testing.B, rev *revision.Revision) {
	backend, err := kernel.New(bpftest.BPFFS(b), kernel.Options{})
	if err != nil {
		b.Fatal(err)
	}
	e := engine.New(backend, engine.Options{})
	if r := e.Sync(b.Context(), rev); r.Err != nil {
		b.Fatal(r.Err)
	}
	for b.Loop() {
		if r := e.Sync(b.Context(), rev); r.Err != nil || r.Action != engine.ActionNone {
			b.Fatal(r.Action, r.Err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/applied, "ns/entry")
}
