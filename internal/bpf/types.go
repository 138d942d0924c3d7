// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package bpf

import (
	"fmt"

	"github.com/bpfmap-io/bpfmap-operator/internal/maptype"
)

// MapType is a kernel map type, enum bpf_map_type. What the types can do stands in internal/maptype.
type MapType uint32

// String is the type's name in CamelCase, for example "LPMTrie".
func (t MapType) String() string {
	if known := maptype.ByNumber(uint32(t)); known != nil {
		return known.Name
	}
	if t == Unspec {
		return "Unspec"
	}
	return fmt.Sprintf("MapType(%d)", uint32(t))
}

// UAPIName is the type's name in the kernel's headers, for example "BPF_MAP_TYPE_LPM_TRIE".
func (t MapType) UAPIName() string {
	if known := maptype.ByNumber(uint32(t)); known != nil {
		return known.UAPIName()
	}
	if t == Unspec {
		return "BPF_MAP_TYPE_UNSPEC"
	}
	return fmt.Sprintf("BPF_MAP_TYPE_%d", uint32(t))
}

// ParseMapType is the type of that name, as String or UAPIName writes it.
func ParseMapType(name string) (MapType, error) {
	if known := maptype.Parse(name); known != nil {
		return MapType(known.Number), nil
	}
	return Unspec, fmt.Errorf("unknown map type %q", name)
}
