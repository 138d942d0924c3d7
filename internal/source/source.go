// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package source

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/expression"
)

// MaxEntryBytes bounds the text of one entry, which is in memory as a whole.
const MaxEntryBytes = 2 << 20

// Entry is one entry of a source, its parts in JSON. They are valid during the call.
type Entry struct {
	// Line is where it begins, counted from 1.
	Line int
	// Key is nil if there is none, as is Value. Values are those of a per-CPU map CPU by CPU.
	Key, Value []byte
	Values     [][]byte
	// Expires is when the entry is to go: a JSON string or number; nil or null for never.
	Expires []byte
	// Cells says that strings in Key and in a Value of the text are cells of a table: text whose type
	// the schema knows (schema.Layout.EncodeCells). Options.Value never is.
	Cells bool
}

// Options say how a text is to be read.
type Options struct {
	Format v1alpha1.SourceFormat
	// Text says how lines are cut; nil for the defaults.
	Text *v1alpha1.TextOptions
	// Mapping is how items become entries, nil for items that are entries.
	Mapping *Mapping
	// Words says that keys are texts in which nearly everything can be one: then lines that are clearly something else
	// are refused.
	Words bool
	// Budget is what the mapping's expressions may cost for all sources of one map; nil for one of their own.
	Budget *expression.Budget
	// Value is the value of entries that have none in the text, nil for none. Of an object, it gives the members that
	// columns or a mapping don't give.
	Value []byte
	// Keyless says that the map's elements have no key.
	Keyless bool
	// Left is how many bytes the texts of all sources of one map may still have; Read takes those that it
	// reads from it. Nil is no bound but MaxBytes.
	Left *int64
	// LeaveOut takes items that make no entry: the line, a reason (v1alpha1.LeftOut…), and what the item is or is
	// wrong with. Its error ends the reading. If it is nil, invalid items are errors, and others are left out
	// without a word.
	LeaveOut func(line int, reason, what string) error
}

// MaxAllBytes bounds the texts of all sources of one map together, once they are decompressed: reading them
// is the time that compiling takes.
const MaxAllBytes = 256 << 20

// Error is what is wrong with a text, and where.
type Error struct {
	// Line and Column are counted from 1, columns in characters. They are 0 if it is the whole text, or
	// the whole line.
	Line, Column int
	Message      string
}

// Error is "line 17, column 3: …".
func (e *Error) Error() string {
	switch {
	case e.Line == 0:
		return e.Message
	case e.Column == 0:
		return fmt.Sprintf("line %d: %s", e.Line, e.Message)
	}
	return fmt.Sprintf("line %d, column %d: %s", e.Line, e.Column, e.Message)
}

func errorf(line int, format string, args ...any) *Error {
	return &Error{Line: line, Message: fmt.Sprintf(format, args...)}
}

// Text is the text of data, decompressed if they are gzipped, without a byte order mark. A web page is refused. What
// is read from it is bounded by MaxBytes and MaxRatio.
func Text(data []byte) (io.Reader, error) { return textOf(data, nil) }

func textOf(data []byte, left *int64) (*bufio.Reader, error) {
	text, err := open(data)
	if err != nil {
		return nil, err
	}
	if left != nil {
		text = &budgeted{text, left}
	}
	in := bufio.NewReaderSize(text, 64<<10)
	if mark, err := in.Peek(len(byteOrderMark)); err == nil && bytes.Equal(mark, byteOrderMark) {
		_, _ = in.Discard(len(byteOrderMark)) // what was peeked can be discarded
	}
	return in, checkText(in)
}

// Read yields the entries of data, which may be gzipped, in their order. It ends with the first error, of
// the text (an *Error) or of yield. The text is read as a stream: apart from data, no more than a few
// times MaxEntryBytes are in memory.
func Read(data []byte, o Options, yield func(Entry) error) error {
	in, err := textOf(data, o.Left)
	if err != nil {
		return err
	}
	switch o.Format {
	case v1alpha1.SourceLines:
		return readLines(in, o, yield)
	case v1alpha1.SourceCSV:
		return readCSV(in, o, yield)
	case v1alpha1.SourceJSON:
		return readJSON(in, start, o, yield)
	case v1alpha1.SourceYAML:
		return readYAML(in, o, yield)
	case v1alpha1.SourceHosts:
		return readHosts(in, o, yield)
	case v1alpha1.SourceIPSet:
		return readIPSet(in, o, yield)
	case v1alpha1.SourceNFTables:
		return readNFTables(in, o, yield)
	case v1alpha1.SourceP2P:
		return readP2P(in, o, yield)
	}
	names := make([]string, len(v1alpha1.SourceFormats))
	for i, f := range v1alpha1.SourceFormats {
		names[i] = string(f)
	}
	return errorf(0, "invalid format %q: must be one of %s", o.Format, strings.Join(names, ", "))
}

// pages are what web pages begin with, in small letters.
var pages = []string{"<!doctype html", "<html", "<head", "<body", "<?xml", "<title", "<script", "<meta", "<center", "<h1", "<error", "<!--"}

// checkText refuses a web page, which is what servers answer in place of a list: as lines, it would be words.
func checkText(in *bufio.Reader) error {
	beginning, _ := in.Peek(512) // less if there is less; errors come back with the next read
	if beginning = bytes.TrimLeft(beginning, " \t\r\n"); !bytes.HasPrefix(beginning, []byte{'<'}) {
		return nil
	}
	text := strings.ToLower(string(beginning))
	for _, tag := range pages {
		if strings.HasPrefix(text, tag) {
			return errorf(0, "is a web page (it begins with %s), not a list of entries", shown(text[:min(len(text), len(tag)+1)]))
		}
	}
	return nil
}

// MostEntries is how many entries data can have at most, as far as their length tells: each takes at least
// a character and a line break.
func MostEntries(data []byte) int64 {
	if bytes.HasPrefix(data, gzipMagic) {
		return min(maxBytes, max(freeBytes, MaxRatio*int64(len(data))))/2 + 1
	}
	return int64(len(data))/2 + 1
}

// LikelyEntries is about how many entries data have; 0 if that isn't easily seen. A line of a list has ten bytes or
// more, so that nobody gets room for a text of line breaks.
func LikelyEntries(data []byte, format v1alpha1.SourceFormat) int64 {
	return min(Lines(data, format), int64(len(data)/8))
}

// Lines is how many lines data in a format of lines has, those that aren't entries among them; 0 in other formats and of
// compressed data.
func Lines(data []byte, format v1alpha1.SourceFormat) int64 {
	switch format {
	case v1alpha1.SourceLines, v1alpha1.SourceCSV, v1alpha1.SourceHosts, v1alpha1.SourceIPSet, v1alpha1.SourceP2P:
	default:
		return 0
	}
	if bytes.HasPrefix(data, gzipMagic) {
		return 0
	}
	n := int64(bytes.Count(data, []byte{'\n'}))
	if len(data) > 0 && data[len(data)-1] != '\n' {
		n++
	}
	return n
}

// budgeted is a text that counts against a bound.
type budgeted struct {
	from io.Reader
	left *int64
}

// Read fails once nothing is left.
func (b *budgeted) Read(p []byte) (int, error) {
	n, err := b.from.Read(p)
	if *b.left -= int64(n); *b.left < 0 {
		return 0, errorf(0, "the sources of one map have more than %d bytes together, once they are decompressed", MaxAllBytes)
	}
	return n, err
}

// byteOrderMark is what some editors put before UTF-8.
var byteOrderMark = []byte("\ufeff")

// position is a place in a text.
type position struct{ line, column int }

// start is where a text begins.
var start = position{1, 1}

// after is the position behind text that begins at p.
func (p position) after(text []byte) position {
	if i := bytes.LastIndexByte(text, '\n'); i >= 0 {
		p.line += bytes.Count(text[:i+1], []byte{'\n'})
		p.column, text = 1, text[i+1:]
	}
	p.column += utf8.RuneCount(text)
	return p
}

func (p position) errorf(format string, args ...any) *Error {
	return &Error{Line: p.line, Column: p.column, Message: fmt.Sprintf(format, args...)}
}
