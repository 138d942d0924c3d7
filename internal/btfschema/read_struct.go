// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package btfschema

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/cilium/ebpf/btf"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
)

// array is the schema of an array; nil if there is none.
func (w *walk) array(a *btf.Array, depth int) *v1alpha1.Schema {
	lengths, innermost := arrayOf(a)
	if bytes := byteArray(innermost, lengths); bytes != nil {
		return shaped(bytes, lengths[:len(lengths)-1])
	}
	element := w.of(innermost, nil, depth)
	if element == nil {
		return nil
	}
	return shaped(element, append(slices.Clone(lengths), dimensions(element)...))
}

// arrayOf are the lengths of an array of arrays, the outermost first, and what they are of.
func arrayOf(t btf.Type) (lengths []int, innermost btf.Type) {
	innermost = t
	for {
		a, ok := btf.UnderlyingType(innermost).(*btf.Array)
		if !ok || len(typedefTags(innermost)) > 0 && len(lengths) > 0 {
			return lengths, innermost
		}
		lengths, innermost = append(lengths, int(a.Nelems)), a.Type
	}
}

// byteArray is the schema of the innermost array of characters, which is text, or of bytes, which reads better as
// hex than as a list of numbers; nil for others.
func byteArray(of btf.Type, lengths []int) *v1alpha1.Schema {
	i, ok := btf.UnderlyingType(of).(*btf.Int)
	if !ok || i.Size != 1 || i.Encoding == btf.Bool || len(typedefTags(of)) > 0 {
		return nil
	}
	size := lengths[len(lengths)-1]
	switch {
	case i.Encoding == btf.Char || i.Name == "char":
		return &v1alpha1.Schema{Type: v1alpha1.TypeString, Size: int32(size)}
	case i.Encoding == btf.Signed:
		return nil
	}
	return opaque(size)
}

// shaped is an array of elements; nil if a schema can't say it.
func shaped(element *v1alpha1.Schema, lengths []int) *v1alpha1.Schema {
	if len(lengths) > maxDimensions || int64(element.Size) > maxSize {
		return nil
	}
	s := *element
	s.Length, s.Dimensions = 0, nil
	for _, n := range lengths {
		if n < 1 || n > maxLength {
			return nil
		}
	}
	switch len(lengths) {
	case 0:
	case 1:
		s.Length = int32(lengths[0])
	default:
		for _, n := range lengths {
			s.Dimensions = append(s.Dimensions, int32(n))
		}
	}
	return &s
}

// variables are the members of a section of global variables.
func variables(d *btf.Datasec) []btf.Member {
	members := make([]btf.Member, 0, len(d.Vars))
	for _, v := range d.Vars {
		if variable, ok := v.Type.(*btf.Var); ok {
			members = append(members, btf.Member{
				Name: variable.Name, Type: variable.Type, Offset: btf.Bits(8 * v.Offset), Tags: variable.Tags,
			})
		}
	}
	slices.SortStableFunc(members, func(a, b btf.Member) int { return int(a.Offset) - int(b.Offset) })
	return members
}

// structure is the schema of a struct or union; nil if there is none.
func (w *walk) structure(members []btf.Member, size, depth int, union bool) *v1alpha1.Schema {
	if depth == 0 {
		w.note("structs nest deeper than %d levels: the rest is hex", v1alpha1.MaxFieldDepth)
		return nil
	}
	parts := make([]part, 0, len(members))
	names := namesOf(members)
	for i := range members {
		m := &members[i]
		if m.BitfieldSize == 0 && sizeOf(m.Type) == 0 {
			w.note("%s is an array without elements and is left out", names[i])
			continue
		}
		path := w.path
		w.path = strings.TrimPrefix(path+"."+names[i], ".")
		f := v1alpha1.Field{Name: names[i]}
		if m.BitfieldSize != 0 {
			f.Schema = *w.bitField(m)
		} else if f.Schema = *w.of(m.Type, m.Tags, depth-1); f.Type == v1alpha1.TypePadding {
			f.Name = ""
			if isKernelOwned(m.Type) {
				w.note("belongs to the kernel and is padding")
			}
		}
		w.path = path
		parts = append(parts, part{field: f, at: int(m.Offset)})
	}
	s := arrange(parts, size, union)
	if s == nil {
		w.note("a schema can't have these %d members: they are hex", len(members))
	}
	return s
}

// bitField is the schema of a bit-field.
func (w *walk) bitField(m *btf.Member) *v1alpha1.Schema {
	s := w.of(m.Type, m.Tags, 0)
	if s == nil || len(s.Fields) > 0 || s.Type == v1alpha1.TypeHex || m.BitfieldSize > 64 {
		s = &v1alpha1.Schema{Type: v1alpha1.TypeU64}
	}
	s.Bits = int32(m.BitfieldSize)
	return s
}

var identifier = regexp.MustCompile(v1alpha1.FieldNamePattern)

// namesOf are the names of fields for members, unique and as long as they may be.
func namesOf(members []btf.Member) []string {
	names, taken := make([]string, len(members)), map[string]bool{}
	for i := range members {
		name := strings.Map(func(r rune) rune {
			if r == '.' || r == '$' {
				return '_' // static variables of functions
			}
			return r
		}, members[i].Name)
		name = name[:min(len(name), v1alpha1.MaxFieldNameLength)]
		if identifier.MatchString(name) && !taken[name] {
			names[i], taken[name] = name, true
		}
	}
	next := 1
	for i := range names {
		for names[i] == "" {
			if name := fmt.Sprintf("anon%d", next); !taken[name] {
				names[i], taken[name] = name, true
			}
			next++
		}
	}
	return names
}
