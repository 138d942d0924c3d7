// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package bpf

import (
	"bytes"
	"encoding/binary"
	"sync"

	"github.com/bpfmap-io/bpfmap-operator/internal/bpf/sys"
)

// trieTraits are what kernels do with LPM tries in more than one way, which stable releases carry: it is tried.
type trieTraits struct {
	// flags: NoExist and Exist are heeded (maptype.TrieFlags).
	flags bool
	// cursor: behind a prefix that isn't there comes the first one of all (maptype.TrieCursor). Else it may be the
	// one behind another prefix of the same length.
	cursor bool
}

// triedTrie caches a conclusive answer of tries.
var triedTrie struct {
	sync.Mutex
	known bool
	trieTraits
}

// tries is what this kernel does. If it can't be tried, it is taken to do the worse.
func tries() trieTraits {
	triedTrie.Lock()
	defer triedTrie.Unlock()
	if !triedTrie.known {
		found, err := tryTrie()
		if err != nil {
			return trieTraits{}
		}
		triedTrie.trieTraits, triedTrie.known = found, true
	}
	return triedTrie.trieTraits
}

// tryTrie makes a trie of the prefixes 0 and 128 of 8 bits, and asks what is behind 8: the way to it leads to 0.
func tryTrie() (found trieTraits, err error) {
	fd, err := sys.CreateMap(&sys.MapCreateAttr{
		MapType: uint32(LPMTrie), KeySize: 5, ValueSize: 1, MaxEntries: 4, MapFlags: uint32(NoPrealloc),
	})
	if err != nil {
		return found, err
	}
	defer func() { err = closing(fd, err) }()
	key := func(b byte) []byte { return append(binary.NativeEndian.AppendUint32(nil, 8), b) }
	for _, b := range []byte{0, 128} {
		if err := fd.Elem(sys.MapUpdateElem, key(b), []byte{0}, 0); err != nil {
			return found, err
		}
	}
	err = fd.Elem(sys.MapUpdateElem, key(0), []byte{0}, uint64(NoExist))
	if err != nil && !sys.IsExist(err) {
		return found, err
	}
	found.flags = err != nil
	next := make([]byte, 5)
	if err := fd.Elem(sys.MapGetNextKey, key(8), next, 0); err != nil {
		return found, err
	}
	found.cursor = bytes.Equal(next, key(0))
	return found, nil
}

// HasPrefix says whether a trie holds a key itself, not only one around it, which is what a look-up finds.
// buffer has the room of two keys. It is answered by the key after it: of one that isn't there, the kernel
// gives the first one of all. Kernels that don't (maptype.TrieCursor) are asked for values, and if those don't
// tell, for all keys.
func (m *Map) HasPrefix(key, buffer []byte) (bool, error) {
	next, first := buffer[:m.key], buffer[m.key:2*m.key]
	if !tries().cursor {
		return m.findPrefix(key, next, first)
	}
	more, err := m.GetNextKey(key, next)
	if err != nil {
		return false, err
	}
	holds, err := m.GetNextKey(nil, first)
	if err != nil || !holds {
		return false, err
	}
	return !more || !bytes.Equal(next, first), nil
}

// findPrefix looks for a key by what a look-up finds at it and around it. next and prev have the room of a key.
func (m *Map) findPrefix(key, next, prev []byte) (bool, error) {
	at, around := make([]byte, m.stride), make([]byte, m.stride)
	length := binary.NativeEndian.Uint32(key)
	switch err := m.elem(sys.MapLookupElem, key, at, Any); {
	case sys.IsNotExist(err):
		return false, nil // not even one around it
	case err != nil:
		return false, m.explain(opLookup, Any, err)
	case length == 0:
		return true, nil // nothing is around it
	}
	copy(next, key)
	binary.NativeEndian.PutUint32(next, length-1)
	switch err := m.elem(sys.MapLookupElem, next, around, Any); {
	case sys.IsNotExist(err):
		return true, nil
	case err != nil:
		return false, m.explain(opLookup, Any, err)
	case !bytes.Equal(at, around):
		return true, nil
	}
	// From a key that is there, the kernel goes on to the one behind it.
	from := []byte(nil)
	for n := uint64(0); n <= 4*uint64(m.max); n++ {
		more, err := m.GetNextKey(from, next)
		if err != nil || !more {
			return false, err
		}
		if c := comparePrefixes(next, key); c >= 0 {
			return c == 0, nil // they come in order
		}
		from = prev
		copy(prev, next)
	}
	return false, &Error{Op: opNextKey, Map: m.describe(), Kind: ErrBusy, Hint: "others delete as fast as it is read", Err: sys.EAGAIN}
}

// checkTrieFlags does for tries on kernels that ignore NoExist and Exist what the flags ask for, but that others
// may write meanwhile. It is nil if the element may be written.
func (m *Map) checkTrieFlags(key []byte, flags ElemFlags) error {
	if m.typ != LPMTrie || flags&(NoExist|Exist) == 0 || tries().flags {
		return nil
	}
	there, err := m.HasPrefix(key, make([]byte, 2*m.key))
	switch {
	case err != nil:
		return err
	case there && flags&NoExist != 0:
		return m.explain(opUpdate, flags, sys.EEXIST)
	case !there && flags&Exist != 0:
		return m.explain(opUpdate, flags, sys.ENOENT)
	}
	return nil
}
