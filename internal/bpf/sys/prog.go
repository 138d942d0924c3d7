// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package sys

import (
	"runtime"
	"strings"
	"structs"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The commands on programs.
const (
	ProgGetNextID Cmd = unix.BPF_PROG_GET_NEXT_ID
	ProgGetFDByID Cmd = unix.BPF_PROG_GET_FD_BY_ID
)

// ProgInfo is the beginning of struct bpf_prog_info, as of Linux 4.15. The kernel fills as much as is
// asked for.
type ProgInfo struct {
	_            structs.HostLayout
	Type         uint32
	ID           uint32
	Tag          [8]byte
	JitedLen     uint32
	XlatedLen    uint32
	JitedInsns   Pointer
	XlatedInsns  Pointer
	LoadTime     uint64
	CreatedByUID uint32
	NrMapIDs     uint32
	MapIDs       Pointer
	Name         [16]byte
}

// ProgInfo is BPF_OBJ_GET_INFO_BY_FD of a program. mapIDs takes the ids of the maps that it uses, as
// many as there is room for; NrMapIDs of the result is how many there are.
func (fd *FD) ProgInfo(mapIDs []uint32) (ProgInfo, error) {
	fd.mu.RLock()
	defer fd.mu.RUnlock()
	if fd.raw < 0 {
		return ProgInfo{}, ErrClosed
	}
	info := new(ProgInfo)
	if len(mapIDs) > 0 {
		info.NrMapIDs = uint32(len(mapIDs))
		info.MapIDs = Pointer{unsafe.Pointer(unsafe.SliceData(mapIDs))}
	}
	attr := InfoAttr{BPFFD: uint32(fd.raw), InfoLen: uint32(unsafe.Sizeof(*info)), Info: Pointer{unsafe.Pointer(info)}}
	_, err := bpf(ObjGetInfoByFD, unsafe.Pointer(&attr), unsafe.Sizeof(attr))
	runtime.KeepAlive(info)
	runtime.KeepAlive(mapIDs)
	return *info, err
}

// NextProgID is BPF_PROG_GET_NEXT_ID: the smallest id above start.
func NextProgID(start uint32) (uint32, error) {
	attr := IDAttr{ID: start}
	_, err := bpf(ProgGetNextID, unsafe.Pointer(&attr), unsafe.Sizeof(attr))
	return attr.NextID, err
}

// ProgByID is BPF_PROG_GET_FD_BY_ID.
func ProgByID(id uint32) (*FD, error) {
	attr := IDAttr{ID: id}
	raw, err := bpf(ProgGetFDByID, unsafe.Pointer(&attr), unsafe.Sizeof(attr))
	if err != nil {
		return nil, err
	}
	return newFD(raw), nil
}

// The types of programs that need no more than CAP_BPF. Socket filters may not take spin locks.
const (
	ProgTypeSocketFilter = unix.BPF_PROG_TYPE_SOCKET_FILTER
	ProgTypeCgroupSKB    = unix.BPF_PROG_TYPE_CGROUP_SKB
)

const insnBytes = 8

// LoadProgram is BPF_PROG_LOAD of packed instructions. The verifier's log is cut to len(log); nil is
// none.
func LoadProgram(progType uint32, insns []byte, license, name string, log []byte) (*FD, error) {
	attr := TracingLoadAttr{ProgLoadAttr: ProgLoadAttr{ProgType: progType}}
	return load(&attr, unsafe.Sizeof(attr.ProgLoadAttr), insns, license, name, log)
}

// load loads packed instructions; size is how many bytes of attr the type of program needs.
func load(attr *TracingLoadAttr, size uintptr, insns []byte, license, name string, log []byte) (*FD, error) {
	licenseText := append([]byte(license), 0)
	attr.InsnCount, attr.Insns, attr.License = uint32(len(insns)/insnBytes), PointerTo(insns), PointerTo(licenseText)
	attr.LogBuf, attr.LogSize = PointerTo(log), uint32(len(log))
	if len(log) > 0 {
		attr.LogLevel = 1
	}
	copy(attr.ProgName[:len(attr.ProgName)-1], name)
	limitMu.RLock()
	defer limitMu.RUnlock()
	raw, err := bpf(ProgLoad, unsafe.Pointer(attr), size)
	runtime.KeepAlive(insns)
	runtime.KeepAlive(licenseText)
	runtime.KeepAlive(log)
	if err != nil {
		return nil, err
	}
	return newFD(raw), nil
}

// WhyRefused is the line of the verifier's log that says so, the last one before its statistics; empty if
// it has nothing to say.
func WhyRefused(log []byte) (why string) {
	said, _, _ := strings.Cut(string(log), "\x00")
	for line := range strings.Lines(said) {
		if !strings.HasPrefix(line, "processed ") {
			why = strings.TrimSpace(line)
		}
	}
	return why
}

// RunProgram is BPF_PROG_TEST_RUN: it runs a program on data, which for programs on packets is at least an
// Ethernet header, and gives what it returned the last time. A signal ends it before it was run so many
// times: the call is begun anew then.
func (fd *FD) RunProgram(data []byte, times uint32) (uint32, error) {
	fd.mu.RLock()
	defer fd.mu.RUnlock()
	if fd.raw < 0 {
		return 0, ErrClosed
	}
	attr := ProgTestRunAttr{ProgFD: uint32(fd.raw), DataSizeIn: uint32(len(data)), DataIn: PointerTo(data), Repeat: times}
	_, err := bpf(ProgTestRun, unsafe.Pointer(&attr), unsafe.Sizeof(attr))
	runtime.KeepAlive(data)
	return attr.RetVal, err
}
