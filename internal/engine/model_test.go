// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package engine_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/bpfmap-io/bpfmap-operator/internal/bpf/bpftest"
)

// seeds are the histories of a run: HISTORIES of them, beginning with SEED (1), or, with SOAK_TIME, from a seed
// drawn by lot until that time is over. A seed always makes the same history.
type seeds struct {
	first uint64
	until time.Time
	n     uint64
	next  atomic.Uint64
}

func newSeeds(t *testing.T, n uint64) *seeds {
	t.Helper()
	s := &seeds{first: 1, n: n}
	if testing.Short() {
		s.n /= 10
	}
	if text := os.Getenv("SOAK_TIME"); text != "" {
		d, err := time.ParseDuration(text)
		if err != nil {
			t.Fatal(err)
		}
		s.first, s.until, s.n = rand.Uint64(), time.Now().Add(d), math.MaxUint64
	}
	for name, to := range map[string]*uint64{"SEED": &s.first, "HISTORIES": &s.n} {
		if text := os.Getenv(name); text != "" {
			given, err := strconv.ParseUint(text, 10, 64)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			*to = given
		}
	}
	t.Cleanup(func() { t.Logf("%d histories from seed %d on", min(s.n, s.next.Load()), s.first) })
	return s
}

// take is the next seed, false at the end.
func (s *seeds) take() (seed uint64, ok bool) {
	i := s.next.Add(1) - 1
	return s.first + i, i < s.n && (s.until.IsZero() || time.Now().Before(s.until))
}

// play runs a history and says what went wrong; a panic is wrong, too.
func play(t *testing.T, newRig func() *rig, h history) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	return runHistory(t.Context(), newRig(), h)
}

// TestModelOnMemory plays histories on the memory backend.
func TestModelOnMemory(t *testing.T) {
	all := newSeeds(t, 10000)
	var failed atomic.Bool
	var wait sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		wait.Go(func() {
			for seed, ok := all.take(); ok && !failed.Load(); seed, ok = all.take() {
				h := newHistory(seed)
				if err := play(t, memoryRig, h); err != nil && failed.CompareAndSwap(false, true) {
					report(t, memoryRig, h)
				}
			}
		})
	}
	wait.Wait()
}

// report shrinks a history that fails and prints it.
func report(t *testing.T, newRig func() *rig, h history) {
	t.Helper()
	small := shrink(h, func(h history) bool { return play(t, newRig, h) != nil })
	t.Errorf("%v\nafter the history, made as short as it fails, of %s", play(t, newRig, small), small)
}

// TestModelOnKernel plays histories on this machine's kernel.
func TestModelOnKernel(t *testing.T) {
	root, cgroups := bpftest.BPFFS(t), t.TempDir()
	if err := syscall.Mount("none", cgroups, "cgroup2", 0, ""); err != nil {
		t.Fatalf("mount cgroup2 (this test needs root): %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(cgroups, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	newRig := func() *rig {
		r := kernelRig(t, root, cgroups)
		if err := r.wipe(); err != nil {
			t.Fatal(err)
		}
		return r
	}
	all := newSeeds(t, 300)
	for seed, ok := all.take(); ok; seed, ok = all.take() {
		h := newHistory(seed)
		if err := play(t, newRig, h); err != nil {
			report(t, newRig, h)
			return
		}
	}
}
