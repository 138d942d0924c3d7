// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package cgroup_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/bpfmap-io/bpfmap-operator/internal/cgroup"
)

func TestNodeMemory(t *testing.T) {
	here, err := cgroup.NodeMemory("/")
	if err != nil || here < 64<<20 {
		t.Errorf("this machine has %d bytes, %v", here, err)
	}
	for text, want := range map[string]int64{
		"MemTotal:       16384 kB\nMemFree: 1 kB\n": 16 << 20,
		"MemFree:  1 kB\n":                          0,
		"MemTotal: 16384 pages\n":                   0,
		"MemTotal: 0 kB\n":                          0,
	} {
		root := t.TempDir()
		if err := os.Mkdir(filepath.Join(root, "proc"), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(root, "proc", "meminfo"), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		got, err := cgroup.NodeMemory(root)
		if got != want || (want == 0) == (err == nil) || (err != nil && !strings.Contains(err.Error(), "MemTotal")) {
			t.Errorf("%q: %d, %v", text, got, err)
		}
	}
}
