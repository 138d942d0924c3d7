// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package compile

import (
	"slices"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/schema"
)

// typeTraits is what the rules need to know about a map type. Limits are in bytes, as measured on
// Linux 6.18.
type typeTraits struct {
	known        bool
	keyless      bool // no key
	index        bool // the key is an index
	perCPU, lpm  bool
	ring         bool // maxEntries is a size in bytes
	noMaxEntries bool
	noEntries    bool // programs and processes put the elements in
	unlisted     bool // nobody can list what the map holds
	outer        bool // values are maps
	noInner      bool // can't be in a map of maps
	locks        bool // values may hold a spin lock

	maxKey, maxValue     int
	keySizes, valueSizes []int // the only ones, if there are any
	// key and value are the schemas of types that leave no choice or have a usual one.
	key, value v1alpha1.Schema
	// links are the linked types that a value may hold besides ifindex and cgroupID.
	links   []v1alpha1.ScalarType
	flags   []v1alpha1.MapFlag
	implied v1alpha1.MapFlag
}

// kmallocMax is KMALLOC_MAX_SIZE, which bounds keys and values of hash tables.
const kmallocMax = 4 << 20

const (
	// maxPerCPUValue is PCPU_MIN_UNIT_SIZE, the largest value of a per-CPU map.
	maxPerCPUValue = 32 << 10
	// maxStorage bounds the value of local storage (BPF_LOCAL_STORAGE_MAX_VALUE_SIZE, less its header).
	maxStorage = 65535 - 512
	// maxFrames is /proc/sys/kernel/perf_event_max_stack as it comes.
	maxFrames = 127
)

var (
	u32 = v1alpha1.Schema{Type: v1alpha1.TypeU32}
	u64 = v1alpha1.Schema{Type: v1alpha1.TypeU64}

	accessFlags = []v1alpha1.MapFlag{v1alpha1.FlagRdOnlyProg, v1alpha1.FlagWrOnlyProg}
	hashFlags   = append([]v1alpha1.MapFlag{v1alpha1.FlagNoPrealloc, v1alpha1.FlagZeroSeed}, accessFlags...)
	hash        = typeTraits{maxKey: kmallocMax - 1, maxValue: kmallocMax - 1, flags: hashFlags}
	lru         = typeTraits{maxKey: kmallocMax - 1, maxValue: kmallocMax - 1,
		flags: append([]v1alpha1.MapFlag{v1alpha1.FlagNoCommonLRU, v1alpha1.FlagZeroSeed}, accessFlags...)}
	queue = typeTraits{keyless: true, maxValue: kmallocMax - 512, flags: accessFlags}
	// index types have an index as key and an object as value.
	index   = typeTraits{index: true, maxKey: 4, maxValue: 4, key: u32}
	device  = typeTraits{maxKey: 4, maxValue: 8, keySizes: []int{4}, valueSizes: []int{4, 8}, key: u32, value: v1alpha1.Schema{Type: v1alpha1.TypeIfindex}, links: []v1alpha1.ScalarType{v1alpha1.TypeProgPin}}
	socket  = typeTraits{noEntries: true, index: true, maxKey: 4, maxValue: 8, valueSizes: []int{4, 8}, key: u32, value: u64}
	storage = typeTraits{noEntries: true, unlisted: true, noMaxEntries: true, noInner: true, locks: true,
		maxKey: 4, maxValue: maxStorage, keySizes: []int{4}, key: v1alpha1.Schema{Type: v1alpha1.TypeI32},
		flags: []v1alpha1.MapFlag{v1alpha1.FlagNoPrealloc}, implied: v1alpha1.FlagNoPrealloc}
	cgroupStorage = typeTraits{noEntries: true, unlisted: true, noMaxEntries: true, noInner: true,
		maxKey: 16, maxValue: kmallocMax - 512, keySizes: []int{8, 16}, flags: accessFlags}
	buffer = typeTraits{keyless: true, noEntries: true, unlisted: true}
)

func with(t typeTraits, change func(*typeTraits)) typeTraits { change(&t); return t }

func perCPU(t typeTraits) typeTraits {
	t.perCPU, t.maxValue = true, maxPerCPUValue
	return t
}

func linkTo(typ v1alpha1.ScalarType) func(*typeTraits) {
	return func(t *typeTraits) { t.value, t.links = v1alpha1.Schema{Type: typ}, []v1alpha1.ScalarType{typ} }
}

var traits = map[v1alpha1.MapType]typeTraits{
	v1alpha1.MapTypeHash:          with(hash, func(t *typeTraits) { t.locks = true }),
	v1alpha1.MapTypePerCPUHash:    perCPU(hash),
	v1alpha1.MapTypeLRUHash:       lru,
	v1alpha1.MapTypeLRUPerCPUHash: perCPU(lru),
	v1alpha1.MapTypeArray: {index: true, locks: true, maxKey: 4, maxValue: schema.MaxSize, key: u32,
		flags: append([]v1alpha1.MapFlag{v1alpha1.FlagMmapable, v1alpha1.FlagInnerMap}, accessFlags...)},
	v1alpha1.MapTypePerCPUArray: perCPU(typeTraits{index: true, maxKey: 4, key: u32, flags: accessFlags}),
	v1alpha1.MapTypeLPMTrie: {lpm: true, maxKey: 260, maxValue: kmallocMax - 512,
		flags: append([]v1alpha1.MapFlag{v1alpha1.FlagNoPrealloc}, accessFlags...), implied: v1alpha1.FlagNoPrealloc},
	v1alpha1.MapTypeQueue: queue,
	v1alpha1.MapTypeStack: queue,
	v1alpha1.MapTypeBloomFilter: with(queue, func(t *typeTraits) {
		t.unlisted, t.flags = true, append([]v1alpha1.MapFlag{v1alpha1.FlagZeroSeed}, accessFlags...)
	}),

	v1alpha1.MapTypeArrayOfMaps: with(index, func(t *typeTraits) { t.outer = true; linkTo(v1alpha1.TypeMapRef)(t) }),
	v1alpha1.MapTypeHashOfMaps: {outer: true, maxKey: kmallocMax - 1, maxValue: 4, flags: hashFlags,
		value: v1alpha1.Schema{Type: v1alpha1.TypeMapRef}, links: []v1alpha1.ScalarType{v1alpha1.TypeMapRef}},
	v1alpha1.MapTypeProgArray:   with(index, func(t *typeTraits) { t.noInner = true; linkTo(v1alpha1.TypeProgPin)(t) }),
	v1alpha1.MapTypeCGroupArray: with(index, func(t *typeTraits) { t.unlisted = true; linkTo(v1alpha1.TypeCgroup)(t) }),
	v1alpha1.MapTypeDevMap:      with(device, func(t *typeTraits) { t.index = true }),
	v1alpha1.MapTypeDevMapHash:  device,
	v1alpha1.MapTypeCPUMap:      with(device, func(t *typeTraits) { t.index, t.value = true, u32 }),

	v1alpha1.MapTypeXSKMap:             with(socket, func(t *typeTraits) { t.value, t.valueSizes, t.unlisted = u32, []int{4}, true }),
	v1alpha1.MapTypeSockMap:            socket,
	v1alpha1.MapTypeSockHash:           with(socket, func(t *typeTraits) { t.index, t.key, t.maxKey = false, v1alpha1.Schema{}, 512 }),
	v1alpha1.MapTypeReusePortSockArray: with(socket, func(t *typeTraits) { t.flags = accessFlags }),
	v1alpha1.MapTypePerfEventArray: with(socket, func(t *typeTraits) {
		t.value, t.valueSizes, t.unlisted = u32, []int{4}, true
		t.flags = []v1alpha1.MapFlag{v1alpha1.FlagPreserveElems, v1alpha1.FlagWrOnlyProg}
	}),
	v1alpha1.MapTypeStackTrace: {noEntries: true, index: true, maxKey: 4, maxValue: 8 * maxFrames, key: u32,
		value: v1alpha1.Schema{Type: v1alpha1.TypeU64, Length: maxFrames}, flags: []v1alpha1.MapFlag{v1alpha1.FlagStackBuildID}},
	v1alpha1.MapTypeSKStorage:           with(storage, func(t *typeTraits) { t.flags = append(slices.Clone(t.flags), v1alpha1.FlagClone) }),
	v1alpha1.MapTypeInodeStorage:        storage,
	v1alpha1.MapTypeTaskStorage:         storage,
	v1alpha1.MapTypeCGRPStorage:         storage,
	v1alpha1.MapTypeCGroupStorage:       with(cgroupStorage, func(t *typeTraits) { t.locks = true }),
	v1alpha1.MapTypePerCPUCGroupStorage: perCPU(cgroupStorage),
	v1alpha1.MapTypeRingBuf:             with(buffer, func(t *typeTraits) { t.ring = true }),
	v1alpha1.MapTypeUserRingBuf:         with(buffer, func(t *typeTraits) { t.ring = true }),
	v1alpha1.MapTypeArena: with(buffer, func(t *typeTraits) {
		t.noInner, t.flags, t.implied = true, []v1alpha1.MapFlag{v1alpha1.FlagMmapable}, v1alpha1.FlagMmapable
	}),
}

func traitsOf(t v1alpha1.MapType) typeTraits {
	found, ok := traits[t]
	found.known = ok
	return found
}

// schemas are the declared schemas, or those of the type if it leaves no choice.
func (c *compiler) schemas(p part, key *v1alpha1.Schema, value v1alpha1.Schema) (*v1alpha1.Schema, *v1alpha1.Schema) {
	t := p.traits
	keySchema, valueSchema := key, &value
	switch {
	case t.keyless && key != nil:
		c.problems.add(p.path+".key", "%s has no key: leave it out", p.typ)
	case key == nil && !isZero(&t.key):
		keySchema = &t.key
	case key == nil && !t.keyless && t.known:
		c.problems.add(p.path+".key", "is missing: %s needs one", p.typ)
	}
	if t.keyless {
		keySchema = nil
	}
	valueless := t.keyless && t.maxValue == 0
	switch {
	case valueless && !isZero(&value) && t.known:
		c.problems.add(p.path+".value", "%s has no values: leave it out", p.typ)
	case valueless && t.known:
		valueSchema = nil
	case isZero(&value) && !isZero(&t.value):
		valueSchema = &t.value
	case isZero(&value) && t.known:
		c.problems.add(p.path+".value", "is missing: %s needs one", p.typ)
	}
	return keySchema, valueSchema
}

func isZero(s *v1alpha1.Schema) bool {
	return s.Type == "" && len(s.Fields) == 0 && s.Length == 0 && s.Size == 0 && !s.Packed
}

// checkLinks refuses linked types where the kernel takes no such value.
func (c *compiler) checkLinks(p part, key, value *schema.Layout) {
	check := func(path string, l *schema.Layout, more ...v1alpha1.ScalarType) {
		if l == nil {
			return
		}
		allowed := append([]v1alpha1.ScalarType{v1alpha1.TypeIfindex, v1alpha1.TypeCgroupID}, more...)
		for _, f := range l.Links() {
			if !slices.Contains(allowed, f.Type) {
				c.problems.add(path, "%s takes no %s here (it takes %s)", p.typ, f.Type, join(allowed))
				return
			}
		}
	}
	check(p.path+".key", key)
	check(p.path+".value", value, p.traits.links...)
	if value == nil || len(p.traits.valueSizes) == 0 {
		return
	}
	for _, f := range value.Links() { // struct bpf_devmap_val and bpf_cpumap_val
		if f.Type == v1alpha1.TypeProgPin && f.Offset != 4 || f.Type == v1alpha1.TypeIfindex && f.Offset != 0 {
			c.problems.add(p.path+".value", "has %s in byte %d, %s takes {fields: [{name: ifindex, type: ifindex}, {name: prog, type: progPin}]} (a CPUMap: qsize of type u32 first)", f.Type, f.Offset, p.typ)
		}
	}
}
