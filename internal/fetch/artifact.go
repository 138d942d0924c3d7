// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package fetch

import (
	"archive/tar"
	"bufio"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"regexp"
	"strings"
)

// checkPath says why a path can't be that of a file in an archive.
func checkPath(p string) error {
	if p == "" || path.IsAbs(p) || path.Clean(p) != p || p == "." || p == ".." || strings.HasPrefix(p, "../") {
		return fmt.Errorf("artifact.path %q: must be a file's path within the artifact, as feeds/drop.txt", p)
	}
	return nil
}

// sha256Digest is how Flux tells the digest of an artifact.
var sha256Digest = regexp.MustCompile("^sha256:[0-9a-f]{64}$")

// artifact fetches a file of the artifact of a Flux source object.
func (c *Client) artifact(ctx context.Context, s Spec, before *Meta, raw *os.File, text string) (Fetched, error) {
	found, err := c.Objects.Artifact(ctx, s.Namespace, s.Artifact.Kind, s.Artifact.Name)
	if err != nil {
		return Fetched{}, err
	}
	switch {
	case !sha256Digest.MatchString(found.Digest):
		return Fetched{}, fmt.Errorf("the artifact's digest %.80q is not sha256:…", found.Digest)
	case before != nil && before.Origin == found.Digest:
		return Fetched{Meta: *before, Unchanged: true}, nil
	case found.Size != nil && *found.Size > c.Limits.Bytes:
		return Fetched{}, fmt.Errorf("the artifact has %d bytes, at most %d are possible", *found.Size, c.Limits.Bytes)
	}
	u, err := ParseURL(found.URL)
	if err != nil {
		return Fetched{}, fmt.Errorf("the artifact's %w", err)
	}
	if err := c.Artifacts.CheckURL(u); err != nil {
		return Fetched{}, fmt.Errorf("the artifact's %w", err)
	}
	with, err := c.session(ctx, s)
	if err != nil {
		return Fetched{}, err
	}
	defer with.close()
	archive, err := os.CreateTemp(path.Dir(text), "raw-*")
	if err != nil {
		return Fetched{}, fmt.Errorf("make a file for the artifact: %w", err)
	}
	defer func() {
		_ = archive.Close() // it is read from, and goes
		_ = os.Remove(archive.Name())
	}()
	hash := sha256.New()
	if _, err := with.get(ctx, request{url: found.URL, most: c.Limits.Bytes, verified: true}, io.MultiWriter(archive, hash)); err != nil {
		return Fetched{}, err
	}
	if sum := "sha256:" + hex.EncodeToString(hash.Sum(nil)); sum != found.Digest {
		return Fetched{}, fmt.Errorf("the artifact's checksum is %s, not %s as %s %s tells", sum, found.Digest, s.Artifact.Kind, s.Artifact.Name)
	}
	m := Meta{Origin: found.Digest}
	file := sha256.New()
	if m.Bytes, err = c.extract(archive, s.Artifact.Path, io.MultiWriter(raw, file)); err != nil {
		return Fetched{}, err
	}
	m.Digest = "sha256:" + hex.EncodeToString(file.Sum(nil))
	return c.finish(m, raw, text)
}

// extract copies one file of a tar archive, which is gzipped. The archive is never unpacked: names in it lead nowhere,
// and links aren't followed.
func (c *Client) extract(archive *os.File, want string, to io.Writer) (int64, error) {
	if _, err := archive.Seek(0, io.SeekStart); err != nil {
		return 0, fmt.Errorf("read the artifact: %w", err)
	}
	z, err := gzip.NewReader(bufio.NewReader(archive))
	if err != nil {
		return 0, fmt.Errorf("the artifact is not a gzipped archive: %w", err)
	}
	in := &bounded{from: z, left: c.Limits.Archive, most: c.Limits.Archive}
	t := tar.NewReader(in)
	for files := 0; ; files++ {
		h, err := t.Next()
		switch {
		case errors.Is(err, io.EOF):
			return 0, fmt.Errorf("the artifact has no file %s", want)
		case err != nil:
			return 0, fmt.Errorf("read the artifact: %w", err)
		case files >= c.Limits.Files:
			return 0, fmt.Errorf("the artifact has more than %d files", c.Limits.Files)
		case strings.TrimPrefix(h.Name, "./") != want:
			continue
		}
		switch h.Typeflag {
		case tar.TypeReg:
		case tar.TypeSymlink, tar.TypeLink:
			return 0, fmt.Errorf("%s is a link in the artifact: links aren't followed", want)
		default:
			return 0, fmt.Errorf("%s is not a file in the artifact", want)
		}
		if h.Size > c.Limits.Bytes {
			return 0, fmt.Errorf("file %s has %d bytes, at most %d are possible", want, h.Size, c.Limits.Bytes)
		}
		n, err := copyUpTo(to, t, c.Limits.Bytes, "the file")
		if err != nil {
			return n, fmt.Errorf("read %s in the artifact: %w", want, err)
		}
		return n, nil
	}
}

// bounded is a reader that fails behind a length.
type bounded struct {
	from       io.Reader
	left, most int64
}

func (b *bounded) Read(p []byte) (int, error) {
	n, err := b.from.Read(p)
	if b.left -= int64(n); b.left < 0 {
		return 0, tooLong("the artifact, once it is decompressed,", b.most)
	}
	return n, err
}
