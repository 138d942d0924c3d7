// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"compress/bzip2"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
)

// The mandatory access controls that a machine may have: a kernel takes one of them when it boots, by these names.
const (
	appArmor = "apparmor"
	seLinux  = "selinux"
)

// policySuite is the suite whose policy is used. Those before it have no domains for containers.
const policySuite = "trixie"

// policyPackages are the policy's modules, and what makes the kernel's policy of them. The tools are of the same suite, with
// their libraries, since older ones don't read its modules.
var policyPackages = []string{"selinux-policy-default", "policycoreutils", "secilc", "libsepol2", "libc6"}

// policyVersion is the format of the kernel's policy, which Linux 5.9 and newer read.
const policyVersion = "33"

// nodeDomains lets all that isn't confined as a container do as it likes: the tests' own processes stay in the domain of the
// kernel's first process, and containerd runs without the labels of a node's files.
const nodeDomains = "(typepermissive kernel_t)\n(typepermissive container_engine_t)\n"

// fetchPolicy returns the file of Debian's policy from the cache, where it puts it first if it is not there.
func fetchPolicy(ctx context.Context) (string, error) {
	source := kernel{suite: policySuite, arch: runtime.GOARCH}
	beside, err := source.folder()
	if err != nil {
		return "", err
	}
	path := filepath.Join(filepath.Dir(beside), seLinux+"-"+policySuite+"."+policyVersion)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return "", err
	}
	unlock, err := lock(path + ".lock")
	if err != nil {
		return "", err
	}
	defer unlock()
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		return path, err
	}
	fmt.Fprintf(os.Stderr, "kernels: making the policy of SELinux from %s of %s\n", policyPackages[0], policySuite)
	if err := source.makePolicy(ctx, path); err != nil {
		return "", fmt.Errorf("make the policy of SELinux: %w", err)
	}
	return path, nil
}

// makePolicy makes the kernel's policy of all modules.
func (k kernel) makePolicy(ctx context.Context, path string) error {
	work, apt, err := k.workshop(ctx, path)
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	files := filepath.Join(work, "files")
	if err := apt.extract(ctx, files, policyPackages); err != nil {
		return err
	}
	modules, err := filepath.Glob(filepath.Join(files, "usr/share/selinux/default/*.pp.bz2"))
	if err != nil {
		return err
	}
	if len(modules) == 0 {
		return fmt.Errorf("%s has no modules", policyPackages[0])
	}
	node := filepath.Join(work, "node.cil")
	if err := os.WriteFile(node, []byte(nodeDomains), 0o644); err != nil {
		return err
	}
	made := filepath.Join(work, "policy")
	args := []string{"-m", "-N", "-M", "true", "-c", policyVersion, "-o", made, "-f", filepath.Join(work, "contexts"), node}
	for _, module := range modules {
		text, err := moduleText(ctx, files, module)
		if err != nil {
			return err
		}
		args = append(args, text)
	}
	if err := fetchedTool(ctx, files, "usr/bin/secilc", args...); err != nil {
		return err
	}
	return os.Rename(made, path)
}

// moduleText returns the file of a module in the language of policies.
func moduleText(ctx context.Context, files, module string) (string, error) {
	packed, err := os.Open(module)
	if err != nil {
		return "", err
	}
	defer packed.Close()
	data, err := io.ReadAll(bzip2.NewReader(packed))
	if err != nil {
		return "", fmt.Errorf("uncompress %s: %w", module, err)
	}
	plain := strings.TrimSuffix(module, ".bz2")
	if err := os.WriteFile(plain, data, 0o644); err != nil {
		return "", err
	}
	text := strings.TrimSuffix(plain, ".pp") + ".cil"
	if err := fetchedTool(ctx, files, "usr/libexec/selinux/hll/pp", plain, text); err != nil {
		return "", err
	}
	if data, err = os.ReadFile(text); err != nil {
		return "", err
	}
	return text, os.WriteFile(text, []byte(withoutLogins(string(data))), 0o644)
}

// withoutLogins leaves out which users people log in as: that isn't for the kernel, and names users that are made at an
// installation.
func withoutLogins(policy string) string {
	var kept strings.Builder
	for line := range strings.Lines(policy) {
		if !strings.HasPrefix(line, "(selinuxuser") {
			kept.WriteString(line)
		}
	}
	return kept.String()
}

// fetchedTool runs a program of the packages' files, with their C library.
func fetchedTool(ctx context.Context, files, program string, args ...string) error {
	loaders, err := filepath.Glob(filepath.Join(files, "usr/lib/*/ld-linux-*.so.*"))
	if err != nil || len(loaders) != 1 {
		return fmt.Errorf("the packages have %d loaders of programs, want one", len(loaders))
	}
	args = append([]string{"--library-path", filepath.Dir(loaders[0]), filepath.Join(files, program)}, args...)
	return call(exec.CommandContext(ctx, loaders[0], args...))
}
