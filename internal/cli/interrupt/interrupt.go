// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package interrupt

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// Grace is how long a command has to return after the first signal. One that is blocked in a system call,
// such as a write to a pipe that nobody reads, doesn't notice the signal at all.
const Grace = 700 * time.Millisecond

// lastWords bounds the message of a command that ran out of grace: standard error may be blocked as well.
const lastWords = 100 * time.Millisecond

// Signal is the cause of a context that a signal cancelled.
type Signal struct{ syscall.Signal }

// Error is "interrupted".
func (s Signal) Error() string { return "interrupted" }

// ExitCode is that of a shell for a process that the signal ended: 130 for SIGINT, 143 for SIGTERM.
func (s Signal) ExitCode() int { return 128 + int(s.Signal) }

// Of is the signal that cancelled ctx.
func Of(ctx context.Context) (s Signal, ok bool) {
	ok = errors.As(context.Cause(ctx), &s)
	return s, ok
}

// state is what a context carries for Notify.
type state struct {
	grace    atomic.Int64
	expected atomic.Bool
	progress atomic.Pointer[func() string]
}

type stateKey struct{}

func stateOf(ctx context.Context) *state {
	s, _ := ctx.Value(stateKey{}).(*state)
	return s
}

// Notify is a context that the first SIGINT or SIGTERM cancels. exit ends the process; it is called with an
// exit code at the second signal, and when stop hasn't been called grace after the first. Before the latter
// the Message is printed to errOut.
func Notify(parent context.Context, grace time.Duration, errOut io.Writer, exit func(code int)) (ctx context.Context, stop func()) {
	s := &state{}
	s.grace.Store(int64(grace))
	ctx, cancel := context.WithCancelCause(context.WithValue(parent, stateKey{}, s))
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	done := make(chan struct{})
	go func() {
		select {
		case received := <-signals:
			first := asSignal(received)
			cancel(first)
			waitForEnd(ctx, s, first, signals, done, errOut, exit)
		case <-done:
		}
	}()
	return ctx, sync.OnceFunc(func() {
		signal.Stop(signals)
		close(done)
		cancel(nil)
	})
}

// asSignal is received, which is one of those that Notify asked for.
func asSignal(received os.Signal) Signal {
	s, _ := received.(syscall.Signal)
	return Signal{s}
}

func waitForEnd(
	ctx context.Context, s *state, first Signal, signals <-chan os.Signal, done <-chan struct{}, errOut io.Writer, exit func(int),
) {
	timer := time.NewTimer(time.Duration(s.grace.Load()))
	defer timer.Stop()
	select {
	case <-done:
	case second := <-signals:
		exit(asSignal(second).ExitCode())
	case <-timer.C:
		said := make(chan struct{})
		go func() {
			defer close(said)
			_, _ = fmt.Fprintln(errOut, Message(ctx)) // nobody is left to tell
		}()
		select {
		case <-said:
		case <-time.After(lastWords):
		}
		exit(first.ExitCode())
	}
}

// AllowGrace gives the command of ctx more time to return after the first signal.
func AllowGrace(ctx context.Context, grace time.Duration) {
	if s := stateOf(ctx); s != nil {
		s.grace.Store(int64(grace))
	}
}

// Expect says that a signal is how the command of ctx is meant to end: its exit code is 0 if it returns in time and
// without an error.
func Expect(ctx context.Context) {
	if s := stateOf(ctx); s != nil {
		s.expected.Store(true)
	}
}

// ExitCode is that of a command which returned err after a signal.
func ExitCode(ctx context.Context, s Signal, err error) int {
	if state := stateOf(ctx); err == nil && state != nil && state.expected.Load() {
		return 0
	}
	return s.ExitCode()
}

// Report makes progress part of the Message: what had been done when the command was interrupted. progress
// is called from another goroutine.
func Report(ctx context.Context, progress func() string) {
	if s := stateOf(ctx); s != nil {
		s.progress.Store(&progress)
	}
}

// Message is what the user of an interrupted command is told.
func Message(ctx context.Context) string {
	if s := stateOf(ctx); s != nil {
		if progress := s.progress.Load(); progress != nil {
			return "Error: interrupted: " + (*progress)()
		}
	}
	return "Error: interrupted"
}

// Count counts what a command has done, for Report.
type Count struct{ n atomic.Int64 }

// Add counts n more.
func (c *Count) Add(n int) { c.n.Add(int64(n)) }

// N is how many there are.
func (c *Count) N() int64 { return c.n.Load() }

// Of makes Message say that c of total were done, as in "3 of 10 manifests applied".
func (c *Count) Of(ctx context.Context, total int, what string) {
	Report(ctx, func() string { return fmt.Sprintf("%d of %d %s", c.N(), total, what) })
}
