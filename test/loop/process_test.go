// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package loop_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// process is one run of the program, with its log in a file.
type process struct {
	t    testing.TB
	name string
	cmd  *exec.Cmd
	log  string
	done chan error
}

// launch starts the program. without are capabilities that it can't get back, numbered as in
// capabilities(7). The kernel kills it when the test binary dies.
func launch(t testing.TB, without []uintptr, args ...string) *process {
	t.Helper()
	return launchCommand(t, without, args[0], exec.Command(program, args...))
}

// launchCommand starts a command that becomes the program. name is its subcommand.
func launchCommand(t testing.TB, without []uintptr, name string, cmd *exec.Cmd) *process {
	t.Helper()
	p := &process{t: t, log: filepath.Join(t.TempDir(), name+".log"), name: name, cmd: cmd, done: make(chan error, 1)}
	out, err := os.Create(p.log)
	if err != nil {
		t.Fatal(err)
	}
	p.cmd.Stdout, p.cmd.Stderr = out, out
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	started := make(chan error, 1)
	go func() {
		// The bounding set and the death signal belong to this thread, which ends with the goroutine
		// because it stays locked.
		runtime.LockOSThread()
		for _, capability := range without {
			if err := unix.Prctl(unix.PR_CAPBSET_DROP, capability, 0, 0, 0); err != nil {
				started <- fmt.Errorf("drop capability %d: %w", capability, err)
				return
			}
		}
		err := p.cmd.Start()
		started <- err
		if err == nil {
			p.done <- p.cmd.Wait()
		}
	}()
	if err := <-started; err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		p.kill()
		if t.Failed() {
			t.Logf("%s %s ended its log with:\n%s", filepath.Base(program), name, p.tail(30))
		}
		_ = out.Close()
	})
	return p
}

// terminated is the exit code after SIGTERM.
const terminated = 143

// stop ends the process as Kubernetes does and fails the test if it ends by an error.
func (p *process) stop() {
	p.t.Helper()
	if p.ended() {
		return
	}
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		p.t.Fatal(err)
	}
	if err := <-p.done; p.cmd.ProcessState.ExitCode() != terminated {
		p.t.Errorf("%s: %v, want exit code %d", p.name, err, terminated)
	}
	p.done = nil
}

// kill ends the process without a chance to clean up.
func (p *process) kill() {
	if p.ended() {
		return
	}
	_ = p.cmd.Process.Kill()
	if err := <-p.done; err == nil {
		p.t.Logf("%s ended before it was killed", p.name)
	}
	p.done = nil
}

// ended says whether stop or kill was called; it fails the test if the process ended by itself.
func (p *process) ended() bool {
	if p.done == nil {
		return true
	}
	select {
	case err := <-p.done:
		p.t.Errorf("%s ended by itself: %v", p.name, err)
		p.done = nil
		return true
	default:
		return false
	}
}

func (p *process) tail(lines int) string {
	text, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	all := strings.Split(string(bytes.TrimSpace(text)), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}
