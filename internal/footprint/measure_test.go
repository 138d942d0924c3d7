// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package footprint_test

import (
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/bpfmap-io/bpfmap-operator/internal/bpf/bpftest"
	"github.com/bpfmap-io/bpfmap-operator/internal/bpf/sys"
	"github.com/bpfmap-io/bpfmap-operator/test/await"
)

// cgroup is a memory cgroup of a test. It charges the thread that is in it with the kernel memory of the
// maps that it makes.
type cgroup struct {
	dir, join, usage string
	home             string // where this process was before
	lag              int64  // the most that the kernel may have charged it with beyond what it says
	others           int64  // what it is charged with for its threads, mostly for their files
}

// limit bounds every wait: the machine may be busy.
const limit = time.Minute

// newCgroup makes a memory cgroup: of version 1, where a single thread may be in it, or of version 2, where the
// whole process moves.
func newCgroup(t *testing.T) *cgroup {
	t.Helper()
	for _, v := range []struct {
		root, controller, needs, join, usage string
		lag, others                          int64
	}{
		{"/sys/fs/cgroup/memory", "memory", "memory.kmem.usage_in_bytes", "tasks", "memory.kmem.usage_in_bytes", 0, 20 << 10},
		{"/sys/fs/cgroup", "", "cgroup.controllers", "cgroup.procs", "memory.stat", statLag(), 80 << 10},
	} {
		if _, err := os.Stat(filepath.Join(v.root, v.needs)); err != nil {
			continue
		}
		dir, err := os.MkdirTemp(v.root, "bpfmap-footprint-")
		if err != nil {
			t.Fatalf("make a memory cgroup (this test needs root): %v", err)
		}
		return &cgroup{dir, v.join, v.usage, filepath.Join(v.root, ownGroup(t, v.controller)), v.lag, v.others}
	}
	t.Fatal("no memory cgroup to measure with was found")
	return nil
}

// agentCapabilities are those of an agent's container that can make maps of all types. Without CAP_PERFMON
// the kernel rounds arrays up, and doesn't show it in memlock. To move to another cgroup, with threads that have more
// capabilities, older kernels want CAP_SYS_NICE where the cpuset controller is on.
var agentCapabilities = []sys.Capability{sys.CapBPF, sys.CapNetAdmin, sys.CapDACOverride, unix.CAP_SYS_NICE}

// run does something in the cgroup as an agent would, in a thread that ends with it.
func (c *cgroup) run(t *testing.T, do func()) {
	t.Helper()
	var failed error
	bpftest.WithCapabilities(t, agentCapabilities, func() {
		if failed = c.enter(c.dir); failed == nil {
			do()
			failed = c.enter(c.home) // a thread may live on without a goroutine
		}
	})
	if failed != nil {
		t.Fatalf("enter the cgroup: %v", failed)
	}
}

func (c *cgroup) enter(dir string) error {
	return os.WriteFile(filepath.Join(dir, c.join), []byte(strconv.Itoa(syscall.Gettid())), 0o600)
}

// ownGroup is the path of this process's cgroup of a controller, "" for version 2.
func ownGroup(t *testing.T, controller string) string {
	t.Helper()
	text, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if parts := strings.SplitN(strings.TrimSpace(line), ":", 3); len(parts) == 3 && parts[1] == controller {
			return parts[2]
		}
	}
	return "/"
}

// remove takes the cgroup away. The thread that was in it may still be ending.
func (c *cgroup) remove(t *testing.T) {
	t.Helper()
	await.Nil(t, limit, func() error { return os.Remove(c.dir) })
}

// statLag is how much memory.stat may be behind: the kernel collects what its CPUs counted once there are 64 pages for each
// of them, and a CPU counts up to 64 before it says so.
func statLag() int64 { return int64(runtime.NumCPU()) * 2 * batch }

// used is how much kernel memory the cgroup is charged with. In version 2 its processes' page tables and stacks are left
// out, and kernels before 5.18 don't tell: 0.
func (c *cgroup) used(t *testing.T) int64 {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(c.dir, c.usage))
	if err != nil {
		t.Fatal(err)
	}
	number := func(text string) int64 {
		n, err := strconv.ParseInt(strings.TrimSpace(text), 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	if c.usage != "memory.stat" {
		return number(string(text))
	}
	var used int64
	for line := range strings.Lines(string(text)) {
		switch name, value, _ := strings.Cut(line, " "); name {
		case "kernel":
			used += number(value)
		case "kernel_stack", "pagetables":
			used -= number(value)
		}
	}
	return max(used, 0)
}
