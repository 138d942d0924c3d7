// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package source

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
)

// MaxBytes bounds a source's text once it is decompressed.
const MaxBytes = 64 << 20

// Entry is one entry of a source, its parts in JSON. They are valid during the call.
type Entry struct {
	// Line is where it begins, counted from 1.
	Line int
	// Key is nil if there is none, as is Value. Values are those of a per-CPU map CPU by CPU.
	Key, Value []byte
	Values     [][]byte
}

// Options say how a text is to be read.
type Options struct {
	Format v1alpha1.SourceFormat
	// Value is the value of entries that have none in the text, nil for none.
	Value []byte
	// Keyless says that the map's elements have no key.
	Keyless bool
}

// Error is what is wrong with a text, and where.
type Error struct {
	// Line is counted from 1; 0 if it is the whole.
	Line    int
	Message string
}

// Error is "line 17: …".
func (e *Error) Error() string {
	if e.Line == 0 {
		return e.Message
	}
	return fmt.Sprintf("line %d: %s", e.Line, e.Message)
}

func errorf(line int, format string, args ...any) *Error {
	return &Error{Line: line, Message: fmt.Sprintf(format, args...)}
}

// Read yields the entries of a text. It ends with the first error, of the text (an *Error) or of yield.
func Read(text []byte, o Options, yield func(Entry) error) error {
	switch o.Format {
	case v1alpha1.SourceLines:
		return readLines(text, o, yield)
	case v1alpha1.SourceCSV:
		return readCSV(text, o, yield)
	case v1alpha1.SourceJSON:
		return readJSON(text, yield)
	case v1alpha1.SourceYAML:
		return readYAML(text, yield)
	}
	return errorf(0, "format %q is none of Lines, CSV, JSON, YAML", o.Format)
}

// gzipMagic is how gzipped data begin (RFC 1952).
var gzipMagic = []byte{0x1f, 0x8b}

// Decompress is data, decompressed if they are gzipped. More than MaxBytes are an error: a small gzip
// may hold very much.
func Decompress(data []byte) ([]byte, error) {
	if !bytes.HasPrefix(data, gzipMagic) {
		if len(data) > MaxBytes {
			return nil, errorf(0, "holds %d bytes, at most %d are read", len(data), MaxBytes)
		}
		return data, nil
	}
	r, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		return nil, errorf(0, "begins like gzip and isn't: %v", err)
	}
	text, err := io.ReadAll(io.LimitReader(r, MaxBytes+1))
	if err != nil {
		return nil, errorf(0, "can't be decompressed: %v", err)
	}
	if len(text) > MaxBytes {
		return nil, errorf(0, "holds more than %d bytes once it is decompressed", MaxBytes)
	}
	return text, nil
}

// lineAt is the line of an offset in a text.
func lineAt(text []byte, offset int) int {
	return 1 + bytes.Count(text[:min(max(offset, 0), len(text))], []byte{'\n'})
}

// asError gives a line to errors that have none.
func asError(err error, line int) error {
	var e *Error
	if err == nil || errors.As(err, &e) {
		return err
	}
	return errorf(line, "%v", err)
}
