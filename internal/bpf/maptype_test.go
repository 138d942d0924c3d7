// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package bpf

import (
	"errors"
	"fmt"
	"math"
	"os"
	"strings"
	"testing"

	"github.com/cilium/ebpf/btf"
	"golang.org/x/sys/unix"

	"github.com/bpfmap-io/bpfmap-operator/internal/bpf/bpftest"
	"github.com/bpfmap-io/bpfmap-operator/internal/bpf/sys"
	"github.com/bpfmap-io/bpfmap-operator/internal/maptype"
)

// forEachType runs a test for each type that the API offers, with the attributes of a small map. A type that came
// with a later kernel than this one is to be refused with that release.
func forEachType(t *testing.T, do func(t *testing.T, m *maptype.Type, o CreateOpts)) {
	t.Helper()
	for _, m := range maptype.Offered() {
		t.Run(m.Name, func(t *testing.T) {
			if !known(t, MapType(m.Number)) {
				return
			}
			o, done, err := smallest(MapType(m.Number))
			if err != nil {
				t.Fatal(err)
			}
			defer done()
			do(t, m, o)
		})
	}
}

// creates says whether the kernel makes a map.
func creates(t *testing.T, o CreateOpts) error {
	t.Helper()
	m, err := Create(o)
	if err != nil {
		return err
	}
	return m.Close()
}

// expect compares what the table says with what the kernel does.
func expect(t *testing.T, what string, takes bool, err error) {
	t.Helper()
	if takes != (err == nil) {
		t.Errorf("%s: the table says %t, the kernel %v", what, takes, err)
	}
}

// beyond is what the kernel takes and the table leaves out, by type and fact.
var beyond = map[string]string{
	"BloomFilter ZeroSeed":              "for benchmarks of hash tables; the API's rules never took it",
	"InodeStorage Clone":                "there is nothing that clones an inode",
	"TaskStorage Clone":                 "the storage of a task isn't cloned by fork(2)",
	"CGRPStorage Clone":                 "there is nothing that clones a cgroup",
	"ProgArray with BTF":                "its values are ids, and older kernels refuse it",
	"ReusePortSockArray with BTF":       "its values are cookies, and older kernels refuse it",
	"SKStorage a map of maps for it":    "a template needs BTF that spec.inner doesn't give",
	"InodeStorage a map of maps for it": "as SKStorage",
	"TaskStorage a map of maps for it":  "as SKStorage",
	"CGRPStorage a map of maps for it":  "as SKStorage",
	"Arena a map of maps for it":        "programs can't use an arena that they look up",
}

// leftOut says whether the table leaves out what the kernel takes, knowingly.
func leftOut(m *maptype.Type, fact string) bool { return beyond[m.Name+" "+fact] != "" }

// TestTableHasRows fails for a type without a row of the contract.
func TestTableHasRows(t *testing.T) {
	for _, m := range maptype.All() {
		if _, ok := contractRows[MapType(m.Number)]; !ok {
			t.Errorf("%s has no row in contractRows", m.Name)
		}
	}
}

// TestTableNames compares numbers and names with enum bpf_map_type of the running kernel, and the bits of
// flags with its constants.
func TestTableNames(t *testing.T) {
	spec, err := btf.LoadKernelSpec()
	if err != nil {
		t.Fatal(err)
	}
	var types *btf.Enum
	if err := spec.TypeByName("bpf_map_type", &types); err != nil {
		t.Fatal(err)
	}
	numbers := map[string]uint64{}
	for _, v := range types.Values {
		numbers[v.Name] = v.Value
	}
	for _, m := range maptype.All() {
		n, ok := numbers[m.UAPIName()]
		if !ok { // a name that went out of use is kept beside the new one
			n, ok = numbers[m.UAPIName()+"_DEPRECATED"]
		}
		if bpftest.Since(t, m.Since.Major, m.Since.Minor) != ok || ok && n != uint64(m.Number) {
			t.Errorf("%s has number %d in the table, %d (%t) in the kernel", m.UAPIName(), m.Number, n, ok)
		}
	}
	var flags *btf.Enum
	for typ, err := range spec.All() {
		if err != nil {
			t.Fatal(err)
		}
		e, ok := typ.(*btf.Enum)
		if ok && len(e.Values) > 0 && e.Values[0].Name == "BPF_F_NO_PREALLOC" {
			flags = e
		}
	}
	if flags == nil {
		t.Fatal("the kernel's BTF has no enum of the flags")
	}
	bits := map[string]uint64{}
	for _, v := range flags.Values {
		bits[v.Name] = v.Value
	}
	for _, f := range maptype.AllFlags() {
		if bit, ok := bits[f.UAPIName()]; bpftest.Since(t, f.Since.Major, f.Since.Minor) != ok || ok && bit != uint64(f.Bit) {
			t.Errorf("%s is %#x in the table, %#x in the kernel", f.UAPIName(), uint32(f.Bit), bit)
		}
	}
}

// TestTableSizes holds the limits of keys and values to the kernel's.
func TestTableSizes(t *testing.T) {
	forEachType(t, func(t *testing.T, m *maptype.Type, o CreateOpts) {
		if maptype.Flags(NoPrealloc)&m.Flags != 0 {
			o.Flags |= NoPrealloc // large elements would be allocated
		}
		for _, side := range []struct {
			what  string
			datum maptype.Datum
			size  *uint32
			other int
		}{{"key", m.Key, &o.KeySize, m.Value.Smallest()}, {"value", m.Value, &o.ValueSize, m.Key.Smallest()}} {
			was := *side.size
			limit := side.datum.Max
			if m.MaxElement > 0 {
				limit = min(limit, m.MaxElement-side.other)
			}
			for _, size := range []int{0, 1, 2, 4, 5, 8, 12, 16, 64, side.datum.Min - 1, side.datum.Min, limit, limit + 1} {
				if size < 0 || size > 1<<30 && size == limit {
					continue // a map of that size would take all memory
				}
				takes := size == 0 && !side.datum.Exists() || size > 0 && side.datum.Takes(size) && size <= limit
				takes = takes && !tooLargeHere(t, m, side.what, size)
				if m.BTF == maptype.RequiredBTF && takes && size != 4 {
					continue // the size must be that of the BTF: TestTableStorageSizes
				}
				*side.size = uint32(size)
				err := creates(t, o)
				if m.PerCPU && size == limit+1 && err == nil && runningKernel().Before(maptype.Kernel{Major: 6, Minor: 13}) {
					continue // it is found out when an element is written
				}
				expect(t, fmt.Sprintf("%s of %d bytes", side.what, size), takes, err)
			}
			*side.size = was
		}
	})
}

// tooLargeHere says whether this kernel's limits of sizes are below those of the table.
func tooLargeHere(t *testing.T, m *maptype.Type, what string, size int) bool {
	t.Helper()
	switch {
	case m.LPM && what == "value":
		return size > 4_194_008 && !does(t, &maptype.LargeTrieValues)
	case m.MaxElement > 0:
		return (what == "key" && size > 512 || size > 4<<20-1024) && !does(t, &maptype.LongHashKeys)
	case m.Name == "CGroupStorage" || m.Name == "PerCPUCGroupStorage":
		return size > os.Getpagesize() && !does(t, &maptype.LargeCGroupStorage)
	}
	return false
}

// TestTableStorageSizes makes storage maps with values of the largest size, which their BTF must have.
func TestTableStorageSizes(t *testing.T) {
	forEachType(t, func(t *testing.T, m *maptype.Type, o CreateOpts) {
		if m.BTF != maptype.RequiredBTF {
			return
		}
		for _, size := range []int{m.Value.Max, m.Value.Max + 1} {
			octet, key := &btf.Int{Name: "unsigned char", Size: 1}, &btf.Int{Name: "int", Size: 4, Encoding: btf.Signed}
			withBTF(t, &o, key, &btf.Array{Index: key, Type: octet, Nelems: uint32(size)})
			o.ValueSize = uint32(size)
			expect(t, fmt.Sprintf("value of %d bytes", size), m.Value.Takes(size), creates(t, o))
		}
	})
}

// TestTableFlagValues holds the limits of values that a flag changes.
func TestTableFlagValues(t *testing.T) {
	forEachType(t, func(t *testing.T, m *maptype.Type, o CreateOpts) {
		for _, f := range m.FlagValue.Flags.Split() {
			value := m.ValueWith(f.Bit)
			o.Flags |= MapFlags(f.Bit)
			for _, size := range []int{8, value.Min, value.Min + 8, value.Max, value.Max + value.Multiple} {
				o.ValueSize = uint32(size)
				expect(t, fmt.Sprintf("%s and a value of %d bytes", f.Name, size), value.Takes(size), creates(t, o))
			}
		}
	})
}

// withBTF describes key and value; a nil type describes nothing.
func withBTF(t *testing.T, o *CreateOpts, key, value btf.Type) {
	t.Helper()
	var b btf.Builder
	o.BTFKeyTypeID, o.BTFValueTypeID = 0, 0
	for to, typ := range map[*uint32]btf.Type{&o.BTFKeyTypeID: key, &o.BTFValueTypeID: value} {
		if typ == nil {
			continue
		}
		id, err := b.Add(typ)
		if err != nil {
			t.Fatal(err)
		}
		*to = uint32(id)
	}
	raw, err := b.Marshal(nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	if o.BTF, err = LoadBTF(raw); err != nil {
		t.Fatal(err)
	}
	types := o.BTF
	t.Cleanup(func() { _ = types.Close() })
}

// TestTableCapacity holds max_entries to what the table says that it counts.
func TestTableCapacity(t *testing.T) {
	page := uint32(os.Getpagesize())
	forEachType(t, func(t *testing.T, m *maptype.Type, o CreateOpts) {
		for _, c := range []struct {
			n     uint32
			takes bool
		}{
			{0, m.Capacity == maptype.Unbounded},
			{1, m.Capacity != maptype.Unbounded && m.Capacity != maptype.Bytes},
			{3, m.Capacity != maptype.Unbounded && m.Capacity != maptype.Bytes && m.Capacity != maptype.CPUs},
			{page, m.Capacity != maptype.Unbounded && m.Capacity != maptype.CPUs},
			{3 * page, m.Capacity != maptype.Unbounded && m.Capacity != maptype.CPUs && m.Capacity != maptype.Bytes},
			{math.MaxUint16, m.Capacity != maptype.Unbounded && m.Capacity != maptype.CPUs && m.Capacity != maptype.Bytes},
		} {
			o.MaxEntries = c.n
			err := creates(t, o)
			if m.Capacity == maptype.CPUs && c.n > 1 && c.n < math.MaxUint16 {
				continue // the limit is the kernel's NR_CPUS, which nobody tells
			}
			if m.Capacity == maptype.CPUs && c.n >= math.MaxUint16 && !errors.Is(err, unix.E2BIG) {
				t.Errorf("max_entries %d: %v", c.n, err)
			}
			expect(t, fmt.Sprintf("max_entries %d", c.n), c.takes, err)
		}
	})
}

// TestTableFlags tries every flag that the API offers, and the NUMA node.
func TestTableFlags(t *testing.T) {
	forEachType(t, func(t *testing.T, m *maptype.Type, o CreateOpts) {
		for _, f := range maptype.AllFlags() {
			p := o
			switch {
			case f.Name == "NUMANode":
				p.Flags |= NUMANode
				expect(t, f.Name, m.NUMA, creates(t, p))
			case f.Offered && m.Implied&f.Bit != 0:
				p.Flags &^= MapFlags(f.Bit)
				expect(t, "without "+f.Name, false, creates(t, p))
			case f.Offered:
				p.Flags |= MapFlags(f.Bit)
				p.ValueSize = uint32(m.ValueWith(f.Bit).Smallest())
				err := creates(t, p)
				if since := m.FlagSince(f); m.Flags&f.Bit != 0 && !bpftest.Since(t, since.Major, since.Minor) {
					if !errors.Is(err, ErrNotSupported) || !strings.Contains(err.Error(), fmt.Sprintf("flag %s needs %s", f.Name, since)) {
						t.Errorf("%s, of %s: %v", f.Name, since, err)
					}
					continue
				}
				expect(t, f.Name, m.Flags&f.Bit != 0 || leftOut(m, f.Name), err)
			}
		}
		for _, hashes := range []int{1, 15, 16} {
			o.MapExtra = uint64(hashes)
			if m.Extra == maptype.NoExtra {
				expect(t, fmt.Sprintf("%d hash functions", hashes), hashes <= m.HashFunctions, creates(t, o))
			}
		}
	})
}

// TestTableExtra holds the meanings of map_extra to the kernel's.
func TestTableExtra(t *testing.T) {
	forEachType(t, func(t *testing.T, m *maptype.Type, o CreateOpts) {
		page := uint64(os.Getpagesize())
		for extra, takes := range map[maptype.Extra]map[uint64]bool{
			// An arena ends below the next 4 GiB.
			maptype.Address:  {0: true, 1 << 44: true, 1<<44 + page: true, 1<<44 + 1: false, 1<<44 - page: true, 1<<44 - page/2: false},
			maptype.SizeHint: {0: true, 1: true, maptype.MaxSizeHint: true, maptype.MaxSizeHint + 1: false, 1 << 32: false},
		} {
			for value, takes := range takes {
				o := o // the order of the two is random
				o.MapExtra, o.MaxEntries = value, max(o.MaxEntries, 1)
				if extra == maptype.SizeHint {
					o.MaxEntries = maptype.MaxSizeHint + 1
				}
				if m.Extra == extra {
					expect(t, fmt.Sprintf("map_extra %#x", value), takes, creates(t, o))
				}
			}
		}
		switch m.Extra {
		case maptype.Address:
			o.MapExtra, o.MaxEntries = 1<<44-page, 2
			expect(t, "an arena across 4 GiB", false, creates(t, o))
			o.MapExtra, o.MaxEntries = 1<<44, uint32(maxArena/page)
			expect(t, "the largest arena", true, creates(t, o))
			o.MapExtra, o.MaxEntries = 0, uint32(maxArena/page)+1
			expect(t, "a larger arena", false, creates(t, o))
		case maptype.SizeHint:
			o.MapExtra, o.MaxEntries = 3, 2
			expect(t, "a hint above max_entries", false, creates(t, o))
		}
	})
}

// maxArena is the largest arena in bytes.
const maxArena = 4 << 30

// TestTableCapabilities makes maps with CAP_BPF alone, and with CAP_NET_ADMIN.
func TestTableCapabilities(t *testing.T) {
	forEachType(t, func(t *testing.T, m *maptype.Type, o CreateOpts) {
		bpftest.WithCapabilities(t, []sys.Capability{sys.CapBPF}, func() {
			err := creates(t, o)
			expect(t, "CAP_BPF", !m.NetAdmin, err)
			if m.NetAdmin && (!errors.Is(err, ErrNotPermitted) || !strings.Contains(err.Error(), "CAP_NET_ADMIN")) {
				t.Errorf("CAP_BPF: %v", err)
			}
		})
		bpftest.WithCapabilities(t, []sys.Capability{sys.CapBPF, sys.CapNetAdmin}, func() {
			expect(t, "CAP_BPF and CAP_NET_ADMIN", true, creates(t, o))
		})
	})
}
