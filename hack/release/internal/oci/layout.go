// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package oci

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/bpfmap-io/bpfmap-operator/hack/release/internal/archive"
)

// Annotations of a layout's entries: the tag, as OCI and as containerd's import read it.
const (
	refName = "org.opencontainers.image.ref.name"
	fullRef = "io.containerd.image.name"
)

// Tagged is an image, an artifact or an index of images, with its repository and tag.
type Tagged struct {
	Repository, Tag string
	Content         mutate.Appendable
}

// Layout packs what is tagged as a tar of an OCI image layout.
func Layout(all []Tagged, at time.Time) ([]byte, error) {
	dir, err := os.MkdirTemp("", "layout")
	if err != nil {
		return nil, fmt.Errorf("write an image layout: %w", err)
	}
	defer os.RemoveAll(dir)
	index := mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	for _, t := range all {
		index = mutate.AppendManifests(index, mutate.IndexAddendum{Add: t.Content, Descriptor: v1.Descriptor{
			Annotations: map[string]string{refName: t.Tag, fullRef: t.Repository + ":" + t.Tag},
		}})
	}
	if _, err := layout.Write(dir, index); err != nil {
		return nil, fmt.Errorf("write an image layout: %w", err)
	}
	var files []archive.File
	err = filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		files = append(files, archive.File{Name: filepath.ToSlash(path[len(dir)+1:]), Mode: 0o644, Content: content})
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("write an image layout: %w", err)
	}
	slices.SortFunc(files, func(a, b archive.File) int { return bytes.Compare([]byte(a.Name), []byte(b.Name)) })
	return archive.Tar(files, at)
}

// Pushed is what Push put into a registry.
type Pushed struct{ Reference, Digest string }

// Push copies all that is in the packed layout to the registry, each under its tag; move gives the repository to write
// to for the one that the layout names. A tag that is something else in the registry already is left as it is, and an error:
// releases don't change.
func Push(ctx context.Context, packed []byte, move func(repository string) string) ([]Pushed, error) {
	dir, err := os.MkdirTemp("", "push")
	if err != nil {
		return nil, fmt.Errorf("push: %w", err)
	}
	defer os.RemoveAll(dir)
	if err := archive.Unpack(bytes.NewReader(packed), dir); err != nil {
		return nil, err
	}
	index, err := layout.ImageIndexFromPath(dir)
	if err != nil {
		return nil, fmt.Errorf("push: read the layout: %w", err)
	}
	manifest, err := index.IndexManifest()
	if err != nil {
		return nil, fmt.Errorf("push: read the layout: %w", err)
	}
	var done []Pushed
	for _, d := range manifest.Manifests {
		tag, err := name.NewTag(d.Annotations[fullRef])
		if err != nil {
			return done, fmt.Errorf("push: read the layout: %w", err)
		}
		if tag, err = name.NewTag(move(tag.Context().Name()) + ":" + tag.TagStr()); err != nil {
			return done, fmt.Errorf("push: %w", err)
		}
		if err := write(ctx, tag, index, d); err != nil {
			return done, fmt.Errorf("push %s: %w", tag, err)
		}
		done = append(done, Pushed{tag.String(), d.Digest.String()})
	}
	return done, nil
}

func write(ctx context.Context, tag name.Tag, index v1.ImageIndex, d v1.Descriptor) error {
	options := []remote.Option{remote.WithContext(ctx), remote.WithAuthFromKeychain(authn.DefaultKeychain)}
	there, err := remote.Head(tag, options...)
	var refused *transport.Error
	switch {
	case err == nil && there.Digest == d.Digest:
		return nil
	case err == nil:
		return fmt.Errorf("it is %s in the registry already, and %s here: a release isn't replaced", there.Digest, d.Digest)
	case !errors.As(err, &refused) || refused.StatusCode != http.StatusNotFound:
		return err
	}
	if d.MediaType.IsIndex() {
		content, err := index.ImageIndex(d.Digest)
		if err != nil {
			return err
		}
		return remote.WriteIndex(tag, content, options...)
	}
	content, err := index.Image(d.Digest)
	if err != nil {
		return err
	}
	return remote.Write(tag, content, options...)
}
