// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package loaders_test

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// needs says what to install for a tool that is missing.
var needs = map[string]string{"clang": "clang", "gcc": "gcc and libc6-dev", "pkg-config": "pkg-config", "bpftool": "bpftool"}

// tool runs a program and returns its output.
func tool(name string, args ...string) (string, error) {
	if _, err := exec.LookPath(name); err != nil {
		return "", fmt.Errorf("this test needs %s: %w", needs[name], err)
	}
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%s %s: %w\n%s", name, strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out)), nil
}

// mustRun is tool in a test that can't go on without it.
func mustRun(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := tool(name, args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// object compiles the program, with macros as NAME=VALUE.
func object(t *testing.T, macros ...string) string {
	t.Helper()
	return compileBPF(t, "firewall.bpf.c", macros...)
}

// compileBPF compiles a file of testdata for the kernel.
func compileBPF(t *testing.T, source string, macros ...string) string {
	t.Helper()
	out := filepath.Join(t.TempDir(), strings.TrimSuffix(source, ".c")+".o")
	// The headers of the machine's C library are beside those of the kernel.
	triplet := mustRun(t, "gcc", "-print-multiarch")
	args := []string{"-target", "bpf", "-g", "-O2", "-Wall", "-Werror", "-I/usr/include/" + triplet, "-o", out, "-c", "testdata/" + source}
	for _, macro := range macros {
		args = append(args, "-D"+macro)
	}
	mustRun(t, "clang", args...)
	return out
}

// compileC compiles a program that is linked with libbpf.
func compileC(t *testing.T, out, source string) {
	t.Helper()
	flags, err := tool("pkg-config", "--cflags", "--libs", "libbpf")
	if err != nil {
		t.Fatalf("%v (this test needs libbpf-dev)", err)
	}
	mustRun(t, "gcc", append([]string{"-Wall", "-Wextra", "-Werror", "-O1", "-o", out, source}, strings.Fields(flags)...)...)
}
