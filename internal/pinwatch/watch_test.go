// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package pinwatch_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/bpfmap-io/bpfmap-operator/internal/bpf"
	"github.com/bpfmap-io/bpfmap-operator/internal/pinwatch"
)

// bench is a BPF file system of its own with a watch.
type bench struct {
	t        *testing.T
	root     string
	followed *pinwatch.Followed[string]
	told     chan string
}

func newBench(t *testing.T) *bench {
	t.Helper()
	b := &bench{t: t, root: t.TempDir(), followed: &pinwatch.Followed[string]{}, told: make(chan string, 64)}
	if err := unix.Mount("bpf", b.root, "bpf", 0, ""); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	t.Cleanup(func() {
		stop()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("the watch ended: %v", err)
		}
		if err := unix.Unmount(b.root, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	go func() {
		ended <- pinwatch.Run(ctx, b.root, b.followed, func(owner, pin string) { b.told <- owner + " " + pin })
	}()
	return b
}

// hears waits for a call, and for no other one.
func (b *bench) hears(want ...string) {
	b.t.Helper()
	missing := map[string]bool{}
	for _, w := range want {
		missing[w] = true
	}
	deadline := time.After(20 * time.Second)
	for len(missing) > 0 {
		select {
		case got := <-b.told:
			if !missing[got] {
				b.t.Fatalf("told of %q, want %q", got, want)
			}
			delete(missing, got)
		case <-deadline:
			b.t.Fatalf("not told of %v", missing)
		}
	}
}

func (b *bench) folder(rel string) {
	b.t.Helper()
	if err := os.MkdirAll(filepath.Join(b.root, rel), 0o755); err != nil {
		b.t.Fatal(err)
	}
}

// pin pins a new map.
func (b *bench) pin(rel string) {
	b.t.Helper()
	m, err := bpf.Create(bpf.CreateOpts{Type: bpf.Array, KeySize: 4, ValueSize: 4, MaxEntries: 1})
	if err != nil {
		b.t.Fatal(err)
	}
	defer func() { _ = m.Close() }()
	if err := m.Pin(filepath.Join(b.root, rel)); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) unpin(rel string) {
	b.t.Helper()
	if err := bpf.Unpin(filepath.Join(b.root, rel)); err != nil {
		b.t.Fatal(err)
	}
}

// sync waits until the watch has seen all that was said to it, and returns what it told meanwhile.
func (b *bench) sync() (told []string) {
	b.t.Helper()
	b.followed.Set("marker", "sync")
	defer b.followed.Set("marker")
	seen := false
	for tries := 0; !seen; tries++ {
		if tries == 20 {
			b.t.Fatal("not told of a pin")
		}
		b.pin("sync")
		seen = b.until("marker sync", time.Second, &told) // or the pin came before the watch
		b.unpin("sync")
	}
	if !b.until("marker sync", 20*time.Second, &told) {
		b.t.Fatal("not told that a pin was removed")
	}
	return told
}

// until collects what is told before want.
func (b *bench) until(want string, atMost time.Duration, others *[]string) bool {
	deadline := time.After(atMost)
	for {
		select {
		case got := <-b.told:
			if got == want {
				return true
			}
			*others = append(*others, got)
		case <-deadline:
			return false
		}
	}
}

// TestPins follows pins through all that can happen to them.
func TestPins(t *testing.T) {
	b := newBench(t)
	b.folder("edge")
	b.followed.Set("one", "edge/one")
	b.followed.Set("both", "edge/one", "progs/drop")
	b.sync()
	b.pin("edge/one")
	b.hears("one edge/one", "both edge/one")
	b.sync()
	b.pin("edge/other")
	if told := b.sync(); len(told) > 0 {
		t.Errorf("told of %q, though another pin came", told)
	}
	b.unpin("edge/one")
	b.hears("one edge/one", "both edge/one")
	if err := os.Rename(filepath.Join(b.root, "edge/other"), filepath.Join(b.root, "edge/one")); err != nil {
		t.Fatal(err)
	}
	b.hears("one edge/one", "both edge/one")
	b.followed.Set("one")
	b.sync()
	b.unpin("edge/one")
	b.hears("both edge/one")
}

// TestFolders follows pins whose folders come, go and come again.
func TestFolders(t *testing.T) {
	b := newBench(t)
	b.followed.Set("deep", "a/b/c/pin")
	b.sync()
	for range 2 {
		b.folder("a/b/c")
		b.pin("a/b/c/pin")
		b.hears("deep a/b/c/pin")
		b.sync()
		b.unpin("a/b/c/pin")
		b.hears("deep a/b/c/pin")
		for _, folder := range []string{"a/b/c", "a/b", "a"} {
			if err := os.Remove(filepath.Join(b.root, folder)); err != nil {
				t.Fatal(err)
			}
		}
		b.sync()
	}
}

// TestAnotherFileSystem: what is mounted over the one that is watched is watched after a look.
func TestAnotherFileSystem(t *testing.T) {
	b := newBench(t)
	b.folder("edge")
	b.followed.Set("one", "edge/one")
	b.sync()
	if err := unix.Mount("bpf", b.root, "bpf", 0, ""); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(b.root, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	b.folder("edge")
	b.followed.Look()
	b.hears("one edge/one") // its folder is a new one
	b.sync()
	b.pin("edge/one")
	b.hears("one edge/one")
}

// TestUnmount: a watch doesn't keep the file system busy, and goes on in what is there then.
func TestUnmount(t *testing.T) {
	b := newBench(t)
	b.folder("edge")
	b.followed.Set("one", "edge/one")
	b.sync()
	if err := unix.Unmount(b.root, 0); err != nil {
		t.Fatalf("the watched file system can't be unmounted: %v", err)
	}
	if err := unix.Mount("bpf", b.root, "bpf", 0, ""); err != nil {
		t.Fatal(err)
	}
	b.folder("edge")
	b.followed.Look()
	b.sync()
	b.pin("edge/one")
	b.hears("one edge/one")
}
