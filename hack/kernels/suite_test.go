// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
)

const moduleFolder = "../.."

// TestEveryPackageThatNeedsAKernel wants the packages whose tests mount a BPF file system on every kernel, too.
func TestEveryPackageThatNeedsAKernel(t *testing.T) {
	elsewhere := []string{"test/loop"} // it needs an API server, which doesn't run in the machines
	found := map[string]bool{}
	err := filepath.WalkDir(moduleFolder, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		folder, err := filepath.Rel(moduleFolder, filepath.Dir(path))
		if strings.Contains(string(text), `/internal/bpf/bpftest"`) && !strings.Contains(string(text), "//go:build e2e") {
			found[folder] = true
		}
		return err
	})
	if err != nil || len(found) < 10 {
		t.Fatalf("%d packages were found: %v", len(found), err)
	}
	for folder := range found {
		if _, err := choose([]string{folder}, false); err != nil && !slices.Contains(elsewhere, folder) {
			t.Error(err)
		}
	}
	for _, p := range parts {
		if tests, err := filepath.Glob(filepath.Join(moduleFolder, p.folder, "*_test.go")); err != nil || len(tests) == 0 {
			t.Errorf("%s has no tests (%v)", p.folder, err)
		}
	}
	if _, err := choose([]string{"./internal/bpf/", "nowhere"}, true); err == nil || !strings.Contains(err.Error(), `"nowhere"`) {
		t.Errorf("a package that isn't there: %v", err)
	}
}

// TestScript runs the script with tests that pass, that fail and that are missing.
func TestScript(t *testing.T) {
	top, binaries, results := t.TempDir(), t.TempDir(), filepath.Join(t.TempDir(), "it's here")
	if err := os.Mkdir(results, 0o755); err != nil {
		t.Fatal(err)
	}
	chosen := []part{{folder: "good", env: []string{"HISTORIES=7"}, skip: "^(A|B)$"}, {folder: "bad"}, {folder: "absent"}}
	for i, p := range chosen {
		if err := os.Mkdir(filepath.Join(top, p.folder), 0o755); err != nil {
			t.Fatal(err)
		}
		if p.folder == "absent" {
			continue
		}
		text := fmt.Sprintf("#!/bin/sh\necho \"${PWD##*/} $HISTORIES $*\"\nexit %d\n", i)
		if err := os.WriteFile(filepath.Join(binaries, p.binary()), []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	var b strings.Builder
	if err := script(&b, top, binaries, results, "^Test$", 7, chosen); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("sh")
	cmd.Stdin = strings.NewReader(b.String())
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for i, status := range []int{0, 1, 127} {
		want := fmt.Sprintf("RESULT %s %d ", chosen[i].folder, status)
		if lines := strings.Split(string(out), "\n"); !strings.HasPrefix(lines[i], want) {
			t.Errorf("line %d is %q, want %q and seconds", i, lines[i], want)
		}
	}
	log, err := os.ReadFile(filepath.Join(results, "good.log"))
	if want := "good 7 -test.v -test.timeout=15m0s -test.run=^Test$ -test.skip=^(A|B)$\n"; err != nil || string(log) != want {
		t.Errorf("the test was called as %q (%v), want %q", log, err, want)
	}
}

func TestSummarize(t *testing.T) {
	s := summarize(`=== RUN   TestGood
    good_test.go:1: said by one that passes
--- PASS: TestGood (0.00s)
=== RUN   TestBad
=== RUN   TestBad/one
    bad_test.go:7: the map is
        of the wrong type
=== RUN   TestBad/two
--- FAIL: TestBad (0.10s)
    --- FAIL: TestBad/one (0.00s)
    --- PASS: TestBad/two (0.00s)
=== RUN   TestSkipped
--- SKIP: TestSkipped (0.00s)
FAIL
`)
	if s.passed != 1 || s.skipped != 1 || !slices.Equal(s.tests, []string{"TestBad"}) {
		t.Errorf("summary %+v", s)
	}
	if !strings.Contains(s.failed, "of the wrong type") || strings.Contains(s.failed, "by one that passes") {
		t.Errorf("what failed is told as\n%s", s.failed)
	}
}

func TestKernelParts(t *testing.T) {
	for name, want := range map[string]bool{
		"linux-image-6.1.0-50-cloud-amd64": true, "linux-binary-7.2.13+deb14-cloud-amd64": true,
		"linux-modules-7.2.13+deb14-cloud-amd64": true, "linux-base": false, "linux-base-7.2.13+deb14-cloud-amd64": false,
		"initramfs-tools": false, "linux-image-cloud-amd64": false,
	} {
		if kernelPart.MatchString(name) != want {
			t.Errorf("%s is a part of a kernel: %t, want %t", name, !want, want)
		}
	}
}

func TestModuleName(t *testing.T) {
	for path, want := range map[string]string{
		"kernel/drivers/virtio/virtio_pci.ko.xz": "virtio_pci", "kernel/drivers/char/virtio-rng.ko": "virtio_rng",
	} {
		if got := moduleName(path); got != want {
			t.Errorf("%s is module %q, want %q", path, got, want)
		}
	}
}

func TestWithoutLogins(t *testing.T) {
	const policy = "(user system_u)\n(selinuxuser root unconfined_u ((s0) (s0)))\n(selinuxuserdefault user_u ((s0) (s0)))\n(allow a_t b_t (file (read)))\n"
	if got, want := withoutLogins(policy), "(user system_u)\n(allow a_t b_t (file (read)))\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestQuote(t *testing.T) {
	const word = `it's "$HOME" \ * `
	out, err := exec.Command("sh", "-c", "printf %s "+quote(word)).Output()
	if err != nil || string(out) != word {
		t.Errorf("the shell reads %q (%v), want %q", out, err, word)
	}
}

// TestFolders: the results of a kernel are emptied before a run, which mustn't take the programs that are run.
func TestFolders(t *testing.T) {
	run := testRun{results: "results"}
	for _, a := range kernels {
		for _, b := range kernels {
			if within, err := filepath.Rel(run.resultsOf(a), run.binaries(b)); err != nil || filepath.IsLocal(within) {
				t.Errorf("the programs for %s are in the results of %s: %s", b.name, a.name, within)
			}
		}
	}
}

// TestSomeKernels: what runs on one kernel is built for all, since they share their programs, and runs there alone.
func TestSomeKernels(t *testing.T) {
	t6, t5 := kernel{name: "6.1", arch: runtime.GOARCH}, kernel{name: "5.10", arch: runtime.GOARCH}
	foreign := kernel{name: "arm64", arch: "other"}
	run := testRun{parts: []part{{folder: "all"}, {folder: "one", kernels: []string{"6.1"}}, {folder: "everywhere", everywhere: true}}}
	folders := func(parts []part) (all []string) {
		for _, p := range parts {
			all = append(all, p.folder)
		}
		return all
	}
	for _, c := range []struct {
		got  []part
		want []string
	}{
		{run.partsFor(runtime.GOARCH), []string{"all", "one", "everywhere"}},
		{run.partsOf(t6), []string{"all", "one", "everywhere"}},
		{run.partsOf(t5), []string{"all", "everywhere"}},
		{run.partsOf(foreign), []string{"everywhere"}},
	} {
		if got := folders(c.got); !slices.Equal(got, c.want) {
			t.Errorf("got %v, want %v", got, c.want)
		}
	}
	run.parts[1].security = seLinux
	for security, want := range map[string][]string{appArmor: {"all", "everywhere"}, seLinux: {"one"}} {
		if got := folders(run.partsUnder(t6, security)); !slices.Equal(got, want) {
			t.Errorf("under %s got %v, want %v", security, got, want)
		}
	}
	known := []string{"5.10", "6.1", "6.12", "newest"}
	for _, p := range parts {
		for _, name := range p.kernels {
			if !slices.Contains(known, name) {
				t.Errorf("%s runs on %s, which is none of %v", p.folder, name, known)
			}
		}
		if !slices.Contains([]string{"", seLinux}, p.security) {
			t.Errorf("%s runs under %q, which no machine has", p.folder, p.security)
		}
	}
}
