// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/bpfmap-io/bpfmap-operator/internal/bpf/bpftest"
	"github.com/bpfmap-io/bpfmap-operator/internal/cli/interrupt"
)

const asProcess = "BPFMAP_TEST_PROCESS"

// TestMain is the command itself, when it is run as a process of its own by a test.
func TestMain(m *testing.M) {
	args := os.Getenv(asProcess)
	if args == "" {
		os.Exit(m.Run())
	}
	ctx, stop := interrupt.Notify(context.Background(), interrupt.Grace, os.Stderr, os.Exit)
	code := Run(ctx, strings.Split(args, "\n"), os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// startProcess runs the command as a process of its own.
func startProcess(t *testing.T, env []string, args ...string) (p *exec.Cmd, out *bytes.Buffer) {
	t.Helper()
	p = exec.Command(os.Args[0])
	p.Env = append(append(os.Environ(), env...), asProcess+"="+strings.Join(args, "\n"))
	out = &bytes.Buffer{}
	p.Stdout, p.Stderr = out, out
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	return p, out
}

// serviceManager hears what a process tells systemd.
func serviceManager(t *testing.T) (env string, hears func(want string)) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "notify")
	socket, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = socket.Close() })
	return "NOTIFY_SOCKET=" + path, func(want string) {
		t.Helper()
		if err := socket.SetReadDeadline(time.Now().Add(90 * time.Second)); err != nil {
			t.Fatal(err)
		}
		b := make([]byte, 256)
		n, err := socket.Read(b)
		if err != nil || string(b[:n]) != want {
			t.Fatalf("systemd was told %q (%v), want %q", b[:n], err, want)
		}
	}
}

func manifestOf(name string, entries int) string {
	var b strings.Builder
	fmt.Fprintf(&b, "apiVersion: bpfmap.io/v1alpha1\nkind: BPFMap\nmetadata: {name: %s}\nspec:\n  type: Hash\n  key: {type: u32}\n  value: {type: u32}\n  maxEntries: 100000\n  entries:\n", name)
	for i := range entries {
		fmt.Fprintf(&b, "  - {key: %d, value: 1}\n", i)
	}
	return b.String()
}

// TestWatchEnds ends apply --watch by each signal, when it is idle and in the middle of its work: it is ready when the
// maps are there, its exit code is 0, and the maps can be worked on by the next process.
func TestWatchEnds(t *testing.T) {
	for name, signal := range map[string]syscall.Signal{"SIGTERM": syscall.SIGTERM, "SIGINT": syscall.SIGINT} {
		t.Run(name, func(t *testing.T) {
			bpffs, dir := bpftest.BPFFS(t), t.TempDir()
			file := filepath.Join(dir, "a.yaml")
			write := func(text string) {
				t.Helper()
				if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			write(manifestOf("a", 3))
			env, hears := serviceManager(t)
			args := []string{"apply", "--bpffs", bpffs, "-f", dir}
			p, out := startProcess(t, []string{env}, append(args, "--watch")...)
			hears("READY=1")
			if _, err := os.Stat(filepath.Join(bpffs, "bpfmap/default/a")); err != nil {
				t.Errorf("it is ready before there is a map: %v", err)
			}
			if name == "SIGINT" { // while files settle, are compiled, or are written to the map
				write(manifestOf("a", 20000))
				time.Sleep(700 * time.Millisecond)
			}
			if err := p.Process.Signal(signal); err != nil {
				t.Fatal(err)
			}
			hears("STOPPING=1")
			if err := p.Wait(); err != nil {
				t.Errorf("it ended with %v:\n%s", err, out)
			}
			p, out = startProcess(t, nil, args...)
			if err := p.Wait(); err != nil {
				t.Errorf("the next apply ended with %v:\n%s", err, out)
			}
		})
	}
}

// TestWatchStopsEarly has no exit code 0 if nothing can be watched.
func TestWatchStopsEarly(t *testing.T) {
	p, out := startProcess(t, nil, "apply", "--watch", "-f", filepath.Join(t.TempDir(), "none"))
	if err := p.Wait(); err == nil || p.ProcessState.ExitCode() != 1 || !strings.Contains(out.String(), "nothing can be watched") {
		t.Errorf("it ended with %v:\n%s", err, out)
	}
}

// TestUnit holds the unit of docs/operations.md to the command's flags and to systemd.
func TestUnit(t *testing.T) {
	text, err := os.ReadFile("../../config/systemd/bpfmap.service")
	if err != nil {
		t.Fatal(err)
	}
	const binary = "/usr/local/bin/bpfmap"
	_, line, _ := strings.Cut(string(text), "\nExecStart="+binary+" ")
	line, _, _ = strings.Cut(line, "\n")
	c, args, err := Root().Find(strings.Fields(line))
	if err != nil || c.Name() != "apply" {
		t.Fatalf("it starts %q: %v", line, err)
	}
	if err := c.ParseFlags(args); err != nil {
		t.Error(err)
	}
	unit := filepath.Join(t.TempDir(), "bpfmap.service")
	if err := os.WriteFile(unit, []byte(strings.ReplaceAll(string(text), binary, os.Args[0])), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := exec.LookPath("systemd-analyze"); err != nil {
		t.Logf("systemd isn't installed: the unit is held to the flags alone")
		return
	}
	if out, err := exec.Command("systemd-analyze", "verify", unit).CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("systemd-analyze verify: %v\n%s", err, out)
	}
}
