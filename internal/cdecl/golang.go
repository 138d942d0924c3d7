// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package cdecl

import (
	"fmt"
	"strings"
	"unicode"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
)

// Go is the declaration of a type in Go: with the same bytes in memory, and as encoding/binary writes them in the
// node's byte order, since all padding is written out. What Go has no type for at its place (network order, unions,
// bit-fields, integers that aren't aligned) is an array of bytes. A compiler checks its size; it needs unsafe.
func Go(name string, t Type) string {
	w := goWriter{}
	typ := w.of(t, 0)
	text := fmt.Sprintf("type %s %s\n\nvar _ [%d]byte = [unsafe.Sizeof(%s{})]byte{}\n", name, typ.text, t.Size(), name)
	if !strings.HasPrefix(typ.text, "struct") && !strings.HasPrefix(typ.text, "[") {
		text = fmt.Sprintf("type %s %s\n\nvar _ [%d]byte = [unsafe.Sizeof(%s(%s))]byte{}\n", name, typ.text, t.Size(), name, typ.zero)
	}
	return text
}

// goType is a type of Go.
type goType struct {
	text, zero string
	size       int
	align      int
	// note is what the type doesn't say.
	note string
}

func bytesOf(size int, note string) goType {
	return goType{text: fmt.Sprintf("[%d]byte", size), size: size, align: 1, note: note}
}

// goScalars are the types of Go for scalars in the node's byte order.
var goScalars = map[v1alpha1.ScalarType]goType{
	v1alpha1.TypeU8: {"uint8", "0", 1, 1, ""}, v1alpha1.TypeU16: {"uint16", "0", 2, 2, ""}, v1alpha1.TypeU32: {"uint32", "0", 4, 4, ""}, v1alpha1.TypeU64: {"uint64", "0", 8, 8, ""},
	v1alpha1.TypeI8: {"int8", "0", 1, 1, ""}, v1alpha1.TypeI16: {"int16", "0", 2, 2, ""}, v1alpha1.TypeI32: {"int32", "0", 4, 4, ""}, v1alpha1.TypeI64: {"int64", "0", 8, 8, ""},
	v1alpha1.TypeF32: {"float32", "0", 4, 4, ""}, v1alpha1.TypeF64: {"float64", "0", 8, 8, ""}, v1alpha1.TypeBool: {"bool", "false", 1, 1, ""},
	v1alpha1.TypeIPv4Host: {"uint32", "0", 4, 4, "ipv4Host"}, v1alpha1.TypeIfindex: {"uint32", "0", 4, 4, "ifindex"}, v1alpha1.TypeMapRef: {"uint32", "0", 4, 4, "mapRef"},
	v1alpha1.TypeProgPin: {"uint32", "0", 4, 4, "progPin"}, v1alpha1.TypeCgroup: {"uint32", "0", 4, 4, "cgroup"}, v1alpha1.TypeCgroupID: {"uint64", "0", 8, 8, "cgroupID"},
	v1alpha1.TypeSpinLock: {"uint32", "0", 4, 4, "spinLock"},
}

// goWriter writes declarations of Go.
type goWriter struct{}

// of is the type of t, arrays included. depth is how far its members are indented, less one.
func (w *goWriter) of(t Type, depth int) goType {
	element := t.element()
	e := w.elementType(element, depth)
	dims := t.dimensions()
	if e.size != element.Size() { // Go can't pad elements
		e = bytesOf(element.Size(), "")
	}
	e.text = dims + e.text
	e.size = t.Size()
	return e
}

func (w *goWriter) elementType(t Type, depth int) goType {
	s := t.schema
	switch g, known := goScalars[s.Type]; {
	case t.isStruct() && s.Union:
		return bytesOf(t.Size(), "union of "+memberNames(t))
	case t.isStruct():
		return w.structure(t, depth)
	case known:
		g.note = strings.TrimSpace(meaning(s))
		return g
	case s.Type == v1alpha1.TypeBE16, s.Type == v1alpha1.TypeBE32, s.Type == v1alpha1.TypeBE64:
		return bytesOf(t.Size(), "network byte order")
	}
	return bytesOf(t.Size(), string(s.Type))
}

func memberNames(t Type) string {
	var names []string
	for _, p := range t.parts() {
		if !p.isPadding() {
			names = append(names, p.Name)
		}
	}
	return strings.Join(names, ", ")
}

// structure writes a struct whose padding is all written out.
func (w *goWriter) structure(t Type, depth int) goType {
	var b strings.Builder
	b.WriteString("struct {\n")
	at, align := 0, 1
	names := map[string]bool{}
	line := func(name, typ, note string) {
		if note != "" {
			note = " // " + note
		}
		b.WriteString(strings.Repeat("\t", depth+1) + name + " " + typ + note + "\n")
	}
	pad := func(to int) {
		if to > at {
			line("_", fmt.Sprintf("[%d]byte", to-at), "")
			at = to
		}
	}
	parts := t.parts()
	for i := 0; i < len(parts); i++ {
		p := parts[i]
		if p.Bits > 0 {
			bits := bitField(parts[i:])
			pad(bits.from)
			if bits.to > at {
				line(goName(bits.name, names), fmt.Sprintf("[%d]byte", bits.to-at), bits.note)
				at = bits.to
			}
			i += bits.parts - 1
			continue
		}
		if p.isPadding() {
			continue // written with what follows
		}
		pad(p.Offset)
		g := w.of(p.of(), depth+1)
		if p.Offset%g.align != 0 || t.Size()%g.align != 0 { // Go would move it, or what follows the struct
			g = bytesOf(g.size, strings.TrimSpace("not aligned "+g.note))
		}
		align = max(align, g.align)
		line(goName(p.Name, names), g.text, g.note)
		at += g.size
	}
	pad(t.Size())
	b.WriteString(strings.Repeat("\t", depth) + "}")
	return goType{text: b.String(), size: t.Size(), align: align}
}

// bitRun is bit-fields that lie in the same bytes.
type bitRun struct {
	name, note      string
	from, to, parts int
}

// bitField is the bit-fields that parts begin with.
func bitField(parts []part) bitRun {
	run := bitRun{from: parts[0].BitOffset / 8}
	var notes []string
	for _, p := range parts {
		if p.Bits == 0 {
			break
		}
		run.parts++
		run.to = (p.BitOffset + p.Bits + 7) / 8
		if p.isPadding() {
			continue
		}
		if run.name == "" {
			run.name = p.Name + "_bits"
		}
		notes = append(notes, fmt.Sprintf("bits %d to %d: %s", p.BitOffset-8*run.from, p.BitOffset+p.Bits-1-8*run.from, p.Name))
	}
	if run.name == "" {
		run.name = "_"
	}
	run.note = strings.Join(notes, ", ")
	return run
}

// goName is an exported name of Go that isn't taken.
func goName(name string, taken map[string]bool) string {
	if name == "_" {
		return name
	}
	g := GoName(name)
	for taken[g] {
		g += "_"
	}
	taken[g] = true
	return g
}

// GoName is how Go would call what C or Kubernetes calls name: RuleWeights for rule_weights and rule-weights.
func GoName(name string) string {
	var b strings.Builder
	upper := true
	for _, r := range name {
		switch {
		case r == '_' || r == '-' || r == '.':
			upper = true
			continue
		case upper && unicode.IsDigit(r) && b.Len() == 0:
			b.WriteByte('X')
			b.WriteRune(r)
		case upper:
			b.WriteRune(unicode.ToUpper(r))
		default:
			b.WriteRune(r)
		}
		upper = false
	}
	if b.Len() == 0 {
		return "X"
	}
	return b.String()
}
