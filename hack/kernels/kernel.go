// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
)

// kernel is a kernel of a Debian suite.
type kernel struct {
	name   string
	suite  string
	arch   string // Debian's name
	module string // the package whose dependencies are the kernel
}

var kernels = []kernel{
	{name: "5.10", suite: "bullseye", arch: "amd64", module: "linux-image-cloud-amd64"},
	{name: "6.1", suite: "bookworm", arch: "amd64", module: "linux-image-cloud-amd64"},
	{name: "6.12", suite: "trixie", arch: "amd64", module: "linux-image-cloud-amd64"},
	{name: "newest", suite: "sid", arch: "amd64", module: "linux-image-cloud-amd64"},
	{name: "arm64", suite: "bookworm", arch: "arm64", module: "linux-image-cloud-arm64"},
}

func kernelNames() string {
	var names []string
	for _, k := range kernels {
		names = append(names, k.name)
	}
	return strings.Join(names, ", ")
}

func kernelOf(name string) (kernel, error) {
	for _, k := range kernels {
		if k.name == name {
			return k, nil
		}
	}
	return kernel{}, fmt.Errorf("unknown kernel %q, want one of %s", name, kernelNames())
}

// folder is where the kernel is cached: vmlinuz, modules/RELEASE and busybox.
func (k kernel) folder() (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("find the user's cache folder: %w", err)
	}
	return filepath.Join(cache, "bpfmap-operator", "kernels", k.suite+"-"+k.arch), nil
}

// fetched is a kernel in the cache.
type fetched struct {
	folder  string
	release string
}

func (f fetched) vmlinuz() string { return filepath.Join(f.folder, "vmlinuz") }
func (f fetched) busybox() string { return filepath.Join(f.folder, "busybox") }
func (f fetched) modules() string { return filepath.Join(f.folder, "lib", "modules", f.release) }

// fetch returns the kernel from the cache, where it puts it first if it is not there: downloads by an apt
// client with lists of its own, checked by the signatures of Debian's archive.
func (k kernel) fetch(ctx context.Context) (fetched, error) {
	folder, err := k.folder()
	if err != nil {
		return fetched{}, err
	}
	if err := os.MkdirAll(filepath.Dir(folder), 0o755); err != nil {
		return fetched{}, err
	}
	unlock, err := lock(folder + ".lock")
	if err != nil {
		return fetched{}, err
	}
	defer unlock()
	if _, err := os.Stat(folder); errors.Is(err, os.ErrNotExist) {
		fmt.Fprintf(os.Stderr, "kernels: fetching %s of %s\n", k.module, k.suite)
		if err := k.download(ctx, folder); err != nil {
			return fetched{}, fmt.Errorf("fetch kernel %s: %w", k.name, err)
		}
	}
	releases, err := filepath.Glob(filepath.Join(folder, "lib", "modules", "*"))
	if err != nil || len(releases) != 1 {
		return fetched{}, fmt.Errorf("%s has %d kernels, want one: remove it and call again", folder, len(releases))
	}
	return fetched{folder: folder, release: filepath.Base(releases[0])}, nil
}

// workshop is a folder beside path for what becomes it, and the suite's packages, up to date. The caller removes the folder.
func (k kernel) workshop(ctx context.Context, path string) (work string, packages *apt, err error) {
	if work, err = os.MkdirTemp(filepath.Dir(path), ".fetch-"); err != nil {
		return "", nil, err
	}
	if packages, err = newApt(work, k); err == nil {
		err = packages.update(ctx)
	}
	if err != nil {
		return "", nil, errors.Join(err, os.RemoveAll(work))
	}
	return work, packages, nil
}

// download fills the folder, which does not exist yet.
func (k kernel) download(ctx context.Context, folder string) error {
	work, apt, err := k.workshop(ctx, folder)
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	packages, err := apt.kernelPackages(ctx, k.module)
	if err != nil {
		return err
	}
	files := filepath.Join(work, "files")
	if err := apt.extract(ctx, files, append(packages, "busybox-static")); err != nil {
		return err
	}
	result := filepath.Join(work, "result")
	if err := arrange(ctx, files, result); err != nil {
		return err
	}
	return os.Rename(result, folder)
}

// arrange moves what a machine needs out of the packages' files, whose layout differs from suite to suite.
func arrange(ctx context.Context, files, result string) error {
	if err := os.MkdirAll(filepath.Join(result, "lib"), 0o755); err != nil {
		return err
	}
	for _, part := range []struct {
		to    string
		among []string
	}{
		{"vmlinuz", []string{"boot/vmlinuz-*", "usr/lib/modules/*/vmlinuz"}},
		{"lib/modules", []string{"lib/modules", "usr/lib/modules"}},
		{"busybox", []string{"bin/busybox", "usr/bin/busybox"}},
	} {
		if err := move(files, part.among, filepath.Join(result, part.to)); err != nil {
			return err
		}
	}
	releases, err := filepath.Glob(filepath.Join(result, "lib", "modules", "*"))
	if err != nil || len(releases) != 1 {
		return fmt.Errorf("the packages have %d folders of modules, want one", len(releases))
	}
	return call(exec.CommandContext(ctx, "depmod", "-b", result, filepath.Base(releases[0])))
}

func move(files string, among []string, to string) error {
	for _, pattern := range among {
		found, err := filepath.Glob(filepath.Join(files, pattern))
		if err != nil {
			return err
		}
		if len(found) == 1 {
			return os.Rename(found[0], to)
		}
	}
	return fmt.Errorf("the packages have none of %s, or several", strings.Join(among, ", "))
}

// apt is an apt client with lists and a cache of its own, for one suite and architecture.
type apt struct {
	work    string
	options []string
}

// The archive, and where suites go that have left it.
var archives = []string{"http://deb.debian.org/debian", "http://archive.debian.org/debian"}

func newApt(work string, k kernel) (*apt, error) {
	for _, folder := range []string{"lists/partial", "cache/archives/partial", "debs", "etc"} {
		if err := os.MkdirAll(filepath.Join(work, folder), 0o755); err != nil {
			return nil, err
		}
	}
	if err := os.WriteFile(filepath.Join(work, "status"), nil, 0o644); err != nil {
		return nil, err
	}
	options := []string{
		"-qq",
		"-o", "APT::Architecture=" + k.arch,
		"-o", "APT::Architectures=" + k.arch,
		"-o", "APT::Sandbox::User=root",
		"-o", "APT::Install-Recommends=false",
		"-o", "Acquire::Languages=none",
		"-o", "Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false",
		"-o", "Acquire::Retries=3",
		"-o", "Dir::State=" + work,
		"-o", "Dir::State::status=" + filepath.Join(work, "status"),
		"-o", "Dir::State::Lists=" + filepath.Join(work, "lists"),
		"-o", "Dir::Cache=" + filepath.Join(work, "cache"),
		"-o", "Dir::Etc::sourcelist=" + filepath.Join(work, "sources.list"),
		"-o", "Dir::Etc::sourceparts=-",
		"-o", "Dir::Etc::preferences=-",
		"-o", "Dir::Etc::preferencesparts=-",
	}
	return &apt{work: work, options: append(options, "-o", "suite="+k.suite)}, nil
}

// update fetches the suite's lists from the first archive that has it.
func (a *apt) update(ctx context.Context) error {
	suite := strings.TrimPrefix(a.options[len(a.options)-1], "suite=")
	var failed []error
	for _, archive := range archives {
		line := fmt.Sprintf("deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] %s %s main\n", archive, suite)
		if err := os.WriteFile(filepath.Join(a.work, "sources.list"), []byte(line), 0o644); err != nil {
			return err
		}
		_, err := a.call(ctx, "apt-get", "-o", "APT::Update::Error-Mode=any", "update")
		if err == nil {
			return nil
		}
		failed = append(failed, err)
	}
	return errors.Join(failed...)
}

// kernelPart matches the packages that have parts of a kernel; the other dependencies are for installing it.
var kernelPart = regexp.MustCompile(`^linux-(image|binary|modules)-[0-9].*`)

// kernelPackages returns the packages of the kernel that the meta package stands for.
func (a *apt) kernelPackages(ctx context.Context, meta string) ([]string, error) {
	var packages []string
	for next := []string{meta}; len(next) > 0; next = next[1:] {
		text, err := a.call(ctx, "apt-cache", "depends", "--no-recommends", "--no-suggests", "--no-conflicts", "--no-breaks", "--no-replaces", next[0])
		if err != nil {
			return nil, err
		}
		for _, line := range strings.Split(text, "\n") {
			name := strings.TrimSpace(line[strings.IndexByte(line, ':')+1:])
			if kernelPart.MatchString(name) && name != next[0] {
				packages, next = append(packages, name), append(next, name)
			}
		}
	}
	if len(packages) == 0 {
		return nil, fmt.Errorf("%s depends on no kernel", meta)
	}
	return packages, nil
}

// extract unpacks the packages' files into the folder.
func (a *apt) extract(ctx context.Context, folder string, packages []string) error {
	if _, err := a.call(ctx, "apt-get", append([]string{"download"}, packages...)...); err != nil {
		return err
	}
	debs, err := filepath.Glob(filepath.Join(a.work, "debs", "*.deb"))
	if err != nil || len(debs) != len(packages) {
		return fmt.Errorf("apt downloaded %d packages, want %d", len(debs), len(packages))
	}
	for _, deb := range debs {
		if err := call(exec.CommandContext(ctx, "dpkg-deb", "-x", deb, folder)); err != nil {
			return err
		}
	}
	return nil
}

func (a *apt) call(ctx context.Context, program string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, program, append(append([]string{}, a.options...), args...)...)
	cmd.Dir = filepath.Join(a.work, "debs")
	var errs strings.Builder
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s %s: %w\n%s", program, strings.Join(args, " "), err, strings.TrimSpace(errs.String()))
	}
	return string(out), nil
}

// call runs the command; its error has what the command printed.
func call(cmd *exec.Cmd) error {
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %w\n%s", strings.Join(cmd.Args, " "), err, strings.TrimSpace(string(out)))
	}
	return nil
}

// lock waits for the lock file and returns what gives it back.
func lock(path string) (func(), error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX); err != nil {
		file.Close()
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	return func() { file.Close() }, nil
}
