// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package archive packs files so that the same input makes the same bytes: one time, no owner, no name of a machine, the
// files in the order in which they are given.
package archive

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"
)

// File is one in an archive.
type File struct {
	Name    string
	Mode    int64
	Content []byte
}

// maxUnpacked bounds what Unpack writes, so that an archive that was tampered with can't fill a disk.
const maxUnpacked = 2 << 30

// Tar packs files, all with the modification time at.
func Tar(files []File, at time.Time) ([]byte, error) {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, f := range files {
		h := &tar.Header{Typeflag: tar.TypeReg, Name: f.Name, Mode: f.Mode, Size: int64(len(f.Content)), ModTime: at.UTC(), Format: tar.FormatUSTAR}
		if err := w.WriteHeader(h); err != nil {
			return nil, fmt.Errorf("pack %s: %w", f.Name, err)
		}
		if _, err := w.Write(f.Content); err != nil {
			return nil, fmt.Errorf("pack %s: %w", f.Name, err)
		}
	}
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("pack: %w", err)
	}
	return b.Bytes(), nil
}

// TarGz is Tar, compressed. Its bytes depend on the release of Go that compresses, besides what is packed.
func TarGz(files []File, at time.Time) ([]byte, error) {
	plain, err := Tar(files, at)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	w, err := gzip.NewWriterLevel(&b, gzip.BestCompression)
	if err != nil {
		return nil, fmt.Errorf("compress: %w", err)
	}
	_, err = w.Write(plain)
	if err := errors.Join(err, w.Close()); err != nil {
		return nil, fmt.Errorf("compress: %w", err)
	}
	return b.Bytes(), nil
}

// Unpack writes the regular files of a tar below dir. Names that lead out of dir are refused, as is more than 2 GiB.
func Unpack(r io.Reader, dir string) error {
	left := int64(maxUnpacked)
	for t := tar.NewReader(r); ; {
		h, err := t.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("unpack: %w", err)
		}
		if !filepath.IsLocal(h.Name) || h.Typeflag != tar.TypeReg {
			return fmt.Errorf("unpack %q: it is not a regular file below the archive's folder", h.Name)
		}
		if left -= h.Size; left < 0 {
			return fmt.Errorf("unpack %q: the archive holds more than %d bytes", h.Name, int64(maxUnpacked))
		}
		content, err := io.ReadAll(t)
		if err != nil {
			return fmt.Errorf("unpack %s: %w", h.Name, err)
		}
		path := filepath.Join(dir, h.Name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return fmt.Errorf("unpack: %w", err)
		}
		if err := os.WriteFile(path, content, 0o644); err != nil {
			return fmt.Errorf("unpack: %w", err)
		}
	}
}
