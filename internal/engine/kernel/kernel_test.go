// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package kernel_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/bpf"
	"github.com/bpfmap-io/bpfmap-operator/internal/bpf/bpftest"
	"github.com/bpfmap-io/bpfmap-operator/internal/bpf/sys"
	"github.com/bpfmap-io/bpfmap-operator/internal/compile"
	"github.com/bpfmap-io/bpfmap-operator/internal/engine"
	"github.com/bpfmap-io/bpfmap-operator/internal/engine/enginetest"
	"github.com/bpfmap-io/bpfmap-operator/internal/engine/kernel"
)

func TestMain(m *testing.M) { bpftest.Main(m) }

func TestContract(t *testing.T) {
	enginetest.RunContract(t, func(t *testing.T) engine.Backend {
		b, err := kernel.New(bpftest.BPFFS(t), kernel.Options{})
		if err != nil {
			t.Fatal(err)
		}
		return b
	})
}

// TestContractWithoutBatches is for kernels whose LPM tries and per-CPU arrays have none, before Linux 5.13.
func TestContractWithoutBatches(t *testing.T) {
	disable(t, "Batch")
	enginetest.RunContract(t, func(t *testing.T) engine.Backend {
		b, err := kernel.New(bpftest.BPFFS(t), kernel.Options{})
		if err != nil {
			t.Fatal(err)
		}
		return b
	})
}

// TestOldKernel says what an older kernel lacks, and what to do.
func TestOldKernel(t *testing.T) {
	dir := bpftest.BPFFS(t)
	b, err := kernel.New(dir, kernel.Options{})
	if err != nil {
		t.Fatal(err)
	}
	disable(t, "LPMTrie")
	m := &v1alpha1.BPFMap{Spec: v1alpha1.BPFMapSpec{
		Type: v1alpha1.MapTypeLPMTrie, Key: &v1alpha1.Schema{Type: v1alpha1.TypeIPv4Prefix}, Value: v1alpha1.Schema{Type: v1alpha1.TypeU8},
		MaxEntries: 4, Flags: []v1alpha1.MapFlag{v1alpha1.FlagNoPrealloc},
	}}
	m.Namespace, m.Name, m.UID = "edge", "table", "u"
	rev, err := compile.Compile(m)
	if err != nil {
		t.Fatal(err)
	}
	r := engine.New(b, engine.Options{}).Sync(t.Context(), rev)
	if r.State != v1alpha1.NodeMapStalled {
		t.Errorf("state %s, want %s", r.State, v1alpha1.NodeMapStalled)
	}
	wantRefusal(t, r.Err, v1alpha1.NodeReasonNotSupported, "LPMTrie is disabled", "spec.nodeSelector")
	if err := kernel.Preflight("", dir); err != nil {
		t.Errorf("one type less makes the node unusable: %v", err)
	}
	disable(t, "Freeze")
	wantRefusal(t, kernel.Preflight("", dir), v1alpha1.ReasonKernelUnsupported, "Linux 5.8")
}

func disable(t testing.TB, features ...string) {
	t.Helper()
	if err := bpf.Disable(features...); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := bpf.Disable(); err != nil {
			t.Error(err)
		}
	})
}

func wantRefusal(t *testing.T, err error, reason string, words ...string) {
	t.Helper()
	var r engine.Reasoner
	if !errors.As(err, &r) || r.Reason() != reason {
		t.Fatalf("error %v, want one with the reason %s", err, reason)
	}
	for _, word := range words {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("error %q doesn't say %q", err, word)
		}
	}
}

// TestPreflightTidiesUp removes what a process left that died while it probed, and nothing else.
func TestPreflightTidiesUp(t *testing.T) {
	dir := bpftest.BPFFS(t)
	for _, name := range []string{"_bpfmap_probe_1", "_bpfmap_probe_2/inner", "_bpfmap_other", "bpfmap"} {
		if err := os.MkdirAll(filepath.Join(dir, name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := kernel.Preflight("", dir); err != nil {
		t.Fatal(err)
	}
	left, err := filepath.Glob(filepath.Join(dir, "*bpfmap*"))
	for i := range left {
		left[i] = filepath.Base(left[i])
	}
	if want := []string{"_bpfmap_other", "_bpfmap_probe_2", "bpfmap"}; err != nil || !slices.Equal(left, want) {
		t.Errorf("there is %v, %v, want %v", left, err, want)
	}
}

func TestPreflight(t *testing.T) {
	dir := bpftest.BPFFS(t)
	if err := kernel.Preflight("", dir); err != nil {
		t.Fatal(err)
	}
	if left, err := filepath.Glob(filepath.Join(dir, "_*")); err != nil || len(left) > 0 {
		t.Errorf("the preflight left %v behind (%v)", left, err)
	}
	wantRefusal(t, kernel.Preflight("", filepath.Join(t.TempDir(), "absent")), v1alpha1.ReasonBPFFSMissing, "does not exist", "mount -t bpf")
	wantRefusal(t, kernel.Preflight("", t.TempDir()), v1alpha1.ReasonBPFFSMissing, "no BPF file system is mounted", "mount -t bpf")
	bpftest.WithCapabilities(t, nil, func() {
		wantRefusal(t, kernel.Preflight("", dir), v1alpha1.ReasonMissingCapability, "CAP_BPF")
	})
	bpftest.WithCapabilities(t, []sys.Capability{sys.CapBPF}, func() {
		if err := kernel.Preflight("", dir); err != nil {
			t.Errorf("with CAP_BPF alone: %v", err)
		}
	})
	// Somebody else was there first, or may write where the records are.
	for _, spoil := range []func(path string) error{
		func(path string) error { return os.Chown(path, 65534, 65534) },
		func(path string) error { return os.Chmod(path, 0o777) },
	} {
		path := filepath.Join(dir, "bpfmap")
		if err := errors.Join(os.Mkdir(path, 0o755), spoil(path)); err != nil {
			t.Fatal(err)
		}
		wantRefusal(t, kernel.Preflight("", dir), v1alpha1.ReasonBPFFSOccupied, path, "chmod 0755")
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
	if err := syscall.Mount("bpf", dir, "bpf", syscall.MS_REMOUNT|syscall.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
	wantRefusal(t, kernel.Preflight("", dir), v1alpha1.ReasonBPFFSReadOnly, "remount,rw")
}

// TestAgentsCapabilities brings a map with an owner of its own to its revision and back again, with the
// capabilities that the agent's container has.
func TestAgentsCapabilities(t *testing.T) {
	dir := bpftest.BPFFS(t)
	b, err := kernel.New(dir, kernel.Options{})
	if err != nil {
		t.Fatal(err)
	}
	m := &v1alpha1.BPFMap{Spec: v1alpha1.BPFMapSpec{
		Type: v1alpha1.MapTypeHash, Key: &v1alpha1.Schema{Type: v1alpha1.TypeU8}, Value: v1alpha1.Schema{Type: v1alpha1.TypeU8}, MaxEntries: 4,
		Pin: &v1alpha1.Pin{Mode: "0600", UID: new(int64(1000)), GID: new(int64(2000))},
	}}
	m.Namespace, m.Name, m.UID = "edge", "table", "u"
	rev, err := compile.Compile(m)
	if err != nil {
		t.Fatal(err)
	}
	bpftest.WithCapabilities(t, []sys.Capability{sys.CapBPF, sys.CapChown, sys.CapDACOverride}, func() {
		e := engine.New(b, engine.Options{})
		for _, want := range []engine.Action{engine.ActionCreated, engine.ActionNone} {
			if r := e.Sync(t.Context(), rev); r.Action != want || r.Err != nil {
				t.Errorf("action %q, want %q: %v", r.Action, want, r.Err)
			}
		}
		if r := e.Remove(t.Context(), rev.Key); r.Action != engine.ActionRemoved {
			t.Errorf("action %q: %v", r.Action, r.Err)
		}
	})
	bpftest.WithCapabilities(t, []sys.Capability{sys.CapBPF}, func() {
		r := engine.New(b, engine.Options{}).Sync(t.Context(), rev)
		if r.Reason != v1alpha1.NodeReasonNotPermitted || !strings.Contains(r.Message, "CAP_CHOWN") {
			t.Errorf("without CAP_CHOWN: %s: %s", r.Reason, r.Message)
		}
	})
}
