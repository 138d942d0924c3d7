// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package compile

import (
	"errors"
	"fmt"
	"strings"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/expression"
	"github.com/bpfmap-io/bpfmap-operator/internal/schema"
	"github.com/bpfmap-io/bpfmap-operator/internal/source"
)

// checkMappings compiles how the items of each source become entries: what is wrong with it is told when it is declared,
// not when a text arrives.
func (c *compiler) checkMappings(key, value *v1alpha1.Schema) {
	c.mappings = make([]*source.Mapping, len(c.spec.EntriesFrom))
	c.budget = expression.NewBudget()
	for i := range c.spec.EntriesFrom {
		from := &c.spec.EntriesFrom[i]
		path := fmt.Sprintf("spec.entriesFrom[%d]", i)
		if from.HostBits != "" {
			c.oneOf(path+".hostBits", string(from.HostBits), string(v1alpha1.HostBitsError), string(v1alpha1.HostBitsMask))
		}
		c.checkText(path+".text", from)
		keyTypes := typesOf(key)
		if t := traitsOf(c.spec.Type); t != nil && t.IsKeyless() {
			keyTypes = func(string) ([]expression.Type, error) {
				return nil, fmt.Errorf("%s has no keys: leave it out", c.spec.Type)
			}
		}
		mapping, problems := source.NewMapping(from, keyTypes, typesOf(value))
		for _, p := range problems {
			c.problems.add(path+p.Path, "%s", p.Message)
		}
		c.mappings[i] = mapping
	}
}

func (c *compiler) checkText(path string, from *v1alpha1.EntrySource) {
	if from.Text == nil {
		return
	}
	isColumns := from.Format == v1alpha1.SourceLines || from.Format == v1alpha1.SourceCSV
	switch from.Format {
	case v1alpha1.SourceJSON, v1alpha1.SourceYAML, v1alpha1.SourceNFTables:
		c.problems.add(path, "is for the formats Lines, CSV, Hosts, IPSet and P2P, not for %s", from.Format)
	}
	if !isColumns && (from.Text.Separator != "" || from.Text.Header != "" || len(from.Text.Columns) > 0) {
		c.problems.add(path, "separator, header and columns are for the formats Lines and CSV, not for %s", from.Format)
	}
	if from.Text.Header != "" {
		c.oneOf(path+".header", string(from.Text.Header), string(v1alpha1.HeaderPresent), string(v1alpha1.HeaderNone))
	}
	if message := source.CheckText(from.Format, from.Text); message != "" {
		c.problems.add(path, "%s", message)
	}
}

// typesOf says what a key or a value of a schema can be made of, and its fields. Without a schema it is an index.
func typesOf(s *v1alpha1.Schema) source.Types {
	return func(field string) ([]expression.Type, error) {
		switch {
		case s == nil && field != "":
			return nil, fmt.Errorf("unknown field %s: it is an index, which has no fields", field)
		case s == nil:
			return []expression.Type{expression.Int, expression.Uint, expression.String}, nil
		}
		at, done := s, ""
		for field != "" {
			name, rest, _ := strings.Cut(field, ".")
			next := fieldNamed(at, name)
			if next == nil {
				return nil, unknownField(at, done, name)
			}
			at, field, done = next, rest, done+name+"."
		}
		return typesOfSchema(at), nil
	}
}

func fieldNamed(s *v1alpha1.Schema, name string) *v1alpha1.Schema {
	for i := range s.Fields {
		if s.Fields[i].Name == name && name != "" && s.Length == 0 && len(s.Dimensions) == 0 {
			return &s.Fields[i].Schema
		}
	}
	return nil
}

func unknownField(s *v1alpha1.Schema, done, name string) error {
	var names []string
	for i := range s.Fields {
		if n := s.Fields[i].Name; n != "" {
			names = append(names, n)
		}
	}
	if len(names) == 0 {
		return fmt.Errorf("unknown field %s%s: %s has no fields", done, name, strings.TrimSuffix("it."+done, "."))
	}
	return fmt.Errorf("unknown field %s%s%s: must be one of %s", done, name, schema.Suggest(name, names), strings.Join(names, ", "))
}

// typesOfSchema are the types of CEL that values of a schema can be written with.
func typesOfSchema(s *v1alpha1.Schema) []expression.Type {
	number := []expression.Type{expression.Int, expression.Uint, expression.Double, expression.String}
	switch {
	case s.Length != 0 || len(s.Dimensions) > 0:
		return []expression.Type{expression.List}
	case len(s.Fields) > 0:
		return []expression.Type{expression.Map}
	case len(s.Flags) > 0:
		return append(number, expression.List)
	case s.Duration != "":
		return append(number, expression.Duration)
	case s.Time != "":
		return append(number, expression.Time)
	}
	switch s.Type {
	case v1alpha1.TypeBool:
		return []expression.Type{expression.Bool, expression.Int, expression.String}
	case v1alpha1.TypeIPv4, v1alpha1.TypeIPv4Host, v1alpha1.TypeIPv6, v1alpha1.TypeIP,
		v1alpha1.TypeIPv4Prefix, v1alpha1.TypeIPv6Prefix, v1alpha1.TypeIPPrefix:
		return []expression.Type{expression.String, expression.Address}
	case v1alpha1.TypeBytes:
		return []expression.Type{expression.String, expression.Bytes}
	case v1alpha1.TypeMAC, v1alpha1.TypeString, v1alpha1.TypeCountedString, v1alpha1.TypeDNSName, v1alpha1.TypeHex,
		v1alpha1.TypeMapRef, v1alpha1.TypeProgPin, v1alpha1.TypeCgroup:
		return []expression.Type{expression.String}
	}
	return number
}

// reading says how the keys of a source are written.
func (p *sourcePacker) reading(cells bool) schema.Reading {
	return schema.Reading{Cells: cells, Published: true, MaskHostBits: p.from.HostBits == v1alpha1.HostBitsMask}
}

// isOtherFamily says whether a key that can't be encoded is one of the family that the map doesn't hold.
func (p *sourcePacker) isOtherFamily(e source.Entry) bool {
	return p.c.key.HasOneFamily() && p.c.key.IsOtherFamily(e.Key, e.Cells)
}

// isWord says whether nearly every text can be a key.
func isWord(l *schema.Layout) bool {
	if l == nil {
		return false
	}
	switch l.Scalar() {
	case v1alpha1.TypeString, v1alpha1.TypeCountedString, v1alpha1.TypeDNSName:
		return true
	}
	return false
}

// hinted is what is wrong with a key, with what people may have meant.
func (p *sourcePacker) hinted(e source.Entry, err error) error {
	var own *schema.Error
	if p.from.Mapping != nil || !errors.As(err, &own) {
		return err
	}
	return &schema.Error{Path: own.Path, Message: own.Message + source.Hint(p.from, e.Key)}
}

// hintFor is what people may have meant where a text can't be read.
func (p *sourcePacker) hintFor(err error) string {
	var own *source.Error
	if !errors.As(err, &own) {
		return ""
	}
	return own.Hint(p.from)
}

// completes says whether a source's value lacks fields, which its entries may have.
func (p *sourcePacker) completes(err error) bool {
	var own *schema.Error
	isPartial := errors.As(err, &own) && own.IsMissing
	switch p.from.Format {
	case v1alpha1.SourceCSV, v1alpha1.SourceJSON, v1alpha1.SourceYAML:
		return isPartial
	}
	return isPartial && p.from.Mapping != nil && p.from.Mapping.Value != nil
}
