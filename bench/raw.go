// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"structs"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/bpfmap-io/bpfmap-operator/internal/bpf"
)

// raw is the floor: a loop around bpf(2) without checks, on buffers that are ready.
type raw struct {
	m          *bpf.Map // creates and prepares; never measured
	fd         uint32
	value      []byte
	outKeys    []byte
	outValues  []byte
	batchState [2][8]byte
}

type rawElem struct {
	_          structs.HostLayout
	fd         uint32
	_          [4]byte
	key, value unsafe.Pointer
	flags      uint64
}

type rawBatch struct {
	_         structs.HostLayout
	in, out   unsafe.Pointer
	keys      unsafe.Pointer
	values    unsafe.Pointer
	count, fd uint32
	elemFlags uint64
	flags     uint64
}

func newRaw(s *set) (contender, error) {
	m, err := bpf.Create(s.createOpts())
	if err != nil {
		return nil, err
	}
	return &raw{m: m, fd: uint32(m.FD()), value: make([]byte, s.valueSize),
		outKeys: make([]byte, batchSize*s.keySize), outValues: make([]byte, batchSize*s.valueSize)}, nil
}

func (r *raw) name() string { return "raw" }
func (r *raw) close() error { return r.m.Close() }

func (r *raw) prepare(op operation, s *set) error { return prepare(r.m, op, s) }

func (r *raw) run(op operation, s *set) (int, error) {
	switch op {
	case opUpdate:
		return r.elements(unix.BPF_MAP_UPDATE_ELEM, s)
	case opLookup:
		return r.elements(unix.BPF_MAP_LOOKUP_ELEM, s)
	case opBatchUpdate:
		return r.batchUpdate(s)
	case opReadAll:
		return r.readAll(s)
	}
	return 0, fmt.Errorf("unknown operation %q", op)
}

func (r *raw) elements(cmd uintptr, s *set) (int, error) {
	attr := rawElem{fd: r.fd, value: unsafe.Pointer(&r.value[0])}
	for i := range s.len {
		attr.key = unsafe.Pointer(&s.keys[i*s.keySize])
		if cmd == unix.BPF_MAP_UPDATE_ELEM {
			attr.value = unsafe.Pointer(&s.values[i*s.valueSize])
		}
		if _, _, errno := unix.Syscall(unix.SYS_BPF, cmd, uintptr(unsafe.Pointer(&attr)), unsafe.Sizeof(attr)); errno != 0 {
			return i, errno
		}
	}
	return s.len, nil
}

func (r *raw) batchUpdate(s *set) (int, error) {
	for done := 0; done < s.len; done += batchSize {
		attr := rawBatch{
			fd: r.fd, count: uint32(min(batchSize, s.len-done)),
			keys: unsafe.Pointer(&s.keys[done*s.keySize]), values: unsafe.Pointer(&s.values[done*s.valueSize]),
		}
		if _, _, errno := unix.Syscall(unix.SYS_BPF, unix.BPF_MAP_UPDATE_BATCH, uintptr(unsafe.Pointer(&attr)), unsafe.Sizeof(attr)); errno != 0 {
			return done, errno
		}
	}
	return s.len, nil
}

func (r *raw) readAll(*set) (int, error) {
	attr := rawBatch{
		fd: r.fd, out: unsafe.Pointer(&r.batchState[0]),
		keys: unsafe.Pointer(&r.outKeys[0]), values: unsafe.Pointer(&r.outValues[0]),
	}
	for n := 0; ; {
		attr.count = batchSize
		_, _, errno := unix.Syscall(unix.SYS_BPF, unix.BPF_MAP_LOOKUP_BATCH, uintptr(unsafe.Pointer(&attr)), unsafe.Sizeof(attr))
		n += int(attr.count)
		if errors.Is(errno, unix.ENOENT) {
			return n, nil
		}
		if errno != 0 {
			return n, errno
		}
		attr.in = attr.out
	}
}
