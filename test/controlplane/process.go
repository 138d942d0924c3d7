// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package controlplane

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"time"
)

// killAfter bounds how long a program may take to end after SIGTERM.
const killAfter = 5 * time.Second

// process is a running program whose output goes to a file.
type process struct {
	name string
	log  string
	cmd  *exec.Cmd
	// done is closed when the program has ended; exit is valid from then on.
	done chan struct{}
	exit error
}

// startProcess starts a program that the kernel kills when this process dies, even by SIGKILL.
func startProcess(name, log string, args ...string) (*process, error) {
	path, err := Tool(name)
	if err != nil {
		return nil, err
	}
	out, err := os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open log of %s: %w", name, err)
	}
	p := &process{name: name, log: log, cmd: exec.Command(path, args...), done: make(chan struct{})}
	p.cmd.Stdout, p.cmd.Stderr = out, out
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}

	started := make(chan error, 1)
	go func() {
		// The death signal follows the thread that forked, so the thread lives as long as the program.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		defer close(p.done)
		defer func() { _ = out.Close() }()
		err := p.cmd.Start()
		started <- err
		if err == nil {
			p.exit = p.cmd.Wait()
		}
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	return p, nil
}

// stop ends the program: SIGTERM, and SIGKILL if that takes longer than killAfter.
func (p *process) stop() {
	if p == nil {
		return
	}
	p.signal(syscall.SIGTERM)
	select {
	case <-p.done:
		return
	case <-time.After(killAfter):
	}
	p.signal(syscall.SIGKILL)
	<-p.done
}

func (p *process) signal(s syscall.Signal) {
	select {
	case <-p.done:
	default:
		_ = p.cmd.Process.Signal(s)
	}
}

// failed returns an error with the end of the log if the program has ended.
func (p *process) failed() error {
	select {
	case <-p.done:
		return fmt.Errorf("%s ended (%w); its last lines:\n%s", p.name, errors.Join(errEnded, p.exit), tail(p.log, 2048))
	default:
		return nil
	}
}

var errEnded = errors.New("process is not running")

// tail returns at most the last n bytes of a file, or why they can't be read.
func tail(path string, n int64) string {
	f, err := os.Open(path)
	if err != nil {
		return err.Error()
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	if err != nil {
		return err.Error()
	}
	start := max(info.Size()-n, 0)
	buf := make([]byte, info.Size()-start)
	read, _ := f.ReadAt(buf, start)
	return string(buf[:read])
}
