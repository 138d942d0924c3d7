// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package cgroup

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// NodeMemory is the node's memory in bytes, as the kernel gives it to the root group (proc_meminfo(5), MemTotal). root is
// "/".
func NodeMemory(root string) (int64, error) {
	path := filepath.Join(root, "proc", "meminfo")
	text, err := os.ReadFile(path)
	if err != nil {
		return 0, fmt.Errorf("read the node's memory: %w", err)
	}
	for line := range strings.Lines(string(text)) {
		if f := strings.Fields(line); len(f) == 3 && f[0] == "MemTotal:" && f[2] == "kB" {
			if kilobytes, err := strconv.ParseInt(f[1], 10, 64); err == nil && kilobytes > 0 {
				return kilobytes << 10, nil
			}
		}
	}
	return 0, fmt.Errorf("read the node's memory: %s has no MemTotal in kB", path)
}
