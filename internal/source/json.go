// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package source

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/bpfmap-io/bpfmap-operator/internal/rawjson"
)

// readJSON reads a list of entries or items, or one after the other. at is where in begins.
func readJSON(in *bufio.Reader, at position, o Options, yield func(Entry) error) error {
	r := jsonReader{yield: yield, o: &o}
	if o.Mapping != nil {
		r.mapper = forDocuments(o, yield)
	}
	if o.Mapping != nil && len(o.Mapping.items) > 0 {
		r.scan = newScanner(in, at)
		return r.readItems(o.Mapping.items)
	}
	r.window = &window{from: in, at: at}
	r.decoder = json.NewDecoder(r.window)
	return r.read(in)
}

// read reads the list that a text is, or its values one after the other.
func (r *jsonReader) read(in *bufio.Reader) error {
	w := r.window
	inList := false
	if first, err := firstByte(in, w); err == nil && first == '[' {
		inList = true
		if _, err := r.decoder.Token(); err != nil {
			return r.error(err)
		}
	}
	for {
		w.seek(r.decoder.InputOffset())
		if inList && !r.decoder.More() {
			break
		}
		raw, at, err := r.value()
		if errors.Is(err, io.EOF) && !inList {
			return nil
		}
		if err != nil {
			return r.error(err)
		}
		if err := r.take(raw, at); err != nil {
			return err
		}
	}
	if _, err := r.decoder.Token(); err != nil { // the bracket
		return r.error(err)
	}
	return r.end()
}

// firstByte is the first byte behind white space, which it reads: w begins there.
func firstByte(in *bufio.Reader, w *window) (byte, error) {
	for {
		c, err := in.ReadByte()
		switch {
		case err != nil:
			return 0, err
		case c != ' ' && c != '\t' && c != '\r' && c != '\n':
			return c, in.UnreadByte()
		}
		w.at = w.at.after([]byte{c})
	}
}

type jsonReader struct {
	window  *window
	decoder *json.Decoder
	scan    *scanner // of documents; then there is no decoder
	raw     json.RawMessage
	values  [][]byte
	yield   func(Entry) error
	o       *Options
	mapper  *mapper // of items; nil for entries
	item    item
	room    []byte // of a value
	told    *documentMembers
}

// take takes one value of the list.
func (r *jsonReader) take(raw []byte, at position) error {
	if r.o.Mapping == nil {
		return r.entry(raw, at)
	}
	if !utf8.Valid(raw) {
		return r.o.invalid(at.line, "is not valid UTF-8")
	}
	r.item.line, r.item.raw = at.line, raw
	return r.mapper.take(&r.item)
}

// value is the next value and its position.
func (r *jsonReader) value() ([]byte, position, error) {
	if err := r.decoder.Decode(&r.raw); err != nil {
		return nil, position{}, err
	}
	r.window.seek(r.decoder.InputOffset() - int64(len(r.raw)))
	return r.raw, r.window.at, nil
}

// end refuses what stands behind the list.
func (r *jsonReader) end() error {
	r.window.seek(r.decoder.InputOffset())
	_, err := r.decoder.Token()
	if errors.Is(err, io.EOF) {
		return nil
	}
	if r.window.limit != nil {
		return r.window.limit
	}
	var own *Error
	if errors.As(err, &own) {
		return own
	}
	return r.next().errorf("unexpected text behind the list of entries")
}

// next is the position of the next value.
func (r *jsonReader) next() position {
	return r.window.at.after(r.window.text[:separators(r.window.text)])
}

// separators is how many bytes are between values.
func separators(text []byte) int { return len(text) - len(bytes.TrimLeft(text, " \t\r\n,")) }

// error is an error of the decoder with its position.
func (r *jsonReader) error(err error) error {
	var own *Error
	var syntax *json.SyntaxError
	w := r.window
	switch {
	case errors.As(err, &own): // of the window, or what it reads from
		return own
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return w.at.after(w.text).errorf("unexpected end of input")
	case !errors.As(err, &syntax), strings.HasPrefix(err.Error(), "expected "): // between values
		return r.next().errorf("%v", err)
	}
	// The decoder's offsets leave out what is between values: look again from the value on.
	w.seek(r.decoder.InputOffset())
	n := separators(w.text)
	var raw json.RawMessage
	offset := int64(1)
	if errors.As(json.Unmarshal(w.text[n:], &raw), &syntax) {
		offset = syntax.Offset
	}
	return w.at.after(w.text[:n+max(int(offset)-1, 0)]).errorf("%v", err)
}

// entry yields one entry as manifests have it.
func (r *jsonReader) entry(raw []byte, at position) error {
	if !utf8.Valid(raw) {
		return at.errorf("is not valid UTF-8")
	}
	if !rawjson.IsObject(raw) {
		return at.errorf("an entry must be an object with key and value")
	}
	e := Entry{Line: at.line}
	var seen members
	for w := rawjson.Walk(raw); ; {
		quoted, value, offset, ok := w.Member()
		if !ok {
			return r.yield(r.filled(e))
		}
		name, err := rawjson.Text(quoted)
		if err != nil {
			return at.after(raw[:offset]).errorf("%v", err)
		}
		if message := seen.add(name); message != "" {
			return at.after(raw[:offset]).errorf("%s", message)
		}
		switch {
		case name == "key":
			e.Key = value
		case name == "value":
			e.Value = value
		case name == "expires":
			e.Expires = value
		case !rawjson.IsList(value):
			return at.after(raw[:offset]).errorf("values must be a list")
		default:
			if e.Values = r.elements(value); len(e.Values) > maxCPUs {
				return at.after(raw[:offset]).errorf("%s", tooManyCPUs)
			}
		}
	}
}

// filled is an entry with what the source has for those that don't give it.
func (r *jsonReader) filled(e Entry) Entry {
	switch {
	case e.Values != nil:
	case e.Value == nil:
		e.Value = r.o.Value
	case len(r.o.Value) > 0:
		r.room = fillObject(append(r.room[:0], e.Value...), r.o.Value)
		e.Value = r.room
	}
	return e
}

func (r *jsonReader) elements(list []byte) [][]byte {
	r.values = r.values[:0]
	for w := rawjson.Walk(list); ; {
		v, ok := w.Element()
		if !ok || len(r.values) > maxCPUs {
			return r.values
		}
		r.values = append(r.values, v)
	}
}

// maxCPUs is the largest number of CPUs that Linux can be built for (NR_CPUS of x86 and arm64, Linux 6.18).
const maxCPUs = 8192

var tooManyCPUs = fmt.Sprintf("values has more than %d elements, the most CPUs that Linux supports", maxCPUs)

// members are the names of an entry's members so far.
type members [4]bool

var memberNames = [4]string{"key", "value", "values", "expires"}

// add notes a name, and says what is wrong with it: unknown or given twice.
func (m *members) add(name string) string {
	for i, known := range memberNames {
		if name != known {
			continue
		}
		if m[i] {
			return name + " is given twice"
		}
		m[i] = true
		return ""
	}
	return "unknown field " + shown(name) + ": must be one of key, value, values, expires"
}

// shown is a name from a text in quotes, not longer than a line.
func shown(name string) string {
	if len(name) > 64 {
		name = name[:64] + "…"
	}
	return string(quote(nil, []byte(name)))
}
