// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package ownership

import (
	"bytes"
	"errors"
	"fmt"
	"iter"
	"slices"
	"sort"
)

// The bounds of keys in bytes.
const (
	// MaxLogBytes bounds the changes of one KeyLog: with more of them, a new base is due.
	MaxLogBytes = 64 << 10
	// MaxBaseBytes bounds a stored base.
	MaxBaseBytes = 1 << 30
)

// ErrNoBase says that the base which a record names is not there, or can't be believed. Which keys were
// declared is then known only as far as KeyLog.Added tells: nothing else may be deleted.
var ErrNoBase = errors.New("the stored keys are missing or damaged")

// KeyLog is the set of declared keys of one map: a stored base and the changes since. The set is the base
// without Removed, and with Added. The zero KeyLog is the empty set.
type KeyLog struct {
	// KeySize is the size of a key in bytes, 0 only for an empty set of a map without keys.
	KeySize int
	// Generation names the stored base, BaseLen is how many keys that has; both are 0 without a base.
	Generation uint64
	BaseLen    int
	// Added and Removed are packed keys, sorted bytewise; no key is in both.
	Added, Removed []byte
}

// NewKeyLog is the set of exactly these packed keys. A few of them are kept in the log itself; more need
// the base, sorted bytewise, stored under the generation before a record names it. base is nil without.
func NewKeyLog(keySize int, generation uint64, keys []byte) (l KeyLog, base []byte) {
	keys = SortKeys(keySize, keys)
	switch {
	case len(keys) == 0:
		return KeyLog{KeySize: keySize}, nil
	case len(keys) <= MaxLogBytes/2:
		return KeyLog{KeySize: keySize, Added: bytes.Clone(keys)}, nil
	}
	return KeyLog{KeySize: keySize, Generation: generation, BaseLen: len(keys) / keySize}, keys
}

// LogBytes is how many bytes the changes take.
func (l KeyLog) LogBytes() int { return len(l.Added) + len(l.Removed) }

// BaseBytes is how many bytes the base takes.
func (l KeyLog) BaseBytes() int64 { return int64(l.BaseLen) * int64(l.KeySize) }

// IsDue says that there are too many changes: the set is to be stored as a new base (NewKeyLog of All)
// before a record can hold it.
func (l KeyLog) IsDue() bool { return l.LogBytes() > MaxLogBytes }

// Add is the set with these packed keys. The keys of l and of the result are not shared with the argument.
func (l KeyLog) Add(keys []byte) KeyLog {
	keys = SortKeys(l.KeySize, keys)
	return l.with(union(l.KeySize, l.Added, keys), minus(l.KeySize, l.Removed, keys))
}

// Remove is the set without these packed keys.
func (l KeyLog) Remove(keys []byte) KeyLog {
	keys = SortKeys(l.KeySize, keys)
	return l.with(minus(l.KeySize, l.Added, keys), union(l.KeySize, l.Removed, keys))
}

// Become is the set of exactly these packed keys as changes to the base.
func (l KeyLog) Become(base, keys []byte) KeyLog {
	keys = SortKeys(l.KeySize, keys)
	return l.with(minus(l.KeySize, keys, base), minus(l.KeySize, base, keys))
}

// with is l with other changes. Without a base there is nothing to remove from.
func (l KeyLog) with(added, removed []byte) KeyLog {
	l.Added, l.Removed = added, removed
	if l.BaseLen == 0 {
		l.Removed = nil
	}
	return l
}

// Has says whether the set has a key.
func (l KeyLog) Has(base, key []byte) bool {
	return has(l.KeySize, l.Added, key) || has(l.KeySize, base, key) && !has(l.KeySize, l.Removed, key)
}

// All are the keys of the set in bytewise order; each is valid as long as l and base are.
func (l KeyLog) All(base []byte) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		added, size := l.Added, l.KeySize
		for len(added) > 0 || len(base) > 0 {
			var key []byte
			switch {
			case len(base) == 0 || len(added) > 0 && bytes.Compare(added[:size], base[:size]) < 0:
				key, added = added[:size], added[size:]
			case len(added) > 0 && bytes.Equal(added[:size], base[:size]):
				key, added, base = added[:size], added[size:], base[size:]
			default:
				key, base = base[:size], base[size:]
				if has(size, l.Removed, key) {
					continue
				}
			}
			if !yield(key) {
				return
			}
		}
	}
}

// Packed are the keys of the set, packed and sorted bytewise. Without changes it is base itself.
func (l KeyLog) Packed(base []byte) []byte {
	if l.LogBytes() == 0 {
		return base
	}
	all := make([]byte, 0, len(base)+len(l.Added))
	for key := range l.All(base) {
		all = append(all, key...)
	}
	return all
}

// CheckBase says whether a stored base is the one that the log names.
func (l KeyLog) CheckBase(base []byte) error {
	if int64(len(base)) != l.BaseBytes() {
		return fmt.Errorf("%w: generation %d has %d bytes, want %d", ErrNoBase, l.Generation, len(base), l.BaseBytes())
	}
	return nil
}

// check says whether a record may hold the log.
func (l KeyLog) check() error {
	switch {
	case l.KeySize < 0 || l.BaseLen < 0 || (l.Generation == 0) != (l.BaseLen == 0):
		return fmt.Errorf("a base of %d keys of %d bytes can't have the generation %d", l.BaseLen, l.KeySize, l.Generation)
	case l.KeySize == 0 && (l.BaseLen != 0 || l.LogBytes() != 0):
		return errors.New("keys have no size")
	case l.IsDue():
		return fmt.Errorf("%d bytes of changed keys are more than %d: a new base is due", l.LogBytes(), MaxLogBytes)
	case l.BaseBytes() > MaxBaseBytes:
		return fmt.Errorf("%d bytes of keys are more than %d", l.BaseBytes(), MaxBaseBytes)
	case l.BaseLen == 0 && len(l.Removed) > 0:
		return errors.New("keys are removed from an empty base")
	case !isSorted(l.KeySize, l.Added) || !isSorted(l.KeySize, l.Removed):
		return errors.New("keys are not sorted")
	case len(minus(l.KeySize, l.Added, l.Removed)) != len(l.Added):
		return errors.New("a key is both added and removed")
	}
	return nil
}

// SortKeys are packed keys in bytewise order and without duplicates: keys itself if it is so already, else
// a copy. Bytes behind the last whole key are left out.
func SortKeys(size int, keys []byte) []byte {
	if size <= 0 {
		return nil
	}
	keys = keys[: len(keys)/size*size : len(keys)/size*size]
	if isSorted(size, keys) {
		return keys
	}
	p := &packed{bytes.Clone(keys), size, make([]byte, size)}
	sort.Sort(p)
	out := p.keys[:0]
	for rest := p.keys; len(rest) > 0; rest = rest[size:] {
		if n := len(out); n == 0 || !bytes.Equal(out[n-size:], rest[:size]) {
			out = append(out, rest[:size]...)
		}
	}
	return out
}

// packed sorts packed keys in place.
type packed struct {
	keys    []byte
	size    int
	scratch []byte
}

func (p *packed) at(i int) []byte    { return p.keys[i*p.size : (i+1)*p.size] }
func (p *packed) Len() int           { return len(p.keys) / p.size }
func (p *packed) Less(i, j int) bool { return bytes.Compare(p.at(i), p.at(j)) < 0 }
func (p *packed) Swap(i, j int) {
	copy(p.scratch, p.at(i))
	copy(p.at(i), p.at(j))
	copy(p.at(j), p.scratch)
}

// isSorted says whether packed keys are whole, in bytewise order and without duplicates.
func isSorted(size int, keys []byte) bool {
	if size <= 0 || len(keys)%size != 0 {
		return len(keys) == 0
	}
	for i := size; i < len(keys); i += size {
		if bytes.Compare(keys[i-size:i], keys[i:i+size]) >= 0 {
			return false
		}
	}
	return true
}

// has finds a key in sorted packed keys.
func has(size int, keys, key []byte) bool {
	if len(keys) == 0 || len(key) != size {
		return false
	}
	_, found := sort.Find(len(keys)/size, func(i int) int { return bytes.Compare(key, keys[i*size:(i+1)*size]) })
	return found
}

// union merges two sorted lists of packed keys into a new one.
func union(size int, a, b []byte) []byte {
	if len(b) == 0 {
		return slices.Clip(a)
	}
	out := make([]byte, 0, len(a)+len(b))
	for len(a) > 0 && len(b) > 0 {
		switch order := bytes.Compare(a[:size], b[:size]); {
		case order < 0:
			out, a = append(out, a[:size]...), a[size:]
		case order > 0:
			out, b = append(out, b[:size]...), b[size:]
		default:
			out, a, b = append(out, a[:size]...), a[size:], b[size:]
		}
	}
	return append(append(out, a...), b...)
}

// minus are the keys of a that are not in b, both sorted.
func minus(size int, a, b []byte) []byte {
	if len(a) == 0 || len(b) == 0 {
		return slices.Clip(bytes.Clone(a))
	}
	var out []byte
	for len(a) > 0 {
		for len(b) > 0 && bytes.Compare(b[:size], a[:size]) < 0 {
			b = b[size:]
		}
		if len(b) == 0 {
			return append(out, a...)
		}
		if !bytes.Equal(a[:size], b[:size]) {
			out = append(out, a[:size]...)
		}
		a = a[size:]
	}
	return out
}
