// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package compile

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/maptype"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
	"github.com/bpfmap-io/bpfmap-operator/internal/schema"
)

// shape checks what is fixed at creation against the type's limits. key and value are nil for types that
// have none.
func (c *compiler) shape(name revision.Key, key, value *schema.Layout) revision.Shape {
	s := c.spec
	t := traitsOf(s.Type)
	shape := revision.Shape{Type: s.Type, NUMANode: s.NUMANode, Name: revision.MapName(name), ExclusiveProgram: s.ExclusiveProgramHash}
	if t == nil {
		c.problems.add("spec.type", "%s", unknownType(s.Type))
		return shape
	}
	outer := newPart("spec", s.Type, s.Flags)
	shape.KeySize, shape.ValueSize = c.sizes(outer, s.Key, key, value)
	shape.MaxEntries = c.maxEntries(outer, s.MaxEntries)
	shape.Flags = c.flags(outer, s.Flags)
	shape.MapExtra = c.mapExtra(t)
	c.checkExclusive()
	shape.Inner = c.inner()
	c.checkNUMANode(t, shape.Flags)
	c.checkLocks(t, value)
	c.checkOwner(t, shape.Flags)
	return shape
}

// checkOwner refuses values with two owners where one of them couldn't write.
func (c *compiler) checkOwner(t *maptype.Type, flags []v1alpha1.MapFlag) {
	below := schema.OwnedBelow(&c.spec.Value)
	if below == nil {
		return
	}
	path := "spec.value" + *below + ".owner"
	sharing, _ := maptype.Set("shared")
	switch {
	case t.Runtime:
		c.problems.add(path, "programs and processes own all of a %s anyway: leave owner out", c.spec.Type)
	case !t.CanShare():
		c.problems.add(path, "the values of a %s are written as a whole, so programs can't own a part of them (they can in %s): leave owner out", c.spec.Type, maptype.List(sharing))
	case c.spec.Freeze:
		c.problems.add("spec.freeze", "a frozen map's declared fields can't change, and a new map for each change would take what programs wrote (%s) with it: leave freeze out, or keep what is frozen and what programs own in two maps", path)
	case slices.Contains(flags, v1alpha1.FlagRdOnlyProg):
		c.problems.add(path, "programs can't write into a map with the flag RdOnlyProg: leave out one of the two")
	}
}

func (c *compiler) checkNUMANode(t *maptype.Type, flags []v1alpha1.MapFlag) {
	node := c.spec.NUMANode
	switch {
	case node == nil:
	case t.PerCPU:
		c.problems.add("spec.numaNode", "%d: %s has memory on every node and takes none", *node, c.spec.Type)
	case !t.NUMA:
		c.problems.add("spec.numaNode", "%d: the kernel does not place a %s: leave it out", *node, c.spec.Type)
	case *node < 0:
		c.problems.add("spec.numaNode", "%d is negative", *node)
	case slices.Contains(flags, v1alpha1.FlagNoCommonLRU):
		c.problems.add("spec.numaNode", "%d and flag NoCommonLRU exclude each other", *node)
	}
}

// checkLocks refuses spin locks where the kernel does, and those that would make the map unmanageable.
func (c *compiler) checkLocks(t *maptype.Type, value *schema.Layout) {
	if value == nil {
		return
	}
	locks, nested := value.SpinLocks()
	switch {
	case len(locks) == 0 && c.spec.Value.Type == v1alpha1.TypeSpinLock:
		c.problems.add("spec.value.type", "spinLock alone protects nothing: make it a field of a struct")
	case len(locks) == 0:
	case !t.SpinLock:
		locking, _ := maptype.Set("spinLock")
		c.problems.add("spec.value", "%s does not allow a spin lock (allowed in %s)", c.spec.Type, maptype.List(locking))
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
	takes := traitsOf(c.spec.Type).MapOfMaps
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
	if t := traitsOf(in.Type); t == nil || t.Inner == maptype.NotInner {
		c.problems.add("spec.inner.type", "%q can't be an inner map", in.Type)
		return nil
	}
	p := newPart("spec.inner", in.Type, in.Flags)
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
	traits *maptype.Type // nil if there is no such type
	flags  maptype.Flags
}

func newPart(path string, typ v1alpha1.MapType, flags []v1alpha1.MapFlag) part {
	return part{path: path, typ: typ, traits: traitsOf(typ), flags: flagSet(flags)}
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
	if value.IsPrefix() {
		c.problems.add(p.path+".value.prefix", "only the key of an LPMTrie is matched by prefix")
	}
	if c.checkSize(p, p.path+".value", value.Size(), p.traits.ValueWith(p.flags)) {
		if most := p.traits.MaxElement; most > 0 && int(keySize)+value.Size() > most {
			c.problems.add(p.path+".value", "is %d bytes long, and the key %d: %s takes at most %d together", value.Size(), keySize, p.typ, most)
		}
	}
	return keySize, uint32(value.Size())
}

// checkSize says whether the type takes a key or value of a size in bytes.
func (c *compiler) checkSize(p part, path string, size int, d maptype.Datum) bool {
	if d.Takes(size) {
		return true
	}
	limit := fmt.Sprintf("%d…%d", d.Min, d.Max)
	switch {
	case d.Min == d.Max:
		limit = strconv.Itoa(d.Min)
	case d.Multiple > 0 && d.Max == 2*d.Multiple:
		limit = fmt.Sprintf("%d or %d", d.Min, d.Max)
	case d.Multiple > 0:
		limit += fmt.Sprintf(", a multiple of %d", d.Multiple)
	case size > d.Max:
		limit = fmt.Sprintf("at most %d", d.Max)
	}
	c.problems.add(path, "is %d bytes long, %s takes %s", size, p.typ, limit)
	return false
}

// pageSize is the smallest page size of the kernels that this runs on; a node with larger pages says so
// itself.
const pageSize = 4096

func (c *compiler) maxEntries(p part, n int64) uint32 {
	at := p.path + ".maxEntries"
	switch t := p.traits; {
	case t.Capacity == maptype.Unbounded && n != 0:
		c.problems.add(at, "%d: a %s grows with what it is attached to and takes none", n, p.typ)
	case t.Capacity == maptype.Unbounded:
	case n == 0: // what isn't there is 0 as well
		c.problems.add(at, "is missing, or 0: must be between 1 and %d", uint32(math.MaxUint32))
	case n < 1 || n > math.MaxUint32:
		c.problems.add(at, "%d is out of range (1…%d)", n, math.MaxUint32)
	case t.Capacity == maptype.Bytes && (n < pageSize || n&(n-1) != 0):
		c.problems.add(at, "%d: the size in bytes of a %s must be a power of two and a multiple of the page size, %d or more", n, p.typ, pageSize)
	}
	return uint32(n)
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
		case flagSet(flags[i:i+1])&t.Flags == 0:
			c.problems.add(at, "%s does not allow %s (allowed: %s)", p.typ, f, join(t.Flags.Names()))
		}
	}
	if slices.Contains(flags, v1alpha1.FlagRdOnlyProg) && slices.Contains(flags, v1alpha1.FlagWrOnlyProg) {
		c.problems.add(p.path+".flags", "RdOnlyProg and WrOnlyProg exclude each other")
	}
	for _, f := range (t.Implied &^ p.flags).Split() {
		flags = append(flags, v1alpha1.MapFlag(f.Name)) // the kernel demands it
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
