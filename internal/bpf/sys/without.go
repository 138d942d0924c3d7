// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package sys

import (
	"slices"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// Without is what this process does without, although the kernel may have it.
type Without struct {
	// MapTypes are refused by BPF_MAP_CREATE.
	MapTypes []uint32
	// Batch refuses the batch commands, Freeze BPF_MAP_FREEZE.
	Batch, Freeze bool
}

var without atomic.Pointer[Without]

// DoWithout lets the calls that need one of these features fail with the errno of a kernel that lacks it,
// without entering the kernel.
func DoWithout(w Without) { without.Store(&w) }

// lacksType is what older kernels answer to a map type that came later.
func lacksType(typ uint32) error {
	if w := without.Load(); w != nil && slices.Contains(w.MapTypes, typ) {
		return errnoOf(unix.EINVAL)
	}
	return nil
}

// lacksBatch is what kernels answer where a map type has no batch command.
func lacksBatch() error {
	if w := without.Load(); w != nil && w.Batch {
		return errnoOf(enotsupp)
	}
	return nil
}

// lacksFreeze is what kernels before Linux 5.2 answer to the unknown command.
func lacksFreeze() error {
	if w := without.Load(); w != nil && w.Freeze {
		return errnoOf(unix.EINVAL)
	}
	return nil
}
