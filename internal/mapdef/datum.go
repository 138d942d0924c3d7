// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package mapdef

import (
	"math"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/maptype"
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
	case w.usable(byDefault, d.ValueSize) == nil:
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
		return v1alpha1.Schema{Type: v1alpha1.TypeU64, Length: int32(d.ValueSize / 8)} //nolint:gosec // an eighth of 32 bits fits
	}
	return v1alpha1.Schema{Type: v1alpha1.TypeU32}
}

// datum is a schema of a size in any case: bytes where there is no other.
func (w *writer) datum(what string, d Datum, size uint32) *v1alpha1.Schema {
	reason := d.Untyped
	if d.Schema != nil {
		err := w.usable(d.Schema, size)
		if err == nil {
			for _, n := range d.Notes {
				w.remark("%s: %s", what, n)
			}
			return d.Schema
		}
		reason = err.Error()
	}
	if reason == "" {
		reason = "only its size is defined"
	}
	w.remark("%s can't be typed and is hex: %s", w.named("the "+what, d), reason)
	if size > math.MaxInt32 {
		w.remark("%s has %d bytes, more than a map can hold", w.named("the "+what, d), size)
	}
	bytes := &v1alpha1.Schema{Type: v1alpha1.TypeHex, Size: int32(min(size, math.MaxInt32))}
	if what == "key" && w.traits.LPM {
		w.remark("the first 4 bytes of the key are the length of the prefix, in the node's byte order")
	}
	return bytes
}

// named is what a datum is called.
func (*writer) named(what string, d Datum) string {
	if d.CType == "" {
		return what
	}
	return what + " (" + d.CType + ")"
}
