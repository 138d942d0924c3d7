// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package local

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"
)

// result is what a command did.
type result struct {
	out, errOut string
	code        int
}

// String is all of it, for golden files.
func (r result) String() string {
	return fmt.Sprintf("exit code %d\n--- stdout\n%s--- stderr\n%s", r.code, r.out, r.errOut)
}

// run runs one command in this process.
func run(t *testing.T, args ...string) result { return runWith(t, "", args...) }

func runWith(t *testing.T, stdin string, args ...string) result {
	t.Helper()
	var out, errOut bytes.Buffer
	root := &cobra.Command{Use: "bpfmap", SilenceUsage: true, SilenceErrors: true}
	root.AddCommand(Commands()...)
	root.SetIn(strings.NewReader(stdin))
	root.SetOut(&out)
	root.SetErr(&errOut)
	root.SetArgs(args)
	r := result{}
	if err := root.ExecuteContext(t.Context()); err != nil {
		r.code = ExitCode(err)
		printError(root, err)
	}
	r.out, r.errOut = out.String(), errOut.String()
	return r
}

// ok is the output of a command that must succeed.
func ok(t *testing.T, args ...string) string {
	t.Helper()
	r := run(t, args...)
	if r.code != 0 || r.errOut != "" {
		t.Fatalf("bpfmap %s:\n%s", strings.Join(args, " "), r)
	}
	return r.out
}

// fails is the error of a command that must fail, with code 1 or that of usage, and print nothing else.
func fails(t *testing.T, args ...string) string {
	t.Helper()
	r := run(t, args...)
	if r.code != ExitFailed && r.code != ExitUsage || r.out != "" {
		t.Fatalf("bpfmap %s: want exit code 1 or 2 and no output:\n%s", strings.Join(args, " "), r)
	}
	return r.errOut
}

func equal(t *testing.T, got, want string) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// mountBPFFS mounts a BPF file system of the test's own.
func mountBPFFS(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mount("bpf", dir, "bpf", 0, "mode=0755"); err != nil {
		t.Fatalf("mount a BPF file system (this test needs root): %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Errorf("unmount %s: %v", dir, err)
		}
	})
	return dir
}

// write writes a file of the test's own.
func write(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	writeFile(t, path, text)
	return path
}

func writeFile(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func mkdir(t *testing.T, path string) {
	t.Helper()
	if err := os.MkdirAll(path, 0o755); err != nil {
		t.Fatal(err)
	}
}

// minimalManifest is a small BPFMap without entries.
func minimalManifest(name string, maxEntries int) string {
	return fmt.Sprintf(`apiVersion: bpfmap.io/v1alpha1
kind: BPFMap
metadata: {name: %s}
spec:
  type: Hash
  key: {type: u32}
  value: {type: u8}
  maxEntries: %d
`, name, maxEntries)
}
