// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package bpf

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
)

const possibleFile = "/sys/devices/system/cpu/possible"

// PossibleCPUs is how many values an element of a per-CPU map has: the CPUs that the kernel could
// ever have, not those that are online.
var PossibleCPUs = sync.OnceValues(func() (int, error) {
	text, err := os.ReadFile(possibleFile)
	if err != nil {
		return 0, fmt.Errorf("count possible CPUs: %w", err)
	}
	n, err := parseCPUs(strings.TrimSpace(string(text)))
	if err != nil {
		return 0, fmt.Errorf("count possible CPUs in %s: %w", possibleFile, err)
	}
	return n, nil
})

// parseCPUs is one more than the highest CPU of a list such as "0-3,8".
func parseCPUs(list string) (int, error) {
	last := list[strings.LastIndexAny(list, ",-")+1:]
	n, err := strconv.Atoi(last)
	if err != nil || n < 0 {
		return 0, fmt.Errorf("can't read %q", list)
	}
	return n + 1, nil
}
