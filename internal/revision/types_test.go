// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package revision_test

import (
	"testing"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
)

// TestShapeObjects says which values are objects that can't be opened by what is read of them, and which
// types hold the same ones.
func TestShapeObjects(t *testing.T) {
	of := func(typ v1alpha1.MapType, size uint32) revision.Shape {
		return revision.Shape{Type: typ, KeySize: 4, ValueSize: size}
	}
	for _, c := range []struct {
		shape revision.Shape
		want  bool
	}{
		{of(v1alpha1.MapTypeHash, 4), false}, {of(v1alpha1.MapTypeArrayOfMaps, 4), true}, {of(v1alpha1.MapTypeHashOfMaps, 4), true},
		{of(v1alpha1.MapTypeProgArray, 4), true}, {of(v1alpha1.MapTypeCGroupArray, 4), false},
		{of(v1alpha1.MapTypeDevMap, 4), false}, {of(v1alpha1.MapTypeDevMap, 8), true}, {of(v1alpha1.MapTypeDevMapHash, 8), true},
		{of(v1alpha1.MapTypeCPUMap, 4), false}, {of(v1alpha1.MapTypeCPUMap, 8), true}, {of("Unheard", 4), false},
	} {
		if got := c.shape.HoldsObjects(); got != c.want {
			t.Errorf("%s with values of %d bytes: %t", c.shape.Type, c.shape.ValueSize, got)
		}
	}
	for _, c := range []struct {
		a, b v1alpha1.MapType
		want bool
	}{
		{v1alpha1.MapTypeDevMap, v1alpha1.MapTypeDevMapHash, true}, {v1alpha1.MapTypeDevMap, v1alpha1.MapTypeCPUMap, false},
		{v1alpha1.MapTypeCGroupArray, v1alpha1.MapTypeCGroupArray, true}, {v1alpha1.MapTypeCGroupArray, v1alpha1.MapTypeProgArray, false},
		{v1alpha1.MapTypeArrayOfMaps, v1alpha1.MapTypeHashOfMaps, true}, {v1alpha1.MapTypeCPUMap, v1alpha1.MapTypeDevMapHash, false},
	} {
		if got := of(c.a, 4).HoldsSameAs(of(c.b, 4)); got != c.want {
			t.Errorf("%s and %s: %t", c.a, c.b, got)
		}
	}
	if got := of(v1alpha1.MapTypePerCPUHash, 5).Stride(3); got != 24 {
		t.Errorf("stride %d", got)
	}
	if got := of(v1alpha1.MapTypeHash, 5).Stride(3); got != 5 {
		t.Errorf("stride %d", got)
	}
	array, fewer := of(v1alpha1.MapTypeArray, 4), of(v1alpha1.MapTypeArray, 4)
	fewer.MaxEntries = 1
	if len(array.InnerDifferences(fewer)) != 1 {
		t.Error("an inner array may differ in maxEntries")
	}
	array.Flags, fewer.Flags = []v1alpha1.MapFlag{v1alpha1.FlagInnerMap}, []v1alpha1.MapFlag{v1alpha1.FlagInnerMap}
	array.Type, fewer.Type = v1alpha1.MapTypeArray, v1alpha1.MapTypeArray
	if len(array.InnerDifferences(fewer)) != 0 {
		t.Error("an inner array with InnerMap may not differ in maxEntries")
	}
	array.Flags, fewer.Flags, array.Type, fewer.Type = nil, nil, v1alpha1.MapTypePerCPUArray, v1alpha1.MapTypePerCPUArray
	if len(array.InnerDifferences(fewer)) != 0 {
		t.Error("an inner PerCPUArray may not differ in maxEntries, and the kernel lets it")
	}
}
