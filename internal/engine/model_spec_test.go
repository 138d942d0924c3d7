// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package engine_test

import (
	"encoding/binary"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
	"github.com/bpfmap-io/bpfmap-operator/internal/schema"
)

// The world of the model is small, so that histories meet: three maps, five pins, eight keys.
var (
	modelKeys = []revision.Key{{Namespace: "edge", Name: "a"}, {Namespace: "edge", Name: "b"}, {Namespace: "core", Name: "c"}}
	modelPins = []string{"bpfmap/edge/a", "bpfmap/edge/b", "bpfmap/core/c", "globals/s", "bpfmap/edge/deep/t"}
)

// modelIndexes are the keys. As 32-bit integers they are in another order than as bytes.
var modelIndexes = []uint32{1, 2, 256, 257, 3, 258, 0, 259}

// modelShape is a kind of map.
type modelShape struct {
	name string
	revision.Shape
	// link is what the values name, empty for nothing; inKey says that it is the keys instead.
	link  v1alpha1.ScalarType
	inKey bool
	// lock says that values begin with a spin lock.
	lock bool
	// owned is what programs own of the values.
	owned programPart
}

func plainShape(name string, typ v1alpha1.MapType, key, value, entries uint32, flags ...v1alpha1.MapFlag) modelShape {
	return modelShape{name: name, Shape: revision.Shape{Type: typ, KeySize: key, ValueSize: value, MaxEntries: entries, Flags: flags}}
}

func (s modelShape) linking(to v1alpha1.ScalarType) modelShape {
	s.link = to
	if to == v1alpha1.TypeMapRef {
		s.Inner = &revision.Shape{Type: v1alpha1.MapTypeHash, KeySize: 4, ValueSize: 4, MaxEntries: 16}
	}
	return s
}

func (s modelShape) linkingKeys() modelShape { s.link, s.inKey = v1alpha1.TypeIfindex, true; return s }
func (s modelShape) locking() modelShape     { s.lock = true; return s }

// modelShapes differ in what the kernel shows of them.
var modelShapes = []modelShape{
	plainShape("hash", v1alpha1.MapTypeHash, 4, 4, 6),
	plainShape("hash-wide", v1alpha1.MapTypeHash, 4, 4, 16),
	plainShape("hash-lazy", v1alpha1.MapTypeHash, 4, 4, 16, v1alpha1.FlagNoPrealloc),
	plainShape("hash-k2", v1alpha1.MapTypeHash, 2, 4, 16),
	plainShape("hash-v8", v1alpha1.MapTypeHash, 4, 8, 16),
	plainShape("hash-k8", v1alpha1.MapTypeHash, 8, 4, 16),
	plainShape("lru", v1alpha1.MapTypeLRUHash, 4, 4, 512),
	plainShape("percpu", v1alpha1.MapTypePerCPUHash, 4, 4, 16),
	plainShape("lpm", v1alpha1.MapTypeLPMTrie, 8, 4, 16, v1alpha1.FlagNoPrealloc),
	plainShape("array", v1alpha1.MapTypeArray, 4, 4, 260),
	plainShape("array-short", v1alpha1.MapTypeArray, 4, 4, 258),
	plainShape("array-percpu", v1alpha1.MapTypePerCPUArray, 4, 4, 260),
	plainShape("queue", v1alpha1.MapTypeQueue, 0, 4, 16),
	plainShape("stack", v1alpha1.MapTypeStack, 0, 4, 16),
	plainShape("bloom", v1alpha1.MapTypeBloomFilter, 0, 4, 64),
	plainShape("ringbuf", v1alpha1.MapTypeRingBuf, 0, 0, 4096),
	plainShape("hash-locked", v1alpha1.MapTypeHash, 4, 12, 16).locking(),

	plainShape("owned", v1alpha1.MapTypeHash, 4, 4, 20).owning(ownsLast),
	plainShape("owned-wide", v1alpha1.MapTypeHash, 4, 4, 21).owning(ownsLast),
	plainShape("owned-v8", v1alpha1.MapTypeHash, 4, 8, 20).owning(ownsLast),
	plainShape("owned-lru", v1alpha1.MapTypeLRUHash, 4, 4, 513).owning(ownsLast),
	plainShape("owned-percpu", v1alpha1.MapTypePerCPUHash, 4, 4, 20).owning(ownsLast),
	plainShape("owned-percpu-wide", v1alpha1.MapTypePerCPUHash, 4, 4, 21).owning(ownsLast),
	plainShape("owned-lpm", v1alpha1.MapTypeLPMTrie, 8, 4, 20, v1alpha1.FlagNoPrealloc).owning(ownsLast),
	plainShape("owned-array", v1alpha1.MapTypeArray, 4, 4, 261).owning(ownsLast),
	plainShape("owned-array-wide", v1alpha1.MapTypeArray, 4, 4, 262).owning(ownsLast),
	plainShape("owned-array-percpu", v1alpha1.MapTypePerCPUArray, 4, 4, 261).owning(ownsLast),
	plainShape("owned-whole", v1alpha1.MapTypeHash, 4, 4, 22).owning(ownsWhole),
	plainShape("owned-whole-wide", v1alpha1.MapTypeHash, 4, 4, 23).owning(ownsWhole),
	plainShape("owned-locked", v1alpha1.MapTypeHash, 4, 12, 20).locking().owning(ownsLocked),
	plainShape("owned-locked-wide", v1alpha1.MapTypeHash, 4, 12, 21).locking().owning(ownsLocked),

	plainShape("outer", v1alpha1.MapTypeHashOfMaps, 4, 4, 16).linking(v1alpha1.TypeMapRef),
	plainShape("outer-wide", v1alpha1.MapTypeHashOfMaps, 4, 4, 17).linking(v1alpha1.TypeMapRef),
	plainShape("outer-array", v1alpha1.MapTypeArrayOfMaps, 4, 4, 260).linking(v1alpha1.TypeMapRef),

	plainShape("peers", v1alpha1.MapTypeHash, 4, 8, 18).linking(v1alpha1.TypeIfindex),
	plainShape("peers-wide", v1alpha1.MapTypeHash, 4, 8, 19).linking(v1alpha1.TypeIfindex),
	plainShape("by-interface", v1alpha1.MapTypeHash, 4, 4, 18).linkingKeys(),
	plainShape("devices", v1alpha1.MapTypeDevMapHash, 4, 4, 16).linking(v1alpha1.TypeIfindex),
	plainShape("cgroups", v1alpha1.MapTypeCGroupArray, 4, 4, 260).linking(v1alpha1.TypeCgroup),
	plainShape("programs", v1alpha1.MapTypeProgArray, 4, 4, 260).linking(v1alpha1.TypeProgPin),
}

// The shapes of a history are those of a theme, so that they meet.
var modelThemes = [][]string{
	{"hash", "hash-wide", "hash-lazy", "hash-k2", "hash-v8", "hash-k8", "lru", "percpu", "lpm", "array", "array-short", "array-percpu",
		"queue", "stack", "bloom", "ringbuf", "hash-locked"},
	{"outer", "outer-wide", "outer-array", "hash", "hash-wide", "hash-lazy", "hash"},
	{"owned", "owned-wide", "owned-v8", "owned", "owned-wide", "owned-lru", "owned-percpu", "owned-percpu-wide", "owned-lpm", "owned-array", "owned-array-wide",
		"owned-array-percpu", "owned-whole", "owned-whole-wide", "owned-locked", "owned-locked-wide", "hash"},
	{"peers", "peers-wide", "by-interface", "devices", "cgroups", "programs", "hash"},
}

// The themes that have steps of their own.
const (
	themeOwned = 2
	themeLinks = 3
)

// themeShapes are the indexes of a theme's shapes.
func themeShapes(theme int) []int {
	var all []int
	for _, name := range modelThemes[theme] {
		all = append(all, slices.IndexFunc(modelShapes, func(s modelShape) bool { return s.name == name }))
	}
	return all
}

// modelShapeOf is the model's shape of a map in the kernel.
func modelShapeOf(have revision.Shape) modelShape {
	i := slices.IndexFunc(modelShapes, func(s modelShape) bool { return len(s.Differences(have)) == 0 })
	return modelShapes[i]
}

// modelSpec is what people declare of one map. Copies share nothing.
type modelSpec struct {
	shape   int // in modelShapes
	policy  revision.Policy
	pin     string
	mode    fs.FileMode
	uid     int
	entries map[int]byte // index of the key → value; 0 isn't used
}

func (s modelSpec) clone() modelSpec {
	s.entries = maps.Clone(s.entries)
	return s
}

func (s *modelSpec) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s drift=%s replace=%s adopt=%s delete=%s freeze=%t pin=%s mode=%o uid=%d entries=", modelShapes[s.shape].name,
		s.policy.Sync, s.policy.Drift, s.policy.Replace, s.policy.Adoption, s.policy.Deletion, s.policy.Freeze, s.pin, s.mode, s.uid)
	for i, k := range slices.Sorted(maps.Keys(s.entries)) {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, "%d:%d", modelIndexes[k], s.entries[k])
	}
	return b.String()
}

// key is the n-th key as a map of the shape has it, nil if it can't have it. Where keys name interfaces,
// that is a number which others use.
func (s modelShape) key(n int) []byte {
	i := modelIndexes[n]
	switch {
	case s.IsKeyless(), s.IsIndexed() && i >= s.MaxEntries:
		return nil
	case s.IsLPM():
		// Prefixes of three lengths, so that some lie in others.
		length := 8 * uint32(1+n%3)
		address := (10+uint32(n/3))<<24 | 7<<16 | 9<<8
		return binary.BigEndian.AppendUint32(binary.NativeEndian.AppendUint32(nil, length), address&^(1<<(32-length)-1))
	case s.KeySize == 2:
		return binary.NativeEndian.AppendUint16(nil, uint16(i))
	case s.KeySize == 8:
		return binary.NativeEndian.AppendUint64(nil, uint64(i))
	}
	return binary.NativeEndian.AppendUint32(nil, i)
}

// value is the value of the n-th key as a map of the shape has it on a number of CPUs. target is what it names,
// or its symbol.
func (s modelShape) value(n int, v byte, target uint32, cpus int) []byte {
	value := make([]byte, s.ValueSize)
	switch last := len(value) - 1; {
	case s.link != "" && !s.inKey:
		value[last] = v
		binary.NativeEndian.PutUint32(value, target)
	case s.lock:
		value[4], value[last] = v, v
	case s.IsBloom():
		value[0], value[1] = v, byte(n)
	case last >= 0:
		value[0], value[last] = v, v
	}
	if !s.IsPerCPU() {
		return value
	}
	slot := slices.Concat(value, make([]byte, (8-len(value)%8)%8))
	return []byte(strings.Repeat(string(slot), cpus))
}

// zero is the value of an element that isn't there, in maps whose elements always are.
func (s modelShape) zero(cpus int) []byte { return make([]byte, len(s.value(0, 0, 0, cpus))) }

// revision compiles a spec, as the n-th revision of the map.
func (s *modelSpec) revision(key revision.Key, n int) *revision.Revision {
	shape := modelShapes[s.shape]
	rev := &revision.Revision{
		Key: key, UID: fmt.Sprint("uid-", s.uid), Name: fmt.Sprintf("%s-%d", key.Name, n), Number: int64(n),
		Shape: shape.Shape, Policy: s.policy, Pin: revision.Pin{Path: s.pin, Mode: s.mode},
	}
	rev.Shape.Name = revision.MapName(key)
	rev.KeySchema, rev.ValueSchema = shape.schemas()
	entries := revision.Entries{KeySize: int(shape.KeySize), ValueSize: int(shape.ValueSize)}
	for _, k := range slices.Sorted(maps.Keys(s.entries)) {
		packed, v := shape.key(k), s.entries[k]
		if shape.IsFilledAtRuntime() || packed == nil && !shape.IsKeyless() {
			continue
		}
		var symbol uint32
		if link := shape.names(key, k, v); link != nil {
			symbol = schema.Symbol(*link)
			if !slices.Contains(rev.References, *link) {
				rev.References = append(rev.References, *link)
			}
			if shape.inKey {
				packed = binary.NativeEndian.AppendUint32(nil, symbol)
			}
		}
		one := shape
		one.Type = noPerCPU(shape.Type)
		entries.Append(packed, one.value(k, v, symbol, 1), false)
	}
	var err error
	if rev.Contents, err = revision.NewContents(shape.Shape, &entries); err != nil {
		panic(err) // keys of a spec are those of a Go map
	}
	slices.SortFunc(rev.References, func(a, b v1alpha1.Reference) int { return strings.Compare(a.Name, b.Name) })
	rev.Digest = rev.ContentDigest()
	return rev
}

// noPerCPU is the type that has one value where typ has one for each CPU.
func noPerCPU(typ v1alpha1.MapType) v1alpha1.MapType {
	return v1alpha1.MapType(strings.Replace(string(typ), "PerCPU", "", 1))
}
