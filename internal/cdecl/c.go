// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package cdecl

import (
	"fmt"
	"slices"
	"strings"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
)

// C is the declaration of a type in C, with the offset and size of each member as pahole shows them, and
// assertions that a compiler lays it out so. name is a struct's tag, or the name of a typedef. It needs
// <linux/types.h>, <linux/in6.h> for addresses of IPv6, and <linux/bpf.h> for spin locks.
func C(name string, t Type) string {
	w := cWriter{}
	element := t.element()
	if element.isStruct() && t.dimensions() == "" {
		w.structure(name, element, 0, 0)
		w.line(0, ";")
		w.size(kind(element)+" "+name, t.Size())
		w.offsets(kind(element)+" "+name, "", element)
		return w.b.String()
	}
	w.b.WriteString("typedef ")
	w.declarator(name, t, 0, 0)
	w.b.WriteString(";\n")
	w.size(name, t.Size())
	return w.b.String()
}

// CName is how C calls a type that C declared.
func CName(name string, t Type) string {
	if e := t.element(); e.isStruct() && t.dimensions() == "" {
		return kind(e) + " " + name
	}
	return name
}

func kind(t Type) string {
	if t.schema.Union {
		return "union"
	}
	return "struct"
}

// cWriter writes declarations.
type cWriter struct{ b strings.Builder }

func (w *cWriter) line(depth int, format string, args ...any) {
	w.b.WriteString(strings.Repeat("\t", depth) + fmt.Sprintf(format, args...) + "\n")
}

// structure writes a struct or union up to its closing brace and attributes. base is its offset in the outermost
// one, in bytes.
func (w *cWriter) structure(tag string, t Type, depth, base int) {
	if tag != "" {
		tag = " " + tag
	}
	w.b.WriteString(kind(t) + tag + " {\n")
	padding := 0
	for _, p := range t.parts() {
		name := identifier(p.Name)
		if p.isPadding() {
			padding++
			name = fmt.Sprintf("_pad%d", padding)
		}
		w.member(name, p, depth+1, base)
	}
	w.b.WriteString(strings.Repeat("\t", depth) + "}" + attributes(t.schema.Packed, t.schema.Align))
}

// placeColumn is where the places stand, with tabs of 8.
const placeColumn = 56

// member writes one member with the place where it lies.
func (w *cWriter) member(name string, p part, depth, base int) {
	w.b.WriteString(strings.Repeat("\t", depth))
	start := w.b.Len()
	at := base + p.Offset
	switch {
	case p.Bits > 0 && p.isPadding():
		w.unnamedBits(p)
	case p.Bits > 0:
		fmt.Fprintf(&w.b, "%s %s : %d", cScalar(p.field.Type), name, p.Bits)
	default:
		w.declarator(name, p.of(), depth, at)
	}
	w.b.WriteByte(';')
	place := fmt.Sprintf("/* %5d %5d%s */", at, p.Layout.Size(), meaning(&p.field.Schema))
	if p.Bits > 0 {
		bit := base*8 + p.BitOffset
		place = fmt.Sprintf("/* %5d:%d %d bits%s */", bit/8, bit%8, p.Bits, meaning(&p.field.Schema))
	}
	text := w.b.String()[start:]
	if i := strings.LastIndexByte(text, '\n'); i >= 0 {
		text = strings.TrimLeft(text[i+1:], "\t")
	}
	w.b.WriteString(strings.Repeat(" ", max(placeColumn-len(text)-8*depth, 1)) + place + "\n")
}

// unnamedBits writes padding between bit-fields. No unit of C's is looked at: it is written in such as the bits lie
// in, a byte or more.
func (w *cWriter) unnamedBits(p part) {
	unit := 8
	for unit < 64 && p.BitOffset/unit != (p.BitOffset+p.Bits-1)/unit {
		unit *= 2
	}
	fmt.Fprintf(&w.b, "__u%d : %d", unit, p.Bits)
}

// declarator writes a type and a name, without what ends a declaration.
func (w *cWriter) declarator(name string, t Type, depth, at int) {
	element := t.element()
	if element.isStruct() {
		w.structure("", element, depth, at)
		// In a packed struct the alignment of a member's type doesn't count, but that of the member does.
		fmt.Fprintf(&w.b, " %s%s%s", name, t.dimensions(), attributes(false, element.schema.Align))
		return
	}
	s := element.schema
	typ, length := cScalar(s.Type), ""
	switch s.Type {
	case v1alpha1.TypeString:
		length = fmt.Sprintf("[%d]", element.Size())
	case v1alpha1.TypeDNSName, v1alpha1.TypeBytes, v1alpha1.TypeHex, v1alpha1.TypePadding, v1alpha1.TypeMAC:
		length = fmt.Sprintf("[%d]", element.Size())
	case v1alpha1.TypeIPv4, v1alpha1.TypeIPv6, v1alpha1.TypeIP:
		if s.Align > 0 && int(s.Align) < naturalAlign(s.Type) { // C writes such ones as bytes
			typ, length = "__u8", fmt.Sprintf("[%d]", element.Size())
		}
	case v1alpha1.TypeBE16, v1alpha1.TypeBE32:
		if s.Size == 4 {
			typ = "__be32"
		}
	case v1alpha1.TypeCountedString:
		typ = countedString(s)
	}
	fmt.Fprintf(&w.b, "%s %s%s%s%s", typ, name, t.dimensions(), length, attributes(false, s.Align))
}

// naturalAlign is the alignment of an address' type in C.
func naturalAlign(v1alpha1.ScalarType) int { return 4 }

func countedString(s *v1alpha1.Schema) string {
	length := s.LengthType
	if length == "" {
		length = v1alpha1.TypeU8
	}
	return fmt.Sprintf("struct { %s length; char text[%d]; }", cScalar(length), s.Size)
}

func attributes(packed bool, align int32) (text string) {
	if packed {
		text += " __attribute__((packed))"
	}
	if align > 1 {
		text += fmt.Sprintf(" __attribute__((aligned(%d)))", align)
	}
	return text
}

// cScalars are the C types of scalars; those of bytes are the elements of an array.
var cScalars = map[v1alpha1.ScalarType]string{
	v1alpha1.TypeU8: "__u8", v1alpha1.TypeU16: "__u16", v1alpha1.TypeU32: "__u32", v1alpha1.TypeU64: "__u64", v1alpha1.TypeU128: "unsigned __int128",
	v1alpha1.TypeI8: "__s8", v1alpha1.TypeI16: "__s16", v1alpha1.TypeI32: "__s32", v1alpha1.TypeI64: "__s64", v1alpha1.TypeI128: "__int128",
	v1alpha1.TypeBE16: "__be16", v1alpha1.TypeBE32: "__be32", v1alpha1.TypeBE64: "__be64", v1alpha1.TypeF32: "float", v1alpha1.TypeF64: "double",
	v1alpha1.TypeBool: "_Bool", v1alpha1.TypeIPv4: "__be32", v1alpha1.TypeIPv4Host: "__u32",
	v1alpha1.TypeIPv6: "struct in6_addr", v1alpha1.TypeIP: "struct in6_addr",
	v1alpha1.TypeString: "char", v1alpha1.TypeIfindex: "__u32", v1alpha1.TypeMapRef: "__u32", v1alpha1.TypeProgPin: "__u32", v1alpha1.TypeCgroup: "__u32",
	v1alpha1.TypeCgroupID: "__u64", v1alpha1.TypeSpinLock: "struct bpf_spin_lock",
}

func cScalar(t v1alpha1.ScalarType) string {
	if c, ok := cScalars[t]; ok {
		return c
	}
	return "__u8"
}

// meaning is what C's type doesn't say.
func meaning(s *v1alpha1.Schema) string {
	switch {
	case len(s.Enum) > 0:
		return " " + numbered(s.Enum)
	case len(s.Flags) > 0:
		return " " + numbered(s.Flags)
	case s.Duration != "":
		return " duration in " + string(s.Duration)
	case s.Time != "":
		return " time in " + string(s.Time)
	}
	if evident[s.Type] || s.Type == "" {
		return ""
	}
	return " " + string(s.Type)
}

// evident are the types that C's own say.
var evident = map[v1alpha1.ScalarType]bool{
	v1alpha1.TypeU8: true, v1alpha1.TypeU16: true, v1alpha1.TypeU32: true, v1alpha1.TypeU64: true, v1alpha1.TypeU128: true,
	v1alpha1.TypeI8: true, v1alpha1.TypeI16: true, v1alpha1.TypeI32: true, v1alpha1.TypeI64: true, v1alpha1.TypeI128: true,
	v1alpha1.TypeBE16: true, v1alpha1.TypeBE32: true, v1alpha1.TypeBE64: true, v1alpha1.TypeF32: true, v1alpha1.TypeF64: true,
	v1alpha1.TypeBool: true, v1alpha1.TypeString: true, v1alpha1.TypeSpinLock: true,
}

// numbered is names with their numbers, in the order of these.
func numbered(names map[string]int64) string {
	type pair struct {
		name string
		n    int64
	}
	var pairs []pair
	for name, n := range names {
		pairs = append(pairs, pair{name, n})
	}
	slices.SortFunc(pairs, func(a, b pair) int {
		if a.n != b.n {
			return int(min(max(a.n-b.n, -1), 1))
		}
		return strings.Compare(a.name, b.name)
	})
	var texts []string
	for _, p := range pairs {
		texts = append(texts, fmt.Sprintf("%s=%d", strings.ReplaceAll(p.name, "*/", "* /"), p.n))
	}
	return strings.Join(texts, " ")
}

// size asserts a size.
func (w *cWriter) size(what string, size int) {
	w.line(0, "_Static_assert(sizeof(%s) == %d, \"size of %s\");", what, size, what)
}

// offsets asserts the offsets of members at all depths; those of an array's elements by the first one.
func (w *cWriter) offsets(what, prefix string, t Type) {
	w.offsetsAt(what, prefix, t, 0)
}

func (w *cWriter) offsetsAt(what, prefix string, t Type, base int) {
	for _, p := range t.parts() {
		if p.Bits > 0 || p.isPadding() {
			continue
		}
		path := prefix + identifier(p.Name)
		w.line(0, "_Static_assert(__builtin_offsetof(%s, %s) == %d, \"offset of %s\");", what, path, base+p.Offset, path)
		if inner := p.of().element(); inner.isStruct() {
			first := strings.Repeat("[0]", len(p.of().layout.Dimensions()))
			w.offsetsAt(what, path+first+".", inner, base+p.Offset)
		}
	}
}

// keywords of C that names of fields may be.
var keywords = strings.Fields(`auto break case char const continue default do double else enum extern float for goto if inline int
	long register restrict return short signed sizeof static struct switch typedef union unsigned void volatile while
	asm typeof linux unix`)

// identifier is a name that C takes.
func identifier(name string) string {
	if slices.Contains(keywords, name) {
		return name + "_"
	}
	return name
}
