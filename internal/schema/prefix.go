// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package schema

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/rawjson"
)

// prefixLength is how many bytes the prefix length takes at the beginning of an LPM trie's key.
const prefixLength = 4

// prefix is what lookups match by prefix: the key of an LPM trie, or its last field.
type prefix struct {
	// gaps are the bits of the key that belong to nothing, if it is no struct.
	gaps []gap
	// field is its type without the prefix, and offset where it is in the key.
	field  scalar
	offset int
	// isAddress says that numbers are addresses.
	isAddress bool
	// span is the range that a value stands for; nil for types that have none.
	span func(p *prefix, value literal) (span, string)
	// write writes a value that is no range to dst, and returns its length in bits.
	write func(p *prefix, dst []byte, value literal) (length int, msg string)
	// text and json are the inverse, for a length in bits; json is false for bytes that no value encodes to.
	text func(p *prefix, dst, b []byte, length int) []byte
	json func(p *prefix, dst, b []byte, length int) ([]byte, bool)
}

// before is how many bits of a key stand before the prefix, behind the prefix length.
func (p *prefix) before() int { return 8 * (p.offset - prefixLength) }

// bytes are those of the prefix in a key.
func (p *prefix) bytes(key []byte) []byte { return key[p.offset : p.offset+p.field.size] }

// length is how many bits of the prefix itself a key's prefix length counts; false if it ends before the
// prefix does begin, or behind its end.
func (p *prefix) length(key []byte) (int, bool) {
	all := binary.NativeEndian.Uint32(key)
	n := int64(all) - int64(p.before())
	return int(n), 0 <= n && n <= int64(8*p.field.size)
}

// putLength writes a key's prefix length.
func (p *prefix) putLength(key []byte, length int) {
	binary.NativeEndian.PutUint32(key, uint32(p.before()+length))
}

// hasPrefix says whether a schema is the key of an LPM trie that has the prefix length in front of its
// fields.
func hasPrefix(s *v1alpha1.Schema) bool {
	return s.Prefix || len(s.Fields) > 0 && s.Fields[len(s.Fields)-1].Prefix
}

// checkPrefixes refuses `prefix` anywhere but at a key as a whole and at its last field.
func checkPrefixes(s *v1alpha1.Schema) *Error {
	for i := range s.Fields {
		f := &s.Fields[i]
		at := fmt.Sprintf(".fields[%d]", i)
		if err := checkNoPrefix(f.Fields, at); err != nil {
			return err
		}
		switch last := i == len(s.Fields)-1; {
		case !f.Prefix:
		case !last:
			return errorf(at+".prefix", "a lookup compares all fields before the prefix as a whole: it must be the last field, and field %q is behind it", s.Fields[len(s.Fields)-1].Name)
		case s.Union:
			return errorf(at+".prefix", "the members of a union have no last one: make the union a field, and the prefix the field behind it")
		case s.Length != 0 || len(s.Dimensions) > 0:
			return errorf(at+".prefix", "a key is one prefix, not a list of them")
		default:
			return checkPrefix(&f.Schema, at)
		}
	}
	if s.Prefix && len(s.Fields) > 0 {
		return errorf(".prefix", "goes to the last field, not to the struct: it alone is matched by prefix")
	}
	if s.Prefix && s.Default != nil {
		return errorf(".default", "a key as a whole has no default")
	}
	if s.Prefix {
		return checkPrefix(s, "")
	}
	return nil
}

// checkNoPrefix refuses `prefix` at fields of fields.
func checkNoPrefix(fields []v1alpha1.Field, at string) *Error {
	for i := range fields {
		inner := fmt.Sprintf("%s.fields[%d]", at, i)
		if fields[i].Prefix {
			return errorf(inner+".prefix", "is possible for the key of an LPMTrie and for its last field, not in a nested struct")
		}
		if err := checkNoPrefix(fields[i].Fields, inner); err != nil {
			return err
		}
	}
	return nil
}

// prefixTypes are the types that can be matched by prefix.
var prefixTypes = []v1alpha1.ScalarType{
	v1alpha1.TypeIPv4, v1alpha1.TypeIPv6, v1alpha1.TypeIP, v1alpha1.TypeString, v1alpha1.TypeHex,
	v1alpha1.TypeU8, v1alpha1.TypeBE16, v1alpha1.TypeBE32, v1alpha1.TypeBE64,
}

// wholePrefixes are the types that hold a prefix length of their own, and what they are without it.
var wholePrefixes = map[v1alpha1.ScalarType]v1alpha1.ScalarType{
	v1alpha1.TypeIPv4Prefix: v1alpha1.TypeIPv4,
	v1alpha1.TypeIPv6Prefix: v1alpha1.TypeIPv6,
	v1alpha1.TypeIPPrefix:   v1alpha1.TypeIP,
}

// inNetworkOrder are types whose bits don't stand in the order in which a trie compares them, and what to
// use in their place.
var inNetworkOrder = map[v1alpha1.ScalarType]v1alpha1.ScalarType{
	v1alpha1.TypeU16: v1alpha1.TypeBE16, v1alpha1.TypeU32: v1alpha1.TypeBE32, v1alpha1.TypeU64: v1alpha1.TypeBE64,
	v1alpha1.TypeIPv4Host: v1alpha1.TypeIPv4,
}

// checkPrefix checks what is matched by prefix.
func checkPrefix(s *v1alpha1.Schema, at string) *Error {
	if whole, ok := wholePrefixes[s.Type]; ok {
		return errorf(at+".prefix", "%s holds a prefix length of its own: use {type: %s, prefix: true}", s.Type, whole)
	}
	if instead, ok := inNetworkOrder[s.Type]; ok {
		return errorf(at+".prefix", "%s is in the node's byte order, and a trie compares bits from the first byte on: use %s", s.Type, instead)
	}
	switch {
	case !slices.Contains(prefixTypes, s.Type):
		return errorf(at+".prefix", "%s can't be matched by prefix (possible: %s)", typeName(s), joinTypes(prefixTypes))
	case s.Length != 0 || len(s.Dimensions) > 0:
		return errorf(at+".prefix", "an array can't be matched by prefix")
	case s.Bits != 0 || len(s.Enum) > 0 || len(s.Flags) > 0 || s.Duration != "" || s.Time != "":
		return errorf(at+".prefix", "bits, enum, flags, duration and time are not possible together with prefix")
	}
	return nil
}

func typeName(s *v1alpha1.Schema) string {
	if s.Type == "" {
		return "a struct"
	}
	return string(s.Type)
}

func joinTypes(types []v1alpha1.ScalarType) string {
	names := make([]string, len(types))
	for i, t := range types {
		names[i] = string(t)
	}
	return strings.Join(names, ", ")
}

// reserveLength leaves room for the prefix length in front of all fields.
func (p *placer) reserveLength() {
	p.start = byteBits * prefixLength
	p.end = p.start
	if !p.packed {
		p.align = max(p.align, prefixLength)
	}
}

// setPrefix makes l, laid out without it, an LPM trie's key: that of s, whose fields leave room for the prefix
// length.
func (l *Layout) setPrefix(s *v1alpha1.Schema) *Error {
	if l.scalar != nil {
		offset := roundUp(prefixLength, l.align)
		l.prefix = newPrefix(*l.scalar, offset)
		l.align = max(l.align, prefixLength)
		l.size = roundUp(offset+l.scalar.size, l.align)
		l.scalar = l.prefix.scalar()
		l.gaps = appendGap(nil, byteBits*prefixLength, byteBits*offset)
		l.gaps = appendGap(l.gaps, byteBits*(offset+l.scalar.size), byteBits*l.size)
		l.prefix.gaps = l.gaps
		return nil
	}
	last := &l.fields[len(l.fields)-1]
	declared := &s.Fields[len(s.Fields)-1].Schema
	l.prefix = newPrefix(*last.layout.scalar, last.offset)
	layout := *last.layout
	layout.scalar = l.prefix.scalar()
	last.layout, last.start = &layout, 0
	return l.setPrefixDefault(declared, fmt.Sprintf(".fields[%d].default", len(l.fields)-1))
}

// setPrefixDefault checks the default of the last field, which is one prefix, and notes it.
func (l *Layout) setPrefixDefault(s *v1alpha1.Schema, path string) *Error {
	if s.Default == nil {
		return nil
	}
	raw, err := rawjson.Check(s.Default.Raw)
	if err != nil {
		return errorf(path, "is not valid JSON: %v", err)
	}
	last := &l.fields[len(l.fields)-1]
	if err := last.encode(make([]byte, l.size), literal{raw: raw}); err != nil {
		return err.below(path)
	}
	reader := *last.layout
	last.layout.fallback = fallback{known: true, raw: raw, reader: &reader}
	return nil
}

// setRanges lets a key of a type that holds its prefix length be a range.
func (l *Layout) setRanges() {
	if l.scalar == nil {
		return
	}
	address, ok := wholePrefixes[l.scalar.typ]
	if !ok {
		return
	}
	field := scalars[address]
	field.placement = l.scalar.placement
	l.ranges = newPrefix(field, prefixLength)
}

func newPrefix(of scalar, offset int) *prefix {
	p := &prefix{field: of, offset: offset}
	switch of.typ {
	case v1alpha1.TypeIPv4, v1alpha1.TypeIPv6, v1alpha1.TypeIP:
		p.isAddress = true
		p.span, p.text, p.json = addressSpan, addressPrefixText, quotedPrefix
	case v1alpha1.TypeString:
		p.write, p.text, p.json = writeStringPrefix, stringPrefixText, stringPrefixJSON
	case v1alpha1.TypeHex:
		p.write, p.text, p.json = writeHexPrefix, hexPrefixText, quotedPrefix
	default:
		p.span, p.text, p.json = integerSpan, integerPrefixText, integerPrefixJSON
	}
	return p
}

// scalar is the prefix as the type of a field. The bytes that its functions take are those of the key.
func (p *prefix) scalar() *scalar {
	s := p.field
	s.prefix = p
	s.encode, s.appendText, s.appendJSON = encodePrefixField, appendPrefixField, appendPrefixFieldJSON
	s.exact = exactPrefixField
	return &s
}

// IsPrefix says whether l is the key of an LPM trie that has the prefix length in its first four bytes, as
// `prefix` declares it.
func (l *Layout) IsPrefix() bool { return l.prefix != nil }

// PrefixMember is what is matched by prefix, with its place in the key: the last field, or the key without the prefix
// length, which then has no name. It is false for layouts without `prefix`.
func (l *Layout) PrefixMember() (m Member, ok bool) {
	if l.prefix == nil {
		return Member{}, false
	}
	s := l.prefix.field
	m = Member{Offset: l.prefix.offset, Layout: &Layout{scalar: &s, size: s.size, align: s.align}}
	if n := len(l.fields); n > 0 {
		m.Name = l.fields[n-1].name
	}
	return m, true
}
