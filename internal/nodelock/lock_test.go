// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package nodelock_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/bpfmap-io/bpfmap-operator/internal/nodelock"
)

func mountBPFFS(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mount("bpf", dir, "bpf", 0, ""); err != nil {
		t.Fatalf("mount a BPF file system (the tests need root): %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// directory is path, made if it isn't there.
func directory(path string) nodelock.Directory {
	return nodelock.Directory{Name: "the test's lock", Open: func() (*os.File, error) {
		if err := os.Mkdir(path, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
			return nil, err
		}
		return os.Open(path)
	}}
}

func acquire(t *testing.T, d nodelock.Directory) *nodelock.Lock {
	t.Helper()
	l, err := nodelock.Acquire(t.Context(), d, nil)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// TestOneHolderAtATime counts without a lock of its own: the race detector sees it, too. Half of the holders
// remove the directory: those that wait for it then wait for the next one.
func TestOneHolderAtATime(t *testing.T) {
	path := filepath.Join(mountBPFFS(t), "locked")
	var inside atomic.Int32
	total := 0 // protected by the lock alone
	var workers sync.WaitGroup
	for worker := range 8 {
		workers.Go(func() {
			for range 50 {
				l, err := nodelock.Acquire(t.Context(), directory(path), nil)
				if err != nil {
					t.Error(err)
					return
				}
				if n := inside.Add(1); n != 1 {
					t.Errorf("%d hold the lock at the same time", n)
				}
				total++
				inside.Add(-1)
				if worker%2 == 0 { // the last thing that a holder may do
					if err := os.Remove(path); err != nil {
						t.Error(err)
					}
				}
				if err := l.Unlock(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	workers.Wait()
	if total != 400 {
		t.Errorf("%d turns, want 400", total)
	}
}

func TestAcquireEndsWithContext(t *testing.T) {
	d := directory(filepath.Join(mountBPFFS(t), "locked"))
	l := acquire(t, d)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := nodelock.Acquire(ctx, d, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("Acquire of a taken lock = %v, want the context's error", err)
	}
	if err := l.Unlock(); err != nil {
		t.Fatal(err)
	}
	if err := acquire(t, d).Unlock(); err != nil {
		t.Error(err)
	}
}

// TestLongWaitIsTold runs on a clock of its own.
func TestLongWaitIsTold(t *testing.T) {
	d := directory(filepath.Join(mountBPFFS(t), "locked"))
	holder := acquire(t, d)
	var told []nodelock.Wait
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 75*time.Second)
		defer cancel()
		_, err := nodelock.Acquire(ctx, d, func(w nodelock.Wait) { told = append(told, w) })
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Acquire = %v", err)
		}
	})
	var after []time.Duration
	for _, w := range told {
		if w.For != "the test's lock" {
			t.Errorf("told to wait for %q", w.For)
		}
		after = append(after, w.Waited.Truncate(time.Second))
	}
	if want := []time.Duration{10 * time.Second, 20 * time.Second, 40 * time.Second}; !slices.Equal(after, want) {
		t.Errorf("told after %v, want %v", after, want)
	}
	if err := holder.Unlock(); err != nil {
		t.Error(err)
	}
}

func TestAcquireWithoutDirectory(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "missing", "locked")
	_, err := nodelock.Acquire(t.Context(), directory(missing), nil)
	if !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Acquire = %v, want a missing directory", err)
	}
}

// TestDirectoryGoesBeforeItIsOpened: a holder may remove the directory between its making and its opening, a
// number of times; then the error says so. Other errors, and a context that ended, end it at once.
func TestDirectoryGoesBeforeItIsOpened(t *testing.T) {
	path := filepath.Join(mountBPFFS(t), "locked")
	there, gone := directory(path), fmt.Errorf("open: %w", fs.ErrNotExist)
	opened := 0
	failing := func(times int, err error) nodelock.Directory {
		opened = 0
		return nodelock.Directory{Name: "the test's lock", Open: func() (*os.File, error) {
			switch opened++; {
			case opened > 1000:
				return nil, errors.New("opened without end")
			case opened <= times:
				return nil, err
			}
			return there.Open()
		}}
	}
	const most = 128
	if err := acquire(t, failing(most-1, gone)).Unlock(); err != nil || opened != most+1 {
		t.Errorf("%v after %d openings, want %d and one more under the lock", err, opened, most)
	}
	_, err := nodelock.Acquire(t.Context(), failing(math.MaxInt, gone), nil)
	if !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "removed 128 times") || opened != most {
		t.Errorf("%v after %d openings", err, opened)
	}
	if _, err := nodelock.Acquire(t.Context(), failing(math.MaxInt, syscall.EACCES), nil); !errors.Is(err, syscall.EACCES) || opened != 1 {
		t.Errorf("%v after %d openings", err, opened)
	}
	ctx, cancel := context.WithCancel(t.Context())
	d := failing(math.MaxInt, gone)
	again := d.Open
	d.Open = func() (*os.File, error) {
		if opened == 2 {
			cancel()
		}
		return again()
	}
	if _, err := nodelock.Acquire(ctx, d, nil); !errors.Is(err, fs.ErrNotExist) || opened != 3 {
		t.Errorf("%v after %d openings, want none after the context's end", err, opened)
	}
}

// TestDirectoryIsAnotherOne: the lock of a directory that its holder removed meanwhile is worth nothing: the one
// that has its name now is locked.
func TestDirectoryIsAnotherOne(t *testing.T) {
	path := filepath.Join(mountBPFFS(t), "locked")
	d := directory(path)
	opened := 0
	l := acquire(t, nodelock.Directory{Name: d.Name, Open: func() (*os.File, error) {
		if opened++; opened == 2 { // the first one is open and locked
			if err := os.Remove(path); err != nil {
				t.Error(err)
			}
		}
		return d.Open()
	}})
	if opened != 3 {
		t.Errorf("%d openings, want one after each lock that was taken and the first", opened)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := nodelock.Acquire(ctx, d, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("the directory that is there now isn't locked: %v", err)
	}
	if err := l.Unlock(); err != nil {
		t.Error(err)
	}
}
