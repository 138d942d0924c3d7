// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package nodelock

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"
)

// poll is how often a taken lock is tried again. flock(2) could block instead, but then nothing could
// end the wait.
const poll = 10 * time.Millisecond

// Lock is held until Unlock, or until the process dies.
type Lock struct{ dir *os.File }

// Acquire takes the exclusive lock of the BPF file system mounted at bpffs, waiting until whoever
// holds it is done or ctx ends. It is an flock(2) on the root directory: the BPF file system has no
// files that could be locked, and the kernel releases it with the process, however that ends. Two
// locks of one process exclude each other as well.
//
// Errors: those of open(2), and ctx's.
func Acquire(ctx context.Context, bpffs string) (*Lock, error) {
	dir, err := os.Open(bpffs)
	if err != nil {
		return nil, fmt.Errorf("open the BPF file system to lock it: %w", err)
	}
	if err := wait(ctx, dir); err != nil {
		return nil, errors.Join(fmt.Errorf("lock %s: %w", bpffs, err), dir.Close())
	}
	return &Lock{dir}, nil
}

func wait(ctx context.Context, dir *os.File) error {
	tick := time.NewTicker(poll)
	defer tick.Stop()
	for {
		err := syscall.Flock(int(dir.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if !errors.Is(err, syscall.EWOULDBLOCK) && !errors.Is(err, syscall.EINTR) {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}

// Unlock releases the lock.
func (l *Lock) Unlock() error {
	if err := l.dir.Close(); err != nil {
		return fmt.Errorf("unlock: %w", err)
	}
	return nil
}
