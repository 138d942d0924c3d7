// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package oci makes the image, the chart's artifact and their signatures, and copies them between layouts and registries.
package oci

import (
	"bytes"
	"fmt"
	"io"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/bpfmap-io/bpfmap-operator/hack/release/internal/archive"
)

// Platform is what an image of one consists of.
type Platform struct {
	OS, Arch string
	Files    []archive.File
}

// What an image has besides its files; a test holds it to the Dockerfile, which makes the same image for development.
var (
	labels = map[string]string{
		"org.opencontainers.image.title":         "bpfmap-operator",
		"org.opencontainers.image.description":   "eBPF map contents as Kubernetes resources",
		"org.opencontainers.image.source":        "https://github.com/bpfmap-io/bpfmap-operator",
		"org.opencontainers.image.documentation": "https://github.com/bpfmap-io/bpfmap-operator/tree/main/docs",
		"org.opencontainers.image.licenses":      "Apache-2.0",
	}
	user       = "65532:65532"
	entrypoint = []string{"/bpfmap"}
)

// Labels are those of the image of a version.
func Labels(number, commit string, at time.Time) map[string]string {
	all := map[string]string{
		"org.opencontainers.image.version":  number,
		"org.opencontainers.image.revision": commit,
		"org.opencontainers.image.created":  at.UTC().Format(time.RFC3339),
	}
	for k, v := range labels {
		all[k] = v
	}
	return all
}

// Image is one layer with the files, and nothing else.
func Image(p Platform, labels map[string]string, at time.Time) (v1.Image, error) {
	packed, err := archive.TarGz(p.Files, at)
	if err != nil {
		return nil, err
	}
	layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(packed)), nil
	}, tarball.WithMediaType(types.OCILayer))
	if err != nil {
		return nil, fmt.Errorf("make image of %s/%s: %w", p.OS, p.Arch, err)
	}
	created := v1.Time{Time: at.UTC()}
	image, err := mutate.ConfigFile(base(), &v1.ConfigFile{
		OS: p.OS, Architecture: p.Arch, Created: created,
		Config: v1.Config{Labels: labels, User: user, Entrypoint: entrypoint},
	})
	if err != nil {
		return nil, fmt.Errorf("make image of %s/%s: %w", p.OS, p.Arch, err)
	}
	image, err = mutate.Append(image, mutate.Addendum{Layer: layer, History: v1.History{Created: created, CreatedBy: "make release"}})
	if err != nil {
		return nil, fmt.Errorf("make image of %s/%s: %w", p.OS, p.Arch, err)
	}
	return mutate.Annotations(image, labels).(v1.Image), nil
}

// base is an empty image with OCI's media types.
func base() v1.Image {
	return mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
}

// Index is the image of all platforms: a client picks its own.
func Index(platforms []Platform, labels map[string]string, at time.Time) (v1.ImageIndex, error) {
	index := mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	for _, p := range platforms {
		image, err := Image(p, labels, at)
		if err != nil {
			return nil, err
		}
		index = mutate.AppendManifests(index, mutate.IndexAddendum{
			Add: image, Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: p.OS, Architecture: p.Arch}},
		})
	}
	return mutate.Annotations(index, labels).(v1.ImageIndex), nil
}
