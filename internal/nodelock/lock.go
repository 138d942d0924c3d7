// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package nodelock

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
	"time"
)

// A lock that is taken is tried again after shortest, and then after twice as long, up to longest: flock(2)
// could block instead, but nothing could end that wait except the lock itself.
const (
	shortest = time.Millisecond
	longest  = 100 * time.Millisecond
)

// Patience is how long Acquire waits before it says so; it says so again each time the wait has doubled.
const Patience = 10 * time.Second

// Wait is a wait for a lock that takes long.
type Wait struct {
	// For is what is waited for, for people.
	For string
	// Waited is how long so far.
	Waited time.Duration
}

// Directory is what can be locked.
type Directory struct {
	// Name says for people what is locked.
	Name string
	// Open opens the directory, and makes it if it isn't there. It is called more than once.
	Open func() (*os.File, error)
}

// Lock is held until Unlock, or until the process dies.
type Lock struct{ dir *os.File }

// Acquire takes the exclusive lock of a directory, waiting until its holder is done or ctx ends. It is an
// flock(2): the BPF file system has no files that could be locked, and the kernel releases it with the
// process, however that ends. Two locks of one process exclude each other as well. The directory may be
// removed by its holder: a lock counts only if the directory is found by its name afterwards, too.
//
// onWait, if not nil, is called after Patience.
//
// Errors: those of Open, and ctx's.
func Acquire(ctx context.Context, d Directory, onWait func(Wait)) (*Lock, error) {
	w := &waiter{d: d, onWait: onWait, start: time.Now(), next: Patience}
	f, err := open(ctx, d)
	for err == nil {
		if err = w.flock(ctx, f); err != nil {
			break
		}
		var now *os.File
		var same bool
		if now, same, err = reopen(ctx, d, f); err == nil && same {
			return &Lock{f}, nil
		}
		if closeErr := f.Close(); err == nil {
			err = closeErr
		}
		f = now
	}
	if f != nil {
		err = errors.Join(err, f.Close())
	}
	return nil, fmt.Errorf("lock %s: %w", d.Name, err)
}

// openTries bounds how often a directory is made and removed by its holder before it could be opened.
const openTries = 128

// open opens the directory of a lock. A holder may remove it after it was made and before it is opened.
func open(ctx context.Context, d Directory) (f *os.File, err error) {
	for range openTries {
		if f, err = d.Open(); !errors.Is(err, fs.ErrNotExist) || ctx.Err() != nil {
			return f, err
		}
	}
	return nil, fmt.Errorf("the directory was removed %d times before it could be opened: %w", openTries, err)
}

// reopen opens the directory that has the name now, and says whether that is the open one; then it is
// closed again.
func reopen(ctx context.Context, d Directory, locked *os.File) (now *os.File, same bool, err error) {
	if now, err = open(ctx, d); err != nil {
		return nil, false, err
	}
	a, errA := locked.Stat()
	b, errB := now.Stat()
	if err := errors.Join(errA, errB); err != nil {
		return now, false, err
	}
	if os.SameFile(a, b) {
		return nil, true, now.Close()
	}
	return now, false, nil
}

// waiter waits for one lock.
type waiter struct {
	d      Directory
	onWait func(Wait)
	start  time.Time
	next   time.Duration // when to say that it takes long
}

// flock waits until f is locked or ctx ends.
func (w *waiter) flock(ctx context.Context, f *os.File) error {
	for pause := shortest; ; pause = min(2*pause, longest) {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if !errors.Is(err, syscall.EWOULDBLOCK) && !errors.Is(err, syscall.EINTR) {
			return err
		}
		if waited := time.Since(w.start); waited >= w.next && w.onWait != nil {
			w.onWait(Wait{w.d.Name, waited})
			w.next = 2 * waited
		}
		timer := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		case <-timer.C:
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
