// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package nodelock_test

import (
	"context"
	"errors"
	"io/fs"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
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

func TestOneHolderAtATime(t *testing.T) {
	dir := mountBPFFS(t)
	var inside, most int
	var mu sync.Mutex
	var workers sync.WaitGroup
	for range 8 {
		workers.Go(func() {
			for range 5 {
				l, err := nodelock.Acquire(t.Context(), dir)
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				inside++
				most = max(most, inside)
				mu.Unlock()
				time.Sleep(100 * time.Microsecond)
				mu.Lock()
				inside--
				mu.Unlock()
				if err := l.Unlock(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	workers.Wait()
	if most != 1 {
		t.Errorf("%d held the lock at the same time", most)
	}
}

func TestAcquireEndsWithContext(t *testing.T) {
	dir := mountBPFFS(t)
	l, err := nodelock.Acquire(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := nodelock.Acquire(ctx, dir); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Acquire of a taken lock = %v, want the context's error", err)
	}
	if err := l.Unlock(); err != nil {
		t.Fatal(err)
	}
	if l, err = nodelock.Acquire(t.Context(), dir); err != nil {
		t.Fatalf("Acquire after Unlock: %v", err)
	}
	if err := l.Unlock(); err != nil {
		t.Error(err)
	}
}

func TestAcquireWithoutBPFFS(t *testing.T) {
	_, err := nodelock.Acquire(t.Context(), filepath.Join(t.TempDir(), "missing"))
	if !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Acquire = %v, want a missing directory", err)
	}
}
