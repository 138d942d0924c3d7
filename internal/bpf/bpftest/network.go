// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package bpftest

import (
	"errors"
	"runtime"
	"testing"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
)

// InNetwork runs the rest of the test in a network namespace of its own, on a thread of its own.
func InNetwork(t testing.TB) {
	t.Helper()
	runtime.LockOSThread() // never unlocked: the thread ends with the test
	ns, err := netns.New()
	if err != nil {
		t.Fatalf("make a network namespace (this test needs root): %v", err)
	}
	t.Cleanup(func() {
		if err := ns.Close(); err != nil {
			t.Error(err)
		}
	})
}

// AddInterface makes a pair of interfaces, name and name+"p", until the test ends, and returns the index
// of the first.
func AddInterface(t testing.TB, name string) (index uint32) {
	t.Helper()
	if err := netlink.LinkAdd(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: name}, PeerName: name + "p"}); err != nil {
		t.Fatalf("add an interface (this test needs root): %v", err)
	}
	t.Cleanup(func() {
		if err := deleteInterface(name); err != nil && !errors.As(err, new(netlink.LinkNotFoundError)) {
			t.Error(err)
		}
	})
	link, err := netlink.LinkByName(name)
	if err != nil {
		t.Fatal(err)
	}
	return uint32(link.Attrs().Index)
}

// RemoveInterface removes an interface and its peer.
func RemoveInterface(t testing.TB, name string) {
	t.Helper()
	if err := deleteInterface(name); err != nil {
		t.Fatal(err)
	}
}

func deleteInterface(name string) error {
	link, err := netlink.LinkByName(name)
	if err != nil {
		return err
	}
	return netlink.LinkDel(link)
}
