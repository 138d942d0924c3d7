// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package compile

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strconv"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
	"github.com/bpfmap-io/bpfmap-operator/internal/schema"
)

// withoutLength are types that hold a prefix length of their own, and what they are without it.
var withoutLength = map[v1alpha1.ScalarType]v1alpha1.ScalarType{
	v1alpha1.TypeIPv4Prefix: v1alpha1.TypeIPv4,
	v1alpha1.TypeIPv6Prefix: v1alpha1.TypeIPv6,
	v1alpha1.TypeIPPrefix:   v1alpha1.TypeIP,
}

// indexSize is how long the index of an array is.
const indexSize = 4

// keySchema is the schema of a key as everything behind the compiler knows it, with what goes without saying: the prefix length of a
// trie stands in front of all fields, and an index is 4 bytes long.
func (c *compiler) keySchema(p part, k *v1alpha1.Schema) *v1alpha1.Schema {
	if k == nil {
		return nil
	}
	if k.Default != nil {
		c.problems.add(p.path+".key.default", "a key is what tells entries from each other: only its fields can have a default")
	}
	t := p.traits
	if t.Indexed && k.Type == v1alpha1.TypeBE16 && k.Size == 0 {
		index := *k
		index.Size = indexSize
		return &index
	}
	n := len(k.Fields)
	if !t.LPM || n == 0 {
		return k
	}
	last := k.Fields[n-1]
	address, ok := withoutLength[last.Type]
	if !ok || last.Prefix || last.Length != 0 {
		return k
	}
	last.Type, last.Prefix = address, true
	trie := *k
	trie.Fields = append(slices.Clone(k.Fields[:n-1]), last)
	return &trie
}

// trieKeys says what the key of an LPM trie can be.
const trieKeys = "{type: ipv4Prefix}, {type: ipv6Prefix}, {type: ipPrefix}, another type with prefix: true (such as {type: string, size: 64, prefix: true}), " +
	"fields of which the last has prefix: true, or {type: hex} with the prefix length in the first 4 bytes"

func (c *compiler) checkKey(p part, k *v1alpha1.Schema, key *schema.Layout) {
	typ, t := p.typ, p.traits
	if k != nil {
		if below := schema.OwnedBelow(k); below != nil {
			c.problems.add(p.path+".key"+*below+".owner", "keys can't be owned by programs: a key is what tells entries from each other; leave owner out")
		}
	}
	_, isPrefix := withoutLength[key.Scalar()]
	isArray := k != nil && (k.Length != 0 || len(k.Dimensions) > 0)
	switch {
	case t.Indexed:
		if k != nil && (isArray || !isIndex(k)) {
			c.problems.add(p.path+".key", "the key of %s is its index: leave it out, or set {type: u32}, or {type: be16} or {type: be32} for an index in network order", typ)
		}
	case t.LPM:
		switch {
		case len(k.Fields) > 0 && !key.IsPrefix():
			c.problems.add(p.path+".key", "the last field of the key of %s must have prefix: true (the prefix length isn't a field, it stands in front of them)", typ)
		case isArray || !isPrefix && !key.IsPrefix() && k.Type != v1alpha1.TypeHex:
			c.problems.add(p.path+".key", "the key of %s is a prefix: %s", typ, trieKeys)
		case key.Size() < t.Key.Min:
			c.problems.add(p.path+".key.size", "%d leaves no room for data behind the 4 bytes of the prefix length (%d…%d)", key.Size(), t.Key.Min, t.Key.Max)
		}
	case isPrefix:
		c.problems.add(p.path+".key.type", "%s needs type LPMTrie: %s compares keys byte by byte", k.Type, typ)
	case key.IsPrefix():
		c.problems.add(p.path+".key.prefix", "needs type LPMTrie: %s compares keys byte by byte", typ)
	}
	if !t.LPM || key.Size() >= t.Key.Min { // a prefix that is too short was told above
		c.checkSize(p, p.path+".key", key.Size(), t.Key)
	}
}

// isIndex says whether a schema is that of an index.
func isIndex(k *v1alpha1.Schema) bool {
	switch k.Type {
	case v1alpha1.TypeU32, v1alpha1.TypeBE32:
		return true
	case v1alpha1.TypeBE16:
		return k.Size == 0 || k.Size == indexSize
	}
	return false
}

// keyProblem is what is wrong with the encoded key for its type; empty if nothing is.
func (p *packer) keyProblem() string {
	switch {
	case p.isIndexed:
		return indexProblem(p.shape, p.c.key, p.key)
	case p.isLPM:
		return prefixProblem(p.key)
	}
	return ""
}

func indexProblem(shape revision.Shape, key *schema.Layout, k []byte) string {
	index := binary.NativeEndian.Uint32(k)
	if index < shape.MaxEntries {
		return ""
	}
	bound := fmt.Sprintf("out of range (0…%d): maxEntries is %d", shape.MaxEntries-1, shape.MaxEntries)
	written := key.Format(k)
	if key.Scalar() == v1alpha1.TypeU32 || written == strconv.FormatUint(uint64(index), 10) { // on a big-endian machine
		return fmt.Sprintf("index %d is %s", index, bound)
	}
	return fmt.Sprintf("index %s is %d in network order, %s", written, index, bound)
}

// prefixProblem checks an LPM key that was given in hex; typed prefixes can't fail it.
func prefixProblem(k []byte) string {
	bits, most := binary.NativeEndian.Uint32(k), uint32(8*(len(k)-4))
	if bits > most {
		return fmt.Sprintf("prefix length %d is out of range (0…%d)", bits, most)
	}
	if revision.IsMasked(k) {
		return ""
	}
	masked := append([]byte(nil), k...)
	revision.MaskPrefix(masked)
	return fmt.Sprintf("%x has bits set behind its prefix length %d (did you mean %x?)", k, bits, masked)
}
