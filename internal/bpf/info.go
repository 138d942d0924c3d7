// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package bpf

import (
	"bufio"
	"bytes"
	"strconv"
	"strings"
	"time"

	"github.com/bpfmap-io/bpfmap-operator/internal/bpf/sys"
)

// Info is struct bpf_map_info: the kernel's description of a map, for any handle.
type Info struct {
	ID                             uint32
	Type                           MapType
	Name                           string
	KeySize, ValueSize, MaxEntries uint32
	Flags                          MapFlags
	IfIndex                        uint32
	NetNSDev, NetNSIno             uint64
	BTFID                          uint32
	BTFKeyTypeID, BTFValueTypeID   uint32
	BTFVmlinuxValueTypeID          uint32
	MapExtra                       uint64
}

// Info is bpf_map_get_info_by_fd (Linux 4.13). It needs no capability.
func (m *Map) Info() (Info, error) {
	raw, err := m.fd.MapInfo()
	if err != nil {
		return Info{}, &Error{Op: "get info", Map: m.describe(), Err: err}
	}
	return Info{
		ID: raw.ID, Type: MapType(raw.Type), Name: cString(raw.Name[:]),
		KeySize: raw.KeySize, ValueSize: raw.ValueSize, MaxEntries: raw.MaxEntries,
		Flags: MapFlags(raw.MapFlags), IfIndex: raw.IfIndex, NetNSDev: raw.NetNSDev, NetNSIno: raw.NetNSIno,
		BTFID: raw.BTFID, BTFKeyTypeID: raw.BTFKeyTypeID, BTFValueTypeID: raw.BTFValueTypeID,
		BTFVmlinuxValueTypeID: raw.BTFVmlinuxValueTypeID, MapExtra: raw.MapExtra,
	}, nil
}

// FDInfo is what only /proc/self/fdinfo says about a map.
type FDInfo struct {
	MapID uint32
	// Frozen is whether user space can't write to the map any more (Linux 5.2).
	Frozen bool
	// Memlock is the map's kernel memory in bytes, as far as the type accounts for it.
	Memlock uint64
}

// FDInfo reads the map's /proc/self/fdinfo.
func (m *Map) FDInfo() (FDInfo, error) {
	text, err := m.fd.FDInfo()
	if err != nil {
		return FDInfo{}, &Error{Op: "read fdinfo", Map: m.describe(), Err: err}
	}
	var info FDInfo
	lines := bufio.NewScanner(bytes.NewReader(text))
	for lines.Scan() {
		name, value, _ := strings.Cut(lines.Text(), ":")
		n, err := strconv.ParseUint(strings.TrimSpace(value), 0, 64)
		if err != nil {
			continue // other values are not needed
		}
		switch name {
		case "map_id":
			info.MapID = uint32(n)
		case "frozen":
			info.Frozen = n != 0
		case "memlock":
			info.Memlock = n
		}
	}
	return info, nil
}

// Hash is the SHA-256 that the kernel calculates of a frozen Array's values, each padded with zeros to a multiple of 8
// bytes (Linux 6.18). known is false for maps that aren't frozen, other types and older kernels.
func (m *Map) Hash() (sum [32]byte, known bool, err error) {
	if m.typ != Array {
		return sum, false, nil
	}
	known, err = m.fd.MapHash(&sum)
	if sys.IsPermission(err) {
		return sum, false, nil // it isn't frozen
	}
	return sum, known, m.explained("get the hash", Any, err)
}

func haveArrayHash() bool {
	m, err := Create(CreateOpts{Type: Array, KeySize: 4, ValueSize: 4, MaxEntries: 1})
	if err != nil {
		return false
	}
	defer func() { _ = m.Close() }() // it is gone with its descriptor
	if m.Freeze() != nil {
		return false
	}
	_, known, err := m.Hash()
	return known && err == nil
}

// freezeBackoff is for writers that are in the kernel: 10 tries within half a second.
func freezeBackoff() backoff { return backoff{tries: 10, pause: time.Millisecond} }

// Freeze is bpf_map_freeze: user space can't write to the map any more, through any handle; reading,
// pinning and programs' writes are not affected. There is no way back (Linux 5.2).
//
// Errors: ErrFrozen if it is frozen already (the kernel says EPERM, as for a read-only handle, or before
// Linux 6.5 EBUSY, as for a mapped map, so fdinfo is asked); ErrMapped while a writable shared mapping exists
// or writers are in the kernel after some retries with growing pauses; ErrNotPermitted for a read-only
// handle, also where the kernel would freeze (before 6.5), and there without CAP_BPF; ErrNotSupported for
// struct_ops and for maps whose values hold kernel objects (spin locks: since 6.2).
func (m *Map) Freeze() error {
	if m.mode == RdOnly && m.FD() >= 0 {
		return m.explain(opFreeze, Any, sys.EPERM)
	}
	for wait := freezeBackoff(); ; {
		err := m.fd.Freeze()
		switch {
		case err == nil:
			return nil
		case sys.IsBusy(err) && m.isFrozen():
			return &Error{Op: opFreeze, Map: m.describe(), Kind: ErrFrozen, Err: err}
		case sys.IsBusy(err) && wait.again():
			continue
		case sys.IsBusy(err):
			return &Error{Op: opFreeze, Map: m.describe(), Kind: ErrMapped, Err: err}
		}
		return m.explain(opFreeze, Any, err)
	}
}

// isFrozen is false if it can't be told.
func (m *Map) isFrozen() bool {
	info, err := m.FDInfo()
	return err == nil && info.Frozen
}
