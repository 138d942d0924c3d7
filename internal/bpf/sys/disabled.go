// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package sys

import (
	"slices"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// Disabled are features that this process doesn't use, although the kernel may have them.
type Disabled struct {
	// MapTypes are refused by BPF_MAP_CREATE.
	MapTypes []uint32
	// Batch refuses the batch commands, Freeze BPF_MAP_FREEZE.
	Batch, Freeze bool
	// AllCPUs refuses the flags CPU and AllCPUs of elements, ArrayHash leaves out the hash of a frozen array.
	AllCPUs, ArrayHash bool
}

var disabled atomic.Pointer[Disabled]

// SetDisabled makes the calls that need one of these features fail with the errno of a kernel that lacks
// it, without entering the kernel. It replaces what was disabled before.
func SetDisabled(d Disabled) { disabled.Store(&d) }

// checkType returns what older kernels answer to a map type that came later.
func checkType(typ uint32) error {
	if d := disabled.Load(); d != nil && slices.Contains(d.MapTypes, typ) {
		return errnoOf(unix.EINVAL)
	}
	return nil
}

// checkBatch returns what kernels answer where a map type has no batch command.
func checkBatch() error {
	if d := disabled.Load(); d != nil && d.Batch {
		return errnoOf(enotsupp)
	}
	return nil
}

// checkFreeze returns what kernels before Linux 5.2 answer to the unknown command.
func checkFreeze() error {
	if d := disabled.Load(); d != nil && d.Freeze {
		return errnoOf(unix.EINVAL)
	}
	return nil
}

// cpuFlags are BPF_F_CPU and BPF_F_ALL_CPUS.
const cpuFlags = 1<<3 | 1<<4

func checkFlags(flags uint64) error {
	if flags&cpuFlags == 0 {
		return nil
	}
	if d := disabled.Load(); d != nil && d.AllCPUs {
		return errnoOf(unix.EINVAL)
	}
	return nil
}

func checkHash() error {
	if d := disabled.Load(); d != nil && d.ArrayHash {
		return errnoOf(enotsupp)
	}
	return nil
}
