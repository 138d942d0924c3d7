// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package bpf

import (
	"fmt"
	"runtime"
	"strings"

	"github.com/bpfmap-io/bpfmap-operator/internal/bpf/sys"
	"github.com/bpfmap-io/bpfmap-operator/internal/maptype"
)

// MaxNameLen is the longest map name in bytes: BPF_OBJ_NAME_LEN without the terminating NUL.
const MaxNameLen = 15

// CreateOpts are the attributes of BPF_MAP_CREATE as of Linux 6.18.
type CreateOpts struct {
	Type MapType
	// Name is a label of at most 15 characters of [A-Za-z0-9_.]; it may be empty and need not be
	// unique (Linux 4.15).
	Name string
	// KeySize and ValueSize are in bytes. KeySize is 0 for queue, stack, bloom filter, ring buffers
	// and arena; ValueSize is 0 for the latter two, and that of one CPU's value in per-CPU maps.
	KeySize, ValueSize uint32
	// MaxEntries is the capacity: bytes for ring buffers, pages for an arena, 0 for local storage.
	MaxEntries uint32
	Flags      MapFlags
	// NUMANode is used with the flag NUMANode.
	NUMANode uint32
	// InnerMap is the template of map-in-map types.
	InnerMap *Map
	// IfIndex binds the map to a device for offload.
	IfIndex uint32
	// BTF describes key and value by type ids; BTFVmlinuxValueTypeID is for struct_ops.
	BTF                                                 *BTF
	BTFKeyTypeID, BTFValueTypeID, BTFVmlinuxValueTypeID uint32
	// MapExtra is the number of hashes of a bloom filter (0…15) or the address of an arena.
	MapExtra uint64
	// ValueTypeBTFObjFD is used with the flag VTypeBTFObjFD, TokenFD with the flag TokenFD.
	ValueTypeBTFObjFD, TokenFD int32
	// ExclProgHash is the SHA-256 of the only program that may use the map: 32 bytes or nil
	// (Linux 6.18).
	ExclProgHash []byte
}

// Map is a handle on a kernel map. It owns a file descriptor; its methods are safe for concurrent
// use. Operations on elements need no capability, only the mode that the handle was opened with.
type Map struct {
	fd     *sys.FD
	typ    MapType
	traits Traits
	name   string
	key    int // bytes of a key
	value  int // bytes of a value as declared
	stride int // bytes of a value in a system call
	max    uint32
	flags  MapFlags
	mode   MapFlags // RdOnly, WrOnly or neither: what the handle may do
	// missing are the errors of operations on an element that isn't there.
	missing [4]Error
}

// Create is bpf_map_create: it makes a map and returns the handle that owns it. The kernel frees the
// map when nobody uses it any more, so pin it to keep it.
//
// It needs CAP_BPF (Linux 5.8; CAP_SYS_ADMIN before), and CAP_NET_ADMIN too for device, socket and
// XSK maps. Errors: ErrNotPermitted; ErrNotSupported for a type that the kernel doesn't know (EINVAL
// otherwise covers every attribute that the type refuses); E2BIG for sizes over the type's limit;
// ENOMEM. The name is checked here and never cut.
func Create(o CreateOpts) (*Map, error) {
	if err := checkName(o.Name); err != nil {
		return nil, &Error{Op: "create map", Map: o.Type.String(), Err: err}
	}
	attr := sys.MapCreateAttr{
		MapType: uint32(o.Type), KeySize: o.KeySize, ValueSize: o.ValueSize, MaxEntries: o.MaxEntries,
		MapFlags: uint32(o.Flags), NUMANode: o.NUMANode, MapIfIndex: o.IfIndex,
		BTFKeyTypeID: o.BTFKeyTypeID, BTFValueTypeID: o.BTFValueTypeID,
		BTFVmlinuxValueTypeID: o.BTFVmlinuxValueTypeID, MapExtra: o.MapExtra,
		ValueTypeBTFObjFD: o.ValueTypeBTFObjFD, MapTokenFD: o.TokenFD,
		ExclProgHash: sys.PointerTo(o.ExclProgHash), ExclProgHashSize: uint32(len(o.ExclProgHash)),
	}
	copy(attr.MapName[:], o.Name)
	if o.InnerMap != nil {
		attr.InnerMapFD = uint32(o.InnerMap.FD())
	}
	if o.BTF != nil {
		attr.BTFFD = uint32(o.BTF.FD())
	}
	fd, err := sys.CreateMap(&attr)
	runtime.KeepAlive(o)
	if err != nil {
		return nil, createError(o, err)
	}
	m, err := newMap(fd, o.Type, o.Name, o.KeySize, o.ValueSize, o.MaxEntries, o.Flags)
	if err != nil {
		return nil, err
	}
	m.mode = o.Flags & (RdOnly | WrOnly)
	return m, nil
}

func newMap(fd *sys.FD, typ MapType, name string, key, value, entries uint32, flags MapFlags) (*Map, error) {
	m := &Map{
		fd: fd, typ: typ, traits: typ.Traits(), name: name,
		key: int(key), value: int(value), stride: int(value), max: entries, flags: flags,
	}
	for i, op := range [...]string{opUpdate, opLookup, opLookupAndDelete, opDelete} {
		m.missing[i] = Error{Op: op, Map: m.describe(), Kind: ErrNotExist, Err: sys.ENOENT}
	}
	if m.traits.PerCPU {
		cpus, err := PossibleCPUs()
		if err != nil {
			return nil, closing(fd, err)
		}
		m.stride = cpus * maptype.Slot(m.value)
	}
	if m.traits.FDValued && m.value < 4 {
		m.stride = 4
	}
	return m, nil
}

// fromFD makes a handle of an existing map, which was opened with mode. It takes fd over, also on failure.
func fromFD(fd *sys.FD, mode MapFlags) (*Map, error) {
	info, err := fd.MapInfo()
	if err != nil {
		return nil, closing(fd, err)
	}
	m, err := newMap(fd, MapType(info.Type), cString(info.Name[:]), info.KeySize, info.ValueSize,
		info.MaxEntries, MapFlags(info.MapFlags))
	if err != nil {
		return nil, err
	}
	m.mode = mode & (RdOnly | WrOnly)
	return m, nil
}

// closing closes fd after err; what matters is err.
func closing(fd *sys.FD, err error) error {
	if closeErr := fd.Close(); closeErr != nil {
		return fmt.Errorf("%w (and then: %w)", err, closeErr)
	}
	return err
}

// Close closes the handle. Closing twice is not an error.
func (m *Map) Close() error { return m.fd.Close() }

// FD is the file descriptor, for handing it to other system calls while m is open; -1 afterwards.
func (m *Map) FD() int { return m.fd.Raw() }

// Type is the map's type.
func (m *Map) Type() MapType { return m.typ }

// Name is the map's name.
func (m *Map) Name() string { return m.name }

// KeySize is the size of a key in bytes.
func (m *Map) KeySize() int { return m.key }

// ValueSize is the size of a value in bytes; in per-CPU maps that of one CPU's value.
func (m *Map) ValueSize() int { return m.value }

// ValueStride is how many bytes one value takes in a system call: in per-CPU maps, possible CPUs
// times the value's size rounded up to 8; elsewhere ValueSize.
func (m *Map) ValueStride() int { return m.stride }

// MaxEntries is the map's capacity.
func (m *Map) MaxEntries() uint32 { return m.max }

// Flags are the map's flags as given at creation or read from the kernel.
func (m *Map) Flags() MapFlags { return m.flags }

func (m *Map) describe() string {
	if m.name == "" {
		return m.typ.String()
	}
	return m.typ.String() + " " + m.name
}

func checkName(name string) error {
	if len(name) > MaxNameLen {
		return fmt.Errorf("name %q has %d characters, at most %d are allowed", name, len(name), MaxNameLen)
	}
	for _, c := range name {
		if !strings.ContainsRune("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.", c) {
			return fmt.Errorf("name %q contains %q, only [A-Za-z0-9_.] are allowed", name, c)
		}
	}
	return nil
}

func roundUp8(n int) int { return (n + 7) &^ 7 }

func cString(b []byte) string {
	s, _, _ := strings.Cut(string(b), "\x00")
	return s
}
