// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package btfschema

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/cilium/ebpf/btf"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
)

// Writer makes types of the schemas of one map. What it makes reads back as the same schema but for defaults, aligned
// members, which become explicit padding, and names that are no identifiers of C.
type Writer struct {
	// Plain leaves out floats and enums of 64 bits, which Linux has known since 5.13 and 6.0, and expects that the tags
	// are left out when the types are marshaled: what only a tag could say becomes bytes.
	Plain bool

	enums []*btf.Enum
	taken map[string]bool
}

// Enums are enums that tags of the types name: they belong into the same BTF.
func (w *Writer) Enums() []*btf.Enum { return w.enums }

// Type is the type of a key or value, which structs, enums and typedefs in it are named after. The schema must be
// valid.
func (w *Writer) Type(s *v1alpha1.Schema, name string) btf.Type { return w.root(s, name, context{}) }

// Index is the type of an array's key, which the kernel wants as an integer.
func (w *Writer) Index(s *v1alpha1.Schema, name string) btf.Type {
	return w.root(s, name, context{isIndex: true})
}

func (w *Writer) root(s *v1alpha1.Schema, name string, in context) btf.Type {
	name = w.name(name)
	t, tag := w.typeOf(s, name, in)
	if tag == "" {
		return t
	}
	return &btf.Typedef{Name: name, Type: t, Tags: []string{tag}}
}

// LPMKey is the type of an LPM trie's key: a struct that begins with the prefix length, as the kernel demands.
func (w *Writer) LPMKey(s *v1alpha1.Schema, name string) btf.Type {
	key := s
	switch {
	case hasPrefix(s):
		key = withLength(s)
	case len(s.Fields) == 0 && isOpaque(s):
		key = withLength(&v1alpha1.Schema{Type: s.Type, Size: s.Size - prefixLength})
	case expanded(s) != nil:
		key = expanded(s)
	}
	t, _ := w.typeOf(key, w.name(name), context{isKey: true})
	return t
}

// name is an identifier that nothing has yet.
func (w *Writer) name(wanted string) string {
	if w.taken == nil {
		w.taken = map[string]bool{}
	}
	base := strings.Map(func(r rune) rune {
		if r == '_' || r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' {
			return r
		}
		return '_'
	}, wanted)
	base = base[:min(len(base), maxName)]
	if !identifier.MatchString(base) {
		base = "_" + base
	}
	name := base
	for i := 2; w.taken[name]; i++ {
		name = fmt.Sprintf("%s_%d", base, i)
	}
	w.taken[name] = true
	return name
}

// maxName leaves room in the kernel's bound of names, 127 characters.
const maxName = 100

// context is where a type stands.
type context struct {
	// besideBits says that the struct has bit-fields: Linux then takes each enum in it for one of 4 bytes.
	besideBits bool
	// misaligned says that it doesn't stand at a multiple of its alignment, which Linux refuses of floats.
	misaligned bool
	// isKey says that it is the key of an LPM trie, isIndex that it is an array's.
	isKey, isIndex bool
}

// typeOf is the type of a schema, and the tag that it needs; empty for none.
func (w *Writer) typeOf(s *v1alpha1.Schema, name string, in context) (btf.Type, string) {
	element := *s
	element.Length, element.Dimensions = 0, nil
	lengths := dimensions(s)
	var t btf.Type
	var tag Tag
	if len(element.Fields) > 0 {
		t = w.structure(&element, name, in)
	} else {
		t, tag = w.scalar(&element, name, in)
	}
	if element.Type == v1alpha1.TypeU8 && len(lengths) > 0 && tag.Type == "" {
		if _, isInt := t.(*btf.Int); isInt {
			tag.Type = v1alpha1.TypeU8 // without it, bytes are hex
		}
	}
	for _, n := range slices.Backward(lengths) {
		t = arrayType(t, n)
	}
	if tag.Type == "" && len(tag.Properties) == 0 {
		return t, ""
	}
	return t, tag.String()
}

func (w *Writer) structure(s *v1alpha1.Schema, name string, in context) btf.Type {
	spots, e := place(s)
	besideBits := slices.ContainsFunc(spots, func(at spot) bool { return at.field.Bits > 0 })
	var members []btf.Member
	for i := range spots {
		f := spots[i].field
		if f.Type == v1alpha1.TypePadding {
			continue
		}
		inner := context{besideBits: besideBits, misaligned: spots[i].at/8%extentOf(&f.Schema).align != 0}
		field := f.Schema
		field.Prefix = false
		t, tag := w.typeOf(&field, w.name(name+"_"+f.Name), inner)
		if in.isKey && tag == "" && i == len(spots)-1 {
			tag = Tag{Type: f.Type}.String() // nobody has to guess what is matched by prefix
		}
		m := btf.Member{Name: f.Name, Type: t, Offset: btf.Bits(spots[i].at), BitfieldSize: btf.Bits(f.Bits)}
		if tag != "" {
			m.Tags = []string{tag}
		}
		members = append(members, m)
	}
	if s.Union {
		return &btf.Union{Name: name, Size: uint32(e.size), Members: members}
	}
	return &btf.Struct{Name: name, Size: uint32(e.size), Members: members}
}

// enum is the type of an integer with names; nil where it has none that C could have, or where the kernel wants none.
func (w *Writer) enum(s *v1alpha1.Schema, name string, in context) *btf.Enum {
	size := extents[s.Type].size
	if len(s.Enum) == 0 || size > 8 || order(s.Type) == networkByteOrder || in.isIndex || in.besideBits && size != 4 || s.Bits > 32 || w.Plain && isWide(s.Enum) {
		return nil
	}
	return enumOf(s.Enum, name, size, isSigned(s))
}

// enumOf is an enum of these names; nil if one of them is no identifier.
func enumOf(names map[string]int64, name string, size int, signed bool) *btf.Enum {
	e := &btf.Enum{Name: name, Size: uint32(size), Signed: signed}
	for _, n := range slices.SortedFunc(maps.Keys(names), func(a, b string) int {
		if names[a] != names[b] {
			return map[bool]int{true: -1, false: 1}[names[a] < names[b]]
		}
		return strings.Compare(a, b)
	}) {
		if !identifier.MatchString(n) {
			return nil
		}
		e.Values = append(e.Values, btf.EnumValue{Name: n, Value: uint64(names[n])})
	}
	return e
}

// isWide says whether numbers need more than an int.
func isWide(names map[string]int64) bool {
	for _, n := range names {
		if n < math.MinInt32 || n > math.MaxInt32 {
			return true
		}
	}
	return false
}

// named puts names into the BTF for a tag, which gets the name of the enum; empty if C can't have them.
func (w *Writer) named(names map[string]int64, name string) string {
	size := 4
	if isWide(names) {
		if size = 8; w.Plain {
			return ""
		}
	}
	e := enumOf(names, w.name(name+"_names"), size, true)
	if e == nil {
		return ""
	}
	w.enums = append(w.enums, e)
	return e.Name
}

func arrayType(element btf.Type, n int) btf.Type {
	return &btf.Array{Index: cU32, Type: element, Nelems: uint32(n)}
}
