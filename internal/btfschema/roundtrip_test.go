// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package btfschema

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/cilium/ebpf/btf"
	"github.com/google/go-cmp/cmp"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/schema"
)

// normal is a schema as its places: what two schemas of the same meaning have in common. Padding, alignment and
// defaults are no part of it.
func normal(s *v1alpha1.Schema, path string, at int) (all []string) {
	element := *s
	element.Length, element.Dimensions = 0, nil
	e := elementExtent(&element)
	all = append(all, fmt.Sprintf("%s: %d bytes at bit %d, array %v", path, e.size, at, dimensions(s)))
	if len(s.Fields) > 0 {
		spots, _ := place(&element)
		for i := range spots {
			if f := spots[i].field; f.Type != v1alpha1.TypePadding {
				all = append(all, normal(&f.Schema, path+"."+f.Name, at+spots[i].at)...)
			}
		}
		return append(all, fmt.Sprintf("%s: union %t", path, s.Union))
	}
	element.Align, element.Default = 0, nil
	if element.Type == v1alpha1.TypeIP && element.IPv4As == "" {
		element.IPv4As = v1alpha1.IPv4Mapped
	}
	if element.LengthType == v1alpha1.TypeU8 {
		element.LengthType = ""
	}
	text, err := json.Marshal(element)
	if err != nil {
		panic(err)
	}
	return append(all, fmt.Sprintf("%s: %s", path, text))
}

// maker makes random schemas that are valid.
type maker struct{ *rand.Rand }

func (r maker) schema(depth int) v1alpha1.Schema {
	var s v1alpha1.Schema
	if depth > 0 && r.IntN(3) == 0 {
		s = r.structure(depth - 1)
	} else {
		s = r.scalar()
	}
	switch r.IntN(8) {
	case 0:
		s.Length = 1 + r.Int32N(3)
	case 1:
		s.Dimensions = []int32{1 + r.Int32N(3), 2 + r.Int32N(2)}
	}
	return s
}

func (r maker) structure(depth int) v1alpha1.Schema {
	s := v1alpha1.Schema{Packed: r.IntN(4) == 0, Union: r.IntN(4) == 0}
	if r.IntN(6) == 0 {
		s.Align = 1 << r.IntN(5)
	}
	for i := range 1 + r.IntN(5) {
		f := v1alpha1.Field{Name: fmt.Sprintf("m%d", i)}
		switch r.IntN(6) {
		case 0:
			f = v1alpha1.Field{Name: f.Name, Schema: r.bits()}
		case 1:
			if i > 0 {
				f = v1alpha1.Field{Schema: v1alpha1.Schema{Type: v1alpha1.TypePadding, Size: 1 + r.Int32N(3)}}
				break
			}
			f.Schema = r.schema(depth)
		default:
			f.Schema = r.schema(depth)
			if r.IntN(8) == 0 && f.Type != "" {
				f.Align = int32(max(elementExtent(&f.Schema).align, 8))
			}
		}
		s.Fields = append(s.Fields, f)
	}
	return s
}

func (r maker) bits() v1alpha1.Schema {
	types := []v1alpha1.ScalarType{v1alpha1.TypeU8, v1alpha1.TypeU16, v1alpha1.TypeU32, v1alpha1.TypeI32, v1alpha1.TypeU64}
	s := v1alpha1.Schema{Type: types[r.IntN(len(types))]}
	s.Bits = min(2+r.Int32N(int32(8*extents[s.Type].size)), int32(8*extents[s.Type].size))
	if r.IntN(3) == 0 {
		s.Enum = map[string]int64{"OFF": 0, "ON": 1}
	}
	return s
}

func (r maker) scalar() v1alpha1.Schema {
	types := []v1alpha1.ScalarType{
		"u8", "u16", "u32", "u64", "u128", "i8", "i16", "i32", "i64", "i128", "be16", "be32", "be64", "f32", "f64", "bool",
		"ipv4", "ipv4Host", "ipv6", "ip", "mac", "ipv4Prefix", "ipv6Prefix", "ipPrefix", "string", "countedString", "dnsName",
		"bytes", "hex", "ifindex", "cgroupID",
	}
	s := v1alpha1.Schema{Type: types[r.IntN(len(types))]}
	switch {
	case isSized(s.Type) || s.Type == v1alpha1.TypeCountedString:
		s.Size = 1 + r.Int32N(9)
		if s.Type == v1alpha1.TypeCountedString && r.IntN(2) == 0 {
			s.LengthType = v1alpha1.TypeBE16
		}
	case (s.Type == v1alpha1.TypeIP || s.Type == v1alpha1.TypeIPPrefix) && r.IntN(2) == 0:
		s.IPv4As = v1alpha1.IPv4First
	case isInteger(&s) && s.Type != v1alpha1.TypeBool && extents[s.Type].size <= 8, order(s.Type) == networkByteOrder && s.Type != v1alpha1.TypeIPv4:
		switch r.IntN(8) {
		case 0:
			s.Enum = map[string]int64{"NONE": 0, "ALL": 127, "SOME": 5, "SAME": 5}
		case 1:
			s.Flags = map[string]int64{"READ": 1, "WRITE": 2}
		case 2:
			s.Duration = v1alpha1.UnitNanoseconds
		case 3:
			s.Time = v1alpha1.UnitSeconds
		}
	}
	if schema.IsByteArray(s.Type) && r.IntN(4) == 0 {
		s.Align = 1
	}
	return s
}

// written are the types of a map's key and value as they are written, for older kernels if plain, and read again
// through load.
func written(t *testing.T, key, value *v1alpha1.Schema, plain, isLPM bool, load func([]byte, btf.TypeID, btf.TypeID) *btf.Spec) (readKey, readValue *v1alpha1.Schema) {
	t.Helper()
	w := Writer{Plain: plain}
	var b btf.Builder
	keyType := w.Type(key, "map_key")
	if isLPM {
		keyType = w.LPMKey(key, "map_lpm_key")
	}
	all := []btf.Type{keyType, w.Type(value, "map_value")}
	for _, e := range w.Enums() {
		all = append(all, e)
	}
	ids := make([]btf.TypeID, len(all))
	for i, typ := range all {
		var err error
		if ids[i], err = b.Add(typ); err != nil {
			t.Fatal(err)
		}
	}
	raw, err := b.Marshal(nil, &btf.MarshalOptions{Order: binary.NativeEndian, ReplaceDeclTags: plain, ReplaceEnum64: plain})
	if err != nil {
		t.Fatal(err)
	}
	spec := load(raw, ids[0], ids[1])
	r := In(spec)
	read := make([]*v1alpha1.Schema, 2)
	for i := range read {
		typ, err := spec.TypeByID(ids[i])
		if err != nil {
			t.Fatal(err)
		}
		var notes []string
		if read[i], notes = r.Of(typ); isLPM && i == 0 {
			read[i], notes = r.OfLPMKey(typ)
		}
		if len(notes) > 0 && !plain {
			t.Errorf("notes: %q", notes)
		}
		c := r.Compare([]*v1alpha1.Schema{key, value}[i], typ)
		if isLPM && i == 0 {
			c = r.CompareLPMKey(key, typ)
		}
		if !c.Fits() {
			t.Errorf("our own type doesn't fit: %v\n%s", texts(c.Misfits), c.SideBySide())
		}
	}
	return read[0], read[1]
}

// TestRoundTrip: what we write as BTF reads back as the same schema.
func TestRoundTrip(t *testing.T) {
	for seed := range uint64(500) {
		r := maker{rand.New(rand.NewPCG(seed, 1))}
		key, value := r.schema(2), r.structure(3)
		readKey, readValue := written(t, &key, &value, false, false, parsed(t))
		for _, pair := range [][2]*v1alpha1.Schema{{&key, readKey}, {&value, readValue}} {
			if diff := cmp.Diff(normal(pair[0], "", 0), normal(pair[1], "", 0)); diff != "" {
				text, _ := json.Marshal(pair[0])
				t.Fatalf("seed %d: %s (-written +read)\n%s", seed, text, diff)
			}
		}
	}
}

// TestPlainFits: what we write for kernels that take no tags and no floats fits the schema that it was written of.
func TestPlainFits(t *testing.T) {
	for seed := range uint64(500) {
		r := maker{rand.New(rand.NewPCG(seed, 3))}
		key, value := r.schema(2), r.structure(3)
		readKey, readValue := written(t, &key, &value, true, false, parsed(t))
		for _, pair := range [][2]*v1alpha1.Schema{{&key, readKey}, {&value, readValue}} {
			if extentOf(pair[0]).size != extentOf(pair[1]).size || t.Failed() {
				text, _ := json.Marshal(pair[0])
				t.Fatalf("seed %d: %s", seed, text)
			}
		}
	}
}

// parsed reads BTF without the kernel.
func parsed(t *testing.T) func([]byte, btf.TypeID, btf.TypeID) *btf.Spec {
	return func(raw []byte, _, _ btf.TypeID) *btf.Spec {
		spec, err := btf.LoadSpecFromReader(bytes.NewReader(raw))
		if err != nil {
			t.Fatal(err)
		}
		return spec
	}
}
