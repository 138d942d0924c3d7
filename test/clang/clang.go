// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package clang compiles C in tests.
package clang

import (
	"encoding/binary"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Target is the architecture of BPF programs on a machine of this test's byte order. Not "bpf", which is the byte
// order of the machine that clang was built for: they differ where the test runs in an emulator.
func Target() string {
	if binary.NativeEndian.Uint16([]byte{0, 1}) == 1 {
		return "bpfeb"
	}
	return "bpfel"
}

// BPF compiles a BPF program, a file, with its types, and returns the object's path. flags are clang's.
func BPF(t testing.TB, source string, flags ...string) string {
	t.Helper()
	base := strings.TrimSuffix(filepath.Base(source), ".c") + ".o"
	out := filepath.Join(t.TempDir(), base)
	// The headers of the machine's C library are beside those of the kernel.
	triplet := run(t, "gcc", "-print-multiarch")
	args := []string{"-target", Target(), "-g", "-O2", "-Wall", "-Werror", "-I/usr/include/" + triplet}
	run(t, "clang", append(append(args, flags...), "-o", out, "-c", source)...)
	return out
}

// BPFText is BPF of a program given as text, in an object of a name without ending.
func BPFText(t testing.TB, name, text string, flags ...string) string {
	t.Helper()
	source := filepath.Join(t.TempDir(), name+".bpf.c")
	if err := os.WriteFile(source, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return BPF(t, source, flags...)
}

func run(t testing.TB, name string, args ...string) string {
	t.Helper()
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s (this test needs clang, gcc and libbpf-dev): %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}
