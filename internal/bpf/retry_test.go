// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package bpf

import (
	"errors"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/bpfmap-io/bpfmap-operator/internal/bpf/sys"
	"github.com/bpfmap-io/bpfmap-operator/internal/maptype"
)

// locks are what the kernel answers when it doesn't get a lock of a map.
var locks = []unix.Errno{unix.EBUSY, unix.EDEADLK, unix.ETIMEDOUT}

// TestLockedElements repeats operations on elements that find the map locked, and says so in the end.
func TestLockedElements(t *testing.T) {
	m := newTestMap(t, CreateOpts{Type: Hash, KeySize: 4, ValueSize: 8, MaxEntries: 10})
	put(t, m, 0, 2)
	key, value := elements(m, 0, 1)
	for _, op := range []struct {
		cmd sys.Cmd
		do  func() error
	}{
		{sys.MapUpdateElem, func() error { return m.UpdateElem(key, value, Any) }},
		{sys.MapLookupElem, func() error { return m.LookupElem(key, value) }},
		{sys.MapGetNextKey, func() error { _, err := m.GetNextKey(nil, key); return err }},
		{sys.MapDeleteElem, func() error { return m.DeleteElem(key) }},
		{sys.MapLookupAndDeleteElem, func() error { return m.LookupAndDeleteElem(key, value) }},
	} {
		for _, errno := range locks {
			if op.cmd == sys.MapLookupAndDeleteElem && !has(Hash, maptype.LookupAndDelete) {
				continue // TestLaterCommands
			}
			put(t, m, 0, 2)
			calls := intercept(t, op.cmd, errno, errno)
			if err := op.do(); err != nil || *calls != 3 {
				t.Errorf("command %d, locked twice (%v): %v after %d calls", op.cmd, errno, err, *calls)
			}
			calls = intercept(t, op.cmd, always(errno)...)
			err := op.do()
			if !errors.Is(err, ErrBusy) || !errors.Is(err, errno) || *calls != lockBackoff().tries || !strings.Contains(err.Error(), "try again") {
				t.Errorf("command %d, locked (%v): %v after %d calls", op.cmd, errno, err, *calls)
			}
			sys.Intercept.Store(nil)
		}
	}
}

// TestLockedBatches repeats batches that find the map locked, from where they were.
func TestLockedBatches(t *testing.T) {
	const n = 3 * maxBatch
	m := newTestMap(t, CreateOpts{Type: Hash, KeySize: 4, ValueSize: 8, MaxEntries: n})
	keys, values := elements(m, 0, n)
	for _, errno := range append(locks, unix.EINTR, unix.EAGAIN) {
		calls := intercept(t, sys.MapUpdateBatch, 0, errno, errno, 0, errno)
		if done, err := m.UpdateBatch(t.Context(), keys, values, Any); done != n || err != nil || *calls != 6 {
			t.Errorf("update, %v: %d, %v in %d calls", errno, done, err, *calls)
		}
		calls = intercept(t, sys.MapLookupBatch, 0, errno, errno)
		if r := readWhile(t, m, 0, func(int, []byte) {}); len(r.seen) != n || len(r.twice()) != 0 || !r.complete || *calls < 5 {
			t.Errorf("iterate, %v: %d elements, complete %t in %d calls", errno, len(r.seen), r.complete, *calls)
		}
		calls = intercept(t, sys.MapDeleteBatch, errno, 0, errno)
		if done, err := m.DeleteBatch(t.Context(), keys); done != n || err != nil || *calls != 5 {
			t.Errorf("delete, %v: %d, %v in %d calls", errno, done, err, *calls)
		}
		intercept(t, sys.MapUpdateBatch, append([]unix.Errno{0}, always(errno)...)...)
		if done, err := m.UpdateBatch(t.Context(), keys, values, Any); done != maxBatch || !errors.Is(err, ErrBusy) || !errors.Is(err, errno) {
			t.Errorf("update, %v for good: %d, %v", errno, done, err)
		}
		intercept(t, sys.MapLookupBatch, always(errno)...)
		if n, exact, err := m.Count(t.Context()); n != 0 || exact || !errors.Is(err, ErrBusy) {
			t.Errorf("count, %v for good: %d, %t, %v", errno, n, exact, err)
		}
		calls = intercept(t, sys.MapLookupAndDeleteBatch, errno, errno)
		if got, _, err := m.LookupAndDeleteBatch(t.Context(), keys, values, Any); got != maxBatch || err != nil || *calls != 3 {
			t.Errorf("drain, %v: %d, %v in %d calls", errno, got, err, *calls)
		}
		sys.Intercept.Store(nil)
	}
}

// TestBatchTellsWhatIsDone compares what batches say that they have done with what is there.
func TestBatchTellsWhatIsDone(t *testing.T) {
	const room = maxBatch + 10
	m := newTestMap(t, CreateOpts{Type: Hash, KeySize: 4, ValueSize: 8, MaxEntries: room})
	keys, values := elements(m, 0, room+5)
	if done, err := m.UpdateBatch(t.Context(), keys, values, Any); done != room || !errors.Is(err, ErrFull) {
		t.Errorf("into a map that is full after the first call: %d, %v", done, err)
	}
	if n := readAll(t, m); n != room {
		t.Errorf("%d elements", n)
	}
	if done, err := m.DeleteBatch(t.Context(), keys); done != room || !errors.Is(err, ErrNotExist) {
		t.Errorf("delete more than there is: %d, %v", done, err)
	}
	put(t, m, 0, 3)
	if err := m.Freeze(); err != nil {
		t.Fatal(err)
	}
	// The kernel leaves the count as it was passed in.
	if done, err := m.UpdateBatch(t.Context(), keys[:12], values[:24], Any); done != 0 || !errors.Is(err, ErrFrozen) {
		t.Errorf("update a frozen map: %d, %v", done, err)
	}
	if done, err := m.DeleteBatch(t.Context(), keys[:12]); done != 0 || !errors.Is(err, ErrFrozen) {
		t.Errorf("delete in a frozen map: %d, %v", done, err)
	}
}

// TestFreezeMeetsWriters waits for writers in the kernel, a bounded number of times.
func TestFreezeMeetsWriters(t *testing.T) {
	m := newTestMap(t, CreateOpts{Type: Array, KeySize: 4, ValueSize: 8, MaxEntries: 1})
	calls := intercept(t, sys.MapFreeze, always(unix.EBUSY)...)
	if err := m.Freeze(); !errors.Is(err, ErrMapped) || !errors.Is(err, unix.EBUSY) || *calls != freezeBackoff().tries {
		t.Errorf("busy for good: %v after %d calls", err, *calls)
	}
	calls = intercept(t, sys.MapFreeze, unix.EBUSY, unix.EBUSY)
	if err := m.Freeze(); err != nil || *calls != 3 {
		t.Errorf("busy twice: %v after %d calls", err, *calls)
	}
	if info, err := m.FDInfo(); err != nil || !info.Frozen {
		t.Errorf("%+v, %v", info, err)
	}
}

// TestBusyIsAnAnswer doesn't repeat what can't change: the socket is in another array.
func TestBusyIsAnAnswer(t *testing.T) {
	m := newTestMap(t, CreateOpts{Type: ReusePortSockArray, KeySize: 4, ValueSize: 8, MaxEntries: 1})
	calls := intercept(t, sys.MapUpdateElem, always(unix.EBUSY)...)
	if err := m.UpdateElem(make([]byte, 4), make([]byte, 8), Any); !errors.Is(err, unix.EBUSY) || errors.Is(err, ErrBusy) || *calls != 1 {
		t.Errorf("%v after %d calls", err, *calls)
	}
}

// TestDrainWithSmallBuffers drains maps whose first bucket holds more than the buffers.
func TestDrainWithSmallBuffers(t *testing.T) {
	for _, typ := range []MapType{Hash, PerCPUHash, LRUHash} {
		m := newTestMap(t, CreateOpts{Type: typ, KeySize: 4, ValueSize: 8, MaxEntries: 1000})
		const all = 600
		put(t, m, 0, all)
		if !has(typ, maptype.LookupAndDelete) {
			intercept(t, sys.MapLookupAndDeleteBatch, unix.ENOSPC)
			_, _, err := m.LookupAndDeleteBatch(t.Context(), make([]byte, m.key), make([]byte, m.stride), Any)
			if !errors.Is(err, unix.ENOSPC) || !strings.Contains(err.Error(), "use larger ones") {
				t.Errorf("%s: %v", typ, err)
			}
			sys.Intercept.Store(nil)
			continue
		}
		seen := map[uint32]bool{}
		keys, values := make([]byte, m.key), make([]byte, m.stride)
		calls := intercept(t, sys.MapLookupAndDeleteBatch, unix.ENOSPC) // as if the first bucket held two
		for more := true; more; {
			var n int
			var err error
			if n, more, err = m.LookupAndDeleteBatch(t.Context(), keys, values, Any); err != nil {
				t.Fatal(err)
			}
			if n > 0 {
				seen[numberOf(m, keys)] = true
			}
		}
		if len(seen) != all || *calls < all {
			t.Errorf("%s: %d of %d elements drained in %d calls", typ, len(seen), all, *calls)
		}
		if n := readAll(t, m); n != 0 {
			t.Errorf("%s: %d left", typ, n)
		}
	}
	// Where there is no command for one element, the error says what to do.
	m := newTestMap(t, CreateOpts{Type: Hash, KeySize: 4, ValueSize: 8, MaxEntries: 10})
	put(t, m, 0, 5)
	hook := func(c sys.Cmd) unix.Errno {
		return map[sys.Cmd]unix.Errno{sys.MapLookupAndDeleteBatch: unix.ENOSPC, sys.MapLookupAndDeleteElem: 524}[c]
	}
	sys.Intercept.Store(&hook)
	defer sys.Intercept.Store(nil)
	n, more, err := m.LookupAndDeleteBatch(t.Context(), make([]byte, 8), make([]byte, 16), Any)
	if n != 0 || !more || !errors.Is(err, unix.ENOSPC) || !strings.Contains(err.Error(), "use larger ones") {
		t.Errorf("%d, %t, %v", n, more, err)
	}
}
