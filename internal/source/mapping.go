// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package source

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/expression"
)

// Mapping is how the items of a source become entries: a v1alpha1.EntryMapping that was checked. It is safe for
// concurrent use.
type Mapping struct {
	items      path
	filter     *expression.Program
	key, value *part
	expires    *part
	// isList says that a key is a list.
	isList bool
	// needs are the columns that expressions need.
	needs []string
}

// Types says what a key or a value, or a field of it (with dots for deeper ones), can be made of. The error is that there
// is no such field.
type Types func(field string) ([]expression.Type, error)

// MappingError is what is wrong with a mapping, and where.
type MappingError struct{ Path, Message string }

// Error is the place and the message.
func (e *MappingError) Error() string { return e.Path + ": " + e.Message }

// NewMapping checks and compiles the mapping of a source for keys and values of these types; nil if it has none.
// The paths of the errors begin with ".mapping".
func NewMapping(from *v1alpha1.EntrySource, key, value Types) (*Mapping, []*MappingError) {
	declared := from.Mapping
	if declared == nil {
		return nil, nil
	}
	c := mappingCompiler{format: from.Format, items: expression.Documents, Mapping: &Mapping{}}
	if isTable(from.Format) {
		c.items = expression.Records
	}
	if declared.Items != "" {
		if c.Mapping.items = c.path(".mapping.items", declared.Items); c.items == expression.Records || from.Format == v1alpha1.SourceNFTables {
			c.add(".mapping.items", "is for the formats JSON and YAML: the items of %s are where the format has them", from.Format)
		}
	}
	if declared.Filter != "" {
		c.filter = c.program(".mapping.filter", declared.Filter, []expression.Type{expression.Bool})
	}
	c.key = c.part(".mapping.key", declared.Key, key, true)
	c.value = c.part(".mapping.value", declared.Value, value, false)
	if declared.Expires != nil {
		times := func(string) ([]expression.Type, error) {
			return []expression.Type{expression.String, expression.Int, expression.Uint, expression.Double, expression.Time}, nil
		}
		c.expires = c.leaf(".mapping.expires", "", declared.Expires, times, false)
	}
	if types, err := key(""); err == nil {
		c.isList = slices.Contains(types, expression.List)
	}
	c.checkNames(from)
	slices.Sort(c.needs)
	c.needs = slices.Compact(c.needs)
	return c.Mapping, c.problems
}

// isTable says whether the items of a format are records of strings.
func isTable(f v1alpha1.SourceFormat) bool {
	switch f {
	case v1alpha1.SourceJSON, v1alpha1.SourceYAML, v1alpha1.SourceNFTables:
		return false
	}
	return true
}

type mappingCompiler struct {
	*Mapping
	format   v1alpha1.SourceFormat
	items    expression.Items
	problems []*MappingError
}

func (c *mappingCompiler) add(at, format string, args ...any) {
	c.problems = append(c.problems, &MappingError{at, fmt.Sprintf(format, args...)})
}

func (c *mappingCompiler) path(at, text string) path {
	p, err := parsePath(text)
	if err != nil {
		c.add(at, "%v", err)
	}
	return p
}

func (c *mappingCompiler) program(at, text string, wanted []expression.Type) *expression.Program {
	p, err := expression.Compile(text, c.items, wanted...)
	if err != nil {
		c.add(at, "%v", err)
		return nil
	}
	if c.items == expression.Records {
		c.needs = append(c.needs, p.Members...)
	}
	return p
}

func (c *mappingCompiler) part(at string, declared *v1alpha1.PartMapping, types Types, isKey bool) *part {
	if declared == nil {
		return nil
	}
	given := 0
	for _, is := range []bool{declared.Path != "", declared.Expression != "", len(declared.Fields) > 0} {
		if is {
			given++
		}
	}
	if given != 1 {
		c.add(at, "exactly one of path, expression and fields is needed")
		return nil
	}
	if len(declared.Fields) == 0 {
		return c.leaf(at, "", &declared.FieldMapping, types, isKey)
	}
	var all *part
	for _, name := range slices.Sorted(maps.Keys(declared.Fields)) {
		field := declared.Fields[name]
		place := fmt.Sprintf("%s.fields[%s]", at, name)
		leaf := c.leaf(place, name, &field, types, false)
		if leaf == nil {
			continue
		}
		with, err := all.with(leaf, name)
		if err != nil {
			c.add(place, "%v", err)
			continue
		}
		all = with
	}
	return all
}

func (c *mappingCompiler) leaf(at, field string, declared *v1alpha1.FieldMapping, types Types, mayBeMany bool) *part {
	wanted, err := types(field)
	if err != nil {
		c.add(at, "%v", err)
		return nil
	}
	if (declared.Path == "") == (declared.Expression == "") {
		c.add(at, "exactly one of path and expression is needed")
		return nil
	}
	if declared.Path != "" {
		return c.byPath(at+".path", declared.Path, mayBeMany)
	}
	if mayBeMany {
		wanted = append(slices.Clone(wanted), expression.List)
	}
	if c.items == expression.Records && !slices.Contains(wanted, expression.String) {
		wanted = append(slices.Clone(wanted), expression.String) // a cell is a text of any type
	}
	p := c.program(at+".expression", declared.Expression, wanted)
	if p == nil {
		return nil
	}
	return c.constant(&part{from: ofProgram, program: p, at: strings.TrimPrefix(at, ".") + ".expression"})
}

// constant is what a part makes if it makes the same of all items.
func (c *mappingCompiler) constant(p *part) *part {
	if !p.program.Constant {
		return p
	}
	raw, given, err := p.append(nil, &item{seen: ""}, expression.NewBudget())
	if err != nil {
		c.add("."+p.at, "%v", strings.TrimPrefix(err.Error(), p.at+": "))
		return nil
	}
	if !given {
		c.add("."+p.at, "makes no value")
		return nil
	}
	return &part{from: ofConstant, constant: raw}
}

func (c *mappingCompiler) byPath(at, text string, mayBeMany bool) *part {
	p := &part{from: ofPath, way: text}
	if c.items == expression.Records {
		return p
	}
	if p.path = c.path(at, text); p.path.isMany() && !mayBeMany {
		c.add(at, "%q leads to several values: only a key as a whole can be several", text)
	}
	return p
}

// checkNames finds columns that there can't be, as far as their names are known before the text is.
func (c *mappingCompiler) checkNames(from *v1alpha1.EntrySource) {
	names, known := namesBefore(from)
	if !known || c.items != expression.Records {
		return
	}
	for _, p := range []struct {
		at   string
		part *part
	}{{".mapping.key", c.key}, {".mapping.value", c.value}, {".mapping.expires", c.expires}} {
		if _, err := p.part.bound(names, "the source"); err != nil {
			c.add(p.at, "%v", err)
		}
	}
	for _, name := range c.needs {
		if _, ok := names.column(name); !ok {
			c.add(".mapping", "an expression needs item.%s, and the columns are %s", name, strings.Join(names, ", "))
		}
	}
}

// namesBefore are the names of a source's columns, if no header is needed to know them.
func namesBefore(from *v1alpha1.EntrySource) (columnNames, bool) {
	if names, ok := formatColumns[from.Format]; ok {
		return names, true
	}
	text := from.Text
	if text == nil {
		text = &v1alpha1.TextOptions{}
	}
	return text.Columns, len(text.Columns) > 0
}

// formatColumns are the columns of formats that have always the same, the default key among them.
var formatColumns = map[v1alpha1.SourceFormat]columnNames{
	v1alpha1.SourceHosts: {"address", "name"},
	v1alpha1.SourceIPSet: {"set", "entry", "timeout", "packets", "bytes", "comment", "skbmark", "skbprio", "skbqueue", "nomatch"},
	v1alpha1.SourceP2P:   {"name", "range"},
}
