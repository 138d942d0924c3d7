// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Command krew packs the kubectl plugin as it is in this tree, for those who try it; a release packs it itself. It needs
// nothing but the standard library, so that a test that runs it compiles nothing else.
//
// Usage: krew VERSION OUTDIR LICENCE OS/ARCH=BINARY...
package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

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
	files, err := krew.Pack(version, binaries, []archive.File{{Name: "LICENSE", Mode: 0o644, Content: text}}, time.Unix(0, 0))
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
