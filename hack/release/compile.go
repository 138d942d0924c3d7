// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"debug/buildinfo"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/bpfmap-io/bpfmap-operator/hack/release/internal/licences"
	"github.com/bpfmap-io/bpfmap-operator/hack/release/internal/source"
)

const command = "./cmd/bpfmap"

// platforms are those that a release is built for.
var platforms = []struct{ os, arch string }{{"linux", "amd64"}, {"linux", "arm64"}}

// binary is bpfmap for one platform.
type binary struct {
	os, arch string
	content  []byte
	modules  []licences.Module
}

// goEnv is all that decides what Go makes of the source, besides Go's own version. Whatever the caller's environment says of
// it doesn't count.
func goEnv(system, arch string) []string {
	return []string{
		"GOOS=" + system, "GOARCH=" + arch, "CGO_ENABLED=0", "GOAMD64=v1", "GOARM64=v8.0", "GOEXPERIMENT=", "GOFIPS140=off",
		"GOWORK=off", "GODEBUG=", "GOFLAGS=-mod=readonly",
	}
}

// compile builds the command of the release for a platform, into work.
func compile(ctx context.Context, r *source.Release, system, arch, work string) (*binary, error) {
	path := filepath.Join(work, "bpfmap-"+system+"-"+arch)
	set := "-s -w -buildid="
	for _, v := range [][2]string{{"version", r.Version}, {"commit", r.Commit}, {"date", r.Time.Format(time.RFC3339)}} {
		set += " -X github.com/bpfmap-io/bpfmap-operator/internal/cli." + v[0] + "=" + v[1]
	}
	env := goEnv(system, arch)
	if _, err := output(ctx, r.Dir, env, "go", "build", "-trimpath", "-buildvcs=true", "-ldflags", set, "-o", path, command); err != nil {
		return nil, err
	}
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("build for %s/%s: %w", system, arch, err)
	}
	if err := sound(r, path, content); err != nil {
		return nil, fmt.Errorf("build for %s/%s: %w", system, arch, err)
	}
	modules, err := licences.Of(ctx, r.Dir, command, path, env)
	if err != nil {
		return nil, err
	}
	return &binary{system, arch, content, modules}, nil
}

// sound holds a binary to the commit that it was built from: it names it, and no folder of this machine.
func sound(r *source.Release, path string, content []byte) error {
	info, err := buildinfo.ReadFile(path)
	if err != nil {
		return err
	}
	if info.Main.Version != r.Version {
		return fmt.Errorf("go version -m says module version %q, must be %s", info.Main.Version, r.Version)
	}
	said := map[string]string{}
	for _, s := range info.Settings {
		said[s.Key] = s.Value
	}
	for key, want := range map[string]string{"vcs.revision": r.Commit, "vcs.modified": "false", "-trimpath": "true"} {
		if said[key] != want {
			return fmt.Errorf("go version -m says %s=%q, must be %q", key, said[key], want)
		}
	}
	if bytes.Contains(content, []byte(r.Dir)) {
		return fmt.Errorf("it has the folder %s in it, in which it was built", r.Dir)
	}
	return nil
}

// tools are the versions of the programs whose output is in the release.
func tools(ctx context.Context, r *source.Release) (map[string]string, error) {
	version, err := output(ctx, r.Dir, nil, "go", "env", "GOVERSION")
	if err != nil {
		return nil, err
	}
	text, err := output(ctx, r.Dir, nil, "kubectl", "version", "--client", "-o", "json")
	if err != nil {
		return nil, err
	}
	var kubectl struct {
		ClientVersion    struct{ GitVersion string } `json:"clientVersion"`
		KustomizeVersion string                      `json:"kustomizeVersion"`
	}
	if err := json.Unmarshal(text, &kubectl); err != nil {
		return nil, fmt.Errorf("read kubectl's version: %w", err)
	}
	return map[string]string{
		"go": strings.TrimSpace(string(version)), "kubectl": kubectl.ClientVersion.GitVersion, "kustomize": kubectl.KustomizeVersion,
	}, nil
}

// install renders config/default with the image by digest.
func install(ctx context.Context, r *source.Release, repository, digest string) ([]byte, error) {
	overlay := filepath.Join(r.Dir, "config", "release-"+r.Version)
	if err := os.Mkdir(overlay, 0o755); err != nil {
		return nil, fmt.Errorf("render install.yaml: %w", err)
	}
	text := fmt.Sprintf("resources: [../default]\nimages: [{name: %s, digest: %q}]\n", repository, digest)
	if err := os.WriteFile(filepath.Join(overlay, "kustomization.yaml"), []byte(text), 0o644); err != nil {
		return nil, fmt.Errorf("render install.yaml: %w", err)
	}
	rendered, err := output(ctx, r.Dir, nil, "kubectl", "kustomize", overlay)
	if err != nil {
		return nil, err
	}
	pinned := []byte(repository + "@" + digest)
	if n, all := bytes.Count(rendered, pinned), bytes.Count(rendered, []byte(repository)); n == 0 || n != all {
		return nil, fmt.Errorf("render install.yaml: %d of %d mentions of %s are the release's digest: must be all", n, all, repository)
	}
	head := fmt.Sprintf("# bpfmap-operator %s, of commit %s: kubectl apply --server-side -f install.yaml\n", r.Version, r.Commit)
	return append([]byte(head), rendered...), nil
}

func digest(content []byte) string {
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:])
}

// output runs a program in dir and gives what it prints.
func output(ctx context.Context, dir string, env []string, name string, args ...string) ([]byte, error) {
	var errs bytes.Buffer
	c := exec.CommandContext(ctx, name, args...)
	c.Dir, c.Env, c.Stderr = dir, append(os.Environ(), env...), &errs
	out, err := c.Output()
	if err != nil {
		return nil, fmt.Errorf("run %s %s: %w: %s", name, strings.Join(args, " "), err, strings.TrimSpace(errs.String()))
	}
	return out, nil
}
