// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package source

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"io"
)

const (
	// MaxBytes bounds a source's text once it is decompressed.
	MaxBytes = 64 << 20
	// MaxRatio bounds how many times longer than the gzipped data a text of more than freeBytes may be.
	// Lists of addresses come to about 10; gzip's own limit is 1032.
	MaxRatio = 256
	// freeBytes is what any gzipped data may hold.
	freeBytes = 1 << 20
)

// maxBytes is MaxBytes but for tests.
var maxBytes int64 = MaxBytes

// gzipMagic is how gzipped data begin (RFC 1952).
var gzipMagic = []byte{0x1f, 0x8b}

// open is the text of data, decompressed if they are gzipped. Its length is checked before reading as far
// as data tell it, and while reading.
func open(data []byte) (io.Reader, error) {
	if !bytes.HasPrefix(data, gzipMagic) {
		if int64(len(data)) > maxBytes {
			return nil, errorf(0, "has %d bytes, at most %d are possible", len(data), maxBytes)
		}
		return bytes.NewReader(data), nil
	}
	z, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		return nil, errorf(0, "has a gzip header but is not valid gzip: %v", err)
	}
	t := &gunzipped{from: z, most: min(maxBytes, max(freeBytes, MaxRatio*int64(len(data)))), compressed: len(data)}
	// The last four bytes are the length of the last member (modulo 2^32), usually the only one.
	if told := int64(binary.LittleEndian.Uint32(data[max(0, len(data)-4):])); len(data) >= 18 && told > t.most {
		return nil, errorf(0, "claims to have %d bytes once it is decompressed, at most %d are possible (%d, or %d times its %d gzipped bytes)", told, t.most, maxBytes, MaxRatio, len(data))
	}
	return t, nil
}

// gunzipped is a text that is decompressed while it is read, up to a length.
type gunzipped struct {
	from       io.Reader
	read, most int64
	compressed int
}

// Read fails behind the longest text that is possible.
func (t *gunzipped) Read(p []byte) (int, error) {
	n, err := t.from.Read(p)
	if t.read += int64(n); t.read > t.most {
		return 0, errorf(0, "has more than %d bytes once it is decompressed (%d, or %d times its %d gzipped bytes)", t.most, maxBytes, MaxRatio, t.compressed)
	}
	switch {
	case err == nil || errors.Is(err, io.EOF):
		return n, err
	case errors.Is(err, gzip.ErrHeader):
		return n, errorf(0, "has data behind its end that are not gzip")
	case errors.Is(err, io.ErrUnexpectedEOF):
		return n, errorf(0, "unexpected end of gzipped data")
	}
	return n, errorf(0, "can't be decompressed: %v", err)
}
