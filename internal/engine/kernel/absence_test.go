// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package kernel_test

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/vishvananda/netlink"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/bpf/bpftest"
	"github.com/bpfmap-io/bpfmap-operator/internal/engine"
	"github.com/bpfmap-io/bpfmap-operator/internal/engine/kernel"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
)

// withoutDescriptors calls do while this process can't open anything more.
func withoutDescriptors(t *testing.T, do func()) {
	t.Helper()
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	low := limit
	low.Cur = 256
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &low); err != nil {
		t.Fatal(err)
	}
	var files []*os.File
	defer func() {
		for _, f := range files {
			_ = f.Close()
		}
		if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
			t.Error(err)
		}
	}()
	for {
		f, err := os.Open(os.DevNull)
		if err != nil {
			break
		}
		files = append(files, f)
	}
	do()
}

// TestErrorsAreNotAbsence: a name is absent only if the kernel says so. Any other error of looking is an
// error, for which no entry may be deleted.
func TestErrorsAreNotAbsence(t *testing.T) {
	bpftest.InNetwork(t)
	n := newNode(t)
	bpftest.AddInterface(t, "left")
	n.pinProgram("bpfmap/edge/p0", ebpf.SocketFilter, 0)
	group := "bpfmap-absence-" + filepath.Base(filepath.Dir(n.bpffs))
	if err := os.Mkdir(filepath.Join(n.cgroups, group), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.Remove(filepath.Join(n.cgroups, group)); err != nil {
			t.Error(err)
		}
	})
	n.sync(declare(t, "table", `{type: Hash, key: {type: u8}, value: {type: u8}, maxEntries: 4}`), v1alpha1.NodeMapReady, engine.ActionCreated)
	b, err := kernel.New(n.bpffs, kernel.Options{References: kernel.ReferenceOptions{Cgroups: n.cgroups}})
	if err != nil {
		t.Fatal(err)
	}
	key := revision.Key{Namespace: "edge", Name: "other"}
	for _, c := range []struct {
		typ           v1alpha1.ScalarType
		there, absent string
	}{
		{v1alpha1.TypeIfindex, "left", "right"},
		{v1alpha1.TypeMapRef, "table", "nothing"},
		{v1alpha1.TypeProgPin, "bpfmap/edge/p0", "bpfmap/edge/p1"},
		{v1alpha1.TypeCgroup, group, group + "-not"},
		{v1alpha1.TypeCgroupID, group, group + "/cgroup.procs/below"},
	} {
		link := func(name string) error {
			target, err := b.Resolve(t.Context(), key, v1alpha1.Reference{Type: c.typ, Name: name})
			if err == nil && target.Close != nil {
				err = target.Close()
			}
			return err
		}
		if err := link(c.there); err != nil {
			t.Errorf("%s %s: %v", c.typ, c.there, err)
		}
		if err := link(c.absent); !errors.Is(err, engine.ErrAbsent) {
			t.Errorf("%s %s: %v, want it to be absent", c.typ, c.absent, err)
		}
		var blind error
		withoutDescriptors(t, func() { blind = link(c.there) })
		if errors.Is(blind, engine.ErrAbsent) || !errors.Is(blind, syscall.EMFILE) {
			t.Errorf("%s %s without descriptors: %v, want EMFILE", c.typ, c.there, blind)
		}
	}
	if _, err := b.Resolve(t.Context(), key, v1alpha1.Reference{Type: v1alpha1.TypeCgroup, Name: "cgroup.procs"}); errors.Is(err, engine.ErrAbsent) || err == nil {
		t.Errorf("a file of a cgroup: %v", err)
	}
}

// TestAlternativeNames of an interface don't count: they may move to another one at any time.
func TestAlternativeNames(t *testing.T) {
	bpftest.InNetwork(t)
	n := newNode(t)
	bpftest.AddInterface(t, "left")
	left, err := netlink.LinkByName("left")
	if err != nil {
		t.Fatal(err)
	}
	if err := netlink.LinkAddAltName(left, "uplink"); err != nil {
		t.Fatal(err)
	}
	b, err := kernel.New(n.bpffs, kernel.Options{})
	if err != nil {
		t.Fatal(err)
	}
	_, err = b.Resolve(t.Context(), revision.Key{Namespace: "edge", Name: "table"}, v1alpha1.Reference{Type: v1alpha1.TypeIfindex, Name: "uplink"})
	if !errors.Is(err, engine.ErrAbsent) {
		t.Errorf("%v, want it to be absent", err)
	}
}

// TestEntriesSurviveErrors: when this process can't look a name up, what stands for it stays in the map.
func TestEntriesSurviveErrors(t *testing.T) {
	bpftest.InNetwork(t)
	n := newNode(t)
	index := bpftest.AddInterface(t, "left")
	ports := declare(t, "ports", `{type: Hash, key: {type: ifindex}, value: {type: u32}, maxEntries: 8, entries: [{key: left, value: 5}]}`)
	n.sync(ports, v1alpha1.NodeMapReady, engine.ActionCreated)
	withoutDescriptors(t, func() {
		if r := n.Sync(t.Context(), ports); r.State != v1alpha1.NodeMapFailed || !errors.Is(r.Err, syscall.EMFILE) {
			t.Errorf("without descriptors: %s, %v", r.State, r.Err)
		}
	})
	n.holds(ports, map[uint32]uint32{index: 5})
}
