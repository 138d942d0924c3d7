// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"os"
	"runtime"
	"runtime/debug"

	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/bpfmap-io/bpfmap-operator/internal/cgroup"
)

// mostProcs is how many CPUs a process uses at a time if nobody says otherwise. The runtime keeps memory for each: an agent on a
// node of many CPUs would take the more, and has no use for them.
const mostProcs = 8

// sizing fits the Go runtime of a process to where it runs.
type sizing struct {
	// getenv is os.Getenv. What somebody wrote into GOMAXPROCS and GOMEMLIMIT stays.
	getenv func(string) string
	// limits are the memory limits of the process's control groups, in bytes.
	limits func() ([]int64, error)
}

func ownSizing() sizing {
	return sizing{getenv: os.Getenv, limits: func() ([]int64, error) {
		groups, err := cgroup.Limits("/")
		var limits []int64
		for _, g := range groups {
			limits = append(limits, g.Limit)
		}
		return limits, err
	}}
}

// fit bounds the number of CPUs, which the runtime has from the machine or the container's limit, and sets the size of the heap
// from which on garbage is collected more often: share of the container's memory limit, if it has one.
func (s sizing) fit(share func(limit int64) int64) {
	if s.getenv("GOMAXPROCS") == "" && runtime.GOMAXPROCS(0) > mostProcs {
		runtime.GOMAXPROCS(mostProcs)
	}
	if s.getenv("GOMEMLIMIT") != "" {
		return
	}
	limits, err := s.limits()
	if err != nil {
		log.Log.Info("The memory limit of this container isn't known, and garbage is collected without regard to it", "reason", err.Error())
		return
	}
	for _, limit := range limits {
		if soft := share(limit); soft < debug.SetMemoryLimit(-1) {
			debug.SetMemoryLimit(soft)
		}
	}
}

// mostOf is the controller's share: all memory in its container is its own, and a tenth is left for what the runtime doesn't
// count and for a peak between two collections.
func mostOf(limit int64) int64 { return limit / 10 * 9 }

// besideMaps is the agent's share: the kernel charges the maps to the same container, and an eighth is kept free of them for the
// process (ADR 0011). Under 64 MiB it would collect all the time and free nothing.
func besideMaps(limit int64) int64 { return max(limit/8, 64<<20) }
