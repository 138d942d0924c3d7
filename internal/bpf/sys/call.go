// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package sys

import (
	"runtime"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Cmd is a command of bpf(2).
type Cmd uintptr

// The commands, as in the kernel's uapi.
const (
	MapCreate               Cmd = unix.BPF_MAP_CREATE
	MapLookupElem           Cmd = unix.BPF_MAP_LOOKUP_ELEM
	MapUpdateElem           Cmd = unix.BPF_MAP_UPDATE_ELEM
	MapDeleteElem           Cmd = unix.BPF_MAP_DELETE_ELEM
	MapGetNextKey           Cmd = unix.BPF_MAP_GET_NEXT_KEY
	ProgLoad                Cmd = unix.BPF_PROG_LOAD
	ObjPin                  Cmd = unix.BPF_OBJ_PIN
	ObjGet                  Cmd = unix.BPF_OBJ_GET
	ProgTestRun             Cmd = unix.BPF_PROG_TEST_RUN
	MapGetNextID            Cmd = unix.BPF_MAP_GET_NEXT_ID
	MapGetFDByID            Cmd = unix.BPF_MAP_GET_FD_BY_ID
	ObjGetInfoByFD          Cmd = unix.BPF_OBJ_GET_INFO_BY_FD
	BTFLoad                 Cmd = unix.BPF_BTF_LOAD
	MapLookupAndDeleteElem  Cmd = unix.BPF_MAP_LOOKUP_AND_DELETE_ELEM
	MapFreeze               Cmd = unix.BPF_MAP_FREEZE
	MapLookupBatch          Cmd = unix.BPF_MAP_LOOKUP_BATCH
	MapLookupAndDeleteBatch Cmd = unix.BPF_MAP_LOOKUP_AND_DELETE_BATCH
	MapUpdateBatch          Cmd = unix.BPF_MAP_UPDATE_BATCH
	MapDeleteBatch          Cmd = unix.BPF_MAP_DELETE_BATCH
)

// maxRetries bounds the retries of EINTR, and of EAGAIN, which bpf(2) returns for transient conditions.
const maxRetries = 128

// errnoError is an errno that == doesn't match, so that callers compare with errors.Is.
type errnoError struct{ errno unix.Errno }

func (e *errnoError) Error() string {
	if e.errno == enotsupp {
		return "operation not supported by this map type (ENOTSUPP 524)"
	}
	return e.errno.Error()
}

func (e *errnoError) Unwrap() error { return e.errno }

// errnos are the errors that occur often, made once.
var errnos = func() (all [600]errnoError) {
	for i := range all {
		all[i].errno = unix.Errno(i)
	}
	return all
}()

// The errors that callers return themselves: of what isn't there or already is, of what a handle may not do, and of buffers that are too small.
var (
	ENOENT = errnoOf(unix.ENOENT)
	EINVAL = errnoOf(unix.EINVAL)
	EAGAIN = errnoOf(unix.EAGAIN)
	EPERM  = errnoOf(unix.EPERM)
	EEXIST = errnoOf(unix.EEXIST)
	ENOSPC = errnoOf(unix.ENOSPC)
)

func errnoOf(errno unix.Errno) error {
	if int(errno) < len(errnos) {
		return &errnos[errno]
	}
	return &errnoError{errno}
}

// enotsupp is the kernel's internal ENOTSUPP, which leaks to user space and has no name there.
const enotsupp = unix.Errno(524)

// calls counts the calls of bpf(2).
var calls atomic.Uint64

// Calls is how often this process has called bpf(2).
func Calls() uint64 { return calls.Load() }

// written counts the bytes of keys and values that the commands of updates were given.
var written atomic.Uint64

// Written is how many bytes of keys and values this process has given to the commands that update elements.
func Written() uint64 { return written.Load() }

func countWritten(cmd Cmd, n int) {
	if cmd == MapUpdateElem || cmd == MapUpdateBatch {
		written.Add(uint64(n))
	}
}

// Intercept, if set, is called before each bpf(2): if it returns an errno other than 0, that is the result,
// and the kernel isn't entered. Tests use it.
var Intercept atomic.Pointer[func(Cmd) unix.Errno]

// enter is one call of bpf(2).
func enter(cmd Cmd, attr unsafe.Pointer, size uintptr) (uintptr, unix.Errno) {
	if hook := Intercept.Load(); hook != nil {
		if errno := (*hook)(cmd); errno != 0 {
			return 0, errno
		}
	}
	r, _, errno := unix.Syscall(unix.SYS_BPF, uintptr(cmd), uintptr(attr), size)
	return r, errno
}

// bpf is the one place that enters the kernel. It retries EINTR and EAGAIN a bounded number of times, but not
// of batch commands: they may have done part of their work, as the count in attr says. attr must stay
// reachable by the caller, as must what its pointers point to.
func bpf(cmd Cmd, attr unsafe.Pointer, size uintptr) (int, error) {
	calls.Add(1)
	for try := 0; ; try++ {
		r, errno := enter(cmd, attr, size)
		runtime.KeepAlive(attr)
		switch {
		case errno == 0:
			return int(r), nil
		case (errno == unix.EINTR || errno == unix.EAGAIN) && !isBatch(cmd) && try < maxRetries:
			runtime.Gosched()
			continue
		}
		return -1, errnoOf(errno)
	}
}

func isBatch(cmd Cmd) bool {
	switch cmd {
	case MapLookupBatch, MapLookupAndDeleteBatch, MapUpdateBatch, MapDeleteBatch:
		return true
	}
	return false
}
