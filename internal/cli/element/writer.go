// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package element

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"

	"github.com/bpfmap-io/bpfmap-operator/internal/text"
)

// Format is how elements are written.
type Format string

// The formats.
const (
	// Text is one line an element, "key = value".
	Text Format = "text"
	// JSON is one object with the list "elements".
	JSON Format = "json"
	// YAML is a list "entries" as a manifest has it.
	YAML Format = "yaml"
	// Hex is one line an element, in bytes whatever the schema.
	Hex Format = "hex"
)

// Writer writes elements one by one.
type Writer struct {
	// NonZero leaves out elements whose value is all zeros, and says at the end how many.
	NonZero bool

	out    *bufio.Writer
	format Format
	typing Typing
	line   []byte // room for one element
	count  int
	zeros  int // elements that were left out
}

// NewWriter starts the output; Close ends it. JSON begins with the fields of header, which must be a
// struct or a map.
func NewWriter(out io.Writer, format Format, typing Typing, header any) (*Writer, error) {
	w := &Writer{out: bufio.NewWriter(out), format: format, typing: typing}
	if format == Hex {
		w.typing = typing.Untyped()
	}
	if format == JSON {
		fields, err := json.Marshal(header)
		if err != nil {
			return nil, fmt.Errorf("write header: %w", err)
		}
		fields = fields[:len(fields)-1] // without the brace, which Close writes
		if len(fields) > 1 {
			fields = append(fields, ',')
		}
		w.print("%s\"elements\":[", fields)
	}
	return w, nil
}

// Write writes one element. value holds one value, or those of all CPUs as the kernel gives them. key
// is empty for types without keys.
func (w *Writer) Write(key, value []byte) error {
	if w.NonZero && len(bytes.TrimLeft(value, "\x00")) == 0 {
		w.zeros++
		return nil
	}
	b, t := w.line[:0], w.typing
	switch w.format {
	case Text:
		if t.Key != nil {
			b = append(t.Key.AppendText(b, key), " = "...)
		}
		b = append(t.AppendValueText(b, value), '\n')
	case Hex:
		if t.Key != nil {
			b = append(t.Key.AppendText(append(b, "key: "...), key), "  "...)
		}
		b = append(t.AppendValueText(append(b, "value: "...), value), '\n')
	case JSON:
		if w.count > 0 {
			b = append(b, ',')
		}
		b = t.AppendEntry(append(b, "\n  "...), key, value)
	case YAML:
		if w.count == 0 {
			b = append(b, "entries:\n"...)
		}
		b = append(t.AppendEntry(append(b, "- "...), key, value), '\n')
	}
	w.line = b
	w.count++
	_, err := w.out.Write(b)
	return err
}

// Close ends the output with the number of elements, and whether that surely is all of them.
func (w *Writer) Close(complete bool) error {
	zeros := ""
	if w.NonZero {
		zeros = text.Count(w.zeros, "element", "elements") + " of zeros left out"
	}
	switch w.format {
	case Text, Hex:
		if zeros != "" {
			zeros = " (" + zeros + ")"
		}
		w.print("Found %s%s\n", text.Count(w.count, "element", "elements"), zeros)
	case JSON:
		if w.count > 0 {
			w.print("\n")
		}
		if zeros != "" {
			zeros = fmt.Sprintf("\"zeros\":%d,", w.zeros)
		}
		w.print("],\"count\":%d,%s\"complete\":%t}\n", w.count, zeros, complete)
	case YAML:
		if w.count == 0 {
			w.print("entries: []\n")
		}
		if zeros != "" {
			w.print("# %s\n", zeros)
		}
	}
	return w.out.Flush()
}

// print keeps the first error for Close: that is what bufio.Writer does.
func (w *Writer) print(format string, args ...any) { _, _ = fmt.Fprintf(w.out, format, args...) }
