// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package bpf

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"

	"github.com/cilium/ebpf/btf"

	"github.com/bpfmap-io/bpfmap-operator/internal/bpf/sys"
	"github.com/bpfmap-io/bpfmap-operator/internal/maptype"
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
	o, done, err := smallest(t)
	if err != nil {
		return true, false
	}
	defer done()
	attr := sys.MapCreateAttr{
		MapType: uint32(t), KeySize: o.KeySize, ValueSize: o.ValueSize, MaxEntries: o.MaxEntries, MapFlags: uint32(o.Flags),
		BTFKeyTypeID: o.BTFKeyTypeID, BTFValueTypeID: o.BTFValueTypeID,
	}
	if o.InnerMap != nil {
		attr.InnerMapFD = uint32(o.InnerMap.FD())
	}
	if o.BTF != nil {
		attr.BTFFD = uint32(o.BTF.FD())
	}
	fd, err := sys.CreateMap(&attr)
	if err == nil {
		return true, fd.Close() == nil
	}
	if sys.IsInvalid(err) {
		return false, true
	}
	return true, false
}

// errNoProbe says that there is no map of the type to try: it needs a program's types.
var errNoProbe = errors.New("can't be tried")

// smallest are the attributes of a small map that a kernel which knows the type makes. done closes what
// they refer to. A type that isn't in the table is tried with the shape of most.
func smallest(t MapType) (o CreateOpts, done func(), err error) {
	o = CreateOpts{Type: t, KeySize: 4, ValueSize: 4, MaxEntries: 1}
	done = func() {}
	known := maptype.ByNumber(uint32(t))
	if known == nil {
		return o, done, nil
	}
	o.KeySize, o.ValueSize, o.Flags = uint32(known.Key.Smallest()), uint32(known.Value.Smallest()), MapFlags(known.Implied)
	switch known.Capacity {
	case maptype.Bytes:
		o.MaxEntries = uint32(os.Getpagesize())
	case maptype.Unbounded:
		o.MaxEntries = 0
	}
	switch {
	case known.BTF == maptype.KernelBTF:
		return o, done, errNoProbe
	case known.BTF == maptype.RequiredBTF:
		if o.BTF, err = integerBTF(); err != nil {
			return o, done, err
		}
		o.BTFKeyTypeID, o.BTFValueTypeID = 1, 1
		done = func() { _ = o.BTF.Close() }
	case known.MapOfMaps:
		if o.InnerMap, err = Create(CreateOpts{Type: Array, KeySize: 4, ValueSize: 4, MaxEntries: 1}); err != nil {
			return o, done, err
		}
		done = func() { _ = o.InnerMap.Close() }
	}
	return o, done, nil
}

// integerBTF describes an int, which is its type 1.
func integerBTF() (*BTF, error) {
	b, err := btf.NewBuilder([]btf.Type{&btf.Int{Name: "int", Size: 4, Encoding: btf.Signed}}, nil)
	if err != nil {
		return nil, fmt.Errorf("describe an integer: %w", err)
	}
	raw, err := b.Marshal(nil, nil)
	if err != nil {
		return nil, fmt.Errorf("describe an integer: %w", err)
	}
	return LoadBTF(raw)
}

// Written is how many bytes of keys and values this process has given to the commands that update elements.
func Written() uint64 { return sys.Written() }

// SystemCalls is how often this process has called bpf(2).
func SystemCalls() uint64 { return sys.Calls() }

// HaveMapType says whether this kernel can make maps of the type: nil, ErrNotSupported, or why it
// can't be told (for example ErrNotPermitted). StructOps can't be tried: creation tells.
func HaveMapType(t MapType) error {
	o, done, err := smallest(t)
	if errors.Is(err, errNoProbe) {
		return nil
	}
	if err != nil {
		return err
	}
	defer done()
	m, err := Create(o)
	if err != nil {
		return err
	}
	return m.Close()
}

// HaveBatch says whether this kernel has batch commands for the type (hash and array: Linux 5.6;
// LPM trie and per-CPU array: 5.13).
func HaveBatch(t MapType) error {
	if !t.Traits().UpdateBatch {
		return ErrNotSupported
	}
	o, done, err := smallest(t)
	if err != nil {
		return err
	}
	defer done()
	m, err := Create(o)
	if err != nil {
		return err
	}
	key, value := make([]byte, m.key), make([]byte, m.stride)
	if m.traits.FDValued {
		copy(value, IndexKey(nil, uint32(o.InnerMap.FD())))
	}
	_, err = m.fd.Batch(sys.MapUpdateBatch, nil, nil, key, value, 1, 0)
	closeErr := m.Close()
	if err != nil {
		return &Error{Op: "probe batch commands", Map: t.String(), Kind: ErrNotSupported, Err: err}
	}
	return closeErr
}

// Features are the names of what this kernel has of what this project asks for, sorted: the map types
// that the API offers, "Batch", "Freeze", "AllCPUs" (one value for all CPUs in a call) and "ArrayHash" (of frozen
// arrays). Types that need CAP_NET_ADMIN are missing without it. An
// error means that it can't be told, for example ErrNotPermitted.
func Features() ([]string, error) {
	var names []string
	for _, t := range maptype.Offered() {
		switch err := HaveMapType(MapType(t.Number)); {
		case err == nil:
			names = append(names, t.Name)
		case errors.Is(err, ErrNotSupported), t.NetAdmin && errors.Is(err, ErrNotPermitted):
		default:
			return nil, err
		}
	}
	if HaveBatch(Hash) == nil {
		names = append(names, featureBatch)
	}
	if haveFreeze() {
		names = append(names, featureFreeze)
	}
	if HaveAllCPUs(PerCPUArray) {
		names = append(names, featureAllCPUs)
	}
	if haveArrayHash() {
		names = append(names, featureArrayHash)
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
