// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package fetch

import (
	"archive/zip"
	"bufio"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/klauspost/compress/zstd"

	"github.com/bpfmap-io/bpfmap-operator/internal/source"
)

// The first bytes of compressed documents: RFC 1952, RFC 8878, APPNOTE.TXT of zip.
var (
	gzipMagic = []byte{0x1f, 0x8b}
	zstdMagic = []byte{0x28, 0xb5, 0x2f, 0xfd}
	zipMagic  = []byte("PK\x03\x04")
)

const (
	// freeBytes is what any compressed document may hold; beyond it, source.MaxRatio counts.
	freeBytes = 1 << 20
	// maxZstdWindow bounds the memory of a decoder.
	maxZstdWindow = 8 << 20
	// maxZipDirectory bounds the bytes from the beginning of a zip archive's directory to the archive's end.
	maxZipDirectory = 1 << 20
)

// writeText writes the text of a document to a file of that path, and returns its SHA-256. length is the document's.
func (c *Client) writeText(raw *os.File, length int64, path string, written *int64) (sum string, err error) {
	if _, err := raw.Seek(0, io.SeekStart); err != nil {
		return "", fmt.Errorf("read the document: %w", err)
	}
	in, end, err := decompressed(raw, length)
	if err != nil {
		return "", err
	}
	defer end()
	most := c.Limits.Bytes
	if in.compressed {
		most = min(most, max(freeBytes, source.MaxRatio*length))
	}
	text := bufio.NewReaderSize(in, 64<<10)
	if err := refusePage(text); err != nil {
		return "", err
	}
	out, err := os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return "", fmt.Errorf("write the document: %w", err)
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	hash := sha256.New()
	*written, err = copyUpTo(io.MultiWriter(out, hash), text, most, "the text")
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF):
		err = errors.New("the compressed document is cut off")
	case err != nil && in.compressed && *written > most:
		err = fmt.Errorf("the document has more than %d bytes once it is decompressed (at most %d, and at most %d times its %d bytes)", most, c.Limits.Bytes, source.MaxRatio, length)
	case err != nil && in.compressed:
		err = fmt.Errorf("decompress the document: %w", err)
	}
	return hex.EncodeToString(hash.Sum(nil)), err
}

// stream is the text of a document.
type stream struct {
	io.Reader
	compressed bool
}

// decompressed is the text of a document by how it begins.
func decompressed(raw *os.File, length int64) (in stream, end func(), err error) {
	head := make([]byte, 4)
	n, err := raw.ReadAt(head, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return stream{}, nil, fmt.Errorf("read the document: %w", err)
	}
	switch head = head[:n]; {
	case bytes.HasPrefix(head, gzipMagic):
		z, err := gzip.NewReader(bufio.NewReader(raw))
		if err != nil {
			return stream{}, nil, fmt.Errorf("the document has a gzip header but is not valid gzip: %w", err)
		}
		return stream{z, true}, func() {}, nil
	case bytes.Equal(head, zstdMagic):
		z, err := zstd.NewReader(raw, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxZstdWindow), zstd.WithDecoderLowmem(true))
		if err != nil {
			return stream{}, nil, fmt.Errorf("the document is not valid zstd: %w", err)
		}
		return stream{z, true}, z.Close, nil
	case bytes.Equal(head, zipMagic):
		return unzipped(raw, length)
	}
	return stream{raw, false}, func() {}, nil
}

// unzipped is the only file of a zip archive.
func unzipped(raw *os.File, length int64) (in stream, end func(), err error) {
	if err := checkDirectory(raw, length); err != nil {
		return stream{}, nil, err
	}
	z, err := zip.NewReader(raw, length)
	if err != nil {
		return stream{}, nil, fmt.Errorf("the document is not a valid zip archive: %w", err)
	}
	var files []*zip.File
	for _, f := range z.File {
		if !f.FileInfo().IsDir() {
			files = append(files, f)
		}
	}
	if len(files) != 1 {
		return stream{}, nil, fmt.Errorf("the zip archive holds %d files: exactly one is possible", len(files))
	}
	if !files[0].Mode().IsRegular() {
		return stream{}, nil, errors.New("the zip archive holds a link, not a file")
	}
	text, err := files[0].Open()
	if err != nil {
		return stream{}, nil, fmt.Errorf("the zip archive: %w", err)
	}
	return stream{text, true}, func() { _ = text.Close() }, nil // it was read to its end
}

// checkDirectory bounds the directory of a zip archive, which is in memory as a whole, by what the record at the end
// tells of its place (APPNOTE.TXT, 4.3.16).
func checkDirectory(raw *os.File, length int64) error {
	tail := make([]byte, min(length, 22+65535))
	if _, err := raw.ReadAt(tail, length-int64(len(tail))); err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("read the document: %w", err)
	}
	at := bytes.LastIndex(tail, []byte("PK\x05\x06"))
	if at < 0 || len(tail)-at < 22 {
		return errors.New("the zip archive has no directory: it may be cut off")
	}
	size, offset := int64(binary.LittleEndian.Uint32(tail[at+12:])), int64(binary.LittleEndian.Uint32(tail[at+16:]))
	if size > maxZipDirectory || length-offset > maxZipDirectory+int64(len(tail)) {
		return fmt.Errorf("the zip archive's directory has more than %d bytes: exactly one file is possible", maxZipDirectory)
	}
	return nil
}

// refusePage refuses pages for people: no format of a source begins as they do.
func refusePage(text *bufio.Reader) error {
	head, err := text.Peek(512)
	if err != nil && !errors.Is(err, io.EOF) && len(head) == 0 {
		return fmt.Errorf("decompress the document: %w", err)
	}
	start := strings.ToLower(strings.TrimLeft(strings.TrimPrefix(string(head), "\ufeff"), " \t\r\n"))
	for _, page := range []string{"<!doctype html", "<html", "<head", "<body"} {
		if strings.HasPrefix(start, page) {
			return errors.New("the server answers with an HTML page instead of the document")
		}
	}
	return nil
}
