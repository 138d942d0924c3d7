// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package bpf

import (
	"bytes"
	"context"
	"sync"

	"github.com/bpfmap-io/bpfmap-operator/internal/bpf/sys"
	"github.com/bpfmap-io/bpfmap-operator/internal/maptype"
)

// allCPUProbes caches conclusive answers of HaveAllCPUs.
var allCPUProbes sync.Map // MapType → bool

// HaveAllCPUs says whether this kernel writes one value to all CPUs of a per-CPU map of the type, in batches
// (Linux 7.0). It is tried: the value of each CPU is read again. false also if it can't be told.
func HaveAllCPUs(t MapType) bool {
	if !t.Traits().PerCPU || !t.Traits().UpdateBatch {
		return false
	}
	if has, ok := allCPUProbes.Load(t); ok {
		return has.(bool)
	}
	has, conclusive := probeAllCPUs(t)
	if conclusive {
		allCPUProbes.Store(t, has)
	}
	return has
}

func probeAllCPUs(t MapType) (has, conclusive bool) {
	const size = 4
	m, err := Create(CreateOpts{Type: t, KeySize: 4, ValueSize: size, MaxEntries: 1})
	if err != nil {
		return false, false
	}
	defer func() { _ = m.Close() }() // it is gone with its descriptor
	key, one, all := make([]byte, 4), []byte{1, 2, 3, 4}, make([]byte, m.stride)
	if _, err := m.fd.Batch(sys.MapUpdateBatch, nil, nil, key, one, 1, uint64(AllCPUs)); err != nil {
		return false, sys.IsInvalid(err) || sys.IsNotSupp(err)
	}
	if err := m.LookupElem(key, all); err != nil {
		return false, false
	}
	return m.uniform(all), bytes.HasPrefix(all, one)
}

// uniform says whether all CPUs have the same value in one element's values. What pads a CPU's value isn't compared.
func (m *Map) uniform(values []byte) bool {
	slot := maptype.Slot(m.value)
	for at := slot; at < len(values); at += slot {
		if !bytes.Equal(values[:m.value], values[at:at+m.value]) {
			return false
		}
	}
	return true
}

// UpdateCPUs is UpdateBatch of a per-CPU map, with fewer bytes where the kernel has AllCPUs: elements whose value is
// the same for all CPUs are given to it once, not once for each possible CPU. They are written before the others, so
// keys are distinct. Elsewhere, and with other flags than Any, it is UpdateBatch. done is how many elements were
// written, in no order after an error.
func (m *Map) UpdateCPUs(ctx context.Context, keys, values []byte, flags ElemFlags) (done int, err error) {
	if flags != Any || m.stride == m.value || !HaveAllCPUs(m.typ) {
		return m.UpdateBatch(ctx, keys, values, flags)
	}
	count, err := m.batchLen(opUpdateBatch, keys, values, m.stride)
	if err != nil {
		return 0, err
	}
	var same, rest packed
	for i := range count {
		key, value := m.keyAt(keys, i), m.valueAt(values, i)
		if m.uniform(value) {
			same.add(key, value[:m.value])
		} else {
			rest.add(key, value)
		}
	}
	for _, part := range []struct {
		packed
		flags ElemFlags
	}{{same, AllCPUs}, {rest, Any}} {
		if len(part.keys) == 0 {
			continue
		}
		n, err := m.UpdateBatch(ctx, part.keys, part.values, part.flags)
		done += n
		if err != nil {
			return done, err
		}
	}
	return done, nil
}

// packed are packed elements.
type packed struct{ keys, values []byte }

func (e *packed) add(key, value []byte) {
	e.keys, e.values = append(e.keys, key...), append(e.values, value...)
}
