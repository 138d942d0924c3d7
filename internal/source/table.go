// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package source

import (
	"bufio"
	"errors"
	"io"
	"net/netip"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
)

// eachLine yields the lines of a text that hold more than a comment.
func eachLine(in *bufio.Reader, o *Options, yield func(line int, text string) error) error {
	lines := lineReader{in: in}
	signs := o.comments()
	for {
		line, err := lines.next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if line = uncomment(line, signs); len(line) == 0 {
			continue
		}
		if !utf8.Valid(line) {
			err = o.invalid(lines.number, "is not valid UTF-8")
		} else {
			err = yield(lines.number, string(line))
		}
		if err != nil {
			return err
		}
	}
}

// readColumns reads lines of columns.
func readColumns(in *bufio.Reader, o Options, yield func(Entry) error) error {
	text := o.Text
	if text == nil {
		text = &v1alpha1.TextOptions{}
	}
	names := columnNames(text.Columns)
	header := text.Header == v1alpha1.HeaderPresent
	it := &item{}
	var m *mapper
	err := eachLine(in, &o, func(line int, content string) error {
		it.line, it.columns = line, cutColumns(it.columns[:0], content, text.Separator)
		if len(it.columns) > maxColumns {
			return o.invalid(line, "has too many columns")
		}
		if header {
			if header = false; len(names) == 0 {
				names = slices.Clone(it.columns)
			}
			return nil
		}
		if m == nil {
			it.names = names
			var err error
			if m, err = lineMapper(o, names, yield); err != nil {
				return err
			}
		}
		return m.take(it)
	})
	return err
}

// lineMapper is for lines of columns, of which the first one is the key.
func lineMapper(o Options, names columnNames, yield func(Entry) error) (*mapper, error) {
	first := &part{from: ofColumn, way: names.of(0)}
	var value *part
	if o.Keyless {
		value = first
	}
	if o.Value == nil && !o.Keyless && (o.Mapping == nil || o.Mapping.value == nil) {
		return nil, errorf(0, "the format Lines needs a value for its keys")
	}
	return forColumns(o, names, "the text", first, value, yield)
}

// cutColumns appends the columns of a line, without the blanks around them.
func cutColumns(dst []string, line, separator string) []string {
	switch separator {
	case "":
		return append(dst, line)
	case " ":
		for field := range strings.FieldsSeq(line) {
			dst = append(dst, field)
		}
		return dst
	}
	for column := range strings.SplitSeq(line, separator) {
		dst = append(dst, strings.Trim(column, " \t"))
	}
	return dst
}

// ownColumns is the mapper for a format that has always the same columns, of which one is the key.
func ownColumns(o Options, key string, yield func(Entry) error) (*mapper, *item, error) {
	names := formatColumns[o.Format]
	column, _ := names.column(key)
	if o.Value == nil && !o.Keyless && (o.Mapping == nil || o.Mapping.value == nil) {
		return nil, nil, errorf(0, "the format %s needs a value for its keys", o.Format)
	}
	own := &part{from: ofColumn, column: column, way: key}
	var value *part
	if o.Keyless {
		value = own
	}
	m, err := forColumns(o, names, "the format "+string(o.Format), own, value, yield)
	return m, &item{names: names}, err
}

// readHosts reads lines of an address and names (man 5 hosts).
func readHosts(in *bufio.Reader, o Options, yield func(Entry) error) error {
	m, it, err := ownColumns(o, "name", yield)
	if err != nil {
		return err
	}
	return eachLine(in, &o, func(line int, content string) error {
		fields := strings.Fields(content)
		address, err := netip.ParseAddr(fields[0])
		switch {
		case err != nil:
			return o.invalid(line, "begins with "+shown(fields[0])+", which is not an address: a line of a hosts file is an address and names")
		case len(fields) == 1:
			return o.invalid(line, "has the address "+address.String()+" without a name")
		}
		for _, name := range fields[1:] {
			it.line, it.columns = line, append(it.columns[:0], fields[0], name)
			if err := m.take(it); err != nil {
				return err
			}
		}
		return nil
	})
}

// readP2P reads lines of a name, a colon and a range: names have colons, ranges of IPv4 don't.
func readP2P(in *bufio.Reader, o Options, yield func(Entry) error) error {
	m, it, err := ownColumns(o, "range", yield)
	if err != nil {
		return err
	}
	return eachLine(in, &o, func(line int, content string) error {
		i := strings.LastIndexByte(content, ':')
		if i < 0 {
			return o.invalid(line, "has no colon between a name and a range")
		}
		it.line = line
		it.columns = append(it.columns[:0], strings.TrimSpace(content[:i]), strings.TrimSpace(content[i+1:]))
		return m.take(it)
	})
}
