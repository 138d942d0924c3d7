// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package bpf

import (
	"fmt"
	"strings"

	"github.com/bpfmap-io/bpfmap-operator/internal/maptype"
)

// MapFlags are the flags of map creation and of opening (BPF_F_*).
type MapFlags uint32

// String lists the names, for example "NoPrealloc|RdOnlyProg"; "0" if there are none.
func (f MapFlags) String() string { return flagString(uint64(f), mapFlagNames) }

var mapFlagNames = func() []string {
	var names []string
	for _, f := range maptype.AllFlags() {
		names = append(names, f.Name)
	}
	return names
}()

// ParseMapFlag is the flag of that name, as String writes it.
func ParseMapFlag(name string) (MapFlags, error) {
	if f, ok := maptype.FlagByName(name); ok {
		return MapFlags(f.Bit), nil
	}
	return 0, fmt.Errorf("unknown map flag %q", name)
}

// ElemFlags are the flags of the element operations.
type ElemFlags uint64

// The element flags.
const (
	// Any creates or replaces.
	Any ElemFlags = 0
	// NoExist only creates: ErrExist if the key exists.
	NoExist ElemFlags = 1 << 0
	// Exist only replaces: ErrNotExist if the key doesn't exist.
	Exist ElemFlags = 1 << 1
	// Lock takes the value's bpf_spin_lock, which the map's BTF must describe (Linux 5.1).
	Lock ElemFlags = 1 << 2
	// CPU reads or writes one CPU's value of a per-CPU map; the CPU is in the upper 32 bits (Linux 7.0).
	// Older kernels refuse it with EINVAL.
	CPU ElemFlags = 1 << 3
	// AllCPUs writes one value to all CPUs (Linux 7.0). Older kernels refuse it with EINVAL.
	AllCPUs ElemFlags = 1 << 4
)

// OnCPU is the flags for one CPU's value.
func OnCPU(cpu int) ElemFlags { return CPU | ElemFlags(cpu)<<32 }

// String lists the names, for example "NoExist|Lock"; "0" for Any.
func (f ElemFlags) String() string {
	return flagString(uint64(f), []string{"NoExist", "Exist", "Lock", "CPU", "AllCPUs"})
}

func flagString(f uint64, names []string) string {
	var set []string
	for i, name := range names {
		if f&(1<<i) != 0 {
			set = append(set, name)
			f &^= 1 << i
		}
	}
	if f != 0 {
		set = append(set, fmt.Sprintf("%#x", f))
	}
	if len(set) == 0 {
		return "0"
	}
	return strings.Join(set, "|")
}
