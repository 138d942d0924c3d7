// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package bpf

import (
	"encoding/binary"
	"testing"
)

func lpmKey(i int) []byte {
	return append(binary.NativeEndian.AppendUint32(nil, 32), 10, 0, 0, byte(i))
}

var (
	hashContract = contract{
		opts: CreateOpts{KeySize: 4, ValueSize: 12}, noExistDup: exists, existMissing: absent, tooMany: full,
		lookup: fine, lookupMissing: absent, lookupAndDelete: fine, remove: fine, removeMissing: absent, nextKeyEmpty: ends,
		lookupBatch: fine, drainBatch: fine, updateBatch: fine, deleteBatch: fine,
	}
	arrayContract = contract{
		opts: CreateOpts{KeySize: 4, ValueSize: 12}, noExistDup: exists, existMissing: fine, badKey: outOfRange, tooMany: outOfRange,
		lookup: fine, lookupMissing: absent, lookupAndDelete: unsupp, remove: unsupp, removeMissing: unsupp, nextKeyEmpty: fine,
		lookupBatch: fine, drainBatch: unsupp, updateBatch: fine, deleteBatch: unsupp, alwaysThere: true,
	}
	queueContract = contract{
		opts: CreateOpts{ValueSize: 12}, noExistDup: invalid, tooMany: full, lookup: fine, lookupAndDelete: fine,
		remove: unsupp, nextKeyEmpty: unsupp,
	}
)

func of(c contract, typ MapType, change func(*contract)) contract {
	c.typ = typ
	if change != nil {
		change(&c)
	}
	return c
}

var contracts = []contract{
	of(hashContract, Hash, nil),
	of(hashContract, RHash, func(c *contract) { c.opts.Flags = NoPrealloc }),
	of(hashContract, PerCPUHash, nil),
	of(hashContract, LRUHash, func(c *contract) { c.tooMany = fine }),
	of(hashContract, LRUPerCPUHash, func(c *contract) { c.tooMany, c.opts.MaxEntries = fine, 64 }),
	of(hashContract, LPMTrie, func(c *contract) {
		c.opts = CreateOpts{KeySize: 8, ValueSize: 12, Flags: NoPrealloc}
		c.key, c.lookupAndDelete, c.drainBatch, c.badKey = lpmKey, unsupp, unsupp, invalid
	}),
	of(arrayContract, Array, nil),
	of(arrayContract, PerCPUArray, nil),
	of(queueContract, Queue, nil),
	of(queueContract, Stack, nil),
	of(contract{
		opts: CreateOpts{ValueSize: 8, MaxEntries: 100}, noExistDup: invalid, existMissing: invalid, lookup: fine,
		lookupAndDelete: unsupp, remove: unsupp, nextKeyEmpty: unsupp,
	}, BloomFilter, nil),
	of(hashContract, HashOfMaps, func(c *contract) {
		c.opts.ValueSize, c.value, c.lookupAndDelete = 4, innerMap, unsupp
		c.tooMany = full
	}),
	of(contract{
		opts: CreateOpts{KeySize: 4, ValueSize: 4}, value: innerMap, noExistDup: invalid, existMissing: invalid, badKey: outOfRange,
		tooMany: outOfRange, lookup: fine, lookupMissing: absent, lookupAndDelete: unsupp, remove: fine, removeMissing: outOfRange,
		nextKeyEmpty: fine, lookupBatch: fine, drainBatch: unsupp, updateBatch: fine, deleteBatch: unsupp,
	}, ArrayOfMaps, nil),
	of(contract{
		opts: CreateOpts{KeySize: 4, ValueSize: 4}, value: loopback, noExistDup: exists, existMissing: fine, badKey: outOfRange,
		tooMany: outOfRange, lookup: fine, lookupMissing: absent, lookupAndDelete: unsupp, remove: fine, removeMissing: invalid,
		nextKeyEmpty: fine, lookupBatch: unsupp, drainBatch: unsupp, deleteBatch: unsupp,
	}, DevMap, nil),
	of(contract{
		opts: CreateOpts{KeySize: 4, ValueSize: 4}, value: loopback, noExistDup: exists, existMissing: fine, tooMany: full,
		lookup: fine, lookupMissing: absent, lookupAndDelete: unsupp, remove: fine, removeMissing: absent, nextKeyEmpty: ends,
		lookupBatch: unsupp, drainBatch: unsupp, deleteBatch: unsupp,
	}, DevMapHash, nil),
	of(contract{
		opts: CreateOpts{KeySize: 4, ValueSize: 4, MaxEntries: 2}, value: queueSize, noExistDup: exists, existMissing: fine,
		tooMany: outOfRange, lookup: fine, lookupMissing: absent, lookupAndDelete: unsupp, remove: fine, removeMissing: invalid,
		nextKeyEmpty: fine, lookupBatch: unsupp, drainBatch: unsupp, deleteBatch: unsupp,
	}, CPUMap, nil),
}

// innerMap makes a map and puts its descriptor into a value.
func innerMap(t *testing.T, _ *Map, _ int) []byte {
	t.Helper()
	inner, err := Create(CreateOpts{Type: Array, KeySize: 4, ValueSize: 4, MaxEntries: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = inner.Close() })
	return binary.NativeEndian.AppendUint32(nil, uint32(inner.FD()))
}

// loopback is the index of the interface lo.
func loopback(*testing.T, *Map, int) []byte { return binary.NativeEndian.AppendUint32(nil, 1) }

func queueSize(*testing.T, *Map, int) []byte { return binary.NativeEndian.AppendUint32(nil, 64) }
