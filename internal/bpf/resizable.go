// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package bpf

import "sync"

// resizableHead is what fdinfo's memlock shows of an RHash without elements, in bytes; 0 if it can't be told.
var resizableHead = sync.OnceValue(func() uint64 {
	m, err := Create(CreateOpts{Type: RHash, KeySize: 4, ValueSize: 4, MaxEntries: 1, Flags: NoPrealloc})
	if err != nil {
		return 0
	}
	defer func() { _ = m.Close() }() // it is gone with its descriptor
	info, err := m.FDInfo()
	if err != nil {
		return 0
	}
	return info.Memlock
})

// resizableNode is what an element of an RHash has beside its key and value, each rounded up to 8 bytes: the pointer to
// the next one (struct rhtab_elem, Linux 7.1).
const resizableNode = 8

// resizableCount is how many elements an RHash holds: its memory in fdinfo is that of its elements, one by one. known
// is false for other types.
func (m *Map) resizableCount() (n uint64, known bool) {
	if m.typ != RHash {
		return 0, false
	}
	head := resizableHead()
	info, err := m.FDInfo()
	if err != nil || head == 0 || info.Memlock < head {
		return 0, false
	}
	return (info.Memlock - head) / uint64(resizableNode+roundUp8(m.key)+roundUp8(m.value)), true
}

// resizing is what an iteration over an RHash needs to know whether it saw all: the kernel looks for the key where it
// stands, and while the table is resized goes on elsewhere.
type resizing struct {
	before uint64
	known  bool
}

// isWhole says whether as many elements were read as there were before or after it, or between the two.
func (r *resizing) isWhole(m *Map, read uint64) bool {
	after, known := m.resizableCount()
	return r.known && known && read >= min(r.before, after) && read <= max(r.before, after)
}
