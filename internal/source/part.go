// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package source

import (
	"errors"
	"fmt"
	"strings"

	"github.com/bpfmap-io/bpfmap-operator/internal/expression"
	"github.com/bpfmap-io/bpfmap-operator/internal/rawjson"
)

// part makes a key or a value of an item, or a field of it.
type part struct {
	from kind
	// way is a path as it is written, path what it is in documents, column what it is in columns.
	way    string
	path   path
	column int
	// program is an expression, and at where it was declared.
	program *expression.Program
	at      string
	// constant is JSON that doesn't depend on the item; of the other kinds, what stands for what an item doesn't give,
	// or nil.
	constant []byte
	// names and fields are the fields of a struct.
	names  []string
	fields []*part
}

// kind is what a part is made of.
type kind byte

const (
	ofFields kind = iota
	ofPath
	ofColumn
	ofProgram
	ofConstant
)

// with adds a field, whose name has dots before deeper ones, to a part of fields that may be nil. An empty name is the
// part as a whole.
func (p *part) with(leaf *part, name string) (*part, error) {
	if name == "" {
		if p != nil {
			return nil, errors.New("is given twice, or as a whole and by fields")
		}
		return leaf, nil
	}
	if p == nil {
		p = &part{}
	}
	if p.from != ofFields {
		return nil, errors.New("is given as a whole and by fields")
	}
	name, rest, _ := strings.Cut(name, ".")
	for i, have := range p.names {
		if have == name {
			field, err := p.fields[i].with(leaf, rest)
			p.fields[i] = field
			return p, err
		}
	}
	field, err := (*part)(nil).with(leaf, rest)
	p.names, p.fields = append(p.names, name), append(p.fields, field)
	return p, err
}

// bound is a copy of p for items of these columns, or of documents if names is nil.
func (p *part) bound(names columnNames, lines string) (*part, error) {
	if p == nil {
		return nil, nil
	}
	b := *p
	if p.from == ofPath && lines != "" {
		column, ok := names.column(p.way)
		if !ok {
			return nil, fmt.Errorf("%s has no column %s: it is %s", lines, shown(p.way), shown(strings.Join(names, ",")))
		}
		b.from, b.column = ofColumn, column
	}
	b.fields = make([]*part, len(p.fields))
	for i, field := range p.fields {
		var err error
		if b.fields[i], err = field.bound(names, lines); err != nil {
			return nil, err
		}
	}
	return &b, nil
}

// fill lets what p doesn't give be taken from a value for all items. Only for parts that bound made.
func (p *part) fill(constant []byte) {
	if p.from != ofFields {
		p.constant = constant
		return
	}
	if len(constant) == 0 || !rawjson.IsObject(constant) {
		return
	}
	for w := rawjson.Walk(constant); ; {
		quoted, value, _, ok := w.Member()
		if !ok {
			return
		}
		name, err := rawjson.Text(quoted)
		if err != nil {
			continue
		}
		if i := p.field(name); i >= 0 {
			p.fields[i].fill(value)
			continue
		}
		p.names, p.fields = append(p.names, name), append(p.fields, &part{from: ofConstant, constant: value})
	}
}

func (p *part) field(name string) int {
	for i, have := range p.names {
		if have == name {
			return i
		}
	}
	return -1
}

// append appends what p makes of an item as JSON; it isn't given if the item has nothing of it.
func (p *part) append(dst []byte, it *item, budget *expression.Budget) (out []byte, given bool, err error) {
	switch p.from {
	case ofFields:
		return p.appendFields(dst, it, budget)
	case ofColumn:
		if text, ok := it.cell(p.column); ok && (p.constant == nil || strings.Trim(text, " \t") != "") {
			return quote(dst, text), true, nil
		}
	case ofPath:
		if raw, ok := p.path.find(it.raw); ok {
			return append(dst, raw...), true, nil
		}
	case ofProgram:
		out, err = p.evaluate(dst, it, budget)
		if err == nil {
			return out, true, nil
		}
		if !errors.Is(err, expression.ErrNone) {
			return dst, false, err
		}
	}
	return append(dst, p.constant...), p.constant != nil, nil
}

func (p *part) evaluate(dst []byte, it *item, budget *expression.Budget) ([]byte, error) {
	seen, err := it.forExpressions()
	if err != nil {
		return dst, err
	}
	value, err := p.program.Eval(seen, budget)
	if err != nil {
		return dst, fmt.Errorf("%s: %w", p.at, err)
	}
	out, err := expression.AppendJSON(dst, value)
	if err != nil {
		return dst, fmt.Errorf("%s: %w", p.at, err)
	}
	return out, nil
}

func (p *part) appendFields(dst []byte, it *item, budget *expression.Budget) (out []byte, given bool, err error) {
	start := len(dst)
	dst = append(dst, '{')
	for i, name := range p.names {
		before := len(dst)
		if given {
			dst = append(dst, ',')
		}
		dst = append(quote(dst, name), ':')
		var ok bool
		if dst, ok, err = p.fields[i].append(dst, it, budget); err != nil {
			return dst[:start], false, err
		}
		if !ok {
			dst = dst[:before]
		}
		given = given || ok
	}
	if !given {
		return dst[:start], false, nil
	}
	return append(dst, '}'), true, nil
}

// maxKeys bounds how many keys an expression may make of one item.
const maxKeys = 1 << 16

// each yields what p makes of an item, nil for nothing. It is several for a path with [], and for an expression that makes
// a list where isList is false. It ends when yield says so.
func (p *part) each(dst []byte, it *item, budget *expression.Budget, isList bool, yield func(raw []byte) bool) ([]byte, error) {
	switch {
	case p.from == ofPath && p.path.isMany():
		p.eachAt(it, yield)
		return dst, nil
	case p.from == ofProgram && !isList:
		return p.eachResult(dst, it, budget, yield)
	}
	out, given, err := p.append(dst[:0], it, budget)
	switch {
	case err != nil:
	case !given:
		yield(nil)
	default:
		yield(out)
	}
	return out, err
}

// eachAt yields what a path with [] leads to. A list without elements is none, but has to be there.
func (p *part) eachAt(it *item, yield func(raw []byte) bool) {
	found := false
	p.path.each(it.raw, func(raw []byte) bool {
		found = true
		return yield(raw)
	})
	if found {
		return
	}
	for i, s := range p.path {
		if s.kind != allOf && s.kind != anyOf {
			continue
		}
		if _, ok := p.path[:i].find(it.raw); !ok {
			yield(nil)
		}
		return
	}
}

func (p *part) eachResult(dst []byte, it *item, budget *expression.Budget, yield func(raw []byte) bool) ([]byte, error) {
	seen, err := it.forExpressions()
	if err != nil {
		return dst, err
	}
	value, err := p.program.Eval(seen, budget)
	if err != nil {
		return dst, fmt.Errorf("%s: %w", p.at, err)
	}
	elements, isList, err := expression.Elements(value, maxKeys)
	switch {
	case errors.Is(err, expression.ErrNone):
		yield(nil)
		return dst, nil
	case err != nil:
		return dst, fmt.Errorf("%s: %w", p.at, err)
	case !isList:
		elements = append(elements, value)
	}
	for _, element := range elements {
		if dst, err = expression.AppendJSON(dst[:0], element); err != nil {
			return dst, fmt.Errorf("%s: %w", p.at, err)
		}
		if !yield(dst) {
			break
		}
	}
	return dst, nil
}
