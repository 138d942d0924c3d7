// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/creack/pty"
	"github.com/rivo/uniseg"
	"golang.org/x/term"

	"github.com/bpfmap-io/bpfmap-operator/test/await"
)

// terminal is a real pseudo-terminal with a program on it.
type terminal struct {
	*exec.Cmd
	keyboard *os.File // and screen: the side that a terminal emulator has
	line     *os.File // the side that the program has
	before   *term.State

	mu    sync.Mutex
	shown []byte
	read  chan struct{} // closed when everything was read
}

// window is a number of columns and lines.
func window(columns, lines int) *pty.Winsize {
	return &pty.Winsize{Cols: uint16(columns), Rows: uint16(lines)}
}

// onTerminal runs the program on a terminal of its own, as a login shell would.
func onTerminal(t *testing.T, size *pty.Winsize, env []string, args ...string) *terminal {
	t.Helper()
	keyboard, line, err := pty.Open()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	tty := &terminal{Cmd: exec.CommandContext(ctx, os.Args[0], args...), keyboard: keyboard, line: line, read: make(chan struct{})}
	if tty.before, err = term.GetState(int(line.Fd())); err != nil {
		t.Fatal(err)
	}
	if err := pty.Setsize(line, size); err != nil {
		t.Fatal(err)
	}
	tty.Env = append(slices.DeleteFunc(os.Environ(), func(e string) bool {
		return strings.HasPrefix(e, "NO_COLOR=") || strings.HasPrefix(e, "TERM=") || strings.HasPrefix(e, "COLUMNS=")
	}), asProgram+"=1", "TERM=xterm-256color")
	tty.Env = append(tty.Env, env...)
	tty.Stdin, tty.Stdout, tty.Stderr = line, line, line
	tty.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := tty.Start(); err != nil {
		t.Fatal(err)
	}
	go tty.watch()
	t.Cleanup(func() {
		cancel()
		_ = tty.Wait()
		_ = line.Close()
		<-tty.read // the last line is closed
		_ = keyboard.Close()
	})
	return tty
}

// watch reads what is shown, until nobody has the other side any more.
func (tty *terminal) watch() {
	defer close(tty.read)
	var b [4096]byte
	for {
		n, err := tty.keyboard.Read(b[:])
		tty.mu.Lock()
		tty.shown = append(tty.shown, b[:n]...)
		tty.mu.Unlock()
		if err != nil {
			return
		}
	}
}

// screen is everything that was shown.
func (tty *terminal) screen() string {
	tty.mu.Lock()
	defer tty.mu.Unlock()
	return string(tty.shown)
}

// frame is the last whole frame of what is shown again and again, in lines.
func (tty *terminal) frame() []string {
	frames := strings.Split(tty.screen(), "\x1b[H")
	for _, frame := range slices.Backward(frames[1:]) {
		if whole, _, ok := strings.Cut(frame, "\x1b[J"); ok {
			return strings.Split(strings.ReplaceAll(whole, "\x1b[K", ""), "\r\n")
		}
	}
	return nil
}

// shows waits for a frame with all of some texts, whose lines fit.
func (tty *terminal) shows(t *testing.T, columns, lines int, texts ...string) {
	t.Helper()
	var frame []string
	await.Nil(t, patience, func() error {
		frame = tty.frame()
		for _, text := range texts {
			if !strings.Contains(strings.Join(strings.Fields(strings.Join(frame, "\n")), " "), text) {
				return fmt.Errorf("no %q in the frame:\n%s", text, strings.Join(frame, "\n"))
			}
		}
		return nil
	})
	if len(frame) > lines {
		t.Errorf("%d lines on a terminal of %d:\n%s", len(frame), lines, strings.Join(frame, "\n"))
	}
	fits(t, columns, strings.Join(frame, "\n"))
}

// styles are the commands that colours are made of.
var styles = regexp.MustCompile(`\x1b\[[0-9;]*m`)

// erasures clear a line, or the rest of one.
var erasures = regexp.MustCompile(`\x1b\[[02]?K`)

// fits wants every line to have at most some columns, and no command in it but colours.
func fits(t *testing.T, columns int, text string) {
	t.Helper()
	for line := range strings.SplitSeq(text, "\n") {
		line = styles.ReplaceAllString(strings.TrimRight(line, "\r"), "")
		if w := uniseg.StringWidth(line); w > columns {
			t.Errorf("%d columns instead of %d: %q", w, columns, line)
		}
		if strings.ContainsAny(line, "\x1b\x07\u009b\u202e") {
			t.Errorf("somebody's text is a command to the terminal: %q", line)
		}
	}
}

// ends waits for the exit code and for everything that was shown, and wants the terminal to be as it was.
func (tty *terminal) ends(t *testing.T, code int) string {
	t.Helper()
	err := tty.Wait()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	after, err := term.GetState(int(tty.line.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(after, tty.before) {
		t.Errorf("the terminal is left as %+v and was %+v", after, tty.before)
	}
	if err := tty.line.Close(); err != nil {
		t.Error(err)
	}
	<-tty.read
	shown := tty.screen()
	if got := tty.ProcessState.ExitCode(); got != code {
		t.Errorf("%v: exit code %d (%s), want %d:\n%s", tty.Args[1:], got, tty.ProcessState, code, shown)
	}
	for on, off := range map[string]string{"\x1b[?1049h": "\x1b[?1049l", "\x1b[?25l": "\x1b[?25h"} {
		if strings.LastIndex(shown, on) > strings.LastIndex(shown, off) {
			t.Errorf("%q isn't taken back: %q", on, shown[max(0, len(shown)-100):])
		}
	}
	return shown
}

// types sends keys.
func (tty *terminal) types(t *testing.T, keys string) {
	t.Helper()
	if _, err := tty.keyboard.WriteString(keys); err != nil {
		t.Fatal(err)
	}
}
