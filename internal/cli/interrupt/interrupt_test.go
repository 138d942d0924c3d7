// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package interrupt

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"syscall"
	"testing"
	"time"
)

// long is longer than the tests run.
const long = time.Hour

// send sends a signal to this process, whose handler Notify has set.
func send(t *testing.T, s syscall.Signal) {
	t.Helper()
	if err := syscall.Kill(os.Getpid(), s); err != nil {
		t.Fatal(err)
	}
}

func notify(t *testing.T, grace time.Duration, errOut io.Writer) (context.Context, func(), <-chan int) {
	t.Helper()
	codes := make(chan int, 2)
	ctx, stop := Notify(t.Context(), grace, errOut, func(code int) { codes <- code })
	t.Cleanup(stop)
	return ctx, stop, codes
}

func TestFirstSignalCancels(t *testing.T) {
	for signal, code := range map[syscall.Signal]int{syscall.SIGINT: 130, syscall.SIGTERM: 143} {
		ctx, stop, codes := notify(t, long, io.Discard)
		if s, ok := Of(ctx); ok {
			t.Errorf("signal %v before any was sent", s)
		}
		send(t, signal)
		<-ctx.Done()
		s, ok := Of(ctx)
		if !ok || s.ExitCode() != code || !errors.Is(ctx.Err(), context.Canceled) {
			t.Errorf("%v: cause %v, exit code %d, want %d", signal, context.Cause(ctx), s.ExitCode(), code)
		}
		stop()
		select {
		case code := <-codes:
			t.Errorf("the process was ended with %d, though the command returned", code)
		default:
		}
	}
}

func TestSecondSignalEnds(t *testing.T) {
	ctx, _, codes := notify(t, long, io.Discard)
	send(t, syscall.SIGINT)
	<-ctx.Done()
	send(t, syscall.SIGTERM)
	if code := <-codes; code != 143 {
		t.Errorf("exit code %d", code)
	}
}

func TestGraceRunsOut(t *testing.T) {
	var errOut bytes.Buffer
	ctx, _, codes := notify(t, time.Millisecond, &errOut)
	var applied Count
	applied.Of(ctx, 10, "manifests applied")
	applied.Add(3)
	send(t, syscall.SIGTERM)
	if code := <-codes; code != 143 {
		t.Errorf("exit code %d", code)
	}
	if got := errOut.String(); got != "Error: interrupted: 3 of 10 manifests applied\n" {
		t.Errorf("it said %q", got)
	}
}

// blocked is a standard error that nobody reads.
type blocked struct{}

func (blocked) Write([]byte) (int, error) { select {} }

// TestNobodyListens ends even if the message can't be printed.
func TestNobodyListens(t *testing.T) {
	_, _, codes := notify(t, time.Millisecond, blocked{})
	send(t, syscall.SIGINT)
	if code := <-codes; code != 130 {
		t.Errorf("exit code %d", code)
	}
}

// TestMoreGrace: a grace that was extended doesn't run out before a second signal.
func TestMoreGrace(t *testing.T) {
	ctx, _, codes := notify(t, time.Millisecond, io.Discard)
	AllowGrace(ctx, long)
	send(t, syscall.SIGINT)
	<-ctx.Done()
	send(t, syscall.SIGTERM)
	if code := <-codes; code != 143 {
		t.Errorf("exit code %d: the grace of the command wasn't used", code)
	}
}

func TestExpected(t *testing.T) {
	ctx, _, _ := notify(t, long, io.Discard)
	send(t, syscall.SIGTERM)
	<-ctx.Done()
	s, _ := Of(ctx)
	if code := ExitCode(ctx, s, nil); code != 143 {
		t.Errorf("exit code %d of a command that was cut off", code)
	}
	Expect(ctx)
	if code := ExitCode(ctx, s, nil); code != 0 {
		t.Errorf("exit code %d of a command that is meant to end so", code)
	}
	if code := ExitCode(ctx, s, errors.New("a failure")); code != 143 {
		t.Errorf("exit code %d of a command that failed", code)
	}
}

func TestOtherContexts(t *testing.T) {
	ctx := t.Context()
	AllowGrace(ctx, long)
	Expect(ctx)
	Report(ctx, func() string { return "" })
	if got := Message(ctx); got != "Error: interrupted" {
		t.Errorf("message %q", got)
	}
}
