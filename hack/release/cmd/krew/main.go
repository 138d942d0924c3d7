// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Command krew packs the kubectl plugin as it is in this tree, for those who try it; a release packs it itself. It needs
// little beyond the standard library, so that a test that runs it compiles nothing else.
//
// Usage: krew VERSION OUTDIR LICENCE OS/ARCH=BINARY...
//
// VERSION is what git describes.
package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/mod/semver"

	"github.com/bpfmap-io/bpfmap-operator/hack/release/internal/archive"
	"github.com/bpfmap-io/bpfmap-operator/hack/release/internal/krew"
)

func main() {
	if len(os.Args) < 5 {
		fmt.Fprintln(os.Stderr, "usage: krew VERSION OUTDIR LICENCE OS/ARCH=BINARY...")
		os.Exit(2)
	}
	if err := run(os.Args[1], os.Args[2], os.Args[3], os.Args[4:]); err != nil {
		fmt.Fprintln(os.Stderr, "krew:", err)
		os.Exit(1)
	}
}

func run(version, out, licence string, args []string) error {
	text, err := os.ReadFile(licence)
	if err != nil {
		return err
	}
	var binaries []krew.Binary
	for _, arg := range args {
		name, path, ok := strings.Cut(arg, "=")
		system, arch, ok2 := strings.Cut(name, "/")
		if !ok || !ok2 {
			return fmt.Errorf("%q is not OS/ARCH=BINARY", arg)
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		binaries = append(binaries, krew.Binary{OS: system, Arch: arch, Content: content})
	}
	files, err := krew.Pack(semantic(version), binaries, []archive.File{{Name: "LICENSE", Mode: 0o644, Content: text}}, time.Unix(0, 0))
	if err != nil {
		return err
	}
	if err := os.MkdirAll(out, 0o755); err != nil {
		return err
	}
	for _, f := range files {
		if err := os.WriteFile(filepath.Join(out, f.Name), f.Content, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// semantic is a version as krew takes it. What git describes without a tag is only the name of a commit: it becomes a
// prerelease of v0.0.0, behind the g that git puts in front of such names, since digits alone can't begin with 0.
func semantic(described string) string {
	version := "v" + strings.TrimPrefix(described, "v")
	if semver.Canonical(version) == version { // v1 is valid, too, but not to krew
		return version
	}
	return "v0.0.0-g" + described
}
