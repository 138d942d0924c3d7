// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package krew

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/bpfmap-io/bpfmap-operator/test/controlplane"
)

// plugin is what krew reads of a manifest (v1alpha2, pkg/index/types.go of krew 0.4.3).
type plugin struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Metadata   struct {
		Name string `json:"name"`
	} `json:"metadata"`
	Spec struct {
		Version          string     `json:"version"`
		ShortDescription string     `json:"shortDescription"`
		Description      string     `json:"description"`
		Caveats          string     `json:"caveats"`
		Homepage         string     `json:"homepage"`
		Platforms        []platform `json:"platforms"`
	} `json:"spec"`
}

type platform struct {
	URI      string `json:"uri"`
	SHA256   string `json:"sha256"`
	Selector struct {
		MatchLabels map[string]string `json:"matchLabels"`
	} `json:"selector"`
	Files []struct {
		From string `json:"from"`
		To   string `json:"to"`
	} `json:"files"`
	Bin string `json:"bin"`
}

// TestInstall packs the plugin, installs it from its manifest as krew does, and runs it by kubectl: the archive's checksum,
// the files that the manifest moves, and a link kubectl-bpfmap in a folder of $PATH.
func TestInstall(t *testing.T) {
	root, dist, binary := controlplane.Root(), t.TempDir(), filepath.Join(t.TempDir(), "bpfmap")
	run(t, root, nil, "go", "build", "-ldflags", "-X github.com/bpfmap-io/bpfmap-operator/internal/cli.version=v9.8.7", "-o", binary, "./cmd/bpfmap")
	run(t, root, nil, "go", "-C", "hack/release", "run", "./cmd/krew", "v9.8.7", dist, filepath.Join(root, "LICENSE"), "linux/"+runtime.GOARCH+"="+binary)
	text, err := os.ReadFile(filepath.Join(dist, "bpfmap.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var p plugin
	if err := yaml.UnmarshalStrict(text, &p); err != nil {
		t.Fatal(err)
	}
	s := &p.Spec
	if p.APIVersion != "krew.googlecontainertools.github.com/v1alpha2" || p.Kind != "Plugin" || p.Metadata.Name != "bpfmap" || s.Version != "v9.8.7" {
		t.Errorf("the manifest is %+v", p)
	}
	// What krew's validation asks for, and the guidelines of its index: a short description of at most 50 to 80 characters.
	if s.ShortDescription == "" || len(s.ShortDescription) > 80 || strings.Contains(s.ShortDescription, "\n") || s.Description == "" || len(s.Platforms) != 1 {
		t.Errorf("the manifest's spec is %+v", s)
	}
	at := &s.Platforms[0]
	if at.Selector.MatchLabels["os"] != "linux" || at.Selector.MatchLabels["arch"] != runtime.GOARCH || !regexp.MustCompile("^[a-f0-9]{64}$").MatchString(at.SHA256) {
		t.Errorf("the platform is %+v", at)
	}
	archive, err := os.ReadFile(filepath.Join(dist, filepath.Base(at.URI)))
	if err != nil {
		t.Fatal(err)
	}
	if sum := sha256.Sum256(archive); hex.EncodeToString(sum[:]) != at.SHA256 {
		t.Errorf("the archive's SHA-256 is %x, the manifest says %s", sum, at.SHA256)
	}
	store, path := t.TempDir(), t.TempDir()
	files := unpack(t, archive)
	for _, f := range at.Files {
		content, ok := files[f.From]
		if !ok || f.To != "." {
			t.Fatalf("the archive has no %s", f.From)
		}
		if err := os.WriteFile(filepath.Join(store, f.From), content.bytes, content.mode); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(filepath.Join(store, at.Bin), filepath.Join(path, "kubectl-bpfmap")); err != nil {
		t.Fatal(err)
	}
	kubectl, err := controlplane.Tool("kubectl")
	if err != nil {
		t.Fatal(err)
	}
	env := append(os.Environ(), "PATH="+path+":"+filepath.Dir(kubectl)+":"+os.Getenv("PATH"), "KUBECONFIG=/dev/null")
	if out := run(t, root, env, kubectl, "bpfmap", "version"); out != "v9.8.7\n" {
		t.Errorf("kubectl bpfmap version: %q", out)
	}
	if out := run(t, root, env, kubectl, "bpfmap", "rollout", "--help"); !strings.Contains(out, "kubectl bpfmap rollout [command]") {
		t.Errorf("the help is\n%s", out)
	}
	if out := run(t, root, env, kubectl, "plugin", "list"); !strings.Contains(out, "kubectl-bpfmap") || strings.Contains(out, "warning") {
		t.Errorf("kubectl plugin list:\n%s", out)
	}
	// kubectl completes a plugin's arguments by an executable of this name.
	if err := os.Symlink(filepath.Join(store, at.Bin), filepath.Join(path, "kubectl_complete-bpfmap")); err != nil {
		t.Fatal(err)
	}
	if out := run(t, root, env, kubectl, "__complete", "bpfmap", "roll"); !strings.HasPrefix(out, "rollout\t") {
		t.Errorf("the completion of \"roll\" is\n%s", out)
	}
}

func run(t *testing.T, dir string, env []string, name string, args ...string) string {
	t.Helper()
	var out, errOut bytes.Buffer
	c := exec.CommandContext(t.Context(), name, args...)
	c.Dir, c.Env, c.Stdout, c.Stderr = dir, env, &out, &errOut
	if err := c.Run(); err != nil {
		t.Fatalf("%s %v: %v\n%s%s", name, args, err, out.String(), errOut.String())
	}
	return out.String()
}

type file struct {
	bytes []byte
	mode  os.FileMode
}

func unpack(t *testing.T, archive []byte) map[string]file {
	t.Helper()
	zipped, err := gzip.NewReader(bytes.NewReader(archive))
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]file{}
	for r := tar.NewReader(zipped); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return files
		}
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		files[h.Name] = file{content, os.FileMode(h.Mode)}
	}
}
