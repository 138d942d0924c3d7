// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package bpftest

import (
	"fmt"
	"os"
	"testing"

	"github.com/bpfmap-io/bpfmap-operator/internal/maptype"
)

// Kernel is the release of the running kernel. What an older one can't do is asserted as what people see of it,
// never skipped.
func Kernel(t testing.TB) (running maptype.Kernel) {
	t.Helper()
	text, err := os.ReadFile("/proc/sys/kernel/osrelease")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Sscanf(string(text), "%d.%d", &running.Major, &running.Minor); err != nil {
		t.Fatalf("read the release %q: %v", text, err)
	}
	return running
}
