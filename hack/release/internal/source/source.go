// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package source is what a release is made from: a version, the commit that it is of, and a clean copy of that commit.
package source

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/mod/semver"
)

// Release is a version and its commit.
type Release struct {
	// Version begins with v: v0.1.0. Number is the same without it, as charts and images have it.
	Version, Number string
	Commit          string
	// Time is that of the commit, in UTC. Everything in the release has it.
	Time time.Time
	// Dir is a clone of the commit, with nothing in it that isn't committed, and with the version's tag.
	Dir string
	// Notes is the version's section of CHANGELOG.md.
	Notes string
}

// maxVersion bounds what becomes part of labels of Kubernetes, which take 63 characters.
const maxVersion = 40

// CheckVersion refuses what isn't a complete semantic version with a v before it, and build metadata: "+" can't be in an
// image's tag.
func CheckVersion(version string) error {
	switch {
	case len(version) > maxVersion:
		return fmt.Errorf("version %q has %d characters: must have at most %d", version, len(version), maxVersion)
	case !semver.IsValid(version) || semver.Canonical(version) != version:
		return fmt.Errorf("version %q: must be vMAJOR.MINOR.PATCH, with -PRERELEASE after it or not, and without build metadata (v0.1.0, v0.2.0-rc.1)", version)
	}
	return nil
}

// Rules are what Prepare asks for beyond a good version and a clean tree.
type Rules struct {
	// Tagged wants the version's tag; without it, the tag may be missing, as before a release.
	Tagged bool
	// Unreleased takes the changelog's section "Unreleased" for the version's, for builds that are thrown away.
	Unreleased bool
}

// Prepare checks that the repository may be released as version, and clones its commit into dir, which must not exist.
func Prepare(ctx context.Context, repository, version, dir string, rules Rules) (*Release, error) {
	if err := CheckVersion(version); err != nil {
		return nil, err
	}
	changed, err := git(ctx, repository, "status", "--porcelain", "--untracked-files=normal")
	if err != nil {
		return nil, err
	}
	if changed != "" {
		return nil, fmt.Errorf("release %s: the tree isn't clean, commit or remove these first:\n%s", version, changed)
	}
	r := &Release{Version: version, Number: strings.TrimPrefix(version, "v"), Dir: dir}
	if r.Commit, err = git(ctx, repository, "rev-parse", "HEAD^{commit}"); err != nil {
		return nil, err
	}
	seconds, err := git(ctx, repository, "show", "--no-patch", "--format=%ct", r.Commit)
	if err != nil {
		return nil, err
	}
	unix, err := strconv.ParseInt(seconds, 10, 64)
	if err != nil {
		return nil, fmt.Errorf("read the commit's time: %w", err)
	}
	r.Time = time.Unix(unix, 0).UTC()
	if err := checkTag(ctx, repository, r, rules.Tagged); err != nil {
		return nil, err
	}
	if err := clone(ctx, repository, r); err != nil {
		return nil, err
	}
	text, err := os.ReadFile(filepath.Join(dir, "CHANGELOG.md"))
	if err != nil {
		return nil, fmt.Errorf("read the changelog: %w", err)
	}
	if rules.Unreleased {
		r.Notes, err = Unreleased(string(text))
	} else {
		r.Notes, err = Section(string(text), r.Number)
	}
	return r, err
}

// checkTag refuses a tag that is another commit's.
func checkTag(ctx context.Context, repository string, r *Release, needed bool) error {
	found, err := git(ctx, repository, "for-each-ref", "--format=%(refname)", "refs/tags/"+r.Version)
	if err != nil {
		return err
	}
	if found == "" {
		if needed {
			return fmt.Errorf("release %s: there is no tag %s", r.Version, r.Version)
		}
		return nil
	}
	commit, err := git(ctx, repository, "rev-parse", "refs/tags/"+r.Version+"^{commit}")
	if err != nil {
		return err
	}
	if commit != r.Commit {
		return fmt.Errorf("release %s: the tag %s is commit %s, and %s is checked out", r.Version, r.Version, commit, r.Commit)
	}
	return nil
}

// clone makes a copy of the commit in which the version's tag is the only one: Go writes into a binary which version of the
// module it is, and finds that by the tags.
func clone(ctx context.Context, repository string, r *Release) error {
	if _, err := git(ctx, repository, "clone", "--quiet", "--no-checkout", "--no-tags", ".", r.Dir); err != nil {
		return err
	}
	for _, args := range [][]string{
		{"-c", "advice.detachedHead=false", "-c", "core.autocrlf=false", "checkout", "--quiet", "--detach", r.Commit},
		{"tag", "--no-sign", r.Version, r.Commit},
	} {
		if _, err := git(ctx, r.Dir, args...); err != nil {
			return err
		}
	}
	return nil
}

// Files are the committed files below a folder of the clone, sorted, as paths from the clone's root.
func (r *Release) Files(ctx context.Context, folder string) ([]string, error) {
	list, err := git(ctx, r.Dir, "-c", "core.quotePath=false", "ls-files", "--", folder)
	if err != nil {
		return nil, err
	}
	if list == "" {
		return nil, fmt.Errorf("list %s: the commit has no file there", folder)
	}
	return strings.Split(list, "\n"), nil
}

// git runs git in dir and gives what it prints, without space around it.
func git(ctx context.Context, dir string, args ...string) (string, error) {
	var out, errs bytes.Buffer
	c := exec.CommandContext(ctx, "git", args...)
	c.Dir, c.Stdout, c.Stderr = dir, &out, &errs
	if err := c.Run(); err != nil {
		return "", fmt.Errorf("run git %s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(errs.String()))
	}
	return strings.TrimSpace(out.String()), nil
}
