// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e_test

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/bpfmap-io/bpfmap-operator/internal/bpf"
)

// node is one node's namespaces.
type node struct{ name string }

type contents = map[uint32]uint32

// path is where this process finds a file of the node: through the root of its first process.
func (n *node) path(t testing.TB, elements ...string) string {
	t.Helper()
	pid, err := os.ReadFile(filepath.Join(clusterDir, "run", "holder@"+n.name+".pid"))
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(append([]string{"/proc", strings.TrimSpace(string(pid)), "root"}, elements...)...)
}

func (n *node) pin(t testing.TB, namespace, name string) string {
	t.Helper()
	return n.path(t, "/sys/fs/bpf/bpfmap", namespace, name)
}

// shown is what bpftool tells about a pin, so that the operator's own code doesn't vouch for itself.
type shown struct {
	ID      int64 `json:"id"`
	Frozen  int   `json:"frozen"`
	Max     int64 `json:"max_entries"`
	Entries int64 `json:"-"`
}

func (n *node) bpftool(t testing.TB, into any, args ...string) error {
	t.Helper()
	text, err := output(t.Context(), "hack/cluster/ctl.sh", append([]string{"inside", n.name, "bpftool", "--json"}, args...)...)
	if err != nil {
		return err
	}
	if err := json.Unmarshal([]byte(text), into); err != nil {
		return fmt.Errorf("%w in %s", err, text)
	}
	return nil
}

// show asks the node's kernel about a pinned map; count says whether to count the entries too.
func (n *node) show(t testing.TB, pin string, count bool) shown {
	t.Helper()
	var s shown
	if err := n.bpftool(t, &s, "map", "show", "pinned", pin); err != nil {
		t.Fatal(err)
	}
	if count {
		var entries []json.RawMessage
		if err := n.bpftool(t, &entries, "map", "dump", "pinned", pin); err != nil {
			t.Fatal(err)
		}
		s.Entries = int64(len(entries))
	}
	return s
}

// open is a handle on a pinned map of u32 keys and values.
func (n *node) open(t testing.TB, namespace, name string) *bpf.Map {
	t.Helper()
	m, err := bpf.GetPinned(n.pin(t, namespace, name), 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = m.Close() })
	return m
}

// id leaves no handle open: one would keep the map alive.
func (n *node) id(t testing.TB, namespace, name string) uint32 {
	t.Helper()
	m, err := bpf.GetPinned(n.pin(t, namespace, name), 0)
	if err != nil {
		t.Fatal(err)
	}
	info, err := m.Info()
	if err := errors.Join(err, m.Close()); err != nil {
		t.Fatal(err)
	}
	return info.ID
}

func ids(t testing.TB, namespace, name string) map[string]uint32 {
	t.Helper()
	got := map[string]uint32{}
	for _, n := range nodes {
		got[n.name] = n.id(t, namespace, name)
	}
	return got
}

// read is what the kernel holds in a map of u32 keys and values.
func read(pin string) (contents, error) {
	m, err := bpf.GetPinned(pin, 0)
	if err != nil {
		return nil, err
	}
	defer func() { _ = m.Close() }()
	got := contents{}
	key, value := make([]byte, 4), make([]byte, 4)
	var at []byte
	for {
		found, err := m.GetNextKey(at, key)
		if err != nil || !found {
			return got, err
		}
		switch err := m.LookupElem(key, value); {
		case err == nil:
			got[binary.NativeEndian.Uint32(key)] = binary.NativeEndian.Uint32(value)
		case !errors.Is(err, bpf.ErrNotExist): // a DevMap has all indexes, and elements at some of them
			return nil, err
		}
		at = slices.Clone(key)
	}
}

func (n *node) awaitContents(t testing.TB, namespace, name string, want contents) {
	t.Helper()
	pin := n.pin(t, namespace, name)
	eventuallyOn(t, n, func() error {
		got, err := read(pin)
		if err == nil && !maps.Equal(got, want) {
			err = fmt.Errorf("%s holds %v, want %v", name, got, want)
		}
		return err
	})
}

func (n *node) awaitNoPin(t testing.TB, namespace, name string) {
	t.Helper()
	pin := n.pin(t, namespace, name)
	eventuallyOn(t, n, func() error {
		if _, err := os.Lstat(pin); !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("pin %s is still there (%w)", pin, err)
		}
		return nil
	})
}

func eventuallyOn(t testing.TB, n *node, check func() error) {
	t.Helper()
	eventually(t, func() error {
		if err := check(); err != nil {
			return fmt.Errorf("%s: %w", n.name, err)
		}
		return nil
	})
}

// set changes an entry of the map blocklist behind the agent's back.
func (n *node) set(t testing.TB, namespace string, key, value uint32) {
	t.Helper()
	if err := n.open(t, namespace, "blocklist").UpdateElem(word(key), word(value), bpf.Any); err != nil {
		t.Fatal(err)
	}
}

func (n *node) remove(t testing.TB, namespace, name string, key uint32) {
	t.Helper()
	if err := n.open(t, namespace, name).DeleteElem(word(key)); err != nil {
		t.Fatal(err)
	}
}

func word(n uint32) []byte { return binary.NativeEndian.AppendUint32(nil, n) }

// component finds the processes of this machine that are a component: "agent" with the argument that
// names its node, "controller" with the UID of its pod in its cgroup.
func component(name, mark string) []int {
	var pids []int
	entries, _ := os.ReadDir("/proc")
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil {
			continue
		}
		line, _ := os.ReadFile(filepath.Join("/proc", entry.Name(), "cmdline"))
		args := strings.Split(string(line), "\x00")
		if len(args) < 2 || args[0] != "/bpfmap" || args[1] != name {
			continue
		}
		groups, _ := os.ReadFile(filepath.Join("/proc", entry.Name(), "cgroup"))
		if slices.Contains(args, mark) || strings.Contains(string(groups), mark) {
			pids = append(pids, pid)
		}
	}
	return pids
}

// agent is the node's agent process.
func (n *node) agent(t testing.TB) int {
	t.Helper()
	var pids []int
	eventually(t, func() error {
		if pids = component("agent", "--node-name="+n.name); len(pids) != 1 {
			return fmt.Errorf("%s has the agent processes %v, want one", n.name, pids)
		}
		return nil
	})
	return pids[0]
}
