// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package mapdef_test

import (
	"math"
	"slices"
	"testing"

	"github.com/bpfmap-io/bpfmap-operator/internal/mapdef"
	"github.com/bpfmap-io/bpfmap-operator/internal/maptype"
)

// TestNumbersOfObjects declares maps with numbers that an object may give and the API's fields can't hold.
func TestNumbersOfObjects(t *testing.T) {
	number := func(name string) uint32 { return maptype.ByName(name).Number }
	for name, c := range map[string]struct {
		definition mapdef.Definition
		remark     string
	}{
		"hash functions that start with a bit too many": {
			mapdef.Definition{Type: number("BloomFilter"), ValueSize: 4, MaxEntries: 8, Extra: 1<<32 | 3}, "Map_extra 0x100000003 can't be declared for this type."},
		"no NUMA node": {
			mapdef.Definition{Type: number("Hash"), KeySize: 4, ValueSize: 4, MaxEntries: 8, Flags: maptype.NUMANode, NUMANode: math.MaxUint32},
			"NUMA node 4294967295 can't be declared, and is left out."},
		"a value that no map can have": {
			mapdef.Definition{Type: number("Hash"), KeySize: 4, ValueSize: math.MaxUint32, MaxEntries: 8}, "The value has 4294967295 bytes, more than a map can hold."},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := c.definition.Declare(2)
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Contains(got.Remarks, c.remark) {
				t.Errorf("remarks %q, want %q among them", got.Remarks, c.remark)
			}
			if s := got.Spec; s.HashFunctions != 0 || s.NUMANode != nil || s.Value.Size < 0 {
				t.Errorf("the spec says %d hash functions, NUMA node %v, a value %+v", s.HashFunctions, s.NUMANode, s.Value)
			}
		})
	}
}
