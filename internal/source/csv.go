// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package source

import (
	"encoding/csv"
	"errors"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
)

// readCSV reads a header that names the columns, if there is one, and one item per record.
func readCSV(in io.Reader, o Options, yield func(Entry) error) error {
	w := &window{from: in, at: start}
	r := csv.NewReader(w)
	r.ReuseRecord, r.Comment, r.TrimLeadingSpace = true, '#', true
	if o.Mapping != nil {
		r.FieldsPerRecord = -1
	}
	if err := setText(r, o.Text); err != nil {
		return err
	}
	names, err := csvNames(r, o.Text)
	if errors.Is(err, io.EOF) {
		return nil
	}
	if err != nil {
		return err
	}
	key, value, err := columns(names, r, o)
	if err != nil {
		return err
	}
	m, err := forColumns(o, names, "the header", key, value, yield)
	if err != nil {
		return err
	}
	it := &item{names: names}
	for {
		w.seek(r.InputOffset())
		record, err := r.Read()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return csvError(err)
		}
		it.line, _ = r.FieldPos(0)
		it.columns = record
		switch err := checkRecord(record, names, r); {
		case err == nil:
			if err := m.take(it); err != nil {
				return err
			}
		case o.Mapping == nil:
			return err
		default:
			if err := o.invalid(it.line, err.Message); err != nil {
				return err
			}
		}
	}
}

// maxColumns bounds the columns of a line.
const maxColumns = 1 << 12

// setText sets what separates columns and what begins a comment, each of which is one character.
func setText(r *csv.Reader, text *v1alpha1.TextOptions) error {
	if text == nil {
		return nil
	}
	one := func(what, text string) (rune, error) {
		c, n := utf8.DecodeRuneInString(text)
		if n != len(text) || c == utf8.RuneError || c == '"' || c == '\r' || c == '\n' {
			return 0, errorf(0, "text.%s: %s must be one character, and neither a quote nor a line break, for the format CSV", what, shown(text))
		}
		return c, nil
	}
	var err error
	if text.Separator != "" {
		if r.Comma, err = one("separator", text.Separator); err != nil {
			return err
		}
		r.TrimLeadingSpace = r.Comma != '\t' && r.Comma != ' '
	}
	switch len(text.Comments) {
	case 0:
	case 1:
		if r.Comment, err = one("comments", text.Comments[0]); err != nil {
			return err
		}
	default:
		return errorf(0, "text.comments has %d signs, one is possible for the format CSV", len(text.Comments))
	}
	if r.Comma == r.Comment {
		return errorf(0, "text: %s can't be the separator and begin a comment", shown(string(r.Comma)))
	}
	return nil
}

// CheckText says what is wrong with text options for their format, before there is a text; empty for nothing.
func CheckText(format v1alpha1.SourceFormat, text *v1alpha1.TextOptions) string {
	if format != v1alpha1.SourceCSV {
		return ""
	}
	var e *Error
	if errors.As(setText(csv.NewReader(nil), text), &e) {
		return e.Message
	}
	return ""
}

// csvNames are the names of the columns: declared, or those of the header.
func csvNames(r *csv.Reader, text *v1alpha1.TextOptions) (columnNames, error) {
	if text == nil {
		text = &v1alpha1.TextOptions{}
	}
	if text.Header == v1alpha1.HeaderNone || text.Header == "" && len(text.Columns) > 0 {
		return text.Columns, nil
	}
	header, err := r.Read()
	if errors.Is(err, io.EOF) {
		return nil, err
	}
	if err != nil {
		return nil, csvError(err)
	}
	if len(text.Columns) > 0 {
		return text.Columns, nil
	}
	names := make(columnNames, len(header))
	for i, name := range header {
		names[i] = strings.TrimSpace(name)
	}
	return names, nil
}

// checkRecord refuses cells that aren't text, and more of them than there are names: a separator within a cell moves all
// that follow.
func checkRecord(record []string, names columnNames, r *csv.Reader) *Error {
	line, _ := r.FieldPos(0)
	if len(record) > len(names) && len(names) > 0 {
		return errorf(line, "has %d columns, and there are %d names for them", len(record), len(names))
	}
	if len(record) > maxColumns {
		return errorf(line, "has more than %d columns", maxColumns)
	}
	for i, cell := range record {
		if !utf8.ValidString(cell) {
			line, column := r.FieldPos(i)
			return position{line, column}.errorf("is not valid UTF-8")
		}
	}
	return nil
}

func csvError(err error) error {
	var own *Error
	var e *csv.ParseError
	switch {
	case errors.As(err, &own):
		return own
	case errors.As(err, &e):
		return position{e.Line, e.Column}.errorf("%v", e.Err)
	}
	return errorf(0, "%v", err)
}

// columns finds the columns of keys and values by their names: key and value, or key.FIELD and value.FIELD. Without a
// mapping every column must be one of them.
func columns(names columnNames, r *csv.Reader, o Options) (key, value *part, err error) {
	at := func(i int) position {
		if o.Text != nil && len(o.Text.Columns) > 0 {
			return position{}
		}
		line, column := r.FieldPos(i)
		return position{line, column}
	}
	for i, name := range names {
		root, path, _ := strings.Cut(name, ".")
		target := &key
		switch {
		case root == "key":
		case root == "value":
			target = &value
		case name == "expires" || o.Mapping != nil:
			continue
		default:
			return nil, nil, at(i).errorf("unknown column %q: must be one of key, key.FIELD, value, value.FIELD, expires", name)
		}
		leaf := &part{from: ofColumn, column: i, way: name}
		if *target, err = (*target).with(leaf, path); err != nil {
			return nil, nil, at(i).errorf("column %q: %v", name, err)
		}
	}
	if o.Mapping != nil && o.Mapping.key != nil {
		key = o.Mapping.key
	}
	line := 0
	if len(names) > 0 {
		line = at(0).line
	}
	switch {
	case key == nil && !o.Keyless:
		return nil, nil, errorf(line, "the header has no column key (or key.FIELD): it is %q", strings.Join(names, ","))
	case key != nil && o.Keyless && o.Mapping == nil:
		return nil, nil, errorf(line, "the map has no keys, but the header has a key column")
	case value == nil && o.Value == nil && (o.Mapping == nil || o.Mapping.value == nil):
		return nil, nil, errorf(line, "the header has no column value (or value.FIELD), and the source has no value for all")
	}
	return key, value, nil
}
