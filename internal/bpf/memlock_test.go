// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package bpf

import (
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/bpfmap-io/bpfmap-operator/internal/bpf/bpftest"
	"github.com/bpfmap-io/bpfmap-operator/internal/bpf/sys"
	"github.com/bpfmap-io/bpfmap-operator/internal/maptype"
)

// charged says whether this kernel charges maps to RLIMIT_MEMLOCK, by its release: what is tested finds it out
// by trying.
func charged() bool { return runningKernel().Before(memcgAccounting) }

// inOwnProcess runs the rest of the test in a process of its own, whose limits it may lower for good.
func inOwnProcess(t *testing.T) (inside bool) {
	t.Helper()
	const variable = "BPFMAP_TEST_ALONE"
	if os.Getenv(variable) == t.Name() {
		return true
	}
	cmd := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
	cmd.Env = append(os.Environ(), variable+"="+t.Name())
	if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "--- PASS: "+t.Name()) {
		t.Errorf("%v\n%s", err, out)
	}
	return false
}

func setLimit(t *testing.T, soft, hard uint64) {
	t.Helper()
	if err := sys.SetMemlockLimit(soft, hard); err != nil {
		t.Fatal(err)
	}
}

// TestAllowMemlock raises the limit where it matters and only there, and says what to do where it may not.
func TestAllowMemlock(t *testing.T) {
	if !inOwnProcess(t) {
		return
	}
	const small, larger = 16 << 10, 128 << 10
	setLimit(t, small, larger)
	want := func(what string, wantSoft, wantHard uint64) {
		t.Helper()
		if !charged() {
			wantSoft, wantHard = small, larger // not touched
		}
		if soft, hard, err := sys.MemlockLimit(); err != nil || soft != wantSoft || hard != wantHard {
			t.Errorf("%s: the limit is %d of %d (%v), want %d of %d", what, soft, hard, err, wantSoft, wantHard)
		}
	}
	bpftest.WithCapabilities(t, []sys.Capability{sys.CapBPF}, func() {
		err := AllowMemlock()
		if !charged() {
			if err != nil {
				t.Errorf("%v on a kernel that doesn't charge maps to the limit", err)
			}
			return
		}
		if !errors.Is(err, ErrMemlockLimit) || !errors.Is(err, unix.EPERM) {
			t.Fatalf("%v, want ErrMemlockLimit", err)
		}
		for _, word := range []string{"RLIMIT_MEMLOCK is 128 KiB", "agent.raiseMemlock", "SYS_RESOURCE", "LimitMEMLOCK=", "ulimit -l"} {
			if !strings.Contains(err.Error(), word) {
				t.Errorf("%v doesn't name %s", err, word)
			}
		}
	})
	want("without CAP_SYS_RESOURCE", larger, larger)
	if err := AllowMemlock(); err != nil {
		t.Error(err)
	}
	want("with CAP_SYS_RESOURCE", sys.RLimitInfinity, sys.RLimitInfinity)
}

// TestMemlockLimit makes a map that is larger than the limit: before Linux 5.11 the error names limit and need.
func TestMemlockLimit(t *testing.T) {
	if !inOwnProcess(t) {
		return
	}
	o := CreateOpts{Type: Hash, Name: "flows", KeySize: 4, ValueSize: 8, MaxEntries: 100_000}
	setLimit(t, 64<<10, 64<<10)
	m, err := Create(o)
	if !charged() {
		if err != nil {
			t.Fatalf("%v, want none: the limit doesn't matter", err)
		}
		if err := m.Close(); err != nil {
			t.Error(err)
		}
		return
	}
	const words = "create map of Hash flows: over the limit of locked memory (RLIMIT_MEMLOCK is 64 KiB, and this kernel charges the maps " +
		"and programs of all processes of a user to it; the keys and values of this map alone take 1.6 MiB; raise it by "
	if !errors.Is(err, ErrMemlockLimit) || !errors.Is(err, unix.EPERM) || errors.Is(err, ErrNotPermitted) ||
		!strings.HasPrefix(err.Error(), words) {
		t.Errorf("%v, want %s…", err, words)
	}
	setLimit(t, 0, 64<<10) // nothing at all: what charges can't be tried any more
	memlockProbe.known = false
	if _, err := Create(o); !errors.Is(err, ErrMemlockLimit) || !strings.Contains(err.Error(), "RLIMIT_MEMLOCK is 0 bytes") {
		t.Errorf("%v, want ErrMemlockLimit", err)
	}
	// A capability that is missing is named, whatever the limit is.
	bpftest.WithCapabilities(t, nil, func() {
		if _, err := Create(o); !errors.Is(err, ErrNotPermitted) || errors.Is(err, ErrMemlockLimit) {
			t.Errorf("without capabilities: %v", err)
		}
	})
}

// TestForbiddenIsNotTheLimit doesn't blame the limit for what something else forbids.
func TestForbiddenIsNotTheLimit(t *testing.T) {
	if !inOwnProcess(t) {
		return
	}
	setLimit(t, 64<<10, 64<<10)
	if got := chargesMemlock(); got != charged() {
		t.Fatalf("maps are charged to the limit: %t, want %t", got, charged())
	}
	if charged() {
		setLimit(t, sys.RLimitInfinity, sys.RLimitInfinity)
	}
	intercept(t, sys.MapCreate, always(unix.EPERM)...)
	_, err := Create(CreateOpts{Type: Hash, KeySize: 4, ValueSize: 8, MaxEntries: 1})
	if !errors.Is(err, ErrNotPermitted) || errors.Is(err, ErrMemlockLimit) || !strings.Contains(err.Error(), "seccomp") {
		t.Error(err)
	}
}

// TestLeastBytes holds the estimate to what the map holds.
func TestLeastBytes(t *testing.T) {
	cpus, err := PossibleCPUs()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		opts CreateOpts
		want uint64
		text string
	}{
		{CreateOpts{Type: Hash, KeySize: 4, ValueSize: 12, MaxEntries: 1000}, 24_000, "23.5 KiB"},
		{CreateOpts{Type: Array, KeySize: 4, ValueSize: 1, MaxEntries: 100}, 800, "800 bytes"},
		{CreateOpts{Type: PerCPUArray, KeySize: 4, ValueSize: 4, MaxEntries: 128}, uint64(cpus) << 10, ""},
		{CreateOpts{Type: RingBuf, MaxEntries: 1 << 20}, 1 << 20, "1 MiB"},
		{CreateOpts{Type: SKStorage, KeySize: 4, ValueSize: 4}, 0, "0 bytes"},
		{CreateOpts{Type: Array, KeySize: 4, ValueSize: 1 << 30, MaxEntries: 1 << 31}, 1 << 61, "2097152 TiB"},
		{CreateOpts{Type: Queue, ValueSize: 8, MaxEntries: 131_071}, 1<<20 - 8, "1024 KiB"},
	} {
		if got := c.opts.leastBytes(); got != c.want || c.text != "" && bytesText(got) != c.text {
			t.Errorf("%s: %d bytes, %q; want %d, %q", c.opts.Type, got, bytesText(got), c.want, c.text)
		}
	}
	if (memcgAccounting != maptype.Kernel{Major: 5, Minor: 11}) {
		t.Error("the kernel that charges memory cgroups came with Linux 5.11")
	}
}
