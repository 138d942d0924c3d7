// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package sys

import (
	"errors"
	"io"
	"structs"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The commands on iterators.
const (
	LinkCreate Cmd = unix.BPF_LINK_CREATE
	IterCreate Cmd = unix.BPF_ITER_CREATE
)

// TracingLoadAttr is the attribute of BPF_PROG_LOAD of a program that is attached to a function of the kernel
// (Linux 5.5).
type TracingLoadAttr struct {
	ProgLoadAttr
	ProgIfIndex        uint32
	ExpectedAttachType uint32
	ProgBTFFD          uint32
	FuncInfoRecSize    uint32
	FuncInfo           Pointer
	FuncInfoCount      uint32
	LineInfoRecSize    uint32
	LineInfo           Pointer
	LineInfoCount      uint32
	AttachBTFID        uint32
}

// LinkCreateAttr is the attribute of BPF_LINK_CREATE (Linux 5.7).
type LinkCreateAttr struct {
	_          structs.HostLayout
	ProgFD     uint32
	TargetFD   uint32
	AttachType uint32
	Flags      uint32
}

// IterCreateAttr is the attribute of BPF_ITER_CREATE (Linux 5.8).
type IterCreateAttr struct {
	_      structs.HostLayout
	LinkFD uint32
	Flags  uint32
}

// LoadIterator loads packed instructions as a program that iterates over the kernel's objects of one kind, and
// links it, so that ReadIterator can run it. btfID is the type of the kernel's function bpf_iter_<kind>. The
// verifier's log is cut to len(log); nil is none. It needs CAP_BPF with CAP_PERFMON, or CAP_SYS_ADMIN.
func LoadIterator(insns []byte, license, name string, btfID uint32, log []byte) (link *FD, err error) {
	attr := TracingLoadAttr{
		ProgLoadAttr:       ProgLoadAttr{ProgType: unix.BPF_PROG_TYPE_TRACING},
		ExpectedAttachType: unix.BPF_TRACE_ITER, AttachBTFID: btfID,
	}
	program, err := load(&attr, unsafe.Sizeof(attr), insns, license, name, log)
	if err != nil {
		return nil, err
	}
	create := LinkCreateAttr{ProgFD: uint32(program.raw), AttachType: unix.BPF_TRACE_ITER}
	raw, err := bpf(LinkCreate, unsafe.Pointer(&create), unsafe.Sizeof(create))
	if err = errors.Join(err, program.Close()); err != nil { // the link holds the program
		return nil, err
	}
	return newFD(raw), nil
}

// firstRead is how much room the first read(2) of an iterator has: more than the kernel fills in one.
const firstRead = 64 << 10

// ReadIterator runs the iterator of a link over all objects, and appends what it writes to b. More than limit
// bytes end it with ENOSPC.
func (fd *FD) ReadIterator(b []byte, limit int) ([]byte, error) {
	fd.mu.RLock()
	defer fd.mu.RUnlock()
	if fd.raw < 0 {
		return b, ErrClosed
	}
	attr := IterCreateAttr{LinkFD: uint32(fd.raw)}
	raw, err := bpf(IterCreate, unsafe.Pointer(&attr), unsafe.Sizeof(attr))
	if err != nil {
		return b, err
	}
	run := newFD(raw)
	for {
		if len(b) == cap(b) {
			b = append(b, make([]byte, max(firstRead, len(b)))...)[:len(b)]
		}
		n, err := readRetrying(run.raw, b[len(b):cap(b)])
		switch b = b[:len(b)+n]; {
		case errors.Is(err, io.EOF):
			return b, run.Close()
		case err == nil && len(b) > limit:
			err = ENOSPC
		}
		if err != nil {
			return b, errors.Join(err, run.Close())
		}
	}
}

// readRetrying is read(2), once more if a signal, or the kernel's bound on the time of one call, ended it early.
func readRetrying(raw int, b []byte) (int, error) {
	for try := 0; ; try++ {
		n, err := unix.Read(raw, b)
		switch errno := (unix.Errno)(0); {
		case err == nil && n == 0:
			return 0, io.EOF
		case err == nil:
			return n, nil
		case (errors.Is(err, unix.EINTR) || errors.Is(err, unix.EAGAIN)) && try < maxRetries:
			continue
		case errors.As(err, &errno):
			return 0, errnoOf(errno)
		default:
			return 0, err
		}
	}
}
