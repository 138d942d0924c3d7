// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package mounts

import (
	"context"
	"fmt"
	"os"
	"time"
)

// table is the kernel's list of this process's mounts.
const table = "/proc/self/mountinfo"

// Watch calls changed when it begins to watch, and after something was mounted or unmounted in this process's
// mount namespace, until ctx ends. Mounts of the node are among them as far as they propagate here. The error
// is ctx's, or why it ended before. changed doesn't block.
func Watch(ctx context.Context, changed func()) error {
	f, err := os.Open(table)
	if err != nil {
		return fmt.Errorf("watch mounts: %w", err)
	}
	defer func() { _ = f.Close() }() // nothing was written to it
	c, err := f.SyscallConn()
	if err == nil {
		err = f.SetReadDeadline(time.Time{}) // fails if the file can't be waited for
	}
	if err != nil {
		return fmt.Errorf("watch mounts: %w", err)
	}
	stop := context.AfterFunc(ctx, func() { _ = f.SetReadDeadline(time.Unix(1, 0)) }) // ends the wait
	defer stop()
	for {
		changed()
		if err := wait(c); ctx.Err() != nil {
			return ctx.Err()
		} else if err != nil {
			return fmt.Errorf("watch mounts: %w", err)
		}
	}
}

// waitable is the part of a syscall.RawConn that wait needs.
type waitable interface {
	Read(ready func(fd uintptr) bool) error
}

// wait waits for the next change. The kernel wakes whoever waits for the file with POLLERR and POLLPRI
// (proc_pid_mountinfo(5)), which the runtime takes for readable.
func wait(c waitable) error {
	woken := false
	return c.Read(func(uintptr) bool {
		was := woken
		woken = true
		return was
	})
}
