// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// machine is one command on one kernel.
type machine struct {
	kernel  kernel
	command []string
	folder  string // where the command runs, on the host and in the machine
	out     string // a folder of the host that the command may write to; empty for none
	console string // a file that gets what the kernel printed; empty for none
	memory  string
	cpus    int
	limit   time.Duration
	output  io.Writer // what the command prints
	log     io.Writer // what this program has to say

	security string // the mandatory access control: appArmor or seLinux
	policy   string // the file of SELinux' policy, which run finds
}

// A boot takes seconds. It is tried again, since emulated timers now and then make a kernel give up before
// it gets to the command; a command is never run twice.
const (
	bootLimit = 3 * time.Minute
	bootTries = 3
)

var errBoot = errors.New("the machine did not start")

// errSilent is why QEMU ended without an error: a machine of ours that panics restarts, which ends it.
var errSilent = errors.New("it panicked or was powered off")

// run returns the command's exit status.
func (m machine) run(ctx context.Context) (int, error) {
	if err := installPackages(ctx, m.kernel); err != nil {
		return codeBroken, err
	}
	fetched, err := m.kernel.fetch(ctx)
	if err != nil {
		return codeBroken, err
	}
	if m.security == seLinux {
		if m.policy, err = fetchPolicy(ctx); err != nil {
			return codeBroken, err
		}
	}
	for try := 1; ; try++ {
		code, err := m.boot(ctx, fetched)
		if !errors.Is(err, errBoot) || try == bootTries || ctx.Err() != nil {
			return code, err
		}
		fmt.Fprintf(m.log, "kernels: try %d of %d: %v\n", try, bootTries, err)
	}
}

// boot starts the machine, and returns errBoot if it did not get to the command.
func (m machine) boot(ctx context.Context, kernel fetched) (int, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	work, err := os.MkdirTemp("", "bpfmap-kernels-")
	if err != nil {
		return codeBroken, err
	}
	defer os.RemoveAll(work)
	initramfs, err := kernel.initramfs(ctx, work)
	if err != nil {
		return codeBroken, err
	}
	control := filepath.Join(work, "control")
	if err := m.writeControl(control, kernel); err != nil {
		return codeBroken, err
	}
	shares := []share{{"host", "/"}, {"control", control}}
	if m.out != "" {
		shares = append(shares, share{"out", m.out})
	}
	for _, s := range shares {
		if err := s.serve(ctx, work); err != nil {
			return codeBroken, err
		}
	}
	console := m.console
	if console == "" {
		console = filepath.Join(work, "console")
	}
	var complaints bytes.Buffer
	qemu := child(ctx, m.kernel.qemu(), m.qemuArgs(kernel, initramfs, console, work, shares)...)
	qemu.Stdout, qemu.Stderr = m.output, &complaints
	// The port that the command writes to is open as long as QEMU's input is.
	if _, err := qemu.StdinPipe(); err != nil {
		return codeBroken, err
	}
	if err := qemu.Start(); err != nil {
		return codeBroken, err
	}
	ended := make(chan error, 1)
	go func() { ended <- qemu.Wait() }()
	return m.await(ctx, cancel, control, ended, func() string { return tail(console) + complaints.String() })
}

// await waits until the machine has stopped, and stops it when its time is over.
func (m machine) await(ctx context.Context, cancel func(), control string, ended <-chan error, console func() string) (int, error) {
	began, booted := time.Now(), time.Time{}
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case err := <-ended:
			return m.status(ctx, control, err, console)
		case <-tick.C:
		}
		_, err := os.Stat(filepath.Join(control, "booted"))
		switch {
		case booted.IsZero() && err == nil:
			booted = time.Now()
		case booted.IsZero() && time.Since(began) > bootLimit:
			cancel()
			stopped := <-ended
			return codeBroken, fmt.Errorf("%w: kernel %s did not get to the command within %v (%w)\n%s", errBoot, m.kernel.name, bootLimit, stopped, console())
		case !booted.IsZero() && time.Since(booted) > m.limit:
			cancel()
			stopped := <-ended
			return codeBroken, fmt.Errorf("on kernel %s, %s had not ended after %v (-timeout), and was stopped: %w; the kernel's last lines:\n%s",
				m.kernel.name, strings.Join(m.command, " "), m.limit, stopped, console())
		}
	}
}

// status reads what a machine left that has stopped.
func (m machine) status(ctx context.Context, control string, stopped error, console func() string) (int, error) {
	if ctx.Err() != nil {
		return codeBroken, ctx.Err()
	}
	if stopped == nil {
		stopped = errSilent
	}
	text, err := os.ReadFile(filepath.Join(control, "status"))
	if err == nil {
		return strconv.Atoi(strings.TrimSpace(string(text)))
	}
	if _, err := os.Stat(filepath.Join(control, "booted")); err != nil {
		return codeBroken, fmt.Errorf("%w: kernel %s stopped before the command (%w)\n%s", errBoot, m.kernel.name, stopped, console())
	}
	return codeBroken, fmt.Errorf("kernel %s stopped during %s (%w); its last lines:\n%s",
		m.kernel.name, strings.Join(m.command, " "), stopped, console())
}

// writeControl writes what the machine's scripts read.
func (m machine) writeControl(control string, kernel fetched) error {
	if err := os.Mkdir(control, 0o755); err != nil {
		return err
	}
	foreign, path := "no", os.Getenv("PATH")
	if m.kernel.arch != runtime.GOARCH {
		foreign, path = "yes", "/bin"
	}
	top := moduleTop(m.folder)
	facts := fmt.Sprintf("FOREIGN=%s\nFOLDERS=%s\nMODULES=%s\nOUT=%s\nPOLICY=%s\n",
		foreign, quote(top+" "+kernel.folder), quote(kernel.modules()), quote(m.out), quote(m.policy))
	command := "cd " + quote(m.folder) + " || exit 125\n" +
		"export HOME=/root TMPDIR=/tmp OUT=" + quote(m.out) + " PATH=" + quote(path) + "\n" +
		"exec"
	for _, word := range m.command {
		command += " " + quote(word)
	}
	return errors.Join(
		os.WriteFile(filepath.Join(control, "machine"), []byte(facts), 0o644),
		os.WriteFile(filepath.Join(control, "command"), []byte(command+"\n"), 0o644))
}

// moduleTop returns the folder's parent that has a go.mod, or the folder itself.
func moduleTop(folder string) string {
	for top := folder; top != "/"; top = filepath.Dir(top) {
		if _, err := os.Stat(filepath.Join(top, "go.mod")); err == nil {
			return top
		}
	}
	return folder
}

// quote makes one word of the shell.
func quote(word string) string { return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'" }

// child is a process that ends with the context and with this program.
func child(ctx context.Context, program string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	cmd.WaitDelay = 5 * time.Second
	return cmd
}

// tail returns the file's last lines.
func tail(path string) string {
	text, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	const most = 60
	lines := strings.SplitAfter(strings.ReplaceAll(string(text), "\r", ""), "\n")
	return strings.Join(lines[max(0, len(lines)-most):], "")
}
