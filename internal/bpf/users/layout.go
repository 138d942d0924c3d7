// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package users

import (
	"fmt"
	"runtime/debug"
	"sync"

	"github.com/cilium/ebpf/btf"
)

// layout is where this kernel keeps what the iterators read.
type layout struct {
	eachProgram, eachMap btf.TypeID // of the functions that the iterators are attached to

	prog, aux, bpfMap offsets
}

// offsets are those of the members of a struct, in bytes, by their names.
type offsets map[string]int32

// kernelLayout reads the kernel's BTF once per process.
var kernelLayout = sync.OnceValues(func() (*layout, error) {
	l, err := readLayout()
	debug.FreeOSMemory() // ten megabytes for twenty numbers
	return l, err
})

func readLayout() (*layout, error) {
	spec, err := btf.LoadKernelSpec()
	if err != nil {
		return nil, fmt.Errorf("read the kernel's BTF: %w", err)
	}
	l := &layout{}
	for name, id := range map[string]*btf.TypeID{"bpf_iter_bpf_prog": &l.eachProgram, "bpf_iter_bpf_map": &l.eachMap} {
		var fn *btf.Func
		if err := spec.TypeByName(name, &fn); err != nil {
			return nil, fmt.Errorf("find the function %s in the kernel's BTF: %w", name, err)
		}
		if *id, err = spec.TypeID(fn); err != nil {
			return nil, fmt.Errorf("find the function %s in the kernel's BTF: %w", name, err)
		}
	}
	for _, s := range []struct {
		name    string
		to      *offsets
		members map[string]uint32 // with their sizes
	}{
		{"bpf_prog", &l.prog, map[string]uint32{"type": 4, "tag": 8, "aux": 8}},
		{"bpf_prog_aux", &l.aux, map[string]uint32{"id": 4, "name": 16, "used_map_cnt": 4, "used_maps": 8}},
		{"bpf_map", &l.bpfMap, map[string]uint32{
			"id": 4, "map_type": 4, "key_size": 4, "value_size": 4, "max_entries": 4, "name": 16, "refcnt": 8, "usercnt": 8,
		}},
	} {
		var found *btf.Struct
		if err := spec.TypeByName(s.name, &found); err != nil {
			return nil, fmt.Errorf("find struct %s in the kernel's BTF: %w", s.name, err)
		}
		*s.to = offsets{}
		s.to.find(found.Members, 0, s.members)
		for name := range s.members {
			if _, ok := (*s.to)[name]; !ok {
				return nil, fmt.Errorf("struct %s of this kernel has no %s of %d bytes", s.name, name, s.members[name])
			}
		}
	}
	return l, nil
}

// find notes the offsets of the members that have the sizes wanted, also those in anonymous structs and unions.
func (o offsets) find(members []btf.Member, base int32, wanted map[string]uint32) {
	for _, m := range members {
		at := base + int32(m.Offset.Bytes())
		if m.Name == "" {
			switch inner := btf.UnderlyingType(m.Type).(type) {
			case *btf.Struct:
				o.find(inner.Members, at, wanted)
			case *btf.Union:
				o.find(inner.Members, at, wanted)
			}
			continue
		}
		if size, err := btf.Sizeof(m.Type); err == nil && size == int(wanted[m.Name]) && wanted[m.Name] > 0 {
			o[m.Name] = at
		}
	}
}
