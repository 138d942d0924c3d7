// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package btfschema

import (
	"math"

	"github.com/cilium/ebpf/btf"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
)

// bigEndian are the kernel's names of integers in network order.
var bigEndian = map[string]v1alpha1.ScalarType{
	"__be16": v1alpha1.TypeBE16, "__be32": v1alpha1.TypeBE32, "__be64": v1alpha1.TypeBE64,
}

// structs are structs of the kernel that a scalar stands for, with their sizes.
var structs = map[string]v1alpha1.Schema{
	"in6_addr":      {Type: v1alpha1.TypeIPv6, Size: 16},
	"in_addr":       {Type: v1alpha1.TypeIPv4, Size: 4},
	"bpf_spin_lock": {Type: v1alpha1.TypeSpinLock, Size: 4},
}

// kernelOwned are structs that only the kernel may write, and shows as zeros.
var kernelOwned = map[string]bool{
	"bpf_timer": true, "bpf_wq": true, "bpf_list_head": true, "bpf_list_node": true, "bpf_rb_root": true, "bpf_rb_node": true,
	"bpf_refcount": true, "bpf_res_spin_lock": true, "bpf_task_work": true,
}

// maxTypeTags bounds the tags of one pointer: what a file says may be a circle.
const maxTypeTags = 32

// kptrTags are the type tags of pointers that only the kernel may write.
var kptrTags = map[string]bool{"kptr": true, "kptr_untrusted": true, "percpu_kptr": true, "uptr": true}

// known is the schema of a type that has a meaning by its name; nil for others.
func known(t btf.Type) *v1alpha1.Schema {
	if s, ok := btf.UnderlyingType(t).(*btf.Struct); ok {
		if scalar, ok := structs[s.Name]; ok && scalar.Size == int32(s.Size) {
			return &v1alpha1.Schema{Type: scalar.Type}
		}
	}
	if isKernelOwned(t) {
		return &v1alpha1.Schema{Type: v1alpha1.TypePadding, Size: int32(sizeOf(t))}
	}
	return nil
}

// isKernelOwned says whether only the kernel may write what has this type.
func isKernelOwned(t btf.Type) bool {
	switch u := btf.UnderlyingType(t).(type) {
	case *btf.Struct:
		return kernelOwned[u.Name]
	case *btf.Pointer:
		target, ok := u.Target.(*btf.TypeTag)
		for range maxTypeTags {
			if !ok || kptrTags[target.Value] {
				return ok
			}
			target, ok = target.Type.(*btf.TypeTag)
		}
	}
	return false
}

// scalar is the schema of an integer, an enum, a float or a pointer; nil if there is none.
func (w *walk) scalar(t, underlying btf.Type) *v1alpha1.Schema {
	var typ v1alpha1.ScalarType
	switch u := underlying.(type) {
	case *btf.Int:
		typ = integer(t, u)
	case *btf.Enum:
		if typ = sized(u.Signed, int(u.Size)); typ != "" {
			return &v1alpha1.Schema{Type: typ, Enum: w.names(u)}
		}
	case *btf.Pointer:
		typ = v1alpha1.TypeU64
	case *btf.Float:
		typ = map[uint32]v1alpha1.ScalarType{4: v1alpha1.TypeF32, 8: v1alpha1.TypeF64}[u.Size]
	}
	if typ == "" {
		w.note("%v has no type of a schema and is hex", underlying)
		return nil
	}
	return &v1alpha1.Schema{Type: typ}
}

// integer is the type of an integer, which network order has by the name of its typedef.
func integer(t btf.Type, i *btf.Int) v1alpha1.ScalarType {
	if s := networkOrder(t); s != "" && extents[s].size == int(i.Size) {
		return s
	}
	if i.Encoding == btf.Bool && i.Size == 1 {
		return v1alpha1.TypeBool
	}
	return sized(i.Encoding == btf.Signed, int(i.Size))
}

// networkOrder is the type that a typedef of the kernel's names; empty for others.
func networkOrder(t btf.Type) v1alpha1.ScalarType {
	for {
		switch q := t.(type) {
		case *btf.Typedef:
			if s, ok := bigEndian[q.Name]; ok {
				return s
			}
			t = q.Type
		case *btf.Const:
			t = q.Type
		case *btf.Volatile:
			t = q.Type
		case *btf.TypeTag:
			t = q.Type
		default:
			return ""
		}
	}
}

func sized(signed bool, size int) v1alpha1.ScalarType {
	types := map[int]v1alpha1.ScalarType{
		1: v1alpha1.TypeU8, 2: v1alpha1.TypeU16, 4: v1alpha1.TypeU32, 8: v1alpha1.TypeU64, 16: v1alpha1.TypeU128,
	}
	if signed {
		types = map[int]v1alpha1.ScalarType{
			1: v1alpha1.TypeI8, 2: v1alpha1.TypeI16, 4: v1alpha1.TypeI32, 8: v1alpha1.TypeI64, 16: v1alpha1.TypeI128,
		}
	}
	return types[size]
}

// names are the names of an enum's numbers; nil if there are none, or too many.
func (w *walk) names(e *btf.Enum) map[string]int64 {
	if len(e.Values) > maxEnumNames {
		w.note("enum %s has %d names, more than %d, and is a number", e.Name, len(e.Values), maxEnumNames)
		return nil
	}
	if len(e.Values) == 0 {
		return nil
	}
	names := make(map[string]int64, len(e.Values))
	for _, v := range e.Values {
		names[v.Name] = enumNumber(e, v.Value)
	}
	return names
}

// enumNumber is a number of an enum: those of 32 bits may have been read without their sign.
func enumNumber(e *btf.Enum, v uint64) int64 {
	if e.Signed && e.Size < 8 && v <= math.MaxUint32 {
		return int64(int32(uint32(v)))
	}
	return int64(v)
}
