// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package loop_test

import (
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/bpfmap-io/bpfmap-operator/test/await"
)

// memoryGroup is a control group of a test that counts memory, of version 1 or 2.
type memoryGroup struct{ dir, usage, inactive string }

func newMemoryGroup(t testing.TB) memoryGroup {
	t.Helper()
	for _, g := range []memoryGroup{
		{"/sys/fs/cgroup/memory", "memory.usage_in_bytes", "total_inactive_file"},
		{"/sys/fs/cgroup", "memory.current", "inactive_file"},
	} {
		dir, err := os.MkdirTemp(g.dir, "bpfmap-loop-")
		if err != nil {
			continue
		}
		g.dir = dir
		// The last process of the group may still be ending.
		t.Cleanup(func() { await.Nil(t, limit, func() error { return os.Remove(dir) }) })
		if _, err := os.Stat(filepath.Join(dir, g.usage)); err == nil {
			return g
		}
	}
	t.Fatal("no control group that counts memory could be made (this needs root)")
	return memoryGroup{}
}

// command is one that runs in the group from its first page on.
func (g memoryGroup) command(t testing.TB, file string, args ...string) *exec.Cmd {
	t.Helper()
	enter := `echo $$ >"$0" && exec "$@"`
	return exec.Command("sh", append([]string{"-c", enter, filepath.Join(g.dir, "cgroup.procs"), file}, args...)...)
}

// workingSet is what the kubelet calls so, in MiB: all memory but files that weren't used lately.
func (g memoryGroup) workingSet(t testing.TB) float64 {
	t.Helper()
	number := func(text string) int64 {
		n, err := strconv.ParseInt(strings.TrimSpace(text), 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	read := func(name string) string {
		text, err := os.ReadFile(filepath.Join(g.dir, name))
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	used := number(read(g.usage))
	for line := range strings.Lines(read("memory.stat")) {
		if name, value, _ := strings.Cut(line, " "); name == g.inactive {
			used -= number(value)
		}
	}
	return float64(used) / (1 << 20)
}

// freshCopy is a copy of the program that no other process runs, in small writes as who unpacks an image makes it: how much of
// a file a page fault maps depends on how it was written. Of a cold one nothing is in memory.
func freshCopy(t testing.TB, cold bool) string {
	t.Helper()
	from, err := os.Open(program)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = from.Close() }()
	f, err := os.OpenFile(filepath.Join(t.TempDir(), "bpfmap"), os.O_CREATE|os.O_WRONLY, 0o755)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	if _, err := io.Copy(struct{ io.Writer }{f}, struct{ io.Reader }{from}); err != nil {
		t.Fatal(err)
	}
	if err := f.Sync(); err != nil {
		t.Fatal(err)
	}
	if cold {
		if err := unix.Fadvise(int(f.Fd()), 0, 0, unix.FADV_DONTNEED); err != nil {
			t.Fatal(err)
		}
	}
	return f.Name()
}
