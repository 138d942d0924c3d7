// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package bpf

import (
	"errors"
	"sync/atomic"
)

// measuresMemory caches a conclusive answer of MeasuresMemory.
var measuresMemory atomic.Pointer[bool]

// MeasuresMemory says whether FDInfo.Memlock is what a map takes, as it is since Linux 6.4. Before, it is what the map
// could take, from its sizes. It is tried with an empty map; true also if that can't be made.
func MeasuresMemory() bool {
	if known := measuresMemory.Load(); known != nil {
		return *known
	}
	const size, elements = 1000, 32
	m, err := Create(CreateOpts{Type: Hash, KeySize: 4, ValueSize: size, MaxEntries: elements, Flags: NoPrealloc})
	if err != nil {
		return !errors.Is(err, ErrMemlockLimit) // those kernels don't measure either
	}
	defer func() { _ = m.Close() }() // it is gone with its descriptor
	info, err := m.FDInfo()
	if err != nil {
		return true
	}
	measured := info.Memlock < size*elements
	measuresMemory.Store(&measured)
	return measured
}
