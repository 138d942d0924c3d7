// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package btfschema

import (
	"fmt"
	"strings"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
)

// node is a part of a layout for comparing: a scalar, an array or a union. Structs are their parts.
type node struct {
	// path is from the whole, name the last step of it.
	path, name string
	// at and size are in bits from the beginning of the whole, or of the array's first element.
	at, size int
	// scalar is the type of a scalar without its array; nil for others.
	scalar *v1alpha1.Schema
	// isBits says that it is a bit-field.
	isBits bool
	// element is the parts of an array's element, and count the number of elements.
	element []node
	count   int
	// members are the members of a union, each as its parts.
	members []choice
}

// choice is one member of a union.
type choice struct {
	path  string
	size  int // in bits
	parts []node
}

func (n *node) end() int { return n.at + n.size }

// parts are the parts of a schema that begins at a bit.
func parts(s *v1alpha1.Schema, path string, at int) []node {
	lengths := dimensions(s)
	element := *s
	element.Length, element.Dimensions = 0, nil
	if len(lengths) > 0 {
		count := 1
		for _, n := range lengths {
			count *= n
		}
		size := 8 * extentOf(&element).size
		return []node{{
			path: path, name: lastStep(path), at: at, size: count * size, count: count, element: parts(&element, path+"[]", 0),
		}}
	}
	switch inner := expanded(&element); {
	case element.Union:
		return []node{unionNode(&element, path, at)}
	case inner != nil:
		return fieldParts(inner, path, at)
	case len(s.Fields) > 0:
		return fieldParts(s, path, at)
	}
	return []node{{path: path, name: lastStep(path), at: at, size: 8 * extentOf(s).size, scalar: s}}
}

func lastStep(path string) string { return path[strings.LastIndexByte(path, '.')+1:] }

func unionNode(s *v1alpha1.Schema, path string, at int) node {
	spots, e := place(s)
	n := node{path: path, name: lastStep(path), at: at, size: 8 * e.size}
	for i := range spots {
		f := spots[i].field
		if f.Type == v1alpha1.TypePadding {
			continue
		}
		inner := join(path, f.Name)
		n.members = append(n.members, choice{inner, spots[i].to - spots[i].at, fieldNode(f, inner, at+spots[i].at)})
	}
	return n
}

func fieldParts(s *v1alpha1.Schema, path string, at int) (all []node) {
	spots, _ := place(s)
	for i := range spots {
		f := spots[i].field
		all = append(all, fieldNode(f, join(path, f.Name), at+spots[i].at)...)
	}
	return all
}

func fieldNode(f *v1alpha1.Field, path string, at int) []node {
	if f.Bits > 0 {
		return []node{{path: path, name: f.Name, at: at, size: int(f.Bits), scalar: &f.Schema, isBits: true}}
	}
	return parts(&f.Schema, path, at)
}

func join(path, name string) string {
	if path == "" || name == "" {
		return path + name
	}
	return path + "." + name
}

// expanded is the struct that a scalar of two parts is in C; nil for others.
func expanded(s *v1alpha1.Schema) *v1alpha1.Schema {
	address := map[v1alpha1.ScalarType]v1alpha1.ScalarType{
		v1alpha1.TypeIPv4Prefix: v1alpha1.TypeIPv4, v1alpha1.TypeIPv6Prefix: v1alpha1.TypeIPv6, v1alpha1.TypeIPPrefix: v1alpha1.TypeIP,
	}
	if typ, ok := address[s.Type]; ok {
		return withLength(&v1alpha1.Schema{Type: typ, IPv4As: s.IPv4As})
	}
	if s.Type == v1alpha1.TypeCountedString {
		return &v1alpha1.Schema{Fields: []v1alpha1.Field{
			{Name: "length", Schema: v1alpha1.Schema{Type: lengthType(s)}},
			{Name: "text", Schema: v1alpha1.Schema{Type: v1alpha1.TypeString, Size: s.Size}},
		}}
	}
	return nil
}

// hasPrefix says whether a key leaves out the prefix length that stands in front of it.
func hasPrefix(s *v1alpha1.Schema) bool {
	return s.Prefix || len(s.Fields) > 0 && s.Fields[len(s.Fields)-1].Prefix
}

// withLength is a key with the prefix length in front of it.
func withLength(s *v1alpha1.Schema) *v1alpha1.Schema {
	key := &v1alpha1.Schema{
		Packed: s.Packed, Align: s.Align,
		Fields: []v1alpha1.Field{{Name: "prefixlen", Schema: v1alpha1.Schema{Type: v1alpha1.TypeU32}}},
	}
	if len(s.Fields) == 0 {
		data := *s
		data.Prefix, key.Align = false, 0
		key.Fields = append(key.Fields, v1alpha1.Field{Name: "data", Schema: data})
		return key
	}
	key.Fields = append(key.Fields, s.Fields...)
	return key
}

// String is a part for people: "u16[3] ports at byte 2 (6 bytes)".
func (n *node) String() string {
	name := n.typeText()
	if n.path != "" {
		name += " " + n.path
	}
	if n.isBits {
		return fmt.Sprintf("%s at bit %d of byte %d (%d bits)", name, n.at%8, n.at/8, n.size)
	}
	if n.size == 8 {
		return fmt.Sprintf("%s at byte %d (1 byte)", name, n.at/8)
	}
	return fmt.Sprintf("%s at byte %d (%d bytes)", name, n.at/8, n.size/8)
}

func (n *node) typeText() string {
	switch {
	case n.scalar != nil && (isOpaque(n.scalar) || n.scalar.Type == v1alpha1.TypeString) && !n.isBits:
		return fmt.Sprintf("%s(%d)", n.scalar.Type, n.size/8)
	case n.scalar != nil:
		return string(n.scalar.Type)
	case n.count > 0 && len(n.element) == 1:
		return fmt.Sprintf("%s[%d]", n.element[0].typeText(), n.count)
	case n.count > 0:
		return fmt.Sprintf("struct[%d]", n.count)
	}
	return "union"
}

// lines are a layout for people: the first byte, or byte:bit, the size, and what is there.
func lines(all []node, indent string) (text []string) {
	for i := range all {
		n := &all[i]
		place := fmt.Sprintf("%d", n.at/8)
		size := fmt.Sprintf("%d", n.size/8)
		if n.isBits {
			place, size = fmt.Sprintf("%d:%d", n.at/8, n.at%8), fmt.Sprintf(":%d", n.size)
		}
		name := n.path
		if name == "" && n.scalar != nil && n.scalar.Type == v1alpha1.TypePadding {
			name = "-"
		}
		text = append(text, strings.TrimRight(fmt.Sprintf("%5s %5s  %s%s %s", place, size, indent, n.typeText(), name), " "))
		if n.count > 0 && len(n.element) > 1 {
			text = append(text, lines(n.element, indent+"  ")...)
		}
		for _, m := range n.members {
			text = append(text, lines(m.parts, indent+"| ")...)
		}
	}
	return text
}
