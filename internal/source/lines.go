// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package source

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/netip"
	"unicode/utf8"
)

// readLines reads one key per line, or for keyless maps one value per line; with a separator or a mapping, lines of
// columns.
func readLines(in *bufio.Reader, o Options, yield func(Entry) error) error {
	if o.Mapping != nil || o.Text != nil && (o.Text.Separator != "" || o.Text.Header != "" || len(o.Text.Columns) > 0) {
		return readColumns(in, o, yield)
	}
	if o.Value == nil && !o.Keyless {
		return errorf(0, "the format Lines needs a value for its keys")
	}
	lines := lineReader{in: in}
	signs := o.comments()
	var quoted []byte
	for {
		line, err := lines.next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if line = uncomment(line, signs); len(line) == 0 {
			continue
		}
		if !utf8.Valid(line) {
			if err := o.invalid(lines.number, "is not valid UTF-8"); err != nil {
				return err
			}
			continue
		}
		if o.Words && isHostsLine(line) {
			if err := o.invalid(lines.number, "is a line of a hosts file, an address and names: use format: Hosts, whose keys are the names"); err != nil {
				return err
			}
			continue
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

// uncomment is a line without what follows a comment sign that begins it or stands after a blank.
func uncomment(line []byte, signs [][]byte) []byte {
	for _, sign := range signs {
		if bytes.IndexByte(line, sign[0]) < 0 { // as in most lines
			continue
		}
		for i := 0; ; i++ {
			n := bytes.Index(line[i:], sign)
			if n < 0 {
				break
			}
			if i += n; i == 0 || line[i-1] == ' ' || line[i-1] == '\t' {
				line = line[:i]
				break
			}
		}
	}
	return bytes.TrimSpace(line)
}

// hash is the comment sign if none is declared.
var hash = [][]byte{{'#'}}

// comments are the signs that begin a comment.
func (o *Options) comments() [][]byte {
	if o.Text == nil || len(o.Text.Comments) == 0 {
		return hash
	}
	signs := make([][]byte, len(o.Text.Comments))
	for i, sign := range o.Text.Comments {
		signs[i] = []byte(sign)
	}
	return signs
}

// isHostsLine says whether a line is an address and names, which no word of a list is.
func isHostsLine(line []byte) bool {
	n := bytes.IndexAny(line, " \t")
	if n < 0 {
		return false
	}
	_, err := netip.ParseAddr(string(line[:n]))
	return err == nil
}

// quote appends a text as a JSON string.
func quote[T ~string | ~[]byte](dst []byte, text T) []byte {
	for i := range len(text) {
		if c := text[i]; c < 0x20 || c >= 0x7f || c == '"' || c == '\\' {
			b, err := json.Marshal(string(text))
			if err != nil {
				panic("quote a string: " + err.Error()) // strings always marshal
			}
			return append(dst, b...)
		}
	}
	return append(append(append(dst, '"'), text...), '"')
}
