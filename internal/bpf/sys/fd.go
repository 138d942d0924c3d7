// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package sys

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// ErrClosed says that a file descriptor was used after Close. It is os.ErrClosed.
var ErrClosed = os.ErrClosed

// FD owns a file descriptor. Its methods are safe for concurrent use: Close waits for calls that
// are under way, so that a number which the kernel has assigned anew is never used.
type FD struct {
	mu     sync.RWMutex
	raw    int
	leaked runtime.Cleanup
}

// OnLeak, if set, is called with the descriptor's number when an FD is garbage-collected unclosed. Tests
// use it.
var OnLeak atomic.Pointer[func(raw int)]

func newFD(raw int) *FD {
	fd := &FD{raw: raw}
	fd.leaked = runtime.AddCleanup(fd, func(raw int) {
		if hook := OnLeak.Load(); hook != nil {
			(*hook)(raw)
		}
		_ = unix.Close(raw) // there is no caller to return it to
	}, raw)
	return fd
}

// Raw is the number, or -1 after Close. It is valid only while the FD is reachable and open.
func (fd *FD) Raw() int {
	fd.mu.RLock()
	defer fd.mu.RUnlock()
	return fd.raw
}

// Close closes the descriptor. Closing twice is not an error.
func (fd *FD) Close() error {
	fd.mu.Lock()
	defer fd.mu.Unlock()
	if fd.raw < 0 {
		return nil
	}
	raw := fd.raw
	fd.raw = -1
	fd.leaked.Stop()
	if err := unix.Close(raw); err != nil && !errors.Is(err, unix.EINTR) {
		return fmt.Errorf("close fd %d: %w", raw, err)
	}
	return nil
}

// infoPath is the descriptor's file in /proc/self/fdinfo.
func (fd *FD) infoPath() string { return "/proc/self/fdinfo/" + itoa(fd.raw) }

func itoa(n int) string { return strconv.Itoa(n) }
