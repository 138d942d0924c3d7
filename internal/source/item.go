// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package source

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
)

// item is one item of a source: a value of a document, or the columns of a line. It is used again for the next one.
type item struct {
	line int
	// raw is the value of a document, as rawjson.Check would take it.
	raw []byte
	// columns are the cells of a line. Those that aren't there have missing set, which is nil if all are.
	columns []string
	missing []bool
	// names are the columns' names.
	names columnNames

	seen any // what expressions see; nil until one does
	room map[string]string
}

// columnNames are the names of columns by their numbers from 0. Columns beyond them are named "3" for the third.
type columnNames []string

func (n columnNames) of(column int) string {
	if column < len(n) {
		return n[column]
	}
	return strconv.Itoa(column + 1)
}

// column is the number of the column that a path names; false if there is none. A name comes before a number.
func (n columnNames) column(name string) (int, bool) {
	for i, have := range n {
		if have == name {
			return i, true
		}
	}
	number, err := strconv.ParseUint(name, 10, 16)
	if err != nil || number == 0 || number > maxColumns {
		return 0, false
	}
	return int(number) - 1, true
}

// cell is the text of a column, if the item has it.
func (it *item) cell(column int) (string, bool) {
	if column >= len(it.columns) || it.missing != nil && it.missing[column] {
		return "", false
	}
	return it.columns[column], true
}

// maxSeen bounds the text of a document's item that expressions see.
const maxSeen = 512 << 10

// forExpressions is the item as an expression sees it.
func (it *item) forExpressions() (any, error) {
	if it.seen != nil {
		return it.seen, nil
	}
	if it.raw == nil {
		it.seen = it.record()
		return it.seen, nil
	}
	if len(it.raw) > maxSeen {
		return nil, fmt.Errorf("has %d bytes, at most %d are possible for an item that expressions see", len(it.raw), maxSeen)
	}
	d := json.NewDecoder(bytes.NewReader(it.raw))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return nil, err
	}
	it.seen = withNumbers(v)
	return it.seen, nil
}

// record is the columns by their names.
func (it *item) record() map[string]string {
	if it.room == nil {
		it.room = make(map[string]string, len(it.columns))
	}
	clear(it.room)
	for i := range it.columns {
		if text, ok := it.cell(i); ok {
			it.room[it.names.of(i)] = text
		}
	}
	return it.room
}

// withNumbers has whole numbers as integers.
func withNumbers(v any) any {
	switch v := v.(type) {
	case json.Number:
		if i, err := strconv.ParseInt(string(v), 10, 64); err == nil {
			return i
		}
		if u, err := strconv.ParseUint(string(v), 10, 64); err == nil {
			return u
		}
		f, err := v.Float64()
		if err != nil {
			return string(v) // more than a float holds: as text, it isn't changed
		}
		return f
	case []any:
		for i := range v {
			v[i] = withNumbers(v[i])
		}
	case map[string]any:
		for name := range v {
			v[name] = withNumbers(v[name])
		}
	}
	return v
}
