// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"path/filepath"
	"testing"
)

// TestRefused is all that isn't released.
func TestRefused(t *testing.T) {
	dir := project(t)
	build := func(version string, more ...string) []string {
		return append([]string{"build", "-repository", dir, "-out", t.TempDir(), "-version", version}, more...)
	}
	for _, version := range []string{"", "0.1.0", "v0.1", "v1", "latest", "v0.1.0+dirty", "v0.1.0-", "v01.1.0", "v0.1.0 ", "v0.1.0-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"} {
		refused(t, build(version), "version", "must")
	}
	refused(t, build("v0.2.0"), "CHANGELOG.md", `no section "## [0.2.0] - YYYY-MM-DD"`)
	refused(t, build("v0.0.9"), "CHANGELOG.md", `must be "## [0.0.9] - YYYY-MM-DD"`)
	refused(t, build("v0.0.8"), "CHANGELOG.md", "the section of 0.0.8 is empty")
	refused(t, build("v0.1.0", "-tagged"), "there is no tag v0.1.0")
	refused(t, build("v0.1.0", "-key", filepath.Join(dir, "LICENSE")), "no private key in PEM")
	refused(t, []string{"push", "-out", t.TempDir(), "-version", "v0.1.0"}, "push v0.1.0", "SHA256SUMS")
	refused(t, []string{"publish", "-version", "v0.1.0"}, "build, check or push")

	git(t, dir, "tag", "v0.1.0")
	write(t, filepath.Join(dir, "more.txt"), "more")
	refused(t, build("v0.1.0"), "the tree isn't clean", "?? more.txt")
	commit(t, dir)
	refused(t, build("v0.1.0"), "the tag v0.1.0 is commit")
	write(t, filepath.Join(dir, "more.txt"), "changed")
	refused(t, build("v0.1.0"), "the tree isn't clean", "M more.txt")
}

// TestUnsignedIsNotPushed leaves out the signatures of a release.
func TestUnsignedIsNotPushed(t *testing.T) {
	out := t.TempDir()
	image := "bpfmap-operator_v0.1.0_image.oci.tar"
	write(t, filepath.Join(out, "v0.1.0", "SHA256SUMS"), "")
	push := []string{"push", "-out", out, "-version", "v0.1.0", "-registry", "127.0.0.1:1/x"}
	refused(t, push, "there is no "+image)
	write(t, filepath.Join(out, "v0.1.0", image), "x")
	refused(t, push, image+" isn't what SHA256SUMS says")
	if err := os.RemoveAll(out); err != nil {
		t.Fatal(err)
	}
}
