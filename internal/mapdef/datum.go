// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package mapdef

import (
	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/maptype"
	"github.com/bpfmap-io/bpfmap-operator/internal/schema"
)

// key is the schema of the key; nil where the spec may leave it out.
func (w *writer) key() *v1alpha1.Schema {
	d, t := w.definition, w.traits
	switch s := d.Key.Schema; {
	case t.IsKeyless():
		return nil
	case t.Indexed:
		return index(s)
	case t.Key.Default.Type != "":
		return nil
	case t.LPM:
		if prefix := prefixKey(s); prefix != nil && usable(prefix, d.KeySize) == nil {
			return prefix
		}
		w.remark("%s is no prefix length with what a prefix can be of behind it: the key is hex, its first 4 bytes are the length of the prefix", w.named("the key", d.Key))
		return &v1alpha1.Schema{Type: v1alpha1.TypeHex, Size: int32(d.KeySize)}
	}
	return w.datum("key", d.Key, d.KeySize)
}

// index is the key of an array: nothing for a number, but its names or its byte order where it has any.
func index(s *v1alpha1.Schema) *v1alpha1.Schema {
	if s == nil {
		return nil
	}
	switch {
	case s.Type == v1alpha1.TypeBE32, s.Type == v1alpha1.TypeBE16:
		return &v1alpha1.Schema{Type: s.Type}
	case len(s.Enum) > 0:
		return &v1alpha1.Schema{Type: v1alpha1.TypeU32, Enum: s.Enum}
	}
	return nil
}

// value is the schema of the value; zero where the spec may leave it out.
func (w *writer) value() v1alpha1.Schema {
	d, t := w.definition, w.traits
	takes := t.ValueWith(d.Flags)
	if !takes.Exists() {
		return v1alpha1.Schema{}
	}
	if takes.Default.Type == "" {
		return *w.datum("value", d.Value, d.ValueSize)
	}
	number := v1alpha1.ScalarType(takes.Default.Type)
	byDefault := &v1alpha1.Schema{Type: number, Length: takes.Default.Length}
	switch {
	case usable(byDefault, d.ValueSize) == nil:
		return v1alpha1.Schema{}
	case t.Values == maptype.DescriptorsBehind: // struct bpf_devmap_val and struct bpf_cpumap_val
		name := "ifindex"
		if number == v1alpha1.TypeU32 {
			name = "qsize"
		}
		return v1alpha1.Schema{Fields: []v1alpha1.Field{
			{Name: name, Schema: v1alpha1.Schema{Type: number}},
			{Name: "prog", Schema: v1alpha1.Schema{Type: v1alpha1.TypeProgPin}},
		}}
	case d.ValueSize%8 == 0:
		return v1alpha1.Schema{Type: v1alpha1.TypeU64, Length: int32(d.ValueSize / 8)}
	}
	return v1alpha1.Schema{Type: v1alpha1.TypeU32}
}

// datum is a schema of a size in any case: bytes where there is no other.
func (w *writer) datum(what string, d Datum, size uint32) *v1alpha1.Schema {
	reason := d.Untyped
	if d.Schema != nil {
		err := usable(d.Schema, size)
		if err == nil {
			return d.Schema
		}
		reason = err.Error()
	}
	w.remark("%s can't be typed and is hex: %s", w.named("the "+what, d), reason)
	return &v1alpha1.Schema{Type: v1alpha1.TypeHex, Size: int32(size)}
}

// named is what a datum is called.
func (*writer) named(what string, d Datum) string {
	if d.CType == "" {
		return what
	}
	return what + " (" + d.CType + ")"
}

// prefixKey is the key of an LPM trie as the API has it: without the length in front, which the kernel's struct
// bpf_lpm_trie_key begins with. It is nil for anything else.
func prefixKey(s *v1alpha1.Schema) *v1alpha1.Schema {
	switch {
	case s == nil:
		return nil
	case s.Prefix, s.Type == v1alpha1.TypeIPv4Prefix, s.Type == v1alpha1.TypeIPv6Prefix, s.Type == v1alpha1.TypeIPPrefix:
		return s
	case len(s.Fields) < 2 || s.Union || !isPlain(&s.Fields[0].Schema, v1alpha1.TypeU32):
		if n := len(s.Fields); n > 0 && s.Fields[n-1].Prefix {
			return s
		}
		return nil
	}
	last := len(s.Fields) - 1
	data, ok := prefixOf(&s.Fields[last].Schema)
	if !ok {
		return nil
	}
	if last == 1 {
		return prefixAlone(data)
	}
	key := *s
	key.Fields = append([]v1alpha1.Field(nil), s.Fields[1:]...)
	key.Fields[last-1].Schema = data
	return &key
}

// prefixAlone is the type of a key that is nothing but a prefix.
func prefixAlone(data v1alpha1.Schema) *v1alpha1.Schema {
	switch data.Type {
	case v1alpha1.TypeIPv4:
		return &v1alpha1.Schema{Type: v1alpha1.TypeIPv4Prefix}
	case v1alpha1.TypeIPv6:
		return &v1alpha1.Schema{Type: v1alpha1.TypeIPv6Prefix}
	}
	return &data
}

// prefixOf is what a prefix is of. The kernel compares bytes from the first on, so 4 bytes, which C often calls
// __u32, are taken for an IPv4 address, and 16 for an IPv6 address.
func prefixOf(s *v1alpha1.Schema) (v1alpha1.Schema, bool) {
	prefix := *s
	prefix.Prefix = true
	switch s.Type {
	case v1alpha1.TypeIPv4, v1alpha1.TypeIPv6, v1alpha1.TypeIP, v1alpha1.TypeString:
		return prefix, true
	}
	l, err := schema.New(s)
	if err != nil {
		return v1alpha1.Schema{}, false
	}
	_, isArray := l.Element()
	switch isBytes := s.Type == v1alpha1.TypeHex || s.Type == v1alpha1.TypeBytes; {
	case len(s.Fields) > 0:
		return v1alpha1.Schema{}, false
	case l.Size() == 4 && s.Type != v1alpha1.TypeI32:
		return v1alpha1.Schema{Type: v1alpha1.TypeIPv4, Prefix: true}, true
	case l.Size() == 16:
		return v1alpha1.Schema{Type: v1alpha1.TypeIPv6, Prefix: true}, true
	case isBytes, isArray > 0 && s.Type == v1alpha1.TypeU8:
		return v1alpha1.Schema{Type: v1alpha1.TypeHex, Size: int32(l.Size()), Prefix: true}, true
	case s.Type == v1alpha1.TypeBE16, s.Type == v1alpha1.TypeBE64, s.Type == v1alpha1.TypeU8:
		return prefix, true
	}
	return v1alpha1.Schema{}, false
}

// isPlain says whether a schema is one scalar of a type.
func isPlain(s *v1alpha1.Schema, t v1alpha1.ScalarType) bool {
	return s.Type == t && s.Length == 0 && len(s.Dimensions) == 0 && s.Bits == 0
}
