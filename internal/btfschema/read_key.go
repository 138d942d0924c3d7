// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package btfschema

import (
	"slices"

	"github.com/cilium/ebpf/btf"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
)

// prefixLength is how many bytes the prefix length takes in front of an LPM trie's key.
const prefixLength = 4

// OfLPMKey is the schema of an LPM trie's key, whose first member is the prefix length and whose last one is matched by
// prefix, and notes for people; as Of says if it is no such struct. 4 and 16 bytes that nothing else is said of are
// taken for an address.
func (r Reader) OfLPMKey(t btf.Type) (*v1alpha1.Schema, []string) {
	w := walk{Reader: r}
	if s := w.lpmKey(t); s != nil {
		return s, w.notes
	}
	return r.Of(t)
}

func (w *walk) lpmKey(t btf.Type) *v1alpha1.Schema {
	key, ok := btf.UnderlyingType(t).(*btf.Struct)
	if !ok {
		return nil
	}
	members := behindLength(key.Members)
	for len(members) == 1 {
		inner, ok := btf.UnderlyingType(members[0].Type).(*btf.Struct)
		if !ok || known(inner) != nil || len(members[0].Tags) > 0 {
			break
		}
		members = lifted(inner.Members, members[0].Offset)
	}
	if len(members) == 0 {
		return nil
	}
	// The prefix length takes part in the layout, and is no field.
	with := w.structure(append([]btf.Member{{Name: "prefixlen", Type: cU32}}, members...), int(key.Size), v1alpha1.MaxFieldDepth, false)
	if with == nil || with.Fields[0].Type != v1alpha1.TypeU32 {
		return opaquePrefix(key)
	}
	s := &v1alpha1.Schema{Fields: with.Fields[1:], Packed: with.Packed}
	last := &s.Fields[len(s.Fields)-1]
	if !w.becomePrefix(&last.Schema, isTagged(&members[len(members)-1])) {
		return opaquePrefix(key)
	}
	if len(s.Fields) == 1 {
		return whole(last)
	}
	return s
}

// opaquePrefix is a key of which nothing is known but its size.
func opaquePrefix(key *btf.Struct) *v1alpha1.Schema {
	s := opaque(int(key.Size) - prefixLength)
	s.Prefix = true
	return s
}

// whole is a key that is nothing but a prefix.
func whole(f *v1alpha1.Field) *v1alpha1.Schema {
	s := f.Schema
	prefixes := map[v1alpha1.ScalarType]v1alpha1.ScalarType{
		v1alpha1.TypeIPv4: v1alpha1.TypeIPv4Prefix, v1alpha1.TypeIPv6: v1alpha1.TypeIPv6Prefix, v1alpha1.TypeIP: v1alpha1.TypeIPPrefix,
	}
	if typ, ok := prefixes[s.Type]; ok {
		s.Type, s.Prefix, s.Align = typ, false, 0
	}
	return &s
}

// behindLength are the members behind the prefix length, which may stand in a struct of its own; none if the first
// member isn't one.
func behindLength(members []btf.Member) []btf.Member {
	if len(members) == 0 {
		return nil
	}
	first := &members[0]
	inner, ok := btf.UnderlyingType(first.Type).(*btf.Struct)
	switch {
	case first.Offset != 0 || first.BitfieldSize != 0:
		return nil
	case ok && sizeOf(inner) > prefixLength && len(members) == 1:
		return behindLength(inner.Members)
	case sizeOf(first.Type) != prefixLength:
		return nil
	}
	return members[1:]
}

// lifted are the members of a struct as members of the one around it.
func lifted(members []btf.Member, by btf.Bits) []btf.Member {
	members = slices.Clone(members)
	for i := range members {
		members[i].Offset += by
	}
	return members
}

// isTagged says whether somebody told us what a member is.
func isTagged(m *btf.Member) bool {
	return slices.ContainsFunc(append(slices.Clone(m.Tags), typedefTags(m.Type)...), func(text string) bool {
		_, ours := ParseTag(text)
		return ours
	})
}

// becomePrefix makes a field one that is matched by prefix; false if it can't be.
func (w *walk) becomePrefix(s *v1alpha1.Schema, isTagged bool) bool {
	size := extentOf(s).size
	isBytes := s.Type == v1alpha1.TypeHex || s.Type == v1alpha1.TypeU32 || s.Type == v1alpha1.TypeBE32
	switch {
	case s.Prefix:
		return true
	case len(s.Fields) > 0 || s.Bits > 0 || s.Type == v1alpha1.TypePadding:
		return false
	case len(dimensions(s)) > 0 && (size != 16 || s.Type != v1alpha1.TypeU32 && s.Type != v1alpha1.TypeBE32):
		return false
	case !isTagged && isBytes && (size == 4 || size == 16):
		w.note("%d bytes that are matched by prefix are taken for an address", size)
		align := int32(0)
		if s.Type == v1alpha1.TypeHex {
			align = 1
		}
		*s = v1alpha1.Schema{Type: map[int]v1alpha1.ScalarType{4: v1alpha1.TypeIPv4, 16: v1alpha1.TypeIPv6}[size], Align: align}
	case s.Type == v1alpha1.TypeU16:
		s.Type = v1alpha1.TypeBE16
	case s.Type == v1alpha1.TypeU64:
		s.Type = v1alpha1.TypeBE64
	}
	*s = v1alpha1.Schema{Type: s.Type, Size: s.Size, Align: s.Align, IPv4As: s.IPv4As, Prefix: true}
	switch s.Type {
	case v1alpha1.TypeIPv4, v1alpha1.TypeIPv6, v1alpha1.TypeIP, v1alpha1.TypeString, v1alpha1.TypeHex,
		v1alpha1.TypeU8, v1alpha1.TypeBE16, v1alpha1.TypeBE32, v1alpha1.TypeBE64:
		return true
	}
	return false
}
