// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package schema

import (
	"bytes"
	"encoding/json"
	"strings"
	"unicode/utf8"

	"github.com/bpfmap-io/bpfmap-operator/internal/rawjson"
)

// literal is one JSON value that rawjson.Check took.
type literal struct {
	raw []byte
	// cells says that strings are cells of a table.
	cells bool
	// ranges says that a range that is several prefixes may stand for the first of them.
	ranges bool
	// published and mask are those of Reading.
	published, mask bool
}

// with is a part of v.
func (v literal) with(raw []byte) literal {
	v.raw = raw
	return v
}

// maxShown bounds a value in an error message, in bytes.
const maxShown = 64

// String is the value in an error message, not longer than a line.
func (v literal) String() string {
	var b bytes.Buffer
	if err := json.Compact(&b, v.raw[:min(len(v.raw), 1<<10)]); err != nil { // cut values don't compact
		b.Reset()
		b.Write(v.raw)
	}
	return cut(b.Bytes())
}

// cut is text of at most maxShown bytes, cut between characters.
func cut(text []byte) string {
	if len(text) <= maxShown {
		return string(text)
	}
	end := maxShown - len("...")
	for end > 0 && !utf8.RuneStart(text[end]) {
		end--
	}
	return string(text[:end]) + "..."
}

// text is the content of a string, and false for anything else, or escapes of which no text is made.
func (v literal) text() (string, bool) {
	text, isString, _ := v.bytes()
	return string(text), isString
}

// bytes is text without a copy: the value's own bytes, unless there are escapes in them. msg says why there is none.
func (v literal) bytes() (text []byte, isString bool, msg string) {
	if !rawjson.IsString(v.raw) {
		return nil, false, ""
	}
	if inside := v.raw[1 : len(v.raw)-1]; bytes.IndexByte(inside, '\\') < 0 {
		return inside, true, ""
	}
	unescaped, err := rawjson.Text(v.raw)
	if err != nil {
		return nil, false, err.Error()
	}
	return []byte(unescaped), true, ""
}

// wordBytes is word without a copy.
func (v literal) wordBytes() ([]byte, bool) {
	text, ok, _ := v.bytes()
	if v.cells {
		text = bytes.Trim(text, blanks)
	}
	return text, ok
}

// blanks are the characters that don't count around a word in a cell.
const blanks = " \t\r\n"

// word is the content of a string that stands for something else than a text: an address, a number. In
// a cell, white space around it doesn't count.
func (v literal) word() (string, bool) {
	text, ok := v.text()
	if v.cells {
		text = trimBlanks(text)
	}
	return text, ok
}

func trimBlanks(text string) string { return strings.Trim(text, blanks) }

// list is the value if it is a list, or the list that a cell holds.
func (v literal) list() ([]byte, bool) {
	if rawjson.IsList(v.raw) {
		return v.raw, true
	}
	if !v.cells {
		return nil, false
	}
	text, ok := v.wordBytes()
	if !ok || !bytes.HasPrefix(text, []byte("[")) {
		return nil, false
	}
	list, err := rawjson.Check(text)
	return list, err == nil && rawjson.IsList(list)
}
