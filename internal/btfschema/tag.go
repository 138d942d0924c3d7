// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package btfschema

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/cilium/ebpf/btf"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/schema"
)

// TagPrefix begins the decl tags that are for us.
const TagPrefix = "bpfmap:"

// Tag is what a decl tag says of a member or typedef that C can't:
//
//	__u32 addr __attribute__((btf_decl_tag("bpfmap:ipv4")));
//	__u64 timeout __attribute__((btf_decl_tag("bpfmap:duration=ns")));
//	__u32 mode __attribute__((btf_decl_tag("bpfmap:flags=mode_bits"))); // the names of enum mode_bits
//
// Its text is a type and properties, separated by commas; each may be missing. ip:First is ip,ipv4As=First. For arrays
// it speaks of the elements.
type Tag struct {
	// Type is a scalar type; empty for that of C.
	Type v1alpha1.ScalarType
	// Properties are those of v1alpha1.Schema by their JSON names: ipv4As, lengthType, duration, time and prefix
	// (true), and enum and flags with the name of an enum.
	Properties map[string]string
}

// ParseTag reads the text of a decl tag; false if it is for somebody else.
func ParseTag(text string) (Tag, bool) {
	text, ok := strings.CutPrefix(text, TagPrefix)
	if !ok {
		return Tag{}, false
	}
	tag := Tag{Properties: map[string]string{}}
	for i, word := range strings.Split(text, ",") {
		word = strings.TrimSpace(word)
		name, value, assigned := strings.Cut(word, "=")
		switch placement, isPlaced := strings.CutPrefix(word, "ip:"); {
		case assigned:
			tag.Properties[name] = value
		case word == tagPrefix:
			tag.Properties[tagPrefix] = "true"
		case i == 0 && isPlaced:
			tag.Type, tag.Properties[tagIPv4As] = v1alpha1.TypeIP, placement
		case i == 0:
			tag.Type = v1alpha1.ScalarType(word)
		case word != "":
			tag.Properties[word] = "true"
		}
	}
	return tag, true
}

// The properties of tags.
const (
	tagIPv4As, tagLengthType, tagDuration, tagTime  = "ipv4As", "lengthType", "duration", "time"
	tagPrefix, tagEnum, tagFlags, tagSize, tagAlign = "prefix", "enum", "flags", "size", "align"
)

// String is the text of the decl tag.
func (t Tag) String() string {
	words := make([]string, 0, 1+len(t.Properties))
	if t.Type != "" {
		words = append(words, string(t.Type))
	}
	for _, name := range slices.Sorted(maps.Keys(t.Properties)) {
		words = append(words, name+"="+t.Properties[name])
	}
	return TagPrefix + strings.Join(words, ",")
}

// apply is the schema of a tagged type, of which plain is what C says alone; or nil and why the tag can't be
// believed.
func (w *walk) apply(tag Tag, t btf.Type, plain *v1alpha1.Schema) (*v1alpha1.Schema, string) {
	s := *plain
	if tag.Type != "" && tag.Type != plain.Type {
		retyped, why := retype(tag, t)
		if retyped == nil {
			return nil, why
		}
		s = *retyped
	}
	for _, name := range slices.Sorted(maps.Keys(tag.Properties)) {
		if why := w.setProperty(&s, name, tag.Properties[name]); why != "" {
			return nil, why
		}
	}
	return &s, ""
}

// retype is a type of a tag in the place of what C declares: an element of an array, or as many bytes of its
// last dimension.
func retype(tag Tag, t btf.Type) (*v1alpha1.Schema, string) {
	lengths, element := arrayOf(t)
	size := sizeOf(element)
	if tag.Type == v1alpha1.TypeCountedString {
		return counted(tag, element, lengths)
	}
	e, fixed := extents[tag.Type]
	if !fixed && !isSized(tag.Type) {
		return nil, fmt.Sprintf("%q is not a type", tag.Type)
	}
	s := &v1alpha1.Schema{Type: tag.Type}
	bytes, n := size == 1, len(lengths)
	switch {
	case !fixed && bytes && n > 0:
		s.Size, lengths = int32(lengths[n-1]), lengths[:n-1]
	case !fixed:
		s.Size = int32(size)
	case tag.Properties[tagSize] != "" && strconv.Itoa(size) == tag.Properties[tagSize]:
	case e.size == size:
		s.Align = lowered(tag.Type, element)
	case n > 0 && e.size == size*lengths[n-1]:
		s.Align, lengths = lowered(tag.Type, element), lengths[:n-1]
	default:
		return nil, fmt.Sprintf("%s is %d bytes long, the member %d", tag.Type, e.size, sizeOf(t))
	}
	if shape := shaped(s, lengths); shape != nil {
		return shape, ""
	}
	return nil, "a schema can't have an array of this shape"
}

// isSized says whether a schema gives the size of a type.
func isSized(t v1alpha1.ScalarType) bool {
	switch t {
	case v1alpha1.TypeString, v1alpha1.TypeDNSName, v1alpha1.TypeBytes, v1alpha1.TypeHex, v1alpha1.TypePadding:
		return true
	}
	return false
}

// lowered is the alignment of a type that C has as bytes; 0 where it is the type's own.
func lowered(typ v1alpha1.ScalarType, element btf.Type) int32 {
	if align := alignOf(element); schema.IsByteArray(typ) && align < extents[typ].align {
		return int32(align)
	}
	return 0
}

// alignOf is how C aligns a type.
func alignOf(t btf.Type) int {
	align := 1
	switch u := btf.UnderlyingType(t).(type) {
	case *btf.Array:
		return alignOf(u.Type)
	case *btf.Struct:
		for _, m := range u.Members {
			align = max(align, alignOf(m.Type))
		}
	case *btf.Union:
		for _, m := range u.Members {
			align = max(align, alignOf(m.Type))
		}
	default:
		align = max(align, sizeOf(t))
	}
	return align
}

// counted is a countedString, in C a struct of a length and characters.
func counted(tag Tag, element btf.Type, lengths []int) (*v1alpha1.Schema, string) {
	s, ok := btf.UnderlyingType(element).(*btf.Struct)
	if !ok || len(s.Members) != 2 {
		return nil, "a countedString is a struct of a length and characters"
	}
	length, ok := btf.UnderlyingType(s.Members[0].Type).(*btf.Int)
	chars, isArray := btf.UnderlyingType(s.Members[1].Type).(*btf.Array)
	if !ok || !isArray || sizeOf(chars.Type) != 1 || s.Members[1].Offset.Bytes() != length.Size {
		return nil, "a countedString is a struct of a length and characters"
	}
	schema := &v1alpha1.Schema{Type: v1alpha1.TypeCountedString, Size: int32(chars.Nelems)}
	if typ := integer(s.Members[0].Type, length); typ != v1alpha1.TypeU8 && tag.Properties[tagLengthType] == "" {
		schema.LengthType = typ
	}
	if shape := shaped(schema, lengths); shape != nil {
		return shape, ""
	}
	return nil, "a schema can't have an array of this shape"
}

// setProperty sets a property of a schema; it returns why it can't.
func (w *walk) setProperty(s *v1alpha1.Schema, name, value string) string {
	switch name {
	case tagIPv4As:
		s.IPv4As = v1alpha1.IPv4Placement(value)
	case tagLengthType:
		s.LengthType = v1alpha1.ScalarType(value)
	case tagDuration:
		s.Duration = v1alpha1.TimeUnit(value)
	case tagTime:
		s.Time = v1alpha1.TimeUnit(value)
	case tagPrefix:
		s.Prefix = value == "true"
	case tagEnum, tagFlags:
		return w.setNames(s, name, value)
	case tagSize, tagAlign:
		n, err := strconv.ParseInt(value, 10, 32)
		if err != nil {
			return fmt.Sprintf("%s is %q", name, value)
		}
		if name == tagSize {
			s.Size = int32(n)
		} else {
			s.Align = int32(n)
		}
	default:
		w.note("the property %q of a tag is not known and is left out", name)
	}
	return ""
}

// setNames takes the names of an enum for numbers, or for bits.
func (w *walk) setNames(s *v1alpha1.Schema, property, name string) string {
	var e *btf.Enum
	if w.Enums != nil {
		e = w.Enums(name)
	}
	if e == nil {
		return fmt.Sprintf("there is no enum %s", name)
	}
	names := w.names(e)
	s.Enum, s.Flags = nil, nil
	if property == tagFlags {
		s.Flags = names
	} else {
		s.Enum = names
	}
	return ""
}
