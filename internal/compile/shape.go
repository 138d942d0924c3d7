// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package compile

import (
	"io/fs"
	"math"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
	"github.com/bpfmap-io/bpfmap-operator/internal/schema"
)

// typeTraits is what the rules need to know about a map type. Limits are in bytes, as measured on
// Linux 6.18.
type typeTraits struct {
	known, keyless, array, perCPU, lpm bool
	maxKey, maxValue                   int
	flags                              []v1alpha1.MapFlag
}

// kmallocMax is KMALLOC_MAX_SIZE, which bounds keys and values of hash tables.
const kmallocMax = 4 << 20

var (
	accessFlags = []v1alpha1.MapFlag{v1alpha1.FlagRdOnlyProg, v1alpha1.FlagWrOnlyProg}
	hash        = typeTraits{known: true, maxKey: kmallocMax - 1, maxValue: kmallocMax - 1,
		flags: append([]v1alpha1.MapFlag{v1alpha1.FlagNoPrealloc, v1alpha1.FlagZeroSeed}, accessFlags...)}
	lru = typeTraits{known: true, maxKey: kmallocMax - 1, maxValue: kmallocMax - 1,
		flags: append([]v1alpha1.MapFlag{v1alpha1.FlagNoCommonLRU, v1alpha1.FlagZeroSeed}, accessFlags...)}
)

// maxPerCPUValue is PCPU_MIN_UNIT_SIZE, the largest value of a per-CPU map.
const maxPerCPUValue = 32 << 10

func perCPU(t typeTraits) typeTraits {
	t.perCPU, t.maxValue = true, maxPerCPUValue
	return t
}

var traits = map[v1alpha1.MapType]typeTraits{
	v1alpha1.MapTypeHash:          hash,
	v1alpha1.MapTypePerCPUHash:    perCPU(hash),
	v1alpha1.MapTypeLRUHash:       lru,
	v1alpha1.MapTypeLRUPerCPUHash: perCPU(lru),
	v1alpha1.MapTypeArray: {known: true, array: true, maxKey: 4, maxValue: schema.MaxSize,
		flags: append([]v1alpha1.MapFlag{v1alpha1.FlagMmapable, v1alpha1.FlagInnerMap}, accessFlags...)},
	v1alpha1.MapTypePerCPUArray: perCPU(typeTraits{known: true, array: true, maxKey: 4, flags: accessFlags}),
	v1alpha1.MapTypeLPMTrie: {known: true, lpm: true, maxKey: 260, maxValue: kmallocMax - 512,
		flags: append([]v1alpha1.MapFlag{v1alpha1.FlagNoPrealloc}, accessFlags...)},
	v1alpha1.MapTypeQueue: {known: true, keyless: true, maxValue: kmallocMax - 512, flags: accessFlags},
	v1alpha1.MapTypeStack: {known: true, keyless: true, maxValue: kmallocMax - 512, flags: accessFlags},
}

func traitsOf(t v1alpha1.MapType) typeTraits { return traits[t] }

// shape checks what is fixed at creation against the type's limits.
func (c *compiler) shape(name revision.Key, key, value *schema.Layout) revision.Shape {
	s := c.spec
	t := traitsOf(s.Type)
	shape := revision.Shape{
		Type: s.Type, ValueSize: uint32(value.Size()), NUMANode: s.NUMANode, Name: revision.MapName(name),
	}
	if !t.known {
		c.problems.add("spec.type", "%q is no map type of this version", s.Type)
		return shape
	}
	if key != nil {
		shape.KeySize = uint32(key.Size())
		c.checkKey(t, key)
	}
	if value.Size() > t.maxValue {
		c.problems.add("spec.value", "is %d bytes long, %s takes at most %d", value.Size(), s.Type, t.maxValue)
	}
	if s.MaxEntries < 1 || s.MaxEntries > math.MaxUint32 {
		c.problems.add("spec.maxEntries", "%d is out of range (1…%d)", s.MaxEntries, math.MaxUint32)
	}
	shape.MaxEntries = uint32(s.MaxEntries)
	shape.Flags = c.flags(t)
	switch {
	case s.NUMANode == nil:
	case t.perCPU:
		c.problems.add("spec.numaNode", "%d: %s has memory on every node and takes none", *s.NUMANode, s.Type)
	case *s.NUMANode < 0:
		c.problems.add("spec.numaNode", "%d is negative", *s.NUMANode)
	case slices.Contains(shape.Flags, v1alpha1.FlagNoCommonLRU):
		c.problems.add("spec.numaNode", "%d and flag NoCommonLRU exclude each other", *s.NUMANode)
	}
	return shape
}

func (c *compiler) checkKey(t typeTraits, key *schema.Layout) {
	typ := c.spec.Type
	k := c.spec.Key
	isPrefix := k != nil && (k.Type == v1alpha1.TypeIPv4Prefix || k.Type == v1alpha1.TypeIPv6Prefix)
	switch {
	case t.array:
		if k != nil && (k.Type != v1alpha1.TypeU32 || k.Length != 0) {
			c.problems.add("spec.key", "the key of %s is its index: leave it out or set {type: u32}", typ)
		}
	case t.lpm:
		if k.Length != 0 || !isPrefix && k.Type != v1alpha1.TypeHex {
			c.problems.add("spec.key", "the key of %s is a prefix: {type: ipv4Prefix}, {type: ipv6Prefix} or {type: hex} with the prefix length in the first 4 bytes", typ)
		} else if key.Size() < 5 {
			c.problems.add("spec.key.size", "%d leaves no room for data behind the 4 bytes of the prefix length (5…260)", key.Size())
		}
	case isPrefix:
		c.problems.add("spec.key.type", "%s needs type LPMTrie: %s compares keys byte by byte", k.Type, typ)
	}
	if key.Size() > t.maxKey {
		c.problems.add("spec.key", "is %d bytes long, %s takes at most %d", key.Size(), typ, t.maxKey)
	}
}

// flags are the declared and the implied flags, sorted.
func (c *compiler) flags(t typeTraits) []v1alpha1.MapFlag {
	flags := slices.Clone(c.spec.Flags)
	for i, f := range flags {
		switch {
		case slices.Contains(flags[:i], f):
			c.problems.add("spec.flags["+strconv.Itoa(i)+"]", "%s is listed twice", f)
		case !slices.Contains(t.flags, f):
			c.problems.add("spec.flags["+strconv.Itoa(i)+"]", "%s does not take %s (it takes %s)", c.spec.Type, f, join(t.flags))
		}
	}
	if slices.Contains(flags, v1alpha1.FlagRdOnlyProg) && slices.Contains(flags, v1alpha1.FlagWrOnlyProg) {
		c.problems.add("spec.flags", "RdOnlyProg and WrOnlyProg exclude each other")
	}
	if t.lpm && !slices.Contains(flags, v1alpha1.FlagNoPrealloc) {
		flags = append(flags, v1alpha1.FlagNoPrealloc) // the kernel demands it
	}
	slices.Sort(flags)
	return flags
}

func join(flags []v1alpha1.MapFlag) string {
	names := make([]string, len(flags))
	for i, f := range flags {
		names[i] = string(f)
	}
	return strings.Join(names, ", ")
}

// defaultPinMode is what the kernel gives a pin.
const defaultPinMode fs.FileMode = 0o600

func (c *compiler) pin(key revision.Key) revision.Pin {
	pin := revision.Pin{Path: revision.DefaultPinPath(key), Mode: defaultPinMode}
	p := c.spec.Pin
	if p == nil {
		return pin
	}
	if p.Path != "" {
		pin.Path = p.Path
		c.checkPinPath(p.Path)
	}
	if p.Mode != "" {
		mode, err := strconv.ParseUint(p.Mode, 8, 32)
		if err != nil || mode > 0o777 {
			c.problems.add("spec.pin.mode", "%q is no octal mode (0000…0777)", p.Mode)
		}
		pin.Mode = fs.FileMode(mode)
	}
	pin.UID = c.ownerID("spec.pin.uid", p.UID)
	pin.GID = c.ownerID("spec.pin.gid", p.GID)
	return pin
}

func (c *compiler) ownerID(path string, id *int64) uint32 {
	if id == nil {
		return 0
	}
	if *id < 0 || *id >= math.MaxUint32 {
		c.problems.add(path, "%d is out of range (0…%d)", *id, math.MaxUint32-1)
		return 0
	}
	return uint32(*id)
}

// stateDir is where agents keep their own pins.
const stateDir = revision.PinRoot + "/_state"

func (c *compiler) checkPinPath(p string) {
	const at = "spec.pin.path"
	switch {
	case len(p) > 1024:
		c.problems.add(at, "has %d characters, at most 1024 are possible", len(p))
	case strings.HasPrefix(p, "/"):
		c.problems.add(at, "%q must be relative to the BPF file system", p)
	case slices.Contains(strings.Split(p, "/"), ".."):
		c.problems.add(at, "%q must not contain '..'", p)
	case strings.Contains(p, "."):
		c.problems.add(at, "%q must not contain '.', which the BPF file system reserves", p)
	case path.Clean(p) != p || strings.ContainsRune(p, 0):
		c.problems.add(at, "%q has an empty element", p)
	case p == stateDir || strings.HasPrefix(p, stateDir+"/") || p == revision.PinRoot:
		c.problems.add(at, "%q is reserved", p)
	}
	for _, element := range strings.Split(p, "/") {
		if len(element) > 255 {
			c.problems.add(at, "has an element of %d characters, at most 255 are possible", len(element))
		}
	}
}
