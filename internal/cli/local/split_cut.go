// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package local

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// feedLine is one line of a feed, or a record of a CSV file, which may have several lines. It ends with a line break.
type feedLine struct {
	number int
	text   []byte
	// part is the hash of its key.
	part uint64
}

// cutter cuts a feed into lines.
type cutter struct {
	format, by string
	// separator is between columns: one character for CSV; empty for none.
	separator, comment string
	noHeader           bool
}

// cut is the header of a feed, which every part has, and its lines. Blank lines and comments are left out: they often
// tell the time, which would change a part each time.
func (c *cutter) cut(text []byte) (header []byte, lines []feedLine, err error) {
	if c.format == formatCSV {
		return c.cutCSV(text)
	}
	number := 0
	for line := range bytes.Lines(text) {
		number++
		line = bytes.TrimRight(line, " \t\r\n")
		held := bytes.TrimLeft(line, " \t")
		if len(held) == 0 || c.isComment(held) {
			continue
		}
		key, err := c.keyOf(held)
		if err != nil {
			return nil, nil, fmt.Errorf("line %d: %w", number, err)
		}
		lines = append(lines, feedLine{number, append(slices.Clip(line), '\n'), hashOf(key)})
	}
	return nil, lines, nil
}

func (c *cutter) keyOf(line []byte) ([]byte, error) {
	if c.format == formatJSON {
		return c.member(line)
	}
	return c.column(c.withoutComment(line))
}

func (c *cutter) isComment(line []byte) bool {
	return c.format != formatJSON && c.comment != "" && bytes.HasPrefix(line, []byte(c.comment))
}

// withoutComment is a line without the comment at its end, which follows a blank.
func (c *cutter) withoutComment(line []byte) []byte {
	for i := 1; c.comment != "" && i < len(line); i++ {
		if (line[i-1] == ' ' || line[i-1] == '\t') && bytes.HasPrefix(line[i:], []byte(c.comment)) {
			return bytes.TrimRight(line[:i], " \t")
		}
	}
	return line
}

// column is the key of a line: the column --by, the first one, or all of a line without columns.
func (c *cutter) column(line []byte) ([]byte, error) {
	if c.separator == "" {
		return line, nil
	}
	columns := bytes.Split(line, []byte(c.separator))
	if c.separator == " " {
		columns = bytes.Fields(line)
	}
	i, err := c.index(nil, len(columns))
	if err != nil {
		return nil, err
	}
	return columns[i], nil
}

// index is the number of the column --by, from 0.
func (c *cutter) index(names []string, columns int) (int, error) {
	if c.by == "" {
		return max(0, slices.Index(names, "key")), nil
	}
	if i := slices.Index(names, c.by); i >= 0 {
		return i, nil
	}
	i, err := strconv.Atoi(c.by)
	switch {
	case err != nil && names != nil:
		return 0, fmt.Errorf("--by %s: there is no such column (there are %s)", c.by, strings.Join(names, ", "))
	case err != nil:
		return 0, fmt.Errorf("--by %s: must be the number of a column, from 1", c.by)
	case i < 1 || i > columns:
		return 0, fmt.Errorf("--by %s: must be between 1 and %d, the number of columns", c.by, columns)
	}
	return i - 1, nil
}

var errNotJSONLine = errors.New("is not a JSON value of its own: only JSON lines can be cut; jq -c '.[]' makes them of a list")

// member is the key of a JSON line: the member --by, its member key, the first one, or all of what isn't an object.
func (c *cutter) member(line []byte) ([]byte, error) {
	if !json.Valid(line) {
		return nil, errNotJSONLine
	}
	if line[0] != '{' {
		return line, nil
	}
	d := json.NewDecoder(bytes.NewReader(line))
	_, _ = d.Token() // the brace of what is valid
	var first json.RawMessage
	for d.More() {
		name, err := d.Token()
		var value json.RawMessage
		if err = errors.Join(err, d.Decode(&value)); err != nil {
			return nil, errNotJSONLine
		}
		if wanted := c.by; name == wanted || wanted == "" && name == "key" {
			return value, nil
		}
		if first == nil {
			first = value
		}
	}
	return first, nil // another kind of line, such as metadata, may lack the member
}

// cutCSV cuts a file into records as they are written, without blank lines and comments.
func (c *cutter) cutCSV(text []byte) (header []byte, lines []feedLine, err error) {
	r := csv.NewReader(bytes.NewReader(text))
	r.FieldsPerRecord, r.ReuseRecord = -1, true
	if r.Comma, err = oneCharacter("--separator", c.separator, ','); err != nil {
		return nil, nil, err
	}
	if r.Comment, err = oneCharacter("--comment", c.comment, 0); err != nil {
		return nil, nil, err
	}
	var names []string
	for at := int64(0); ; at = r.InputOffset() {
		record, err := r.Read()
		if errors.Is(err, io.EOF) {
			return header, lines, nil
		}
		if err != nil {
			return nil, nil, err
		}
		raw := c.asWritten(text[at:r.InputOffset()])
		if header == nil && !c.noHeader {
			header, names = raw, slices.Clone(record)
			continue
		}
		number, _ := r.FieldPos(0)
		key, err := c.cells(names, record)
		if err != nil {
			return nil, nil, fmt.Errorf("line %d: %w", number, err)
		}
		lines = append(lines, feedLine{number, raw, hashOf(key)})
	}
}

// cells is the key of a record: the column --by; otherwise the columns that are the key without a mapping (key,
// key.FIELD), or the first one.
func (c *cutter) cells(names, record []string) ([]byte, error) {
	var key []byte
	for i, name := range names {
		if c.by == "" && strings.HasPrefix(name, "key.") && i < len(record) {
			key = append(append(key, record[i]...), 0)
		}
	}
	if key != nil {
		return key, nil
	}
	i, err := c.index(names, len(record))
	if err != nil {
		return nil, err
	}
	if i >= len(record) {
		return nil, fmt.Errorf("has %d columns, too few for column %d", len(record), i+1)
	}
	return []byte(record[i]), nil
}

// asWritten is a record without the blank lines and comments in front of it, and with a line break.
func (c *cutter) asWritten(raw []byte) []byte {
	for len(raw) > 0 && (raw[0] == '\n' || bytes.HasPrefix(raw, []byte("\r\n")) || c.isComment(raw)) {
		_, raw, _ = bytes.Cut(raw, []byte("\n"))
	}
	return append(slices.Clip(bytes.TrimRight(raw, "\r\n")), '\n')
}

func oneCharacter(flag, text string, none rune) (rune, error) {
	if text == "" {
		return none, nil
	}
	if r, n := utf8.DecodeRuneInString(text); n == len(text) && r != utf8.RuneError {
		return r, nil
	}
	return 0, fmt.Errorf("%s %q: must be one character for CSV", flag, text)
}

func hashOf(key []byte) uint64 {
	sum := sha256.Sum256(key)
	return binary.LittleEndian.Uint64(sum[:])
}
