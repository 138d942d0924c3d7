// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package source

import (
	"encoding/csv"
	"errors"
	"io"
	"strings"
	"unicode/utf8"
)

// readCSV reads a header that names the columns, and one entry per record.
func readCSV(in io.Reader, o Options, yield func(Entry) error) error {
	w := &window{from: in, at: start}
	r := csv.NewReader(w)
	r.ReuseRecord, r.Comment, r.TrimLeadingSpace = true, '#', true
	header, err := r.Read()
	if errors.Is(err, io.EOF) {
		return nil
	}
	if err != nil {
		return csvError(err)
	}
	key, value, err := columns(header, r, o)
	if err != nil {
		return err
	}
	var keyText, valueText []byte
	for {
		w.seek(r.InputOffset())
		record, err := r.Read()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return csvError(err)
		}
		for i, cell := range record {
			if !utf8.ValidString(cell) {
				line, column := r.FieldPos(i)
				return position{line, column}.errorf("is not valid UTF-8")
			}
		}
		line, _ := r.FieldPos(0)
		entry := Entry{Line: line, Value: o.Value, Cells: true}
		if key != nil {
			keyText = key.appendJSON(keyText[:0], record)
			entry.Key = keyText
		}
		if value != nil {
			valueText = value.appendJSON(valueText[:0], record)
			entry.Value = valueText
		}
		if err := yield(entry); err != nil {
			return err
		}
	}
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

// shape is how columns make a key or a value: one column for the whole, or one for each field.
type shape struct {
	column int // of a whole; -1 for fields
	names  []string
	fields []*shape
}

// columns finds the columns of keys and values in a header. Every column must be one of them.
func columns(header []string, r *csv.Reader, o Options) (key, value *shape, err error) {
	line, _ := r.FieldPos(0)
	for i, name := range header {
		root, path, _ := strings.Cut(strings.TrimSpace(name), ".")
		target := &key
		switch root {
		case "key":
		case "value":
			target = &value
		default:
			line, column := r.FieldPos(i)
			return nil, nil, position{line, column}.errorf("unknown column %q: must be one of key, key.FIELD, value, value.FIELD", name)
		}
		if *target, err = (*target).with(i, path); err != nil {
			line, column := r.FieldPos(i)
			return nil, nil, position{line, column}.errorf("column %q: %v", name, err)
		}
	}
	switch {
	case key == nil && !o.Keyless:
		return nil, nil, errorf(line, "the header has no column key (or key.FIELD): it is %q", strings.Join(header, ","))
	case key != nil && o.Keyless:
		return nil, nil, errorf(line, "the map has no keys, but the header has a key column")
	case value == nil && o.Value == nil:
		return nil, nil, errorf(line, "the header has no column value (or value.FIELD), and the source has no value for all")
	}
	return key, value, nil
}

// with adds a column to a shape that may be nil.
func (s *shape) with(column int, path string) (*shape, error) {
	if path == "" {
		if s != nil {
			return nil, errors.New("is given twice, or as a whole and by fields")
		}
		return &shape{column: column}, nil
	}
	if s == nil {
		s = &shape{column: -1}
	}
	if s.column >= 0 {
		return nil, errors.New("is given as a whole and by fields")
	}
	name, rest, _ := strings.Cut(path, ".")
	for i, have := range s.names {
		if have == name {
			field, err := s.fields[i].with(column, rest)
			s.fields[i] = field
			return s, err
		}
	}
	field, err := (*shape)(nil).with(column, rest)
	s.names, s.fields = append(s.names, name), append(s.fields, field)
	return s, err
}

// appendJSON appends what a record's columns make: every cell is a string, whatever it looks like.
func (s *shape) appendJSON(dst []byte, record []string) []byte {
	if s.column >= 0 {
		return quote(dst, []byte(record[s.column]))
	}
	dst = append(dst, '{')
	for i, name := range s.names {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(quote(dst, []byte(name)), ':')
		dst = s.fields[i].appendJSON(dst, record)
	}
	return append(dst, '}')
}
