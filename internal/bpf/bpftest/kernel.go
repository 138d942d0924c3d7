// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package bpftest

import (
	"fmt"
	"os"
	"testing"

	"github.com/bpfmap-io/bpfmap-operator/internal/maptype"
)

// Since says whether the running kernel is of a release or a later one, for what came with it.
func Since(t *testing.T, major, minor int) bool {
	t.Helper()
	text, err := os.ReadFile("/proc/sys/kernel/osrelease")
	if err != nil {
		t.Fatal(err)
	}
	var k maptype.Kernel
	if _, err := fmt.Sscanf(string(text), "%d.%d", &k.Major, &k.Minor); err != nil {
		t.Fatalf("kernel release %q: %v", text, err)
	}
	return !k.Before(maptype.Kernel{Major: major, Minor: minor})
}
