// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package engine_test

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/bpfmap-io/bpfmap-operator/internal/bpf/bpftest"
)

// firstSeed is where the histories begin; SEED sets it, to repeat one.
func firstSeed(t *testing.T) uint64 {
	t.Helper()
	text := os.Getenv("SEED")
	if text == "" {
		return 1
	}
	seed, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return seed
}

func count(t *testing.T, n int) int {
	t.Helper()
	if text := os.Getenv("HISTORIES"); text != "" {
		given, err := strconv.Atoi(text)
		if err != nil {
			t.Fatal(err)
		}
		return given
	}
	if testing.Short() {
		return n / 10
	}
	return n
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
	n, first := count(t, 10000), firstSeed(t)
	var next atomic.Uint64
	var failed atomic.Bool
	var wait sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		wait.Go(func() {
			for i := next.Add(1) - 1; i < uint64(n) && !failed.Load(); i = next.Add(1) - 1 {
				h := newHistory(first + i)
				if err := play(t, memoryRig, h); err != nil && failed.CompareAndSwap(false, true) {
					report(t, memoryRig, h, i)
				}
			}
		})
	}
	wait.Wait()
}

// report shrinks a history that fails and prints it.
func report(t *testing.T, newRig func() *rig, h history, i uint64) {
	t.Helper()
	small := shrink(h, func(h history) bool { return play(t, newRig, h) != nil })
	t.Errorf("history %d fails: %v\n%s", i, play(t, newRig, small), small)
}

// TestModelOnKernel plays histories on this machine's kernel.
func TestModelOnKernel(t *testing.T) {
	root := bpftest.BPFFS(t)
	newRig := func() *rig {
		r := kernelRig(t, root)
		if err := r.wipe(); err != nil {
			t.Fatal(err)
		}
		return r
	}
	first := firstSeed(t)
	for i := range uint64(count(t, 300)) {
		h := newHistory(first + i)
		if err := play(t, newRig, h); err != nil {
			report(t, newRig, h, i)
			return
		}
	}
}
