// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e_test

import (
	"fmt"
	"maps"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/bpfmap-io/bpfmap-operator/internal/bpf"
)

// TestRestarts ends one part after the other while a reader on each node looks up the declared
// entries all the time, as a program would.
func TestRestarts(t *testing.T) {
	w := newWorld(t)
	declared := contents{}
	for key := range uint32(20) {
		declared[key] = key * 10
	}
	w.make("blocklist", declared)
	w.awaitReady("blocklist", 3)
	before := ids(t, w.namespace, "blocklist")
	stop := w.readAlong(maps.Clone(declared))

	// The probe key is not the reader's: that it changes on every node shows that all work again.
	probe := uint32(0)
	works := func(t *testing.T) {
		t.Helper()
		probe++
		declared[1000] = probe
		start := time.Now()
		w.edit(declare(declared))
		w.awaitEverywhere("blocklist", declared)
		w.awaitReady("blocklist", 3)
		if after := ids(t, w.namespace, "blocklist"); !maps.Equal(after, before) {
			t.Errorf("map ids are %v, were %v", after, before)
		}
		t.Logf("an edit was Ready everywhere after %.1f s", time.Since(start).Seconds())
	}
	t.Run("agent killed", func(t *testing.T) {
		old := nodes[0].agent(t)
		if err := syscall.Kill(old, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		works(t)
		if now := nodes[0].agent(t); now == old {
			t.Errorf("the agent is still process %d", old)
		}
	})
	t.Run("agents replaced", func(t *testing.T) {
		old := nodes[1].agent(t)
		kubectl(t, "rollout", "restart", "daemonset/bpfmap-bpfmap-operator-agent", "--namespace", system)
		works(t)
		if err := rolledOut(t.Context()); err != nil {
			t.Fatal(err)
		}
		works(t)
		if now := nodes[1].agent(t); now == old {
			t.Errorf("the agent is still process %d", old)
		}
	})
	for _, part := range []string{"kubelet@node-1", "containerd@node-2"} {
		t.Run(part+" killed", func(t *testing.T) {
			startPart(t, part)
			ctl(t, "stop", part, "KILL")
			works(t)
			ctl(t, "start", part)
			works(t)
			eventually(t, func() error { return allNodesReady(t) })
		})
	}
	stop()
}

func allNodesReady(t *testing.T) error {
	t.Helper()
	got := kubectl(t, "get", "nodes", "-o", `jsonpath={range .items[*]}{.metadata.name}={.status.conditions[?(@.type=="Ready")].status} {end}`)
	if want := "node-1=True node-2=True node-3=True"; got != want {
		return fmt.Errorf("nodes are %s, want %s", got, want)
	}
	return nil
}

// readAlong reads entries of the map blocklist on every node, through the pin and through a handle of the first map, until
// stop is called, which fails the test if one was ever missing or another.
func (w *world) readAlong(want contents) (stop func()) {
	done := make(chan struct{})
	var readers sync.WaitGroup
	for _, n := range nodes {
		held, pin := n.open(w.t, w.namespace, "blocklist"), n.pin(w.t, w.namespace, "blocklist")
		readers.Go(func() {
			rounds, failed := 0, 0
			for ; ; rounds++ {
				select {
				case <-done:
					w.t.Logf("the reader on %s found all %d entries %d times", n.name, len(want), rounds-failed)
					return
				case <-time.After(time.Millisecond):
				}
				if err := readOnce(held, pin, want); err != nil {
					if failed++; failed <= 5 {
						w.t.Errorf("reader on %s: %v", n.name, err)
					}
				}
			}
		})
	}
	stop = sync.OnceFunc(func() {
		close(done)
		readers.Wait()
	})
	w.t.Cleanup(stop)
	return stop
}

func readOnce(held *bpf.Map, pin string, want contents) error {
	pinned, err := bpf.GetPinned(pin, 0)
	if err != nil {
		return err
	}
	defer func() { _ = pinned.Close() }()
	for _, m := range []*bpf.Map{held, pinned} {
		for key, value := range want {
			got := make([]byte, 4)
			if err := m.LookupElem(word(key), got); err != nil {
				return fmt.Errorf("key %d: %w", key, err)
			}
			if string(got) != string(word(value)) {
				return fmt.Errorf("key %d is %x, want %x", key, got, word(value))
			}
		}
	}
	return nil
}
