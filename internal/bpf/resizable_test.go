// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package bpf

import (
	"encoding/binary"
	"errors"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/bpfmap-io/bpfmap-operator/internal/bpf/bpftest"
	"github.com/bpfmap-io/bpfmap-operator/internal/bpf/sys"
)

// TestRHash counts and reads a table that grows and shrinks, and notices that its cursor is lost.
func TestRHash(t *testing.T) {
	o := CreateOpts{Type: RHash, KeySize: 4, ValueSize: 12, MaxEntries: 20000, Flags: NoPrealloc}
	if !bpftest.Since(t, 7, 1) {
		if _, err := Create(o); !errors.Is(err, ErrNotSupported) {
			t.Errorf("create: %v", err)
		}
		return
	}
	m, err := Create(o)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = m.Close() }()
	keys := func(from, to int) (keys []byte) {
		for i := from; i < to; i++ {
			keys = binary.NativeEndian.AppendUint32(keys, uint32(i))
		}
		return keys
	}
	count := func(want int) {
		t.Helper()
		if n, known := m.resizableCount(); !known || n != uint64(want) {
			t.Errorf("counts %d elements (%t), want %d", n, known, want)
		}
	}
	count(0)
	if done, err := m.UpdateBatch(t.Context(), keys(0, 10000), make([]byte, 10000*12), Any); done != 10000 || err != nil {
		t.Fatal(done, err)
	}
	count(10000)
	// Once the table has grown, a reading is complete.
	read := func() (seen map[uint32]bool, it *Iterator) {
		seen = map[uint32]bool{}
		it = m.Iterate(t.Context(), IterateOptions{BatchSize: 100})
		for it.Next() {
			for k := it.Keys(); len(k) > 0; k = k[4:] {
				seen[binary.NativeEndian.Uint32(k)] = true
			}
		}
		if it.Err() != nil {
			t.Fatal(it.Err())
		}
		return seen, it
	}
	whole := false
	for try := 0; !whole && try < 100; try++ {
		seen, it := read()
		whole = it.Complete()
		if whole && len(seen) != 10000 {
			t.Errorf("a reading of %d elements is complete", len(seen))
		}
	}
	if !whole {
		t.Error("no reading is complete")
	}
	// Without the key at the cursor, the kernel says EAGAIN, which isn't waited for.
	it := m.Iterate(t.Context(), IterateOptions{BatchSize: 100})
	if !it.Next() {
		t.Fatal(it.Err())
	}
	if err := m.DeleteElem(it.cursor); err != nil {
		t.Fatal(err)
	}
	if _, err := m.fd.Batch(sys.MapLookupBatch, it.cursor, it.next, it.buffer.keys, it.buffer.values, 1, 0); !errors.Is(err, unix.EAGAIN) {
		t.Errorf("a batch from a key that is gone: %v", err)
	}
	for it.Next() {
	}
	if it.Complete() || it.Err() != nil {
		t.Errorf("without its cursor: complete %t, %v", it.Complete(), it.Err())
	}
	count(9999)
	// One that misses elements is noticed by their number.
	short := m.Iterate(t.Context(), IterateOptions{})
	short.resizing.before = 10001
	for short.Next() {
		short.seen -= uint64(short.n)
	}
	if short.Complete() {
		t.Error("a reading of nothing is complete")
	}
	if err := m.Freeze(); err != nil {
		t.Error(err)
	}
}
