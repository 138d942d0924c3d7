// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"
)

// part is the tests of one package on a kernel.
type part struct {
	folder string   // of the package, in the module
	env    []string // NAME=VALUE, for fewer cases than on a real machine
	// skip are tests that don't run here, a regular expression: they take long on an emulated CPU, and what they test is
	// this project's own code, terminals or compilers, not what kernels differ in.
	skip string
	// packages are what it needs of Debian's, as hack/packages.sh takes them: commands and the packages that they are in.
	packages []string
	// kernels are those that it runs on, if what it tests is the same on the others; empty for all.
	kernels []string
	// security is the mandatory access control that it needs of the machine; empty for appArmor.
	security string
	// slow says that it runs only where it is asked for: it compiles programs and loaders on the spot, or waits for packets.
	slow bool
	// everywhere says that it runs on other architectures, too.
	everywhere bool
}

// parts are the packages that touch the kernel. The API server's and the cluster's tests aren't among them.
var parts = []part{
	{folder: "internal/bpf", everywhere: true},
	{folder: "internal/bpf/sys", everywhere: true},
	{folder: "internal/bpf/counts"},
	{folder: "internal/bpf/stores"},
	{folder: "internal/bpf/users"},
	{folder: "internal/pinstore"},
	{folder: "internal/pinwatch"},
	{folder: "internal/mounts"},
	{folder: "internal/nodelock"},
	{folder: "internal/cgroup"},
	{folder: "internal/inuse"},
	{folder: "internal/btfschema", skip: "^(TestTypesOfC|TestRoundTrip|TestWhatCWritesReadsBack)$"},
	{folder: "internal/footprint", env: []string{"FOOTPRINT_ENTRIES=1025"}},
	{folder: "internal/quota"},
	{folder: "internal/engine", env: []string{"BACKEND=kernel", "STRIDE=8", "MILLION=50000", "HISTORIES=40"}, skip: "^(TestModelOnMemory|TestMemoryOf.*|TestKeysAreReadWhenNeeded|TestManyKeysGivenBack|TestEvictedEntriesAreSparing)$"},
	{folder: "internal/engine/enginetest"},
	{folder: "internal/engine/kernel"},
	{folder: "cmd/bpfmap", skip: "OnATerminal$"},
	{folder: "internal/cli"},
	{folder: "internal/cli/local", skip: "^(TestSplit.*|TestSchema|TestSchemaRoundTrip|TestValidate.*)$"},
	{folder: "internal/cli/inventory"},
	{folder: matrixPackage, everywhere: true},
	{folder: "test/wire"},
	{folder: "test/confinement", env: []string{"CONFINEMENT=required"}, kernels: []string{"6.1"}, packages: []string{"containerd:containerd", "runc:runc", "apparmor_parser:apparmor"}},
	{folder: "test/confinement/selinux", env: []string{"CONFINEMENT=required"}, kernels: []string{"6.1"}, security: seLinux, packages: []string{"containerd:containerd", "runc:runc"}},
	{folder: "test/loaders", skip: "^(TestDocumentation|TestGenerate.*)$", slow: true},
	{folder: "test/field", slow: true},
}

// partLimit is how long a package's tests may take: an emulated CPU is some ten times slower than its host's.
const partLimit = 15 * time.Minute

// partsOf are the parts that run on a kernel. Without hardware support another architecture is slower still, and it
// has no compilers: there it is the system calls, the engine over them, and the command line.
func (t testRun) partsOf(k kernel) []part {
	return slices.DeleteFunc(t.partsFor(k.arch), func(p part) bool { return len(p.kernels) > 0 && !slices.Contains(p.kernels, k.name) })
}

// partsUnder are those of a kernel that run under one of the mandatory access controls.
func (t testRun) partsUnder(k kernel, security string) []part {
	return slices.DeleteFunc(t.partsOf(k), func(p part) bool { return cmp.Or(p.security, appArmor) != security })
}

// partsFor are the parts that run on some kernel of an architecture.
func (t testRun) partsFor(arch string) []part {
	return slices.DeleteFunc(slices.Clone(t.parts), func(p part) bool { return arch != runtime.GOARCH && !p.everywhere })
}

func (p part) name() string   { return strings.ReplaceAll(p.folder, "/", "-") }
func (p part) binary() string { return filepath.Base(p.folder) + ".test" }

// choose returns the parts of the packages that are named; if none is, all of them but, unless slow is set, slow ones.
func choose(folders []string, slow bool) ([]part, error) {
	if len(folders) == 0 {
		return slices.DeleteFunc(slices.Clone(parts), func(p part) bool { return p.slow && !slow }), nil
	}
	var chosen []part
	for _, folder := range folders {
		folder = strings.Trim(strings.TrimPrefix(folder, "./"), "/")
		at := slices.IndexFunc(parts, func(p part) bool { return p.folder == folder })
		if at < 0 {
			return nil, fmt.Errorf("package %q has no tests for other kernels; those that have are in hack/kernels/suite.go", folder)
		}
		chosen = append(chosen, parts[at])
	}
	return chosen, nil
}

// build compiles the tests and the operator, which run on every kernel of the architecture, into the folder.
func build(ctx context.Context, top, folder, arch string, chosen []part) error {
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	const plain = "-ldflags=-s -w"
	tests := []string{"test", "-c", plain, "-o", folder + "/"}
	for _, p := range chosen {
		tests = append(tests, "./"+p.folder)
	}
	program := "go"
	if chosen := os.Getenv("GO"); chosen != "" {
		program = chosen
	}
	for _, args := range [][]string{{"build", plain, "-o", filepath.Join(folder, "bpfmap"), "./cmd/bpfmap"}, tests} {
		cmd := exec.CommandContext(ctx, program, args...)
		cmd.Dir = top
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOARCH="+arch)
		if err := call(cmd); err != nil {
			return err
		}
	}
	return nil
}

// script writes the shell script that runs the parts, each in its package's folder, and prints a line of
// its result. run picks tests by a regular expression; empty picks all. seed is the first of the engine's histories.
func script(w io.Writer, top, binaries, results, run string, seed uint32, chosen []part) error {
	var b strings.Builder
	b.WriteString("#!/bin/sh\n")
	if assets := os.Getenv("KUBEBUILDER_ASSETS"); assets != "" { // helm
		fmt.Fprintf(&b, "export KUBEBUILDER_ASSETS=%s\n", quote(assets))
	}
	fmt.Fprintf(&b, "export BPFMAP=%s RESULTS=%s SEED=%d\n", quote(filepath.Join(binaries, "bpfmap")), quote(results), seed)
	for _, p := range chosen {
		fmt.Fprintf(&b, "cd %s || exit 125\nbegan=$(date +%%s)\n", quote(filepath.Join(top, p.folder)))
		fmt.Fprintf(&b, "env %s %s -test.v -test.timeout=%s -test.run=%s -test.skip=%s >%s 2>&1\n",
			strings.Join(p.env, " "), quote(filepath.Join(binaries, p.binary())), partLimit, quote(run), quote(p.skip),
			quote(filepath.Join(results, p.name()+".log")))
		fmt.Fprintf(&b, "echo \"%s%s $? $(($(date +%%s) - began))\"\n", resultPrefix, p.folder)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// resultPrefix begins the line of a part's result: its folder, exit status and seconds.
const resultPrefix = "RESULT "
