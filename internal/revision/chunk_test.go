// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package revision_test

import (
	"bytes"
	"encoding/binary"
	"slices"
	"testing"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
)

var hashShape = revision.Shape{Type: v1alpha1.MapTypeHash, KeySize: 8, ValueSize: 8, MaxEntries: 1 << 20}

// numbers are n sorted entries of 16 bytes.
func numbers(n int) revision.Entries {
	e := revision.Entries{KeySize: 8, ValueSize: 8}
	for i := range uint64(n) {
		e.Append(binary.BigEndian.AppendUint64(nil, i), binary.BigEndian.AppendUint64(nil, i*i), false)
	}
	return e
}

func split(t *testing.T, e *revision.Entries) []revision.Chunk {
	t.Helper()
	chunks, err := e.Split("table")
	if err != nil {
		t.Fatal(err)
	}
	return chunks
}

func packedOf(chunks []revision.Chunk) (packed [][]byte) {
	for _, c := range chunks {
		packed = append(packed, c.Packed)
	}
	return packed
}

func TestSplitAndJoin(t *testing.T) {
	for _, n := range []int{0, 1, 1000, 8191, 8192, 100000} {
		e := numbers(n)
		chunks := split(t, &e)
		total := 0
		for _, c := range chunks {
			total += c.Len
			if len(c.Packed) > v1alpha1.MaxChunkBytes {
				t.Errorf("%d entries: a chunk of %d bytes", n, len(c.Packed))
			}
			if err := revision.CheckChunk(c.Name, c.Packed); err != nil {
				t.Error(err)
			}
		}
		back, err := revision.Join(hashShape, packedOf(chunks))
		if err != nil || total != n || !bytes.Equal(back.Pack(), e.Pack()) {
			t.Errorf("%d entries came back as %d (%v)", n, back.Len, err)
		}
	}
}

// TestOneEntryChangesOneChunk is what chunks are for.
func TestOneEntryChangesOneChunk(t *testing.T) {
	e := numbers(100000)
	before := split(t, &e)
	binary.BigEndian.PutUint64(e.Value(4711), 42)
	after := split(t, &e)
	added := numbers(100001)
	binary.BigEndian.PutUint64(added.Value(4711), 42)
	more := split(t, &added)
	for _, c := range []struct{ a, b []revision.Chunk }{{before, after}, {after, more}} {
		changed := 0
		for i := range c.b {
			if !slices.ContainsFunc(c.a, func(o revision.Chunk) bool { return o.Name == c.b[i].Name }) {
				changed++
			}
		}
		if changed != 1 || len(c.a) != len(c.b) {
			t.Errorf("%d of %d chunks changed", changed, len(c.b))
		}
	}
}

func TestSplitKeepsOrderWithoutKeys(t *testing.T) {
	e := revision.Entries{ValueSize: 8}
	for i := range uint64(50000) {
		e.Append(nil, binary.BigEndian.AppendUint64(nil, i^0x5555), false)
	}
	back, err := revision.Join(revision.Shape{Type: v1alpha1.MapTypeQueue, ValueSize: 8}, packedOf(split(t, &e)))
	if err != nil || !bytes.Equal(back.Values, e.Values) {
		t.Errorf("a queue came back in another order (%v)", err)
	}
}

func TestSplitPerCPU(t *testing.T) {
	e := revision.Entries{KeySize: 8, ValueSize: 8}
	for i := range uint64(30000) {
		e.Append(binary.BigEndian.AppendUint64(nil, i), bytes.Repeat([]byte{byte(i)}, 16), true)
	}
	back, err := revision.Join(hashShape, packedOf(split(t, &e)))
	if err != nil || !bytes.Equal(back.Pack(), e.Pack()) {
		t.Errorf("per-CPU values got lost: %v", err)
	}
}

func TestSplitRefusesHugeValues(t *testing.T) {
	e := revision.Entries{KeySize: 8, ValueSize: 300 << 10}
	e.Append(make([]byte, 8), make([]byte, 300<<10), false)
	if _, err := e.Split("table"); err == nil {
		t.Error("an entry larger than a chunk was split")
	}
}

func TestAlteredChunk(t *testing.T) {
	e := numbers(100)
	c := split(t, &e)[0]
	altered := bytes.Clone(c.Packed)
	altered[40] ^= 1
	if err := revision.CheckChunk(c.Name, altered); err == nil {
		t.Error("an altered chunk is believed")
	}
	if err := revision.CheckChunk("nodash", c.Packed); err == nil {
		t.Error("a name without a digest is believed")
	}
}

// BenchmarkSplit cuts a million entries.
func BenchmarkSplit(b *testing.B) {
	e := numbers(1 << 20)
	for b.Loop() {
		if _, err := e.Split("table"); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkJoin puts a million entries together.
func BenchmarkJoin(b *testing.B) {
	e := numbers(1 << 20)
	chunks, err := e.Split("table")
	if err != nil {
		b.Fatal(err)
	}
	packed := packedOf(chunks)
	for b.Loop() {
		if _, err := revision.Join(hashShape, packed); err != nil {
			b.Fatal(err)
		}
	}
}
