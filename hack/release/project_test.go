// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/bpfmap-io/bpfmap-operator/hack/release/internal/sign"
)

// program is one that is small, and says what a release's linker sets.
const program = `package main

import "github.com/bpfmap-io/bpfmap-operator/internal/cli"

func main() { println(cli.Version()) }
`

const library = `package cli

var version, commit, date string

func Version() string { return version + " " + commit + " " + date }
`

const changelog = `# Changelog

## [Unreleased]

- Not in it.

## [0.1.0] - 2026-12-01

### Added

- The first release,
  of two lines.

### Fixed

- A "quoted": thing.

## [0.0.9]

- No date.

## [0.0.8] - 2026-01-01

[0.1.0]: https://example.org
`

// project is a repository with a program of a few lines, and this one's chart, manifests, manual pages and licence.
func project(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, f := range []string{"charts", "config", "docs/man"} {
		if err := os.CopyFS(filepath.Join(dir, f), os.DirFS(filepath.Join("../..", f))); err != nil {
			t.Fatal(err)
		}
	}
	licence, err := os.ReadFile("../../LICENSE")
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"LICENSE": string(licence), "CHANGELOG.md": changelog, "cmd/bpfmap/main.go": program, "internal/cli/cli.go": library,
		"go.mod": "module github.com/bpfmap-io/bpfmap-operator\n\ngo 1.26.0\n",
	} {
		write(t, filepath.Join(dir, name), text)
	}
	git(t, dir, "init", "--quiet", "--initial-branch=main")
	commit(t, dir)
	return dir
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func commit(t *testing.T, dir string) {
	t.Helper()
	git(t, dir, "add", "--all")
	git(t, dir, "-c", "user.name=x", "-c", "user.email=x@example.org", "-c", "commit.gpgsign=false", "commit", "--quiet", "--message=x")
}

func git(t *testing.T, dir string, args ...string) string { return execute(t, dir, "git", args...) }

// execute runs a program and gives what it prints.
func execute(t *testing.T, dir, name string, args ...string) string {
	t.Helper()
	var errs bytes.Buffer
	c := exec.CommandContext(t.Context(), name, args...)
	c.Dir, c.Stderr = dir, &errs
	out, err := c.Output()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s%s", name, strings.Join(args, " "), err, out, errs.String())
	}
	return strings.TrimSpace(string(out))
}

// tool is a program of the control plane that tests use: it must be there where KUBEBUILDER_ASSETS says that it is.
func tool(t *testing.T, name string) string {
	t.Helper()
	if path := filepath.Join(os.Getenv("KUBEBUILDER_ASSETS"), name); os.Getenv("KUBEBUILDER_ASSETS") != "" {
		if _, err := os.Stat(path); err == nil {
			return path
		}
	}
	path, err := exec.LookPath(name)
	if err != nil {
		t.Fatalf("%v: hack/controlplane/build.sh %s makes it", err, name)
	}
	return path
}

// keyFile writes a new key and gives its path and public part.
func keyFile(t *testing.T) (path string, public []byte) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	private := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
	path = filepath.Join(t.TempDir(), "test.key")
	write(t, path, string(private))
	k, err := sign.ParseKey(private, nil)
	if err != nil {
		t.Fatal(err)
	}
	if public, err = k.Public(); err != nil {
		t.Fatal(err)
	}
	return path, public
}

// released builds version 0.1.0 of a project, signed, and gives the folder of its files.
func released(t *testing.T, dir, key string) string {
	t.Helper()
	t.Setenv("PATH", filepath.Dir(tool(t, "kubectl"))+":"+os.Getenv("PATH"))
	out := t.TempDir()
	var said bytes.Buffer
	if err := run(t.Context(), []string{"build", "-repository", dir, "-out", out, "-version", "v0.1.0", "-key", key}, &said); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(said.String(), "signed") {
		t.Errorf("build said %q", said.String())
	}
	return filepath.Join(out, "v0.1.0")
}

// refused runs a command that must fail with a message that has all of the words.
func refused(t *testing.T, args []string, words ...string) {
	t.Helper()
	err := run(context.WithoutCancel(t.Context()), args, &bytes.Buffer{})
	if err == nil {
		t.Errorf("%v: no error, want one with %q", args, words)
		return
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("%v: %q, want %q in it", args, err, w)
		}
	}
}
