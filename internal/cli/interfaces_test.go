// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"

	"github.com/bpfmap-io/bpfmap-operator/internal/bpf/bpftest"
	"github.com/bpfmap-io/bpfmap-operator/internal/controller/agent"
	"github.com/bpfmap-io/bpfmap-operator/test/await"
)

// slowHost is a host whose reader of changes stops at the first one until it may go on, as a process does
// that gets no CPU.
type slowHost struct {
	host
	stopped chan struct{} // closed when the reader stops
	resume  chan struct{}
	ends    atomic.Int32
	reason  atomic.Value
}

func (h *slowHost) WatchInterfaces(ctx context.Context, changed func()) error {
	stop := h.ends.Load() == 0
	err := h.host.WatchInterfaces(ctx, func() {
		changed()
		if stop {
			stop = false
			close(h.stopped)
			<-h.resume
		}
	})
	if ctx.Err() == nil {
		h.reason.Store(fmt.Sprint(err))
		h.ends.Add(1)
	}
	return err
}

// TestWatchSurvivesTooManyChanges makes interfaces while nobody reads what the kernel says of them, until it
// gives the watch up (ENOBUFS). The watch is started again, what was missed is looked at, and changes are
// followed as before.
func TestWatchSurvivesTooManyChanges(t *testing.T) {
	bpftest.InNetwork(t)
	ns, err := netns.Get()
	if err != nil {
		t.Fatal(err)
	}
	defer ns.Close()
	h := &slowHost{host: host{network: true}, stopped: make(chan struct{}), resume: make(chan struct{})}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	var looks atomic.Int32
	go func() {
		defer close(ended)
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		if err := netns.Set(ns); err != nil {
			t.Error(err)
			return
		}
		agent.FollowInterfaces(ctx, h, func(context.Context) { looks.Add(1) })
	}()
	defer func() {
		stop()
		<-ended
	}()

	const pairs = 300
	<-h.stopped
	for i := range pairs {
		link := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: fmt.Sprint("many", i)}, PeerName: fmt.Sprint("peer", i)}
		if err := netlink.LinkAdd(link); err != nil {
			t.Fatalf("add an interface (this test needs root): %v", err)
		}
	}
	overflow(t)
	before := looks.Load()
	start := time.Now()
	close(h.resume)
	await.Nil(t, time.Minute, func() error {
		if h.ends.Load() == 0 || looks.Load() <= before {
			return fmt.Errorf("%d watches have ended, %d looks since", h.ends.Load(), looks.Load()-before)
		}
		return nil
	})
	t.Logf("the watch ended (%s); all interfaces were looked at %s after the reader went on", h.reason.Load(), time.Since(start).Round(time.Millisecond))

	// Changes are followed again. Those that were missed are over before.
	quiet(t, &looks)
	before, start = looks.Load(), time.Now()
	if err := netlink.LinkAdd(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "late"}, PeerName: "latep"}); err != nil {
		t.Fatal(err)
	}
	await.Nil(t, time.Minute, func() error {
		if looks.Load() <= before {
			return fmt.Errorf("a new interface was not seen; %d watches have ended, the last one because: %v", h.ends.Load(), h.reason.Load())
		}
		return nil
	})
	t.Logf("a new interface was seen after %s", time.Since(start).Round(time.Millisecond))
}

// quiet waits until nothing more of the past is looked at.
func quiet(t *testing.T, looks *atomic.Int32) {
	t.Helper()
	last, since := looks.Load(), time.Now()
	await.Nil(t, time.Minute, func() error {
		if n := looks.Load(); n != last {
			last, since = n, time.Now()
		}
		if time.Since(since) < time.Second {
			return fmt.Errorf("%d looks so far", last)
		}
		return nil
	})
}

// overflow changes an interface until the kernel has dropped something that it had to say.
func overflow(t *testing.T) {
	t.Helper()
	link, err := netlink.LinkByName("many0")
	if err != nil {
		t.Fatal(err)
	}
	for i := range 10_000 {
		if dropped(t) {
			t.Logf("the buffer was full after %d more changes", i*10)
			return
		}
		for n := range 10 {
			if err := netlink.LinkSetMTU(link, 1400+n); err != nil {
				t.Fatal(err)
			}
		}
	}
	t.Fatal("the kernel keeps everything for a reader that doesn't read")
}

// dropped says whether a netlink socket of this network namespace has lost messages, by proc(5).
func dropped(t *testing.T) bool {
	t.Helper()
	text, err := os.ReadFile("/proc/thread-self/net/netlink")
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	column := slices.Index(strings.Fields(lines[0]), "Drops")
	for _, line := range lines[1:] {
		if strings.Fields(line)[column] != "0" {
			return true
		}
	}
	return false
}
