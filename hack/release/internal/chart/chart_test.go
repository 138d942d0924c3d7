// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package chart

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/bpfmap-io/bpfmap-operator/hack/release/internal/source"
)

const root = "../../../.."

// TestAnnotations reads what Artifact Hub reads of Chart.yaml: lists in YAML, of CRDs and images that there are.
func TestAnnotations(t *testing.T) {
	var chart struct {
		AppVersion  string            `yaml:"appVersion"`
		Annotations map[string]string `yaml:"annotations"`
	}
	read(t, filepath.Join(root, Folder, "Chart.yaml"), &chart)
	list := func(name string) (all []map[string]any) {
		if err := yaml.Unmarshal([]byte(chart.Annotations["artifacthub.io/"+name]), &all); err != nil || len(all) == 0 {
			t.Errorf("annotation %s: %d entries, %v", name, len(all), err)
		}
		return all
	}
	there := map[string]bool{}
	paths, err := filepath.Glob(filepath.Join(root, "config/crd/bases/*.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range paths {
		var crd struct {
			Metadata struct{ Name string }
			Spec     struct {
				Names    struct{ Kind string }
				Versions []struct{ Name string }
			}
		}
		read(t, path, &crd)
		there[fmt.Sprint(crd.Metadata.Name, crd.Spec.Names.Kind, crd.Spec.Versions[0].Name)] = true
	}
	said := map[string]bool{}
	for _, c := range list("crds") {
		said[fmt.Sprint(c["name"], c["kind"], c["version"])] = true
		if c["displayName"] == nil || c["description"] == nil {
			t.Errorf("CRD %v has no displayName or no description", c["name"])
		}
	}
	if !maps.Equal(said, there) {
		t.Errorf("annotation crds has %v, config/crd/bases %v", slices.Sorted(maps.Keys(said)), slices.Sorted(maps.Keys(there)))
	}
	repository, err := Repository(root)
	if err != nil {
		t.Fatal(err)
	}
	if images := list("images"); images[0]["image"] != repository+":"+chart.AppVersion {
		t.Errorf("annotation images has %v, the values %s and the chart's appVersion %s", images[0]["image"], repository, chart.AppVersion)
	}
	for _, l := range list("links") {
		url, _ := l["url"].(string)
		path, ok := strings.CutPrefix(url, "https://github.com/bpfmap-io/bpfmap-operator/")
		_, path, ok2 := strings.Cut(path, "/main/")
		if _, err := os.Stat(filepath.Join(root, path)); !ok || !ok2 || err != nil {
			t.Errorf("link %v leads to no file of the repository: %v", l["url"], err)
		}
	}
}

// TestPack sets version, digest and changes in the chart as it is, and refuses one where it can't.
func TestPack(t *testing.T) {
	dir := t.TempDir()
	folder := filepath.Join(dir, Folder)
	for _, name := range []string{"Chart.yaml", "values.yaml"} {
		content, err := os.ReadFile(filepath.Join(root, Folder, name))
		if err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(folder, name), string(content))
	}
	r := &source.Release{Number: "9.8.7-rc.1", Commit: "c0ffee", Time: time.Unix(0, 0), Dir: dir, Notes: "### Added\n\n- \"One\": thing, #1\n"}
	files := []string{Folder + "/Chart.yaml", Folder + "/values.yaml"}
	digest := "sha256:" + strings.Repeat("a", 64)
	c, err := Pack(r, files, digest)
	if err != nil {
		t.Fatal(err)
	}
	var meta struct {
		Name, Version string
		AppVersion    string `yaml:"appVersion"`
		Annotations   map[string]string
	}
	if err := yaml.Unmarshal(c.Metadata, &meta); err != nil {
		t.Fatal(err)
	}
	if c.Name != "bpfmap-operator" || meta.Version != r.Number || meta.AppVersion != r.Number || meta.Annotations["artifacthub.io/prerelease"] != "true" ||
		!strings.Contains(meta.Annotations["artifacthub.io/images"], "bpfmap-operator@"+digest) {
		t.Errorf("Chart.yaml is %s", c.Metadata)
	}
	var changes []change
	if err := yaml.Unmarshal([]byte(meta.Annotations["artifacthub.io/changes"]), &changes); err != nil || len(changes) != 1 || changes[0] != (change{"added", `"One": thing, #1`}) {
		t.Errorf("changes %+v: %v", changes, err)
	}
	if _, err := Pack(r, files[1:], digest); err == nil || !strings.Contains(err.Error(), "no Chart.yaml") {
		t.Errorf("without Chart.yaml: %v", err)
	}
	write(t, filepath.Join(folder, "values.yaml"), "image:\n  repository: ghcr.io/x/y\nother:\n  digest: \"\"\n")
	if _, err := Pack(r, files, digest); err == nil || !strings.Contains(err.Error(), "image.digest is \"\"") {
		t.Errorf("with the digest elsewhere: %v", err)
	}
}

func read(t *testing.T, path string, into any) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal(text, into); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
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
