// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package footprint_test

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/bpfmap-io/bpfmap-operator/internal/bpf/bpftest"
	"github.com/bpfmap-io/bpfmap-operator/internal/bpf/sys"
)

// cgroup is a memory cgroup of a test. It charges the thread that is in it with the kernel memory of the
// maps that it makes.
type cgroup struct {
	dir, join, usage string
}

// newCgroup makes a memory cgroup: of version 1, where a single thread may be in it, or a threaded one of
// version 2 isn't possible for the memory controller, so there the whole process moves.
func newCgroup(t *testing.T) *cgroup {
	t.Helper()
	for _, v := range []struct{ root, needs, join, usage string }{
		{"/sys/fs/cgroup/memory", "memory.kmem.usage_in_bytes", "tasks", "memory.kmem.usage_in_bytes"},
		{"/sys/fs/cgroup", "cgroup.controllers", "cgroup.procs", "memory.current"},
	} {
		if _, err := os.Stat(filepath.Join(v.root, v.needs)); err != nil {
			continue
		}
		dir, err := os.MkdirTemp(v.root, "bpfmap-footprint-")
		if err != nil {
			t.Fatalf("make a memory cgroup (this test needs root): %v", err)
		}
		t.Cleanup(func() {
			if err := os.Remove(dir); err != nil && !errors.Is(err, syscall.EBUSY) {
				t.Error(err)
			}
		})
		return &cgroup{dir, v.join, v.usage}
	}
	t.Fatal("there is no memory cgroup to measure with")
	return nil
}

// agentCapabilities are those of an agent's container that can make maps of all types. Without CAP_PERFMON
// the kernel rounds arrays up, and doesn't show it in memlock.
var agentCapabilities = []sys.Capability{sys.CapBPF, sys.CapNetAdmin, sys.CapDACOverride}

// run does something in the cgroup as an agent would, in a thread that ends with it.
func (c *cgroup) run(t *testing.T, do func()) {
	t.Helper()
	var failed error
	bpftest.WithCapabilities(t, agentCapabilities, func() {
		failed = os.WriteFile(filepath.Join(c.dir, c.join), []byte(strconv.Itoa(syscall.Gettid())), 0o600)
		if failed == nil {
			do()
		}
	})
	if failed != nil {
		t.Fatalf("enter the cgroup: %v", failed)
	}
}

// used is how much memory the cgroup is charged with.
func (c *cgroup) used(t *testing.T) int64 {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(c.dir, c.usage))
	if err != nil {
		t.Fatal(err)
	}
	n, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}
