// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package footprint

import (
	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/maptype"
)

// formulas are the layouts of memory that internal/maptype names.
var formulas = map[maptype.Formula]func(layout) Estimate{
	maptype.HashTable:        layout.hash,
	maptype.ValueArray:       layout.array,
	maptype.PerCPUValueArray: layout.perCPUArray,
	maptype.PointerArray:     layout.pointerArray,
	maptype.PointerHash:      layout.pointerHash,
	maptype.SocketHash:       layout.socketHash,
	maptype.Trie:             layout.lpmTrie,
	maptype.RingOfValues:     layout.queue,
	maptype.Bits:             layout.bloomFilter,
	maptype.StackBuckets:     layout.stackTrace,
	maptype.RingBuffer:       layout.ringBuf,
	maptype.LazyPages:        layout.arena,
	maptype.KernelStruct:     layout.structOps,
	maptype.LocalStorage:     layout.storage,
	maptype.ResizableHash:    layout.resizableHash,
}

// Sizes of the kernel's structures in bytes, rounded up.
const (
	hashTable   = 896
	hashBucket  = 16
	hashElement = 48
	// listNode is what the allocator of elements puts in front of each one.
	listNode    = 8
	trieNode    = 40
	stackBucket = 32
	// resizableTable is struct bpf_rhtab of Linux 7.2, resizableElement an element without its key and value, and resizableBuckets
	// the smallest table, which the kernel makes without a hint.
	resizableTable   = 536
	resizableElement = 8
	resizableBuckets = 64
	// storageElement is a local storage element without its value.
	storageElement = 128
)

// hash is for all hash tables. Without NoPrealloc they take everything at creation.
func (m layout) hash() Estimate {
	perCPU, lru := m.IsPerCPU(), m.IsLRU()
	buckets := times(roundUpPow2(m.entries), hashBucket)
	element := hashElement + m.key + m.value
	var values int64 // of all CPUs
	if perCPU {
		element, values = hashElement+m.key+word, times(m.value, m.cpus)
	}
	if m.has(v1alpha1.FlagNoPrealloc) {
		accounted, taken := element+listNode, kmalloc(element+listNode)
		if perCPU {
			accounted += listNode + word + values
			taken += kmalloc(listNode+word) + values + 2*m.value // the last: which cgroup each word belongs to
		}
		return Estimate{Empty: add(area(buckets), m.spare(element)), Element: taken, Accounted: accounted, shown: buckets + hashTable}
	}
	n := m.entries
	switch {
	case lru: // rounded up to a multiple of the CPUs, each of which has lists of its own
		n = add(n, m.cpus)
		buckets = add(buckets, times(m.cpus, 256))
	case !perCPU: // one spare element for each CPU
		n = add(n, times(2, m.cpus))
	}
	return Estimate{Empty: add(area(buckets), area(times(n, element)), times(n, values))}
}

// resizableHash is a table of pointers that grows with its elements, to twice as many buckets at three quarters, while
// the old table is still there; and elements of a node of the list, key and value from the allocator of elements. The
// kernel makes larger tables in the background, and charges no cgroup with them.
func (m layout) resizableHash() Estimate {
	element := resizableElement + m.key + m.value
	buckets := max(resizableBuckets, roundUpPow2(int64(m.MapExtra)*4/3))
	return Estimate{
		Empty: add(area(times(buckets, word)), m.spare(element)), Element: kmalloc(element+listNode) + 4*word, Accounted: element,
		shown: resizableTable,
	}
}

// spare bounds the elements that the allocator keeps ready: a few for each CPU, and up to about 100 small
// ones on the CPU that writes.
func (m layout) spare(element int64) int64 {
	size := kmalloc(element + listNode)
	return add(times(4, times(size, m.cpus)), max(times(4, size), 24<<10))
}

// slots is how many entries an array makes room for. Unless its creator has CAP_PERFMON, the kernel
// rounds up to a power of two, so that no speculative access leaves the array.
func (m layout) slots() int64 { return roundUpPow2(m.entries) }

func (m layout) array() Estimate {
	values := times(m.slots(), m.value)
	if m.has(v1alpha1.FlagMmapable) { // whole pages, and one for the map's own structure
		return Estimate{Empty: add(roundUp(values, page), page)}
	}
	return Estimate{Empty: area(add(values, tableHeader))}
}

func (m layout) perCPUArray() Estimate {
	return Estimate{Empty: add(area(add(times(m.slots(), word), tableHeader)), times(m.entries, times(m.value, m.cpus)))}
}

// pointerArray is for arrays of pointers, to objects that the map owns or to none.
func (m layout) pointerArray() Estimate {
	return Estimate{Empty: area(add(times(m.slots(), word), tableHeader)), Element: m.object()}
}

func (m layout) pointerHash() Estimate {
	return Estimate{Empty: area(times(m.slots(), word)), Element: m.object()}
}

func (m layout) socketHash() Estimate {
	return Estimate{Empty: area(times(m.slots(), hashBucket)), Element: kmalloc(hashElement+m.key) + m.object()}
}

// object is what an element points to.
func (m layout) object() int64 {
	if m.objectSize == 0 {
		return 0
	}
	return kmalloc(m.objectSize)
}

// lpmTrie: where two prefixes part there is a node in between, as many as there are prefixes less one
// unless prefixes lie in each other.
func (m layout) lpmTrie() Estimate {
	size := int64(m.KeySize) - 4 + int64(m.ValueSize)
	return Estimate{Empty: m.spare(trieNode + size), Element: 2 * kmalloc(trieNode+size), Accounted: 24 + size}
}

// queue has room for one more element, which tells full from empty.
func (m layout) queue() Estimate {
	return Estimate{Empty: area(add(times(add(m.entries, 1), int64(m.ValueSize)), tableHeader))}
}

// defaultHashes is how many hash functions a bloom filter has if none are asked for.
const defaultHashes = 5

// bloomFilter has 7/5 bits for each entry and hash function, rounded up to a power of two.
func (m layout) bloomFilter() Estimate {
	hashes := int64(m.MapExtra & 0xf)
	if hashes == 0 {
		hashes = defaultHashes
	}
	nbits := min(roundUpPow2(times(m.entries, hashes)/5*7+7), 1<<32)
	return Estimate{Empty: area(nbits / 8)}
}

func (m layout) stackTrace() Estimate {
	return Estimate{Empty: add(area(times(m.slots(), word)), area(times(m.entries, stackBucket+m.value)))}
}

// ringBuf has maxEntries bytes, two pages of positions and one of its own, and a table of its pages in
// which each one stands twice, so that the buffer can be read over its end.
func (m layout) ringBuf() Estimate {
	pages := roundUp(m.entries, page) / page
	return Estimate{Empty: add(times(pages, page), 3*page, area(times(3+2*pages, word))), Elements: 1}
}

// arena takes its pages, maxEntries of them, when they are first used.
func (m layout) arena() Estimate { return Estimate{Empty: 4 * page, Element: page} }

// structOps holds two copies of the structure, and pages of code that call its programs.
func (m layout) structOps() Estimate { return Estimate{Empty: add(2*m.value, 16*page), Elements: 1} }

// storage is for values that are kept with sockets, inodes, tasks and cgroups. Their number has no bound.
func (m layout) storage() Estimate {
	values := m.value
	if m.IsPerCPU() {
		values = times(m.value, m.cpus)
	}
	return Estimate{Empty: times(max(2, roundUpPow2(m.cpus)), 32), Element: kmalloc(storageElement + values)}
}

func (m layout) unknown() Estimate {
	values := m.value
	return Estimate{Empty: area(times(m.slots(), hashBucket+hashElement+m.key+times(values, m.cpus)))}
}

// Knows says whether there is a formula for a type.
func Knows(t v1alpha1.MapType) bool {
	return formulas[maptype.ByName(string(t)).Or().Memory.Formula] != nil
}
