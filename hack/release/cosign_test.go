// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build cosign

package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestCosign signs a release with a key that cosign made, and has cosign itself verify all of it, by the blocks of
// docs/verify.md that say so. Needs cosign on the PATH: make test-cosign.
func TestCosign(t *testing.T) {
	const password = "RELEASE_KEY_PASSWORD"
	keys := t.TempDir()
	t.Setenv("HOME", keys) // cosign keeps things there
	t.Setenv(password, "p4ss word")
	t.Setenv("COSIGN_PASSWORD", os.Getenv(password))
	execute(t, keys, "cosign", "generate-key-pair")
	out := released(t, project(t), filepath.Join(keys, "cosign.key"))
	at := pushed(t, out)
	script := "set -eu\nVERSION=v0.1.0 REGISTRY=" + at + "\n" + shown(t, "docs/verify.md", "run by: hack/release TestCosign", 3)

	verified := func(key string) (string, error) {
		c := exec.CommandContext(t.Context(), "sh", "-c", script)
		c.Dir, c.Env = out, append(os.Environ(), "KEY="+key)
		said, err := c.CombinedOutput()
		return string(said), err
	}
	right := filepath.Join(keys, "cosign.pub")
	said, err := verified(right)
	if err != nil || strings.Count(said, "Verified OK") != 2 || strings.Count(said, "The signatures were verified against the specified public key") != 4 {
		t.Fatalf("cosign doesn't verify the release: %v\n%s", err, said)
	}
	_, other := keyFile(t)
	write(t, filepath.Join(keys, "other.pub"), string(other))
	if said, err := verified(filepath.Join(keys, "other.pub")); err == nil || !strings.Contains(said, "invalid signature") {
		t.Errorf("with somebody else's key: %v\n%s", err, said)
	}
	// The provenance is of install.yaml as it was.
	write(t, filepath.Join(out, "install.yaml"), "# changed\n")
	if said, err := verified(right); err == nil || strings.Count(said, "Verified OK") != 1 {
		t.Errorf("with another install.yaml: %v\n%s", err, said)
	}
}
