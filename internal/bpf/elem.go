// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package bpf

import "github.com/bpfmap-io/bpfmap-operator/internal/bpf/sys"

// The names of operations in errors.
const (
	opUpdate          = "update element"
	opLookup          = "look up element"
	opLookupAndDelete = "look up and delete element"
	opDelete          = "delete element"
	opNextKey         = "get next key"
	opFreeze          = "freeze map"
)

// UpdateElem is bpf_map_update_elem: it writes one element. value is ValueStride bytes long; key is
// KeySize bytes long, and nil for queues, stacks and bloom filters.
//
// Flags: Any, NoExist, Exist; Lock needs a bpf_spin_lock in the value's BTF; on a queue or stack
// Exist overwrites the oldest element of a full one; with CPU and AllCPUs, on kernels that have them,
// value is one CPU's value of ValueSize bytes. Errors: ErrExist, ErrNotExist, ErrFull (never
// from LRU maps), ErrOutOfRange, ErrFrozen, ErrNotPermitted (the handle is read-only),
// ErrNotSupported. A reader of an array may see half of a write larger than a word.
func (m *Map) UpdateElem(key, value []byte, flags ElemFlags) error {
	if err := m.check(opUpdate, m.traits.Update, key, value, flags); err != nil {
		return err
	}
	if flags&(NoExist|Exist) == NoExist|Exist {
		return m.explain(opUpdate, flags, sys.EINVAL) // since Linux 7.0 some types take both
	}
	if err := m.checkTrieFlags(key, flags); err != nil {
		return err
	}
	if err := m.elem(sys.MapUpdateElem, key, value, flags); err != nil {
		return m.explain(opUpdate, flags, err)
	}
	return nil
}

// LookupElem is bpf_map_lookup_elem: LookupElemFlags without flags.
func (m *Map) LookupElem(key, value []byte) error { return m.LookupElemFlags(key, value, Any) }

// LookupElemFlags is bpf_map_lookup_elem_flags: it copies the element's value into value, which is
// ValueStride bytes long. An LPM trie finds the longest prefix, a queue or stack peeks (key nil), a
// bloom filter takes value as input. Maps of file descriptors return ids or cookies.
//
// The one flag is Lock. Errors: ErrNotExist; ErrNotPermitted if the handle is write-only;
// ErrNotSupported.
func (m *Map) LookupElemFlags(key, value []byte, flags ElemFlags) error {
	if err := m.check(opLookup, m.traits.Lookup, key, value, flags); err != nil {
		return err
	}
	if err := m.elem(sys.MapLookupElem, key, value, flags); err != nil {
		return m.explain(opLookup, flags, err)
	}
	return nil
}

// LookupAndDeleteElem is bpf_map_lookup_and_delete_elem: without flags.
func (m *Map) LookupAndDeleteElem(key, value []byte) error {
	return m.LookupAndDeleteElemFlags(key, value, Any)
}

// LookupAndDeleteElemFlags is bpf_map_lookup_and_delete_elem_flags: it removes an element and gives
// its value (queue and stack: Linux 4.20; hash family: 5.14; others: ErrNotSupported). The value
// buffer is checked first, since the kernel deletes before it finds that it can't copy. The one flag
// is Lock, on Hash alone.
func (m *Map) LookupAndDeleteElemFlags(key, value []byte, flags ElemFlags) error {
	if err := m.check(opLookupAndDelete, m.traits.LookupAndDelete, key, value, flags); err != nil {
		return err
	}
	if err := m.elem(sys.MapLookupAndDeleteElem, key, value, flags); err != nil {
		return m.explain(opLookupAndDelete, flags, err)
	}
	return nil
}

// DeleteElem is bpf_map_delete_elem: DeleteElemFlags without flags.
func (m *Map) DeleteElem(key []byte) error { return m.DeleteElemFlags(key, Any) }

// DeleteElemFlags is bpf_map_delete_elem_flags: it removes an element. No kernel up to 6.18 takes a
// flag here (EINVAL). Errors: ErrNotExist; ErrFrozen; ErrNotPermitted; ErrNotSupported for arrays,
// whose elements can't be removed.
func (m *Map) DeleteElemFlags(key []byte, flags ElemFlags) error {
	if err := m.checkKey(opDelete, m.traits.Delete, key); err != nil {
		return err
	}
	if err := m.elem(sys.MapDeleteElem, key, nil, flags); err != nil {
		return m.explain(opDelete, flags, err)
	}
	return nil
}

// GetNextKey is bpf_map_get_next_key: it writes the key after key to next; a nil key starts. It
// returns false at the end. The order is the kernel's (hash: by bucket; LPM: longest prefixes
// first). A key that is no longer there makes the kernel start again at the first key; Iterator
// detects and bounds that.
func (m *Map) GetNextKey(key, next []byte) (bool, error) {
	if !m.traits.Iterate {
		return false, m.unsupported(opNextKey)
	}
	if key != nil && len(key) != m.key {
		return false, sizeError(opNextKey, "the key", m, len(key), m.key)
	}
	if len(next) != m.key {
		return false, sizeError(opNextKey, "the buffer for the next key", m, len(next), m.key)
	}
	err := m.elem(sys.MapGetNextKey, key, next, Any)
	switch {
	case err == nil:
		return true, nil
	case sys.IsNotExist(err):
		return false, nil
	}
	return false, m.explain(opNextKey, Any, err)
}

// elem is one system call on one element, which is repeated a few times if the kernel didn't get a lock.
func (m *Map) elem(cmd sys.Cmd, key, value []byte, flags ElemFlags) error {
	err := m.fd.Elem(cmd, key, value, uint64(flags))
	if err == nil || sys.IsNotExist(err) {
		return err
	}
	for wait := lockBackoff(); m.contended(err) && wait.again(); {
		err = m.fd.Elem(cmd, key, value, uint64(flags))
	}
	return err
}

// check refuses what the kernel can't check: it doesn't learn how long the buffers are.
func (m *Map) check(op string, supported bool, key, value []byte, flags ElemFlags) error {
	if err := m.checkKey(op, supported, key); err != nil {
		return err
	}
	if want := m.width(flags); len(value) != want {
		return sizeError(op, "the value", m, len(value), want)
	}
	return nil
}

// width is how many bytes a value has in a command with these flags.
func (m *Map) width(flags ElemFlags) int {
	if flags&(CPU|AllCPUs) != 0 && m.traits.PerCPU {
		return m.value // of one CPU, and not rounded up
	}
	return m.stride
}

func (m *Map) checkKey(op string, supported bool, key []byte) error {
	if !supported {
		return m.unsupported(op)
	}
	if len(key) != m.key {
		return sizeError(op, "the key", m, len(key), m.key)
	}
	return nil
}

func (m *Map) unsupported(op string) error {
	return &Error{Op: op, Map: m.describe(), Kind: ErrNotSupported, Hint: "map type " + m.typ.String() + " has no such operation"}
}
