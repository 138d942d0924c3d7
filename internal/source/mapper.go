// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package source

import (
	"errors"
	"slices"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/expression"
	"github.com/bpfmap-io/bpfmap-operator/internal/rawjson"
)

// mapper makes entries of the items of one text.
type mapper struct {
	o          Options
	yield      func(Entry) error
	filter     *expression.Program
	key, value *part
	expires    *part
	isList     bool
	cells      bool
	budget     *expression.Budget

	entry                           Entry
	keyRoom, valueRoom, expiresRoom []byte
	nextEntry                       func(raw []byte) bool
	stopped                         error
}

// newMapper is one for items of these columns, or for documents if lines is empty: lines says in messages what has the
// columns. key is the default.
func newMapper(o Options, key, value *part, yield func(Entry) error) *mapper {
	m := &mapper{o: o, yield: yield, key: key, value: value, budget: o.Budget, cells: isTable(o.Format)}
	if m.budget == nil {
		m.budget = expression.NewBudget()
	}
	if o.Mapping != nil {
		m.filter, m.isList = o.Mapping.filter, o.Mapping.isList
	}
	m.nextEntry = m.emit
	return m
}

// forColumns is a mapper for records, with the default parts where the mapping has none.
func forColumns(o Options, names columnNames, lines string, key, value *part, yield func(Entry) error) (*mapper, error) {
	var expires *part
	if o.Mapping != nil {
		for _, name := range o.Mapping.needs {
			if _, ok := names.column(name); !ok {
				return nil, errorf(0, "%s has no column %s, which an expression needs", lines, shown(name))
			}
		}
		var err error
		if expires, err = o.Mapping.expires.bound(names, lines); err != nil {
			return nil, errorf(0, "%v", err)
		}
		if o.Mapping.key != nil {
			if key, err = o.Mapping.key.bound(names, lines); err != nil {
				return nil, errorf(0, "%v", err)
			}
		}
		if o.Mapping.value != nil {
			if value, err = o.Mapping.value.bound(names, lines); err != nil {
				return nil, errorf(0, "%v", err)
			}
		}
	}
	if column := slices.Index(names, "expires"); expires == nil && column >= 0 {
		expires = &part{from: ofColumn, column: column}
	}
	if value != nil && value.from == ofFields {
		value.fill(o.Value)
	}
	if o.Keyless {
		key = nil
	}
	m := newMapper(o, key, value, yield)
	m.expires = expires
	return m, nil
}

// forDocuments is a mapper for values of documents.
func forDocuments(o Options, yield func(Entry) error) *mapper {
	var key, value *part
	if o.Mapping != nil {
		key, value = o.Mapping.key, o.Mapping.value
	}
	if value != nil && value.from == ofFields {
		value, _ = value.bound(nil, "") // a copy
		value.fill(o.Value)
	}
	if key == nil {
		key = &part{from: ofPath, path: path{{name: "key"}}, way: "key"}
	}
	if value == nil {
		value = &part{from: ofPath, path: path{{name: "value"}}, way: "value"}
	}
	if o.Keyless {
		key = nil
	}
	m := newMapper(o, key, value, yield)
	m.expires = &part{from: ofPath, path: path{{name: "expires"}}}
	if o.Mapping != nil && o.Mapping.expires != nil {
		m.expires = o.Mapping.expires
	}
	return m
}

// take makes the entries of an item.
func (m *mapper) take(it *item) error {
	it.seen = nil
	if m.filter != nil {
		seen, err := it.forExpressions()
		if err != nil {
			return m.invalid(it.line, err)
		}
		is, err := m.filter.IsTrue(seen, m.budget)
		switch {
		case err != nil:
			return m.invalid(it.line, filterError{err})
		case !is:
			return m.leaveOut(it.line, v1alpha1.LeftOutFiltered)
		}
	}
	m.entry = Entry{Line: it.line, Cells: m.cells}
	if err := m.takeValue(it); err != nil {
		return m.invalid(it.line, err)
	}
	if err := m.takeExpires(it); err != nil {
		return m.invalid(it.line, err)
	}
	if m.key == nil {
		return m.yield(m.entry)
	}
	m.stopped = nil
	var err error
	m.keyRoom, err = m.keyPart(it).each(m.keyRoom, it, m.budget, m.isList, m.nextEntry)
	switch {
	case m.stopped != nil:
		return m.stopped
	case err != nil:
		return m.invalid(it.line, err)
	}
	return nil
}

// itself is an item as a whole.
var itself = &part{from: ofPath}

// keyPart is what makes the key of an item: of a document that is no object, without a mapping of keys, it is the item.
func (m *mapper) keyPart(it *item) *part {
	if it.raw != nil && (m.o.Mapping == nil || m.o.Mapping.key == nil) && !rawjson.IsObject(it.raw) {
		return itself
	}
	return m.key
}

// takeValue makes the value of an item, in which what the item doesn't give is that of the source.
func (m *mapper) takeValue(it *item) error {
	m.entry.Value = m.o.Value
	if m.value == nil {
		return nil
	}
	value, given, err := m.value.append(m.valueRoom[:0], it, m.budget)
	m.valueRoom = value
	if err != nil || !given {
		return err
	}
	m.entry.Value = value
	if m.value.from != ofFields {
		m.valueRoom = fillObject(value, m.o.Value)
		m.entry.Value = m.valueRoom
	}
	return nil
}

// takeExpires makes the time of an entry's end, if the item has one.
func (m *mapper) takeExpires(it *item) error {
	if m.expires == nil {
		return nil
	}
	expires, given, err := m.expires.append(m.expiresRoom[:0], it, m.budget)
	m.expiresRoom = expires
	if given {
		m.entry.Expires = expires
	}
	return err
}

// fillObject adds to an object the members that it doesn't have and another object has.
func fillObject(value, from []byte) []byte {
	if len(value) == 0 || len(from) == 0 || !rawjson.IsObject(value) || !rawjson.IsObject(from) {
		return value
	}
	for w := rawjson.Walk(from); ; {
		quoted, member, _, ok := w.Member()
		if !ok {
			return value
		}
		name, err := rawjson.Text(quoted)
		if err != nil || hasMember(value, name) {
			continue
		}
		value = value[:len(value)-1]
		if value[len(value)-1] != '{' {
			value = append(value, ',')
		}
		value = append(append(append(value, quoted...), ':'), member...)
		value = append(value, '}')
	}
}

func hasMember(object []byte, name string) bool {
	for w := rawjson.Walk(object); ; {
		quoted, _, _, ok := w.Member()
		if !ok {
			return false
		}
		if isNamed(quoted, name) {
			return true
		}
	}
}

// emit yields the entry with a key; nil for an item that has none.
func (m *mapper) emit(key []byte) bool {
	if key == nil {
		m.stopped = m.invalid(m.entry.Line, m.noKey())
		return m.stopped == nil
	}
	m.entry.Key = key
	m.stopped = m.yield(m.entry)
	return m.stopped == nil
}

// noKey is what is wrong with an item without a key.
func (m *mapper) noKey() error {
	switch m.key.from {
	case ofPath, ofColumn:
		return errors.New("has no key: nothing is at " + m.key.way)
	}
	return errors.New("has no key")
}

type filterError struct{ error }

// Error is the error with its place.
func (e filterError) Error() string { return "mapping.filter: " + e.error.Error() }

// Unwrap is the error.
func (e filterError) Unwrap() error { return e.error }

// invalid leaves an item out that makes no entry, if that is possible.
func (m *mapper) invalid(line int, err error) error {
	if errors.Is(err, expression.ErrBudget) {
		return errorf(line, "%v", err)
	}
	return m.o.invalid(line, err.Error())
}

// invalid leaves an item out that makes no entry, if that is possible.
func (o *Options) invalid(line int, what string) error {
	if o.LeaveOut == nil {
		return errorf(line, "%s", what)
	}
	return o.LeaveOut(line, v1alpha1.LeftOutInvalid, what)
}

func (m *mapper) leaveOut(line int, reason string) error {
	if m.o.LeaveOut == nil {
		return nil
	}
	return m.o.LeaveOut(line, reason, "")
}
