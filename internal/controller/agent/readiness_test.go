// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
)

func TestNodeReadiness(t *testing.T) {
	h := &fakeHost{err: errors.New("no bpffs")}
	var told []string
	r := newNodeReadiness(h)
	look := func() error {
		changed, err := r.look(t.Context())
		if changed {
			told = append(told, errText(err))
		}
		return err
	}
	if _, err := r.current(); !errors.Is(err, errNotProbed) {
		t.Errorf("before the first probe: %v", err)
	}
	for range 2 {
		_ = look()
	}
	if e, err := r.current(); e != nil || !errors.Is(err, h.err) {
		t.Errorf("not ready: %v, %v", e, err)
	}
	h.set(nil)
	for range 2 {
		if err := look(); err != nil {
			t.Error(err)
		}
	}
	if e, err := r.current(); e == nil || err != nil {
		t.Errorf("ready: %v, %v", e, err)
	}
	h.set(errors.New("read-only"))
	_ = look()
	if _, err := r.current(); err == nil {
		t.Error("work continues though the host isn't ready")
	}
	if got := strings.Join(told, ","); got != "no bpffs,,read-only" || h.opened != 1 {
		t.Errorf("told %q, opened %d times", got, h.opened)
	}
	r.recheck()
	r.recheck() // doesn't block
}

// TestEngineThatCannotBeOpened: a host that passes its probe and gives no engine isn't ready, until it does.
func TestEngineThatCannotBeOpened(t *testing.T) {
	h := &fakeHost{openErr: errors.New("no possible CPUs")}
	r := newNodeReadiness(h)
	if changed, err := r.look(t.Context()); !changed || !errors.Is(err, h.openErr) {
		t.Errorf("changed %t, %v", changed, err)
	}
	if e, err := r.current(); e != nil || !errors.Is(err, h.openErr) {
		t.Errorf("the engine is %v, %v", e, err)
	}
	h.openErr = nil
	if changed, err := r.look(t.Context()); !changed || err != nil {
		t.Errorf("changed %t, %v", changed, err)
	}
	if e, err := r.current(); e == nil || err != nil {
		t.Errorf("the engine is %v, %v", e, err)
	}
}

// TestProbes come seldom while the host is ready, often while it isn't, and at once when somebody asks.
func TestProbes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &fakeHost{}
		r := newNodeReadiness(h)
		ctx, stop := context.WithCancel(t.Context())
		var told []string
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			r.run(ctx, func(_ context.Context, err error) { told = append(told, errText(err)) })
		}()
		probes := func(want int, when string) {
			t.Helper()
			synctest.Wait()
			if n := h.probed(); n != want {
				t.Errorf("%s: %d probes, want %d", when, n, want)
			}
		}
		probes(1, "at first")
		sleep(ctx, probeReady-1)
		probes(1, "before a minute has passed")
		sleep(ctx, 1)
		probes(2, "after a minute")
		h.set(errors.New("gone"))
		r.recheck()
		probes(3, "when asked")
		sleep(ctx, probeNotReady)
		probes(4, "while the host isn't ready")
		stop()
		<-ended
		if got := strings.Join(told, ","); got != ",gone" {
			t.Errorf("told %q", got)
		}
	})
}

// TestInterruptedProbe says nothing about the host.
func TestInterruptedProbe(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	stop()
	r := newNodeReadiness(&fakeHost{err: ctx.Err()})
	r.run(ctx, func(_ context.Context, err error) { t.Errorf("the host is told to be %v", err) })
	if _, err := r.current(); !errors.Is(err, errNotProbed) {
		t.Errorf("the host is %v", err)
	}
}

// TestMovedFileSystem: a host that is ready as before, but with another BPF file system, gets another engine, and
// all maps are looked at.
func TestMovedFileSystem(t *testing.T) {
	h := &fakeHost{}
	r := newNodeReadiness(h)
	_, err := r.look(t.Context())
	must(t, err)
	if changed, err := r.look(t.Context()); changed || err != nil || h.opened != 1 {
		t.Errorf("nothing moved: changed %t, %v, opened %d times", changed, err, h.opened)
	}
	h.moved = true
	if changed, err := r.look(t.Context()); !changed || err != nil || h.opened != 2 {
		t.Errorf("it moved: changed %t, %v, opened %d times", changed, err, h.opened)
	}
}
