// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package bpftest helps tests that work on this machine's kernel: a BPF file system of their own,
// fewer capabilities, and a check for leaked file descriptors.
//
// Out of scope: anything that runs in production.
package bpftest

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/bpfmap-io/bpfmap-operator/internal/bpf/sys"
)

// BPFFS mounts a BPF file system until the test ends and returns its path. It needs root.
func BPFFS(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mount("bpf", dir, "bpf", 0, "mode=0755"); err != nil {
		t.Fatalf("mount a BPF file system (this test needs root): %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Errorf("unmount %s: %v", dir, err)
		}
	})
	return dir
}

// leakExitCode tells leaks from failed tests.
const leakExitCode = 99

// Main runs a package's tests and fails with exit code 99 if they leak: a handle that was collected
// without having been closed, or a descriptor of a map, a program or BTF that is still open.
func Main(m *testing.M) {
	// Kernels before 5.11 charge maps to it; elsewhere it doesn't matter, and may not be permitted.
	_ = sys.SetMemlockLimit(sys.RLimitInfinity, sys.RLimitInfinity)
	var collected atomic.Int64
	hook := func(int) { collected.Add(1) }
	sys.OnLeak.Store(&hook)
	code := m.Run()
	for range 3 { // clean-ups run some time after a collection
		runtime.GC()
		runtime.Gosched()
	}
	left, err := OpenDescriptors()
	if err != nil || collected.Load() > 0 || len(left) > 0 {
		fmt.Fprintf(os.Stderr, "leaked: %d handles that were never closed, open descriptors %v (%v)\n", collected.Load(), left, err)
		if code == 0 {
			code = leakExitCode
		}
	}
	os.Exit(code)
}

// OpenDescriptors are this process's descriptors of maps, programs and BTF, for example "anon_inode:bpf-map".
func OpenDescriptors() ([]string, error) {
	const dir = "/proc/self/fd"
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var found []string
	for _, e := range entries {
		target, err := os.Readlink(filepath.Join(dir, e.Name()))
		if err != nil {
			continue // the descriptor of the directory itself
		}
		if target == "anon_inode:bpf-map" || target == "anon_inode:bpf-prog" || strings.HasPrefix(target, "anon_inode:btf") {
			found = append(found, target)
		}
	}
	return found, nil
}

// WithCapabilities runs do in a thread that has no capabilities but these; its user id stays. The
// thread ends with do.
func WithCapabilities(t testing.TB, keep []sys.Capability, do func()) {
	t.Helper()
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread must not be used for anything else
		var data [2]unix.CapUserData
		for _, c := range keep {
			data[c/32].Effective |= 1 << (c % 32)
			data[c/32].Permitted |= 1 << (c % 32)
		}
		header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
		err := unix.Capset(&header, &data[0])
		if err == nil {
			do()
		}
		done <- err
	}()
	if err := <-done; err != nil {
		t.Fatalf("drop capabilities (this test needs root): %v", err)
	}
}
