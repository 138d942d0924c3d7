// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package bpf

import (
	"context"
	"encoding/binary"
	"errors"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/bpfmap-io/bpfmap-operator/internal/bpf/sys"
	"github.com/bpfmap-io/bpfmap-operator/internal/maptype"
)

func newTestMap(t testing.TB, o CreateOpts) *Map {
	t.Helper()
	m, err := Create(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	})
	return m
}

// elements are packed keys from first on and values, each beginning with its key.
func elements(m *Map, first, n int) (keys, values []byte) {
	keys, values = make([]byte, n*m.key), make([]byte, n*m.stride)
	for i := range n {
		at := uint32(first + i)
		key := keys[i*m.key : (i+1)*m.key]
		if m.typ == LPMTrie {
			binary.NativeEndian.PutUint32(key, uint32(8*(m.key-4)))
			binary.BigEndian.PutUint32(key[m.key-4:], at)
		} else {
			binary.NativeEndian.PutUint32(key, at)
		}
		binary.NativeEndian.PutUint32(values[i*m.stride:], at)
	}
	return keys, values
}

func put(t testing.TB, m *Map, first, n int) {
	t.Helper()
	keys, values := elements(m, first, n)
	if done, err := m.UpdateBatch(context.Background(), keys, values, Any); done != n || err != nil {
		t.Fatalf("%d of %d elements, %v", done, n, err)
	}
}

// intercept answers calls of one command: errnos in turn, then the kernel.
func intercept(t *testing.T, cmd sys.Cmd, errnos ...unix.Errno) (calls *int) {
	t.Helper()
	calls = new(int)
	hook := func(c sys.Cmd) unix.Errno {
		if c != cmd {
			return 0
		}
		*calls++
		if *calls > len(errnos) {
			return 0
		}
		return errnos[*calls-1]
	}
	sys.Intercept.Store(&hook)
	t.Cleanup(func() { sys.Intercept.Store(nil) })
	return calls
}

// always answers more often than anything is repeated.
func always(errno unix.Errno) []unix.Errno {
	all := make([]unix.Errno, 1000)
	for i := range all {
		all[i] = errno
	}
	return all
}

// allocated is how many bytes do allocates.
func allocated(do func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	do()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

func readAll(t testing.TB, m *Map) (n int) {
	t.Helper()
	it := m.Iterate(context.Background(), IterateOptions{})
	for it.Next() {
		n += it.Len()
	}
	if it.Err() != nil || !it.Complete() {
		t.Fatalf("complete %t, %v", it.Complete(), it.Err())
	}
	return n
}

// TestReadingIsBoundedInBytes reads large values: what a reading allocates follows what a batch may hold,
// and not the map's capacity.
func TestReadingIsBoundedInBytes(t *testing.T) {
	const mib = 1 << 20
	many := uint32(100000)
	if !does(t, &maptype.LargeMaps) {
		many = 3000
	}
	for _, c := range []struct {
		what  string
		opts  CreateOpts
		n     int
		bound uint64
	}{
		{"one large element", CreateOpts{Type: Hash, KeySize: 4, ValueSize: mib, MaxEntries: many, Flags: NoPrealloc}, 1, 2 * mib},
		{"large elements", CreateOpts{Type: Hash, KeySize: 4, ValueSize: mib, MaxEntries: many, Flags: NoPrealloc}, 8, 8 * mib},
		{"large array", CreateOpts{Type: Array, KeySize: 4, ValueSize: mib, MaxEntries: 8}, 8, 2 * mib},
		{"one small element", CreateOpts{Type: Hash, KeySize: 4, ValueSize: 8, MaxEntries: 1000000, Flags: NoPrealloc}, 1, 32 << 10},
		{"small elements", CreateOpts{Type: Hash, KeySize: 4, ValueSize: 8, MaxEntries: 200000, Flags: NoPrealloc}, 20000, 128 << 10},
		{"a large trie", CreateOpts{Type: LPMTrie, KeySize: 8, ValueSize: 64 << 10, MaxEntries: 1000, Flags: NoPrealloc}, 100, 4 * mib},
	} {
		m := newTestMap(t, c.opts)
		put(t, m, 0, c.n)
		for range 3 {
			got := allocated(func() {
				if n := readAll(t, m); n != c.n {
					t.Errorf("%s: %d elements", c.what, n)
				}
			})
			if t.Logf("%s: %d bytes allocated", c.what, got); got > c.bound {
				t.Errorf("%s: a reading allocates %d bytes, more than %d", c.what, got, c.bound)
			}
		}
	}
}

// TestReadingTakesLargerBatches: a reading begins with a small buffer, which grows while there is more to read.
func TestReadingTakesLargerBatches(t *testing.T) {
	const n = 10 * maxBatch
	m := newTestMap(t, CreateOpts{Type: Hash, KeySize: 4, ValueSize: 8, MaxEntries: n})
	put(t, m, 0, n)
	calls := intercept(t, sys.MapLookupBatch)
	// Two batches until the buffer is as large as it may be, one after the last element, and of the others
	// each is smaller than it may be by less than one bucket.
	if got := readAll(t, m); got != n || *calls > n/maxBatch+4 {
		t.Errorf("%d elements in %d calls", got, *calls)
	}
}

// TestBatchesAreBoundedInBytes counts system calls: each carries at most 1 MiB, or one element.
func TestBatchesAreBoundedInBytes(t *testing.T) {
	for _, c := range []struct {
		value   uint32
		n       int
		updates int
	}{{8, 10000, 3}, {64 << 10, 60, 4}, {1 << 20, 3, 3}} {
		m := newTestMap(t, CreateOpts{Type: Hash, KeySize: 4, ValueSize: c.value, MaxEntries: uint32(max(c.n, 1000)), Flags: NoPrealloc})
		calls := intercept(t, sys.MapUpdateBatch)
		put(t, m, 0, c.n)
		if *calls != c.updates {
			t.Errorf("%d values of %d bytes: %d calls, want %d", c.n, c.value, *calls, c.updates)
		}
		calls = intercept(t, sys.MapDeleteBatch)
		keys, _ := elements(m, 0, c.n)
		if done, err := m.DeleteBatch(t.Context(), keys); done != c.n || err != nil || *calls != (c.n+maxBatch-1)/maxBatch {
			t.Errorf("delete: %d in %d calls, %v", done, *calls, err)
		}
	}
}

// TestBucketLargerThanBuffer reads hashes with buckets that are larger than the buffer at first, and than
// the largest one.
func TestBucketLargerThanBuffer(t *testing.T) {
	// As many buckets as elements of half a megabyte: some hold two.
	big := newTestMap(t, CreateOpts{Type: Hash, KeySize: 4, ValueSize: 512 << 10, MaxEntries: 16, Flags: NoPrealloc})
	put(t, big, 0, 16)
	got := allocated(func() {
		if n := readAll(t, big); n != 16 {
			t.Errorf("%d elements", n)
		}
	})
	if t.Logf("%d bytes", got); got > 2*maxBufferBytes {
		t.Errorf("%d bytes allocated", got)
	}
	// As if no buffer were large enough: key by key from the beginning, which is walked twice.
	calls := intercept(t, sys.MapLookupBatch, always(unix.ENOSPC)...)
	if n := readAll(t, big); n != 16 {
		t.Errorf("%d elements", n)
	}
	if *calls > 10 {
		t.Errorf("%d attempts", *calls)
	}
	// In the middle, what follows is read, and nothing is claimed. The first batch may take several calls:
	// the kernel seeds the hash of each map anew, and may have put several elements into the first bucket.
	intercept(t, sys.MapLookupBatch)
	seen, it := 0, big.Iterate(t.Context(), IterateOptions{})
	if it.Next() {
		seen += it.Len()
		intercept(t, sys.MapLookupBatch, always(unix.ENOSPC)...)
	}
	for it.Next() {
		seen += it.Len()
	}
	if it.Err() != nil || it.Complete() || seen != 16 {
		t.Errorf("%d elements, complete %t, %v", seen, it.Complete(), it.Err())
	}
}

// TestContextEndsBatches ends contexts before and between system calls: what was done is told.
func TestContextEndsBatches(t *testing.T) {
	for _, disabled := range [][]string{nil, {featureBatch}} {
		if err := Disable(disabled...); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = Disable() })
		m := newTestMap(t, CreateOpts{Type: Hash, KeySize: 4, ValueSize: 8, MaxEntries: 10000})
		keys, values := elements(m, 0, 10000)
		stop := func(cmd sys.Cmd, after int) context.Context {
			ctx, cancel := context.WithCancel(t.Context())
			calls := 0
			hook := func(c sys.Cmd) unix.Errno {
				if c == cmd {
					if calls++; calls == after {
						cancel()
					}
				}
				return 0
			}
			sys.Intercept.Store(&hook)
			t.Cleanup(func() { sys.Intercept.Store(nil); cancel() })
			return ctx
		}
		check := func(what string, done int, err error) {
			t.Helper()
			if !errors.Is(err, context.Canceled) || done <= 0 || done >= 10000 || !strings.Contains(err.Error(), "stopped after ") {
				t.Errorf("%s: %d done, %v", what, done, err)
			}
		}
		update, lookup, remove := sys.MapUpdateBatch, sys.MapLookupBatch, sys.MapDeleteBatch
		after := 1
		if disabled != nil {
			update, lookup, remove, after = sys.MapUpdateElem, sys.MapGetNextKey, sys.MapDeleteElem, 500
		}
		done, err := m.UpdateBatch(stop(update, after), keys, values, Any)
		check("update", done, err)
		if n := readAll(t, m); n != done {
			t.Errorf("%d done, %d there", done, n)
		}
		put(t, m, 0, 10000)
		it, seen := m.Iterate(stop(lookup, after), IterateOptions{}), 0
		for it.Next() {
			seen += it.Len()
		}
		if it.Complete() {
			t.Error("an iteration that was stopped calls itself complete")
		}
		if disabled == nil { // what a walk has read isn't passed on when it is stopped
			check("iterate", seen, it.Err())
		}
		if !errors.Is(it.Err(), context.Canceled) {
			t.Errorf("iterate: %v", it.Err())
		}
		_, exact, err := m.Count(stop(lookup, after))
		if exact || !errors.Is(err, context.Canceled) {
			t.Errorf("count: exact %t, %v", exact, err)
		}
		done, err = m.DeleteBatch(stop(remove, after), keys)
		check("delete", done, err)
		rest, err := m.DeleteBatchIgnoreMissing(stop(remove, after), keys[done*4:])
		check("delete what is left", rest, err)
		sys.Intercept.Store(nil)
		if n := readAll(t, m); n != 10000-done-rest {
			t.Errorf("%d left after %d and %d", n, done, rest)
		}
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		if n, more, err := m.LookupAndDeleteBatch(ended, keys, values, Any); n != 0 || more || !errors.Is(err, context.Canceled) {
			t.Errorf("drain: %d, %t, %v", n, more, err)
		}
		if done, err := m.UpdateBatch(ended, keys, values, Any); done != 0 || !errors.Is(err, context.Canceled) {
			t.Errorf("update: %d, %v", done, err)
		}
	}
}
