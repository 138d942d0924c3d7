// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package schema_test

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/schema"
)

// generated is a schema, the same declaration in C, a value, and the initializers that give it to a variable.
type generated struct {
	schema       *v1alpha1.Schema
	layout       *schema.Layout
	declaration  string
	value        string
	initializers string
	// paths are the members that have an offset, as offsetof takes them.
	paths []string
}

// generator makes schemas at random.
type generator struct {
	r *rand.Rand
	// out is what is being made.
	out   *generated
	names int
}

// next is a schema of struct sN.
func (g *generator) next(n int) generated {
	g.out = &generated{}
	g.names = 0
	var err error
	for g.out.layout == nil {
		g.out.schema = g.structure(3)
		// What can't be laid out was generated in vain: an array that is too large, say.
		if g.out.layout, err = schema.New(g.out.schema); err != nil {
			panic(fmt.Sprintf("%v: %+v", err, g.out.schema))
		}
	}
	g.out.declaration = "typedef " + g.declare(g.out.schema, g.out.layout, "\t") + fmt.Sprintf(" s%d", n)
	g.out.value = g.object(g.out.schema, "")
	g.offsets(g.out.schema, "")
	return *g.out
}

func (g *generator) oneIn(n int) bool { return g.r.IntN(n) == 0 }

func (g *generator) name() string {
	g.names++
	return "f" + strconv.Itoa(g.names)
}

var alignments = []int32{1, 2, 4, 8, 16, 32}

// structure is a struct or union, with others in it to that depth.
func (g *generator) structure(depth int) *v1alpha1.Schema {
	s := &v1alpha1.Schema{Union: g.oneIn(5), Packed: g.oneIn(4)}
	if g.oneIn(8) {
		s.Align = alignments[g.r.IntN(len(alignments))]
	}
	// Bit-fields come in runs: it is their neighbours that matter.
	bits := g.oneIn(2)
	valued := false
	for len(s.Fields) < 1+g.r.IntN(8) || !valued {
		f := g.field(depth, bits && !g.oneIn(4))
		if f.Type == v1alpha1.TypePadding && s.Union {
			continue // C has no unnamed members for it
		}
		valued = valued || f.Type != v1alpha1.TypePadding
		s.Fields = append(s.Fields, f)
	}
	return s
}

var bitTypes = []v1alpha1.ScalarType{
	v1alpha1.TypeU8, v1alpha1.TypeU16, v1alpha1.TypeU32, v1alpha1.TypeU64,
	v1alpha1.TypeI8, v1alpha1.TypeI16, v1alpha1.TypeI32, v1alpha1.TypeI64, v1alpha1.TypeBool, v1alpha1.TypePadding,
}

func (g *generator) field(depth int, bits bool) v1alpha1.Field {
	f := v1alpha1.Field{Name: g.name()}
	switch {
	case bits:
		f.Type = bitTypes[g.r.IntN(len(bitTypes))]
		widest := 1
		switch {
		case f.Type == v1alpha1.TypePadding:
			widest = 40
		case f.Type != v1alpha1.TypeBool:
			widest = 8 * widthOf(f.Type)
		}
		f.Bits = int32(1 + g.r.IntN(widest))
		if g.oneIn(2) {
			f.Bits = min(f.Bits, int32(1+g.r.IntN(7)))
		}
	case depth > 1 && g.oneIn(4):
		f.Schema = *g.structure(depth - 1)
	default:
		f.Type = scalarTypes[g.r.IntN(len(scalarTypes))]
		if f.Type == v1alpha1.TypeCountedString {
			f.LengthType = lengthTypes[g.r.IntN(len(lengthTypes))]
		}
		if _, sized := cTypes[f.Type]; !sized {
			f.Size = int32(1 + g.r.IntN(9))
		}
		if g.oneIn(6) && f.Type != v1alpha1.TypePadding {
			f.Align = alignments[g.r.IntN(len(alignments))]
		}
	}
	g.meaning(&f.Schema)
	if f.Type == v1alpha1.TypePadding {
		f.Name = ""
	} else if f.Bits == 0 {
		switch g.r.IntN(10) {
		case 0, 1:
			f.Length = int32(1 + g.r.IntN(4))
		case 2:
			f.Dimensions = []int32{int32(1 + g.r.IntN(3)), int32(1 + g.r.IntN(3))}
		}
	}
	return f
}

func widthOf(t v1alpha1.ScalarType) int {
	l, err := schema.New(&v1alpha1.Schema{Type: t})
	if err != nil {
		panic(err)
	}
	return l.Size()
}

// declare is a struct or union in C.
func (g *generator) declare(s *v1alpha1.Schema, l *schema.Layout, indent string) string {
	var c strings.Builder
	if s.Union {
		c.WriteString("union {\n")
	} else {
		c.WriteString("struct {\n")
	}
	for element, n := l.Element(); n > 0; element, n = l.Element() {
		l = element
	}
	for i, m := range l.Members() {
		f := &s.Fields[i]
		switch {
		case f.Type == v1alpha1.TypePadding && f.Bits > 0:
			// Bits that no unit can be straddled by.
			for at, left := m.BitOffset, int(f.Bits); left > 0; {
				n := min(left, 8-at%8)
				fmt.Fprintf(&c, "%sunsigned char : %d;\n", indent, n)
				at, left = at+n, left-n
			}
		case f.Type == v1alpha1.TypePadding:
			fmt.Fprintf(&c, "%sunsigned char pad%d[%d];\n", indent, i, f.Size)
		default:
			c.WriteString(indent + g.member(f, m, indent) + ";\n")
		}
	}
	c.WriteString(indent[1:] + "}")
	if s.Packed {
		c.WriteString(" __attribute__((packed))")
	}
	if s.Align > 0 {
		fmt.Fprintf(&c, " __attribute__((aligned(%d)))", s.Align)
	}
	return c.String()
}

func (g *generator) member(f *v1alpha1.Field, m schema.Member, indent string) string {
	name := f.Name
	for _, n := range dimensions(&f.Schema) {
		name += fmt.Sprintf("[%d]", n)
	}
	typ, fixed := cTypes[f.Type]
	bytes, lowered := asBytes[f.Type]
	switch {
	case len(f.Fields) > 0:
		typ = g.declare(&f.Schema, m.Layout, indent+"\t")
	case lowered && f.Align > 0:
		typ, name = "unsigned char", name+fmt.Sprintf("[%d]", bytes)
	case fixed:
	case f.Type == v1alpha1.TypeCountedString:
		typ = fmt.Sprintf("struct { %s n; char text[%d]; }", cTypes[f.LengthType], f.Size)
	case f.Type == v1alpha1.TypeString:
		typ, name = "char", name+fmt.Sprintf("[%d]", f.Size)
	default:
		typ, name = "unsigned char", name+fmt.Sprintf("[%d]", f.Size)
	}
	if f.Bits > 0 {
		name += fmt.Sprintf(" : %d", f.Bits)
	}
	if f.Align > 0 {
		name += fmt.Sprintf(" __attribute__((aligned(%d)))", f.Align)
	}
	return typ + " " + name
}

func dimensions(s *v1alpha1.Schema) []int32 {
	if s.Length > 0 {
		return []int32{s.Length}
	}
	return s.Dimensions
}

// offsets notes the members that have one.
func (g *generator) offsets(s *v1alpha1.Schema, path string) {
	for i := range s.Fields {
		f := &s.Fields[i]
		if f.Bits > 0 || f.Type == v1alpha1.TypePadding {
			continue
		}
		at := path + f.Name
		g.out.paths = append(g.out.paths, at)
		g.offsets(&f.Schema, at+strings.Repeat("[0]", len(dimensions(&f.Schema)))+".")
	}
}

// object is a value of a struct or union at a place of the variable, as designators have it.
func (g *generator) object(s *v1alpha1.Schema, at string) string {
	var named []*v1alpha1.Field
	for i := range s.Fields {
		if f := &s.Fields[i]; f.Type != v1alpha1.TypePadding {
			named = append(named, f)
		}
	}
	if s.Union {
		named = named[g.r.IntN(len(named)):][:1]
	}
	members := make([]string, len(named))
	for i, f := range named {
		members[i] = fmt.Sprintf("%q: %s", f.Name, g.value(&f.Schema, at+"."+f.Name, dimensions(&f.Schema)))
	}
	return "{" + strings.Join(members, ", ") + "}"
}

func (g *generator) value(s *v1alpha1.Schema, at string, dimensions []int32) string {
	if len(dimensions) > 0 {
		var elements []string
		for i := range dimensions[0] {
			elements = append(elements, g.value(s, fmt.Sprintf("%s[%d]", at, i), dimensions[1:]))
		}
		return "[" + strings.Join(elements, ", ") + "]"
	}
	if len(s.Fields) > 0 {
		return g.object(s, at)
	}
	return g.scalar(s, at)
}
