// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Command release makes a release of this repository: binaries, the image and the chart as OCI layouts, manifests, SBOMs,
// provenance, checksums and signatures. The same commit makes the same bytes. docs/verify.md says what is in a release and
// how to check it, docs/adr/0055-releases.md why it is as it is.
//
// Usage:
//
//	release build -version vX.Y.Z [-repository .] [-out dist] [-key FILE] [-builder URI] [-tagged]
//	release check -version vX.Y.Z [-repository .] [-cold]
//	release push  -version vX.Y.Z [-out dist] [-registry HOST/PATH]
//
// build pushes nothing. check builds twice, in two folders, and compares. push copies what build made to a registry.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/bpfmap-io/bpfmap-operator/hack/release/internal/sign"
	"github.com/bpfmap-io/bpfmap-operator/hack/release/internal/source"
)

// localBuilder is who builds where no forge does.
const localBuilder = "https://github.com/bpfmap-io/bpfmap-operator/blob/main/docs/verify.md#builders"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "release:", err)
		os.Exit(1)
	}
}

type options struct {
	repository, version, out, key, builder, registry string
	tagged, cold, unreleased                         bool
}

func run(ctx context.Context, args []string, w io.Writer) error {
	if len(args) == 0 {
		return fmt.Errorf("which command: build, check or push")
	}
	var o options
	f := flag.NewFlagSet("release "+args[0], flag.ContinueOnError)
	f.StringVar(&o.version, "version", "", "the version to release, as vX.Y.Z")
	f.StringVar(&o.repository, "repository", ".", "the repository whose commit is released")
	f.StringVar(&o.out, "out", "dist", "the folder below which a folder of the version is written")
	f.StringVar(&o.key, "key", "", "a private key in PEM to sign with; RELEASE_KEY_PASSWORD decrypts one that cosign made")
	f.StringVar(&o.builder, "builder", localBuilder, "the URI of who builds, for the provenance")
	f.BoolVar(&o.tagged, "tagged", false, "refuse where the commit doesn't have the version's tag yet")
	f.BoolVar(&o.cold, "cold", false, "compile everything anew for the second build")
	f.StringVar(&o.registry, "registry", "", "push below this registry and path instead of to where the chart has its image")
	if err := f.Parse(args[1:]); err != nil {
		return err
	}
	if err := source.CheckVersion(o.version); err != nil {
		return err
	}
	switch args[0] {
	case "build":
		return build(ctx, o, w)
	case "check":
		o.unreleased = true
		return check(ctx, o, w)
	case "push":
		return push(ctx, o, w)
	}
	return fmt.Errorf("no command %q: must be build, check or push", args[0])
}

// build makes a release into the folder of its version, which it replaces.
func build(ctx context.Context, o options, w io.Writer) error {
	key, err := readKey(o.key)
	if err != nil {
		return err
	}
	work, err := os.MkdirTemp("", "release")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	files, err := assemble(ctx, o, key, work)
	if err != nil {
		return err
	}
	out := filepath.Join(o.out, o.version)
	if err := os.RemoveAll(out); err != nil {
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
	signed := "signed"
	if key == nil {
		signed = "not signed: no key was given"
	}
	fmt.Fprintf(w, "%s: %d files, %s\n", out, len(files), signed)
	return nil
}

// readKey is nil without a name.
func readKey(name string) (*sign.Key, error) {
	if name == "" {
		return nil, nil
	}
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, fmt.Errorf("read the signing key: %w", err)
	}
	return sign.ParseKey(text, []byte(os.Getenv("RELEASE_KEY_PASSWORD")))
}

// mover gives the repository in a registry for the one that a release names: the last part of its path below to.
func mover(to string) func(string) string {
	return func(repository string) string {
		if to == "" {
			return repository
		}
		_, path, _ := strings.Cut(repository, "/") // without the registry
		if _, below, ok := strings.Cut(path, "/"); ok {
			path = below // without the organization
		}
		return strings.TrimSuffix(to, "/") + "/" + path
	}
}
