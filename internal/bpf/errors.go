// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package bpf

import (
	"errors"
	"fmt"
	"os"
	"syscall"
)

// The sentinels. An error that matches one of them by errors.Is still matches its errno, too.
var (
	// ErrNotExist: the element, the id or the pin doesn't exist.
	ErrNotExist = errors.New("does not exist")
	// ErrExist: the element or the pin already exists.
	ErrExist = errors.New("already exists")
	// ErrFull: the map has no room for another element.
	ErrFull = errors.New("map is full")
	// ErrOutOfRange: an index is not below max_entries.
	ErrOutOfRange = errors.New("index is out of range")
	// ErrNotSupported: the map type or the kernel doesn't have this operation.
	ErrNotSupported = errors.New("not supported")
	// ErrFrozen: the map is frozen, so user space can't write to it.
	ErrFrozen = errors.New("map is frozen")
	// ErrMapped: the map can't be frozen while it is mapped writable or being written to.
	ErrMapped = errors.New("map is mapped writable or being written to")
	// ErrBusy: the kernel didn't get a lock of the map, although the call was repeated.
	ErrBusy = errors.New("map is busy")
	// ErrNotPermitted: a capability, a file permission or the open mode forbids it.
	ErrNotPermitted = errors.New("not permitted")
	// ErrMemlockLimit: the kernel charges maps and programs to RLIMIT_MEMLOCK (before Linux 5.11), and the
	// limit is too low (EPERM).
	ErrMemlockLimit = errors.New("over the limit of locked memory")
	// ErrNoMemory: the kernel has no memory for it, or the memory cgroup's limit is reached.
	ErrNoMemory = errors.New("out of kernel memory")
	// ErrNotMap: the pin is that of a program, a link or BTF.
	ErrNotMap = errors.New("is not a map")
	// ErrNotProgram: the pin is that of a map, a link or BTF.
	ErrNotProgram = errors.New("is not a program")
	// ErrClosed: the handle has been closed.
	ErrClosed = os.ErrClosed
)

// Error is what every operation of this package returns on failure.
type Error struct {
	// Op is the operation, for example "update element".
	Op string
	// Map identifies the map: type and name, or a path, or an id. Empty if it isn't known.
	Map string
	// Kind is one of the sentinels, or nil.
	Kind error
	// Hint is advice or detail for people, or empty.
	Hint string
	// Err is the cause, an errno for failures of the kernel.
	Err error
}

// Error is "update element of Hash flows: map is full (max_entries 1024)".
func (e *Error) Error() string {
	s := e.Op
	if e.Map != "" {
		s += " of " + e.Map
	}
	if e.Kind != nil {
		s += ": " + e.Kind.Error()
	}
	if e.Hint != "" {
		s += " (" + e.Hint + ")"
	}
	if e.Err != nil && !e.isSaid() {
		s += ": " + e.Err.Error()
	}
	return s
}

// isSaid says that Kind tells all that the errno does, in the words of maps: "argument list too long" is what a full one
// gives.
func (e *Error) isSaid() bool {
	var errno syscall.Errno
	return (errors.Is(e.Kind, ErrFull) || errors.Is(e.Kind, ErrNotExist) || errors.Is(e.Kind, ErrExist)) && errors.As(e.Err, &errno)
}

// Is makes errors.Is find the sentinel without the allocation that Unwrap costs.
func (e *Error) Is(target error) bool { return e.Kind != nil && target == e.Kind }

// Unwrap gives errors.Is both the sentinel and the errno.
func (e *Error) Unwrap() []error {
	var errs []error
	if e.Kind != nil {
		errs = append(errs, e.Kind)
	}
	if e.Err != nil {
		errs = append(errs, e.Err)
	}
	return errs
}

func sizeError(op, what string, m *Map, got, want int) error {
	return &Error{Op: op, Map: m.describe(), Err: fmt.Errorf("%s is %d bytes long, must be %d", what, got, want)}
}
