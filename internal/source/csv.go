// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package source

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"io"
	"strings"
)

// readCSV reads a header that names the columns, and an entry a record.
func readCSV(text []byte, o Options, yield func(Entry) error) error {
	r := csv.NewReader(bytes.NewReader(bytes.TrimPrefix(text, byteOrderMark)))
	r.ReuseRecord, r.Comment, r.TrimLeadingSpace = true, '#', true
	header, err := r.Read()
	if errors.Is(err, io.EOF) {
		return nil
	}
	if err != nil {
		return csvError(err)
	}
	key, value, err := columns(header, o)
	if err != nil {
		return err
	}
	var keyText, valueText []byte
	for {
		record, err := r.Read()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return csvError(err)
		}
		line, _ := r.FieldPos(0)
		entry := Entry{Line: line, Value: o.Value}
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
	var e *csv.ParseError
	if errors.As(err, &e) {
		return errorf(e.Line, "column %d: %v", e.Column, e.Err)
	}
	return errorf(0, "%v", err)
}

// shape is how columns make a key or a value: one column for the whole, or one for each field.
type shape struct {
	column int // of a whole; -1 for fields
	names  []string
	fields []*shape
}

// columns finds the columns of keys and values in a header.
func columns(header []string, o Options) (key, value *shape, err error) {
	for i, name := range header {
		root, path, _ := strings.Cut(strings.TrimSpace(name), ".")
		target := &key
		switch root {
		case "key":
		case "value":
			target = &value
		default:
			continue
		}
		if *target, err = (*target).with(i, path); err != nil {
			return nil, nil, errorf(1, "column %q: %v", name, err)
		}
	}
	switch {
	case key == nil && !o.Keyless:
		return nil, nil, errorf(1, "the header names no column key (or key.FIELD): it is %q", strings.Join(header, ","))
	case key != nil && o.Keyless:
		return nil, nil, errorf(1, "the header names a column of keys, and the map has none")
	case value == nil && o.Value == nil:
		return nil, nil, errorf(1, "the header names no column value (or value.FIELD), and the source has no value for all")
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

// appendJSON appends what a record's columns make.
func (s *shape) appendJSON(dst []byte, record []string) []byte {
	if s.column >= 0 {
		return appendCell(dst, record[s.column])
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

// appendCell appends a cell: true and false as they are, a list in brackets as JSON, all else as a
// string, which every scalar type takes.
func appendCell(dst []byte, cell string) []byte {
	cell = strings.TrimSpace(cell)
	if cell == "true" || cell == "false" || (strings.HasPrefix(cell, "[") && json.Valid([]byte(cell))) {
		return append(dst, cell...)
	}
	return quote(dst, []byte(cell))
}
