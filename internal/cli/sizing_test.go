// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"math"
	"runtime"
	"runtime/debug"
	"testing"
)

// TestSizing: CPUs and heap are bounded unless somebody says otherwise.
func TestSizing(t *testing.T) {
	procs, memory := runtime.GOMAXPROCS(0), debug.SetMemoryLimit(-1)
	t.Cleanup(func() { runtime.GOMAXPROCS(procs); debug.SetMemoryLimit(memory) })
	for name, c := range map[string]struct {
		procs      int
		env        map[string]string
		limits     []int64
		share      func(int64) int64
		wantProcs  int
		wantMemory int64
	}{
		"nothing said, a large machine":     {procs: 192, share: mostOf, wantProcs: mostProcs, wantMemory: math.MaxInt64},
		"few CPUs":                          {procs: 3, share: mostOf, wantProcs: 3, wantMemory: math.MaxInt64},
		"GOMAXPROCS":                        {procs: 64, env: map[string]string{"GOMAXPROCS": "64"}, share: mostOf, wantProcs: 64, wantMemory: math.MaxInt64},
		"the controller's limit":            {procs: 2, limits: []int64{512 << 20, 1 << 40}, share: mostOf, wantProcs: 2, wantMemory: (512 << 20) / 10 * 9},
		"GOMEMLIMIT":                        {procs: 2, env: map[string]string{"GOMEMLIMIT": "1GiB"}, limits: []int64{512 << 20}, share: mostOf, wantProcs: 2, wantMemory: math.MaxInt64},
		"the agent's limit":                 {procs: 2, limits: []int64{2 << 30}, share: besideMaps, wantProcs: 2, wantMemory: 256 << 20},
		"an agent's limit that is for maps": {procs: 2, limits: []int64{256 << 20}, share: besideMaps, wantProcs: 2, wantMemory: 64 << 20},
	} {
		runtime.GOMAXPROCS(c.procs)
		debug.SetMemoryLimit(math.MaxInt64)
		sizing{getenv: func(key string) string { return c.env[key] }, limits: func() ([]int64, error) { return c.limits, nil }}.fit(c.share)
		if got := runtime.GOMAXPROCS(0); got != c.wantProcs {
			t.Errorf("%s: %d CPUs, want %d", name, got, c.wantProcs)
		}
		if got := debug.SetMemoryLimit(-1); got != c.wantMemory {
			t.Errorf("%s: a heap of %d bytes, want %d", name, got, c.wantMemory)
		}
	}
}
