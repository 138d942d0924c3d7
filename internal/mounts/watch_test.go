// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package mounts_test

import (
	"context"
	"errors"
	"syscall"
	"testing"

	"github.com/bpfmap-io/bpfmap-operator/internal/mounts"
)

// TestWatch tells of each mount and unmount, and ends with its context. It needs root.
func TestWatch(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	changes, ended := make(chan struct{}, 1), make(chan error)
	go func() {
		ended <- mounts.Watch(ctx, func() {
			select {
			case changes <- struct{}{}:
			default:
			}
		})
	}()
	<-changes // it watches
	dir := t.TempDir()
	for range 3 {
		if err := syscall.Mount("bpf", dir, "bpf", 0, ""); err != nil {
			t.Fatalf("mount a BPF file system (this test needs root): %v", err)
		}
		<-changes
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Fatal(err)
		}
		<-changes
	}
	stop()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("it ended with %v", err)
	}
}
