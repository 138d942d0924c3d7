// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package bpf

import (
	"errors"
	"slices"
	"sync"

	"github.com/bpfmap-io/bpfmap-operator/internal/bpf/sys"
)

// typeProbes caches conclusive answers to "does this kernel know the type".
var typeProbes sync.Map // MapType → bool

// knownByKernel says whether the kernel knows the type at all. It errs on the side of yes: only a
// type number that the kernel refuses with every shape is unknown.
func knownByKernel(t MapType) bool {
	if known, ok := typeProbes.Load(t); ok {
		return known.(bool)
	}
	known, conclusive := probeType(t)
	if conclusive {
		typeProbes.Store(t, known)
	}
	return known
}

func probeType(t MapType) (known, conclusive bool) {
	o := probeShape(t)
	fd, err := sys.CreateMap(&sys.MapCreateAttr{
		MapType: uint32(t), KeySize: o.KeySize, ValueSize: o.ValueSize, MaxEntries: o.MaxEntries, MapFlags: uint32(o.Flags),
	})
	if err == nil {
		return true, fd.Close() == nil
	}
	if sys.IsInvalid(err) && o.MaxEntries > 0 {
		return false, true
	}
	return true, false
}

// probeShape is a shape that a kernel which knows the type accepts; zero where that needs other
// objects (inner maps, BTF).
func probeShape(t MapType) CreateOpts {
	o := CreateOpts{KeySize: 4, ValueSize: 4, MaxEntries: 1}
	switch t {
	case LPMTrie:
		o.KeySize, o.Flags = 8, NoPrealloc
	case Queue, Stack, BloomFilter:
		o.KeySize = 0
	case StackTrace:
		o.ValueSize = 8
	case RingBuf, UserRingBuf:
		o.KeySize, o.ValueSize, o.MaxEntries = 0, 0, 4096
	case Arena:
		o.KeySize, o.ValueSize, o.Flags = 0, 0, Mmapable
	case ArrayOfMaps, HashOfMaps, StructOps, SKStorage, InodeStorage, TaskStorage, CGRPStorage, CGroupStorage, PerCPUCGroupStorage:
		return CreateOpts{}
	}
	return o
}

// SystemCalls is how often this process has called bpf(2).
func SystemCalls() uint64 { return sys.Calls() }

// HaveMapType says whether this kernel can make maps of the type: nil, ErrNotSupported, or why it
// can't be told (for example ErrNotPermitted).
func HaveMapType(t MapType) error {
	o := probeShape(t)
	if o.MaxEntries == 0 {
		return nil // needs other objects to find out: creation will tell
	}
	o.Type = t
	m, err := Create(o)
	if err != nil {
		return err
	}
	return m.Close()
}

// HaveBatch says whether this kernel has batch commands for the type (hash and array: Linux 5.6;
// LPM trie and per-CPU array: 5.13).
func HaveBatch(t MapType) error {
	o := probeShape(t)
	if o.MaxEntries == 0 || !t.Traits().UpdateBatch {
		return ErrNotSupported
	}
	o.Type = t
	m, err := Create(o)
	if err != nil {
		return err
	}
	key, value := make([]byte, m.key), make([]byte, m.stride)
	_, err = m.fd.Batch(sys.MapUpdateBatch, nil, nil, key, value, 1, 0)
	closeErr := m.Close()
	if err != nil {
		return &Error{Op: "probe batch commands", Map: t.String(), Kind: ErrNotSupported, Err: err}
	}
	return closeErr
}

// featureTypes are the types whose presence Features reports: those that CAP_BPF alone can find out.
var featureTypes = []MapType{
	Hash, Array, PerCPUHash, PerCPUArray, LRUHash, LRUPerCPUHash, LPMTrie, Queue, Stack, BloomFilter, RingBuf, UserRingBuf,
}

// Features are the names of what this kernel has of what this project asks for, sorted: the map
// types, "Batch" and "Freeze". An error means that it can't be told, for example ErrNotPermitted.
func Features() ([]string, error) {
	var names []string
	for _, t := range featureTypes {
		switch err := HaveMapType(t); {
		case err == nil:
			names = append(names, t.String())
		case !errors.Is(err, ErrNotSupported):
			return nil, err
		}
	}
	if HaveBatch(Hash) == nil {
		names = append(names, featureBatch)
	}
	if haveFreeze() {
		names = append(names, featureFreeze)
	}
	slices.Sort(names)
	return names, nil
}

func haveFreeze() bool {
	m, err := Create(CreateOpts{Type: Array, KeySize: 4, ValueSize: 4, MaxEntries: 1})
	if err != nil {
		return false
	}
	err = m.Freeze()
	return m.Close() == nil && err == nil
}
