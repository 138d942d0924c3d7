// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package sys

import (
	"structs"
	"unsafe"
)

// Pointer is a 64-bit user pointer of an attribute (see bits.go). The zero value is NULL.
type Pointer struct {
	p unsafe.Pointer
}

// PointerTo is the address of b's first byte; NULL for a nil slice.
func PointerTo(b []byte) Pointer { return Pointer{unsafe.Pointer(unsafe.SliceData(b))} }

// PointerToString is the address of a NUL-terminated copy of s.
func PointerToString(s string) Pointer { return PointerTo(append([]byte(s), 0)) }

// MapCreateAttr is the attribute of BPF_MAP_CREATE (Linux 6.18).
type MapCreateAttr struct {
	_                     structs.HostLayout
	MapType               uint32
	KeySize               uint32
	ValueSize             uint32
	MaxEntries            uint32
	MapFlags              uint32
	InnerMapFD            uint32
	NUMANode              uint32
	MapName               [16]byte
	MapIfIndex            uint32
	BTFFD                 uint32
	BTFKeyTypeID          uint32
	BTFValueTypeID        uint32
	BTFVmlinuxValueTypeID uint32
	MapExtra              uint64
	ValueTypeBTFObjFD     int32
	MapTokenFD            int32
	ExclProgHash          Pointer
	ExclProgHashSize      uint32
	_                     [4]byte
}

// MapElemAttr is the attribute of the element commands, of BPF_MAP_GET_NEXT_KEY (Value is the next
// key) and, with MapFD alone, of BPF_MAP_FREEZE.
type MapElemAttr struct {
	_     structs.HostLayout
	MapFD uint32
	_     [4]byte
	Key   Pointer
	Value Pointer
	Flags uint64
}

// MapBatchAttr is the attribute of the batch commands. Count goes both ways.
type MapBatchAttr struct {
	_         structs.HostLayout
	InBatch   Pointer
	OutBatch  Pointer
	Keys      Pointer
	Values    Pointer
	Count     uint32
	MapFD     uint32
	ElemFlags uint64
	Flags     uint64
}

// ObjAttr is the attribute of BPF_OBJ_PIN and BPF_OBJ_GET.
type ObjAttr struct {
	_         structs.HostLayout
	Pathname  Pointer
	BPFFD     uint32
	FileFlags uint32
	PathFD    int32
	_         [4]byte
}

// IDAttr is the attribute of BPF_*_GET_NEXT_ID (NextID is written) and BPF_*_GET_FD_BY_ID.
type IDAttr struct {
	_         structs.HostLayout
	ID        uint32
	NextID    uint32
	OpenFlags uint32
	TokenFD   int32
}

// InfoAttr is the attribute of BPF_OBJ_GET_INFO_BY_FD. InfoLen goes both ways.
type InfoAttr struct {
	_       structs.HostLayout
	BPFFD   uint32
	InfoLen uint32
	Info    Pointer
}

// BTFLoadAttr is the attribute of BPF_BTF_LOAD. LogTrueSize is written by the kernel (Linux 6.4).
type BTFLoadAttr struct {
	_           structs.HostLayout
	BTF         Pointer
	LogBuf      Pointer
	BTFSize     uint32
	LogSize     uint32
	LogLevel    uint32
	LogTrueSize uint32
	Flags       uint32
	TokenFD     int32
}

// ProgLoadAttr is the attribute of BPF_PROG_LOAD as far as a small program needs it (Linux 4.15).
type ProgLoadAttr struct {
	_           structs.HostLayout
	ProgType    uint32
	InsnCount   uint32
	Insns       Pointer
	License     Pointer
	LogLevel    uint32
	LogSize     uint32
	LogBuf      Pointer
	KernVersion uint32
	ProgFlags   uint32
	ProgName    [16]byte
}

// ProgTestRunAttr is the attribute of BPF_PROG_TEST_RUN (Linux 4.12). RetVal and Duration are written.
type ProgTestRunAttr struct {
	_           structs.HostLayout
	ProgFD      uint32
	RetVal      uint32
	DataSizeIn  uint32
	DataSizeOut uint32
	DataIn      Pointer
	DataOut     Pointer
	Repeat      uint32
	Duration    uint32
}

// MapInfo is struct bpf_map_info.
type MapInfo struct {
	_                     structs.HostLayout
	Type                  uint32
	ID                    uint32
	KeySize               uint32
	ValueSize             uint32
	MaxEntries            uint32
	MapFlags              uint32
	Name                  [16]byte
	IfIndex               uint32
	BTFVmlinuxValueTypeID uint32
	NetNSDev              uint64
	NetNSIno              uint64
	BTFID                 uint32
	BTFKeyTypeID          uint32
	BTFValueTypeID        uint32
	BTFVmlinuxID          uint32
	MapExtra              uint64
	Hash                  Pointer
	HashSize              uint32
	_                     [4]byte
}
