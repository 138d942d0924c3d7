// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package chart packs the Helm chart of a release: its version, its image by digest, and what is new, in Artifact Hub's
// annotations.
package chart

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/bpfmap-io/bpfmap-operator/hack/release/internal/archive"
	"github.com/bpfmap-io/bpfmap-operator/hack/release/internal/source"
)

// Folder is the chart's in the repository.
const Folder = "charts/bpfmap-operator"

// Chart is one that was packed.
type Chart struct {
	Name string
	// Packed is the .tgz, Metadata its Chart.yaml in JSON.
	Packed, Metadata []byte
	// Annotations are those of its manifest in a registry.
	Annotations map[string]string
}

// Repository is where the chart in dir, the repository's folder, has its image from.
func Repository(dir string) (string, error) {
	text, err := os.ReadFile(filepath.Join(dir, Folder, "values.yaml"))
	if err != nil {
		return "", fmt.Errorf("read the chart: %w", err)
	}
	image, err := imageOf(text)
	if err == nil && image.Repository == "" {
		err = errors.New("image.repository is empty")
	}
	if err != nil {
		return "", fmt.Errorf("read the chart's values: %w", err)
	}
	return image.Repository, nil
}

// Pack packs the files of the release below Folder, with the image pinned to digest.
func Pack(r *source.Release, files []string, digest string) (*Chart, error) {
	c := &Chart{}
	repository, err := Repository(r.Dir)
	if err != nil {
		return nil, err
	}
	var packed []archive.File
	for _, f := range files {
		content, err := os.ReadFile(filepath.Join(r.Dir, f))
		if err != nil {
			return nil, fmt.Errorf("pack the chart: %w", err)
		}
		name := strings.TrimPrefix(f, Folder+"/")
		switch name {
		case ".helmignore":
			continue
		case "Chart.yaml":
			if content, err = c.metadata(string(content), r, repository, digest); err != nil {
				return nil, fmt.Errorf("pack the chart: Chart.yaml: %w", err)
			}
		case "values.yaml":
			if content, err = pin(string(content), digest); err != nil {
				return nil, fmt.Errorf("pack the chart: values.yaml: %w", err)
			}
		}
		packed = append(packed, archive.File{Name: path.Join("bpfmap-operator", name), Mode: 0o644, Content: content})
	}
	if c.Metadata == nil {
		return nil, fmt.Errorf("pack the chart: no Chart.yaml in %s", Folder)
	}
	c.Packed, err = archive.TarGz(packed, r.Time)
	return c, err
}

var (
	versionLine    = regexp.MustCompile(`(?m)^version: .*$`)
	appVersionLine = regexp.MustCompile(`(?m)^appVersion: .*$`)
	annotations    = regexp.MustCompile(`(?m)^annotations:\n`)
	digestLine     = regexp.MustCompile(`(?m)^(image:\n(?:(?:  .*)?\n)*?  digest: )""$`)
)

// metadata is Chart.yaml with the release's version, image and changes; its comments and order stay.
func (c *Chart) metadata(text string, r *source.Release, repository, digest string) ([]byte, error) {
	changes, err := yaml.Marshal(changesOf(r.Notes))
	if err != nil {
		return nil, err
	}
	prerelease := strings.Contains(r.Number, "-")
	added := fmt.Sprintf("annotations:\n  artifacthub.io/prerelease: %q\n  artifacthub.io/changes: |\n%s", fmt.Sprint(prerelease), indent(string(changes)))
	text = versionLine.ReplaceAllLiteralString(text, "version: "+r.Number)
	text = appVersionLine.ReplaceAllLiteralString(text, "appVersion: "+r.Number)
	text = annotations.ReplaceAllLiteralString(text, added)
	text = regexp.MustCompile(regexp.QuoteMeta(repository)+`:[^\s"']+`).ReplaceAllLiteralString(text, repository+"@"+digest)
	var parsed map[string]any
	if err := yaml.Unmarshal([]byte(text), &parsed); err != nil {
		return nil, err
	}
	for key, want := range map[string]string{"version": r.Number, "appVersion": r.Number} {
		if parsed[key] != want {
			return nil, fmt.Errorf("%s is %v after it was set to %s", key, parsed[key], want)
		}
	}
	if c.Metadata, err = json.Marshal(parsed); err != nil {
		return nil, err
	}
	c.Name, _ = parsed["name"].(string)
	description, _ := parsed["description"].(string)
	home, _ := parsed["home"].(string)
	c.Annotations = map[string]string{
		"org.opencontainers.image.title": c.Name, "org.opencontainers.image.description": description,
		"org.opencontainers.image.version": r.Number, "org.opencontainers.image.revision": r.Commit,
		"org.opencontainers.image.source": home, "org.opencontainers.image.licenses": "Apache-2.0",
		"org.opencontainers.image.created": r.Time.Format("2006-01-02T15:04:05Z"),
	}
	return []byte(text), nil
}

type change struct {
	Kind        string `yaml:"kind"`
	Description string `yaml:"description"`
}

func changesOf(notes string) []change {
	all := []change{}
	for _, c := range source.Changes(notes) {
		all = append(all, change{c.Kind, c.Text})
	}
	return all
}

func indent(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		b.WriteString("    " + line)
	}
	return b.String()
}

// pin sets image.digest in the values.
func pin(text, digest string) ([]byte, error) {
	pinned := digestLine.ReplaceAllString(text, "${1}"+digest)
	image, err := imageOf([]byte(pinned))
	if err != nil {
		return nil, err
	}
	if image.Digest != digest {
		return nil, fmt.Errorf("image.digest is %q after it was set to %s: the line 'digest: \"\"' isn't where it is looked for, in image", image.Digest, digest)
	}
	return []byte(pinned), nil
}

type image struct {
	Repository string `yaml:"repository"`
	Digest     string `yaml:"digest"`
}

func imageOf(values []byte) (image, error) {
	var v struct {
		Image image `yaml:"image"`
	}
	err := yaml.Unmarshal(values, &v)
	return v.Image, err
}
