// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package cdecl

import (
	"fmt"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/schema"
)

// Type is a schema with its layout.
type Type struct {
	schema *v1alpha1.Schema
	layout *schema.Layout
}

// New lays a schema out. The prefix length in front of an LPM trie's key becomes a field of its own, prefixlen.
func New(s *v1alpha1.Schema) (Type, error) {
	s = withLength(s)
	l, err := schema.New(s)
	return Type{s, l}, err
}

// Size is the number of bytes.
func (t Type) Size() int { return t.layout.Size() }

// withLength is an LPM trie's key as C has it.
func withLength(s *v1alpha1.Schema) *v1alpha1.Schema {
	length := v1alpha1.Field{Name: "prefixlen", Schema: v1alpha1.Schema{Type: v1alpha1.TypeU32}}
	data := *s
	switch s.Type {
	case v1alpha1.TypeIPv4Prefix:
		data.Type = v1alpha1.TypeIPv4
	case v1alpha1.TypeIPv6Prefix:
		data.Type = v1alpha1.TypeIPv6
	case v1alpha1.TypeIPPrefix:
		data.Type = v1alpha1.TypeIP
	case "":
		last := len(s.Fields) - 1
		if last < 0 || !s.Fields[last].Prefix {
			return s
		}
		key := *s
		key.Fields = append([]v1alpha1.Field{length}, s.Fields...)
		key.Fields[last+1].Prefix = false
		return &key
	default:
		if !s.Prefix {
			return s
		}
	}
	data.Prefix, data.Length, data.Dimensions, data.Default = false, 0, nil, nil
	return &v1alpha1.Schema{
		Fields: []v1alpha1.Field{length, {Name: "data", Schema: data}},
		Length: s.Length, Dimensions: s.Dimensions,
	}
}

// part is a member of a struct or union with its schema.
type part struct {
	schema.Member
	field *v1alpha1.Field
}

// element is the type of an array's innermost elements; t itself if it is none.
func (t Type) element() Type {
	l := t.layout
	for {
		inner, n := l.Element()
		if n == 0 {
			break
		}
		l = inner
	}
	s := *t.schema
	s.Length, s.Dimensions = 0, nil
	return Type{&s, l}
}

// parts are the members, padding among them.
func (t Type) parts() []part {
	members := t.layout.Members()
	parts := make([]part, len(members))
	for i, m := range members {
		parts[i] = part{m, &t.schema.Fields[i]}
	}
	return parts
}

// of is the type of a member.
func (p part) of() Type { return Type{&p.field.Schema, p.Layout} }

func (p part) isPadding() bool { return p.field.Type == v1alpha1.TypePadding }

// dimensions is how C writes lengths behind a name: "[3][4]".
func (t Type) dimensions() (text string) {
	for _, n := range t.layout.Dimensions() {
		text += fmt.Sprintf("[%d]", n)
	}
	return text
}

// isStruct says whether the elements of a type have members.
func (t Type) isStruct() bool { return len(t.schema.Fields) > 0 }
