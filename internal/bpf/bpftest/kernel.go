// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package bpftest

import (
	"fmt"
	"os"
	"testing"

	"github.com/bpfmap-io/bpfmap-operator/internal/maptype"
)

// Kernel is the release of the running kernel.
func Kernel(t testing.TB) (k maptype.Kernel) {
	t.Helper()
	text, err := os.ReadFile("/proc/sys/kernel/osrelease")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Sscanf(string(text), "%d.%d", &k.Major, &k.Minor); err != nil {
		t.Fatalf("kernel release %q: %v", text, err)
	}
	return k
}

// Since says whether the running kernel is of a release or a later one, for what came with it.
func Since(t testing.TB, major, minor int) bool {
	t.Helper()
	return !Kernel(t).Before(maptype.Kernel{Major: major, Minor: minor})
}
