// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package terminal

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"golang.org/x/term"
)

// View is what a terminal shows again and again, in place of its lines.
type View struct {
	// Lines are those of a frame, sanitized and cut to the output's width.
	Lines func() []string
	// Look finds out what there is now, in a goroutine of its own, so that keys are heard meanwhile; what it returns renews
	// what the lines tell, between two calls of the others. An error ends the view.
	Look func(ctx context.Context) (renew func(), err error)
	// Key is told of keys that don't end the view; nil ignores them.
	Key func(key byte)
	// Every is how long it is from one look to the next.
	Every time.Duration
}

// What is written to a terminal around the frames: the alternate screen, without a cursor, is put away at the end.
const (
	enterScreen = "\x1b[?1049h\x1b[?25l"
	leaveScreen = "\x1b[?25h\x1b[?1049l"
)

// Show shows frames until q, Ctrl-C, Ctrl-D, the end of in, or the end of ctx, which isn't an error. in is a terminal, or
// isn't read.
func (o *Output) Show(ctx context.Context, in io.Reader, v *View) (err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	keys := make(chan byte)
	if file, is := in.(*os.File); is && term.IsTerminal(int(file.Fd())) {
		before, err := term.MakeRaw(int(file.Fd()))
		if err != nil {
			return fmt.Errorf("read keys from the terminal: %w", err)
		}
		defer func() { _ = term.Restore(int(file.Fd()), before) }()
		go readKeys(ctx, file, keys)
	}
	if err := o.Control([]byte(enterScreen)); err != nil {
		return err
	}
	defer func() {
		if left := o.Control([]byte(leaveScreen)); err == nil {
			err = left
		}
	}()
	resized := make(chan os.Signal, 1)
	signal.Notify(resized, syscall.SIGWINCH)
	defer signal.Stop(resized)
	type look struct {
		renew func()
		err   error
	}
	looked := make(chan look, 1)
	next := time.NewTimer(v.Every)
	defer next.Stop()
	for changed := true; ; {
		if changed {
			if err := o.Control(Frame(v.Lines())); err != nil {
				return err
			}
		}
		changed = true
		select {
		case <-ctx.Done():
			return nil
		case <-resized:
		case <-next.C:
			changed = false
			go func() {
				renew, err := v.Look(ctx)
				looked <- look{renew, err}
			}()
		case found := <-looked:
			if found.err != nil {
				if ctx.Err() != nil {
					return nil // that is why
				}
				return found.err
			}
			found.renew()
			next.Reset(v.Every)
		case key := <-keys:
			if isEnd(key) {
				return nil
			}
			if v.Key != nil {
				v.Key(key)
			}
		}
	}
}

// Frame is one picture of lines, in one piece, so that nobody sees half of it: each line ends by clearing what was behind
// it, and the last one what was below.
func Frame(lines []string) []byte {
	frame := []byte("\x1b[H")
	for i, line := range lines {
		if i > 0 {
			frame = append(frame, "\r\n"...)
		}
		frame = append(append(frame, line...), "\x1b[K"...)
	}
	return append(frame, "\x1b[J"...)
}

// isEnd says whether a key ends a view: q, Ctrl-C and Ctrl-D, which raw terminals pass on, or the end of the input, 0.
func isEnd(key byte) bool { return key == 'q' || key == 'Q' || key == 3 || key == 4 || key == 0 }

// readKeys passes on what is typed. It is left behind in a read when ctx ends, and ends with the process.
func readKeys(ctx context.Context, in io.Reader, keys chan<- byte) {
	var b [1]byte
	for {
		n, err := in.Read(b[:])
		if err != nil || n == 0 {
			b[0] = 0
		}
		select {
		case keys <- b[0]:
		case <-ctx.Done():
			return
		}
		if err != nil {
			return
		}
	}
}
