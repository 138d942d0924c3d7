// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package loop_test

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"syscall"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/bpf"
	"github.com/bpfmap-io/bpfmap-operator/test/await"
)

// node is a Node object, a BPF file system of its own on this machine, and an agent process.
type node struct {
	w     *world
	name  string
	bpffs string
	agent *process
}

// newNode makes a node of this world without an agent. mount is false to leave the directory bare.
func newNode(t testing.TB, w *world, mount bool) *node {
	t.Helper()
	object := &corev1.Node{ObjectMeta: metav1.ObjectMeta{GenerateName: "loop-", Labels: map[string]string{"world": w.namespace}}}
	if err := w.Create(t.Context(), object); err != nil {
		t.Fatal(err)
	}
	n := &node{w: w, name: object.Name, bpffs: t.TempDir()}
	if mount {
		n.mount(t, 0)
	}
	t.Cleanup(func() {
		ctx := context.Background()
		state := &v1alpha1.BPFNodeState{ObjectMeta: metav1.ObjectMeta{Name: n.name}}
		if err := errors.Join(w.Delete(ctx, object), client.IgnoreNotFound(w.Delete(ctx, state))); err != nil {
			t.Error(err)
		}
	})
	return n
}

func (n *node) mount(t testing.TB, flags uintptr) {
	t.Helper()
	if err := syscall.Mount("bpf", n.bpffs, "bpf", flags, ""); err != nil {
		t.Fatalf("mount a BPF file system (the tests need root): %v", err)
	}
	if flags&syscall.MS_REMOUNT != 0 {
		return
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(n.bpffs, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
}

// start runs the agent; flags come after the ones that every agent has.
func (n *node) start(t testing.TB, flags ...string) *node {
	t.Helper()
	return n.startWithout(t, nil, flags...)
}

func (n *node) startWithout(t testing.TB, capabilities []uintptr, flags ...string) *node {
	t.Helper()
	n.agent = launch(t, capabilities, append(n.args(), flags...)...)
	return n
}

// args are those of every agent.
func (n *node) args() []string {
	return []string{"agent", "--kubeconfig", agentKubeconfig, "--node-name", n.name, "--bpffs", n.bpffs, "--resync-period", "1h"}
}

func (n *node) pin(name string) string {
	return filepath.Join(n.bpffs, "bpfmap", n.w.namespace, name)
}

// open is a handle on a pinned map, closed at the test's end.
func (n *node) open(t testing.TB, name string) *bpf.Map {
	t.Helper()
	m, err := bpf.GetPinned(n.pin(name), 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = m.Close() })
	return m
}

func (n *node) id(t testing.TB, name string) uint32 {
	t.Helper()
	info, err := n.open(t, name).Info()
	if err != nil {
		t.Fatal(err)
	}
	return info.ID
}

type contents = map[uint32]uint32

// read is what the kernel holds in a map of be32 keys and u32 values.
func (n *node) read(name string) (contents, error) {
	m, err := bpf.GetPinned(n.pin(name), 0)
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
		if err := m.LookupElem(key, value); err != nil {
			return got, err
		}
		got[binary.BigEndian.Uint32(key)] = binary.NativeEndian.Uint32(value)
		at = append(at[:0], key...)
	}
}

// awaitContents waits until the kernel holds exactly these entries.
func (n *node) awaitContents(t testing.TB, name string, want contents) {
	t.Helper()
	await.Nil(t, limit, func() error {
		got, err := n.read(name)
		if err != nil {
			return err
		}
		if !reflect.DeepEqual(got, want) {
			return fmt.Errorf("the kernel holds %v, want %v", got, want)
		}
		return nil
	})
}

// awaitNoPin waits until nothing is at the pin of the map blocklist.
func (n *node) awaitNoPin(t testing.TB) {
	t.Helper()
	await.Nil(t, limit, func() error {
		switch _, err := os.Lstat(n.pin("blocklist")); {
		case errors.Is(err, os.ErrNotExist):
			return nil
		case err != nil:
			return err
		}
		return fmt.Errorf("%s is still there", n.pin("blocklist"))
	})
}

// set writes one entry behind the agent's back, remove deletes one.
func (n *node) set(t testing.TB, name string, k, v uint32) {
	t.Helper()
	key, value := binary.BigEndian.AppendUint32(nil, k), binary.NativeEndian.AppendUint32(nil, v)
	if err := n.open(t, name).UpdateElem(key, value, bpf.Any); err != nil {
		t.Fatal(err)
	}
}

// setHex is set with bytes.
func (n *node) setHex(t testing.TB, name, k, v string) {
	t.Helper()
	key, keyErr := hex.DecodeString(k)
	value, valueErr := hex.DecodeString(v)
	if err := errors.Join(keyErr, valueErr); err != nil {
		t.Fatal(err)
	}
	if err := n.open(t, name).UpdateElem(key, value, bpf.Any); err != nil {
		t.Fatal(err)
	}
}

func (n *node) remove(t testing.TB, name string, k uint32) {
	t.Helper()
	if err := n.open(t, name).DeleteElem(binary.BigEndian.AppendUint32(nil, k)); err != nil {
		t.Fatal(err)
	}
}
