// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package bpf

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
)

const (
	possibleFile = "/sys/devices/system/cpu/possible"
	// maxCPU bounds CPU numbers: the largest NR_CPUS of an architecture is 8192 (Linux 6.18).
	maxCPU = 1<<16 - 1
)

// fakedCPUs is what PossibleCPUs says instead of the truth, if it isn't 0.
var fakedCPUs atomic.Int64

// PossibleCPUs is how many values an element of a per-CPU map has: one for each CPU that the kernel could
// ever have, not only for those that are online. System calls pack them densely in the order of the CPUs'
// numbers (for_each_possible_cpu): where numbers are missing, as in "0-3,8-11", value 4 is that of CPU 8.
func PossibleCPUs() (int, error) {
	if n := fakedCPUs.Load(); n > 0 {
		return int(n), nil
	}
	return possibleCPUs()
}

// FakePossibleCPUs makes PossibleCPUs say n until restore is called. For tests of what is computed from
// it: the kernel's system calls still carry as many values as there are.
func FakePossibleCPUs(n int) (restore func()) {
	before := fakedCPUs.Swap(int64(n))
	return func() { fakedCPUs.Store(before) }
}

// CPUsAreDense says whether the numbers of the possible CPUs are those from 0 on, without gaps: then value i
// of an element is that of CPU i.
func CPUsAreDense() bool {
	text, err := os.ReadFile(possibleFile)
	n, countErr := possibleCPUs()
	return err == nil && countErr == nil && strings.TrimSuffix(string(text), "\n") == denseCPUs(n)
}

// denseCPUs is the kernel's list of n CPUs without gaps.
func denseCPUs(n int) string {
	if n == 1 {
		return "0"
	}
	return "0-" + strconv.Itoa(n-1)
}

var possibleCPUs = sync.OnceValues(func() (int, error) {
	text, err := os.ReadFile(possibleFile)
	if err != nil {
		return 0, fmt.Errorf("count possible CPUs: %w", err)
	}
	n, err := countCPUs(strings.TrimSuffix(string(text), "\n"))
	if err != nil {
		return 0, fmt.Errorf("count possible CPUs in %s: %w", possibleFile, err)
	}
	return n, nil
})

// countCPUs is how many CPUs a list of the kernel's names, such as "0-3,8": ranges in ascending order
// (bitmap_print_to_pagebuf). Anything else is an error: a wrong count would put values on wrong CPUs.
func countCPUs(list string) (int, error) {
	count, next := 0, 0 // next is the smallest number that may follow
	for part := range strings.SplitSeq(list, ",") {
		from, to, isRange := strings.Cut(part, "-")
		if !isRange {
			to = from
		}
		first, err := cpuNumber(from)
		if err != nil {
			return 0, fmt.Errorf("list %q: %w", list, err)
		}
		last, err := cpuNumber(to)
		if err != nil {
			return 0, fmt.Errorf("list %q: %w", list, err)
		}
		if first < next || last < first {
			return 0, fmt.Errorf("list %q: %q is not above what is before it", list, part)
		}
		count += last - first + 1
		next = last + 1
	}
	return count, nil
}

func cpuNumber(text string) (int, error) {
	n, err := strconv.ParseUint(text, 10, 32)
	switch {
	case err != nil:
		return 0, fmt.Errorf("%q is not the number of a CPU", text)
	case n > maxCPU:
		return 0, fmt.Errorf("CPU %d is above %d", n, maxCPU)
	}
	return int(n), nil
}
