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
}

var modelShapes = []modelShape{
	{"hash", revision.Shape{Type: v1alpha1.MapTypeHash, KeySize: 4, ValueSize: 4, MaxEntries: 6}},
	{"hash-wide", revision.Shape{Type: v1alpha1.MapTypeHash, KeySize: 4, ValueSize: 4, MaxEntries: 16}},
	{"hash-lazy", revision.Shape{Type: v1alpha1.MapTypeHash, KeySize: 4, ValueSize: 4, MaxEntries: 16, Flags: []v1alpha1.MapFlag{v1alpha1.FlagNoPrealloc}}},
	{"hash-k2", revision.Shape{Type: v1alpha1.MapTypeHash, KeySize: 2, ValueSize: 4, MaxEntries: 16}},
	{"hash-v8", revision.Shape{Type: v1alpha1.MapTypeHash, KeySize: 4, ValueSize: 8, MaxEntries: 16}},
	{"hash-k8", revision.Shape{Type: v1alpha1.MapTypeHash, KeySize: 8, ValueSize: 4, MaxEntries: 16}},
	{"lru", revision.Shape{Type: v1alpha1.MapTypeLRUHash, KeySize: 4, ValueSize: 4, MaxEntries: 512}},
	{"percpu", revision.Shape{Type: v1alpha1.MapTypePerCPUHash, KeySize: 4, ValueSize: 4, MaxEntries: 16}},
	{"lpm", revision.Shape{Type: v1alpha1.MapTypeLPMTrie, KeySize: 8, ValueSize: 4, MaxEntries: 16, Flags: []v1alpha1.MapFlag{v1alpha1.FlagNoPrealloc}}},
	{"array", revision.Shape{Type: v1alpha1.MapTypeArray, KeySize: 4, ValueSize: 4, MaxEntries: 260}},
	{"array-short", revision.Shape{Type: v1alpha1.MapTypeArray, KeySize: 4, ValueSize: 4, MaxEntries: 258}},
	{"array-percpu", revision.Shape{Type: v1alpha1.MapTypePerCPUArray, KeySize: 4, ValueSize: 4, MaxEntries: 260}},
	{"queue", revision.Shape{Type: v1alpha1.MapTypeQueue, ValueSize: 4, MaxEntries: 16}},
	{"stack", revision.Shape{Type: v1alpha1.MapTypeStack, ValueSize: 4, MaxEntries: 16}},
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
	fmt.Fprintf(&b, "%s %s drift=%s replace=%s delete=%s freeze=%t pin=%s mode=%o uid=%d entries=", modelShapes[s.shape].name,
		s.policy.Sync, s.policy.Drift, s.policy.Replace, s.policy.Deletion, s.policy.Freeze, s.pin, s.mode, s.uid)
	for i, k := range slices.Sorted(maps.Keys(s.entries)) {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, "%d:%d", modelIndexes[k], s.entries[k])
	}
	return b.String()
}

// packKey is the n-th key as a map of the shape has it, nil if it can't have it.
func packKey(s revision.Shape, n int) []byte {
	i := modelIndexes[n]
	switch {
	case s.IsKeyless(), s.IsArray() && i >= s.MaxEntries:
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

// packValue is a value as a map of the shape has it: of all CPUs for those of per-CPU maps.
func packValue(s revision.Shape, v byte, cpus int) []byte {
	value := make([]byte, s.ValueSize)
	value[0], value[len(value)-1] = v, v
	if !s.IsPerCPU() {
		return value
	}
	slot := slices.Concat(value, make([]byte, (8-len(value)%8)%8))
	return []byte(strings.Repeat(string(slot), cpus))
}

// revision compiles a spec, as the n-th revision of the map.
func (s *modelSpec) revision(key revision.Key, n int) *revision.Revision {
	shape := modelShapes[s.shape].Shape
	shape.Name = revision.MapName(key)
	entries := revision.Entries{KeySize: int(shape.KeySize), ValueSize: int(shape.ValueSize)}
	for _, k := range slices.Sorted(maps.Keys(s.entries)) {
		if packed := packKey(shape, k); packed != nil || shape.IsKeyless() {
			one := shape
			one.Type = v1alpha1.MapTypeHash // one CPU's value
			entries.Append(packed, packValue(one, s.entries[k], 1), false)
		}
	}
	sorted, _ := entries.Sorted(shape)
	return &revision.Revision{
		Key: key, UID: fmt.Sprint("uid-", s.uid), Name: fmt.Sprintf("%s-%d", key.Name, n), Number: int64(n),
		Shape: shape, Policy: s.policy, Pin: revision.Pin{Path: s.pin, Mode: s.mode}, Entries: sorted, Digest: sorted.Digest(),
	}
}

// declared are the entries of a spec as the map holds them: packed key → packed value.
func (s *modelSpec) declared(cpus int) map[string]string {
	shape := modelShapes[s.shape].Shape
	all := map[string]string{}
	for k, v := range s.entries {
		if packed := packKey(shape, k); packed != nil {
			all[string(packed)] = string(packValue(shape, v, cpus))
		}
	}
	return all
}
