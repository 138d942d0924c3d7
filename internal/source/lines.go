// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package source

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"unicode/utf8"
)

// readLines reads one key per line, or for keyless maps one value per line.
func readLines(in *bufio.Reader, o Options, yield func(Entry) error) error {
	if o.Value == nil && !o.Keyless {
		return errorf(0, "the format Lines needs a value for its keys")
	}
	lines := lineReader{in: in}
	var quoted []byte
	for {
		line, err := lines.next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if line = uncomment(line); len(line) == 0 {
			continue
		}
		if !utf8.Valid(line) {
			return errorf(lines.number, "is not valid UTF-8")
		}
		quoted = quote(quoted[:0], line)
		entry := Entry{Line: lines.number, Key: quoted, Value: o.Value, Cells: true}
		if o.Keyless {
			entry.Key, entry.Value = nil, quoted
		}
		if err := yield(entry); err != nil {
			return err
		}
	}
}

// lineReader reads a text line by line.
type lineReader struct {
	in     *bufio.Reader
	number int    // of the line that was read last
	long   []byte // a line that is longer than the buffer of in
}

// next is the next line with its line break, valid until the next call; io.EOF behind the last one.
func (r *lineReader) next() ([]byte, error) {
	r.long = r.long[:0]
	for {
		part, err := r.in.ReadSlice('\n')
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			if r.long = append(r.long, part...); len(r.long) > MaxEntryBytes {
				return nil, errorf(r.number+1, "has more than %d bytes, the most that one entry may have", MaxEntryBytes)
			}
			continue
		case errors.Is(err, io.EOF) && len(part)+len(r.long) > 0, err == nil:
			r.number++
			if len(r.long) == 0 {
				return part, nil
			}
			r.long = append(r.long, part...)
			return r.long, nil
		}
		return nil, err
	}
}

// uncomment is a line without what follows a '#' that begins it or stands after a blank.
func uncomment(line []byte) []byte {
	for i := 0; ; i++ {
		n := bytes.IndexByte(line[i:], '#')
		if n < 0 {
			break
		}
		if i += n; i == 0 || line[i-1] == ' ' || line[i-1] == '\t' {
			line = line[:i]
			break
		}
	}
	return bytes.TrimSpace(line)
}

// quote appends a text as a JSON string.
func quote(dst, text []byte) []byte {
	for _, c := range text {
		if c < 0x20 || c >= 0x7f || c == '"' || c == '\\' {
			b, err := json.Marshal(string(text))
			if err != nil {
				panic("quote a string: " + err.Error()) // strings always marshal
			}
			return append(dst, b...)
		}
	}
	return append(append(append(dst, '"'), text...), '"')
}
