// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package compile

import (
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
	"github.com/bpfmap-io/bpfmap-operator/internal/schema"
)

// shape checks what is fixed at creation against the type's limits. key and value are nil for types that
// have none.
func (c *compiler) shape(name revision.Key, key, value *schema.Layout) revision.Shape {
	s := c.spec
	t := traitsOf(s.Type)
	shape := revision.Shape{Type: s.Type, NUMANode: s.NUMANode, Name: revision.MapName(name), MapExtra: uint64(s.HashFunctions)}
	if !t.known {
		c.problems.add("spec.type", "%q is not a supported map type", s.Type)
		return shape
	}
	outer := part{"spec", s.Type, t}
	shape.KeySize, shape.ValueSize = c.sizes(outer, s.Key, key, value)
	shape.MaxEntries = c.maxEntries(outer, s.MaxEntries)
	shape.Flags = c.flags(outer, s.Flags)
	if s.HashFunctions != 0 && (s.Type != v1alpha1.MapTypeBloomFilter || s.HashFunctions < 1 || s.HashFunctions > 15) {
		c.problems.add("spec.hashFunctions", "%d: a BloomFilter takes 1…15, other types none", s.HashFunctions)
	}
	shape.Inner = c.inner()
	c.checkNUMANode(t, shape.Flags)
	c.checkLocks(t, value)
	return shape
}

func (c *compiler) checkNUMANode(t typeTraits, flags []v1alpha1.MapFlag) {
	node := c.spec.NUMANode
	switch {
	case node == nil:
	case t.perCPU:
		c.problems.add("spec.numaNode", "%d: %s has memory on every node and takes none", *node, c.spec.Type)
	case *node < 0:
		c.problems.add("spec.numaNode", "%d is negative", *node)
	case slices.Contains(flags, v1alpha1.FlagNoCommonLRU):
		c.problems.add("spec.numaNode", "%d and flag NoCommonLRU exclude each other", *node)
	}
}

// checkLocks refuses spin locks where the kernel does, and those that would make the map unmanageable.
func (c *compiler) checkLocks(t typeTraits, value *schema.Layout) {
	if value == nil {
		return
	}
	locks, nested := value.SpinLocks()
	switch {
	case len(locks) == 0 && c.spec.Value.Type == v1alpha1.TypeSpinLock:
		c.problems.add("spec.value.type", "spinLock alone protects nothing: make it a field of a struct")
	case len(locks) == 0:
	case !t.locks:
		c.problems.add("spec.value", "%s takes no spin lock (Hash, Array, CGroupStorage and the storage types do)", c.spec.Type)
	case len(locks) > 1:
		c.problems.add("spec.value", "holds %d spin locks, the kernel takes one", len(locks))
	case nested:
		c.problems.add("spec.value", "holds a spin lock in byte %d: the kernel takes it as a field of the outermost struct alone", locks[0])
	case c.spec.Freeze:
		c.problems.add("spec.freeze", "the kernel does not freeze a map whose values hold a spin lock")
	}
}

// inner is the shape of the maps in a map of maps.
func (c *compiler) inner() *revision.Shape {
	in := c.spec.Inner
	takes := traitsOf(c.spec.Type).outer
	switch {
	case !takes && in != nil:
		c.problems.add("spec.inner", "%s does not hold maps: leave it out", c.spec.Type)
		return nil
	case !takes:
		return nil
	case in == nil:
		c.problems.add("spec.inner", "is missing: %s needs to know what the maps in it look like", c.spec.Type)
		return nil
	}
	t := traitsOf(in.Type)
	if !t.known || t.outer || t.noInner {
		c.problems.add("spec.inner.type", "%q can't be an inner map", in.Type)
		return nil
	}
	p := part{"spec.inner", in.Type, t}
	keySchema, valueSchema := c.schemas(p, in.Key, in.Value)
	key, value := c.layouts(p, keySchema, valueSchema)
	if c.problems.total > 0 {
		return nil
	}
	shape := &revision.Shape{Type: in.Type}
	shape.KeySize, shape.ValueSize = c.sizes(p, in.Key, key, value)
	shape.MaxEntries = c.maxEntries(p, in.MaxEntries)
	shape.Flags = c.flags(p, in.Flags)
	return shape
}

// part is the map or its inner maps, and where in the spec they are.
type part struct {
	path   string
	typ    v1alpha1.MapType
	traits typeTraits
}

// sizes are those of key and value, checked against the type.
func (c *compiler) sizes(p part, keySchema *v1alpha1.Schema, key, value *schema.Layout) (keySize, valueSize uint32) {
	if key != nil {
		keySize = uint32(key.Size())
		c.checkKey(p, keySchema, key)
	}
	if value == nil {
		return keySize, 0
	}
	t := p.traits
	switch size := value.Size(); {
	case size > t.maxValue:
		c.problems.add(p.path+".value", "is %d bytes long, %s takes at most %d", size, p.typ, t.maxValue)
	case len(t.valueSizes) > 0 && !slices.Contains(t.valueSizes, size):
		c.problems.add(p.path+".value", "is %d bytes long, %s takes %s", size, p.typ, oneOf(t.valueSizes))
	case p.typ == v1alpha1.MapTypeStackTrace && size%8 != 0:
		c.problems.add(p.path+".value", "is %d bytes long, %s takes a multiple of 8, the size of an address", size, p.typ)
	}
	return keySize, uint32(value.Size())
}

func oneOf(sizes []int) string {
	text := make([]string, len(sizes))
	for i, n := range sizes {
		text[i] = strconv.Itoa(n)
	}
	return strings.Join(text, " or ")
}

// pageSize is the smallest page size of the kernels that this runs on; a node with larger pages says so
// itself.
const pageSize = 4096

func (c *compiler) maxEntries(p part, n int64) uint32 {
	at := p.path + ".maxEntries"
	switch t := p.traits; {
	case t.noMaxEntries && n != 0:
		c.problems.add(at, "%d: a %s grows with what it is attached to and takes none", n, p.typ)
	case t.noMaxEntries:
	case n < 1 || n > math.MaxUint32:
		c.problems.add(at, "%d is out of range (1…%d)", n, math.MaxUint32)
	case t.ring && (n < pageSize || n&(n-1) != 0):
		c.problems.add(at, "%d: the size in bytes of a %s must be a power of two and a multiple of the page size, %d or more", n, p.typ, pageSize)
	}
	return uint32(n)
}

func (c *compiler) checkKey(p part, k *v1alpha1.Schema, key *schema.Layout) {
	typ, t := p.typ, p.traits
	isPrefix := k != nil && (k.Type == v1alpha1.TypeIPv4Prefix || k.Type == v1alpha1.TypeIPv6Prefix)
	switch {
	case t.index:
		if k != nil && (k.Type != v1alpha1.TypeU32 || k.Length != 0) {
			c.problems.add(p.path+".key", "the key of %s is its index: leave it out or set {type: u32}", typ)
		}
	case t.lpm:
		if k.Length != 0 || !isPrefix && k.Type != v1alpha1.TypeHex {
			c.problems.add(p.path+".key", "the key of %s is a prefix: {type: ipv4Prefix}, {type: ipv6Prefix} or {type: hex} with the prefix length in the first 4 bytes", typ)
		} else if key.Size() < 5 {
			c.problems.add(p.path+".key.size", "%d leaves no room for data behind the 4 bytes of the prefix length (5…260)", key.Size())
		}
	case isPrefix:
		c.problems.add(p.path+".key.type", "%s needs type LPMTrie: %s compares keys byte by byte", k.Type, typ)
	}
	switch {
	case key.Size() > t.maxKey:
		c.problems.add(p.path+".key", "is %d bytes long, %s takes at most %d", key.Size(), typ, t.maxKey)
	case len(t.keySizes) > 0 && !slices.Contains(t.keySizes, key.Size()):
		c.problems.add(p.path+".key", "is %d bytes long, %s takes %s", key.Size(), typ, oneOf(t.keySizes))
	}
}

// flags are the declared and the implied flags, sorted.
func (c *compiler) flags(p part, declared []v1alpha1.MapFlag) []v1alpha1.MapFlag {
	flags := slices.Clone(declared)
	t := p.traits
	for i, f := range flags {
		at := p.path + ".flags[" + strconv.Itoa(i) + "]"
		switch {
		case slices.Contains(flags[:i], f):
			c.problems.add(at, "%s is listed twice", f)
		case !slices.Contains(t.flags, f):
			c.problems.add(at, "%s does not take %s (it takes %s)", p.typ, f, join(t.flags))
		}
	}
	if slices.Contains(flags, v1alpha1.FlagRdOnlyProg) && slices.Contains(flags, v1alpha1.FlagWrOnlyProg) {
		c.problems.add(p.path+".flags", "RdOnlyProg and WrOnlyProg exclude each other")
	}
	if t.implied != "" && !slices.Contains(flags, t.implied) {
		flags = append(flags, t.implied) // the kernel demands it
	}
	slices.Sort(flags)
	return flags
}

func join[T ~string](flags []T) string {
	if len(flags) == 0 {
		return "none"
	}
	names := make([]string, len(flags))
	for i, f := range flags {
		names[i] = string(f)
	}
	return strings.Join(names, ", ")
}
