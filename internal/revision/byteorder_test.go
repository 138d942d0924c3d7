// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package revision

import (
	"errors"
	"strings"
	"testing"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
)

// TestByteOrder names the order in objects and digests, and refuses another one.
func TestByteOrder(t *testing.T) {
	native, other := NativeByteOrder(), v1alpha1.BigEndian
	if native == other {
		other = v1alpha1.LittleEndian
	}
	r := &Revision{Key: Key{Namespace: "edge", Name: "m"}, Name: "m-1", Number: 1, Shape: Shape{Type: v1alpha1.MapTypeArray, KeySize: 4, ValueSize: 4, MaxEntries: 1}}
	r.Pin.Path = "bpfmap/edge/m"
	object := ToObject(r)
	if object.Spec.ByteOrder != native {
		t.Errorf("the object says %q, this machine is %s", object.Spec.ByteOrder, native)
	}
	if _, err := Describe(object); err != nil {
		t.Errorf("its own order: %v", err)
	}
	object.Spec.ByteOrder = other
	if _, err := Describe(object); !errors.Is(err, ErrByteOrder) || !strings.Contains(err.Error(), "it is compiled for "+string(other)+" machines, and this one is "+string(native)) {
		t.Errorf("another order: %v", err)
	}
	if err := checkByteOrder("", v1alpha1.BigEndian); err == nil {
		t.Error("a revision without an order, which is LittleEndian, is taken by a BigEndian machine")
	}
	if r.contentDigest(native) != r.ContentDigest() || r.contentDigest(other) == r.ContentDigest() {
		t.Error("the digest doesn't depend on the order")
	}
}
