// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

// Command is a command on the machine: in its network namespace, and with a BPF file system at /sys/fs/bpf.
func (w *Wire) Command(t testing.TB, bpffs, name string, args ...string) *exec.Cmd {
	t.Helper()
	ns, err := w.namespace()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ns.Close() })
	const namespace = "--net=/proc/self/fd/3" // the first of the extra files
	script := `mount --bind "$0" /sys/fs/bpf && exec "$@"`
	cmd := exec.CommandContext(t.Context(), "nsenter", append([]string{namespace, "--",
		"unshare", "--mount", "--propagation", "private", "sh", "-ec", script, bpffs, name}, args...)...)
	cmd.ExtraFiles = []*os.File{ns}
	return cmd
}

// Try runs a command on the machine and returns what it printed.
func (w *Wire) Try(t testing.TB, bpffs, name string, args ...string) (out string, err error) {
	t.Helper()
	text, err := w.Command(t, bpffs, name, args...).CombinedOutput()
	return strings.TrimSpace(string(text)), err
}

// Run is Try of a command that has to succeed.
func (w *Wire) Run(t testing.TB, bpffs, name string, args ...string) (out string) {
	t.Helper()
	out, err := w.Try(t, bpffs, name, args...)
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return out
}
