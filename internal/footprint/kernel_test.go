// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package footprint_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/bpf"
	"github.com/bpfmap-io/bpfmap-operator/internal/bpf/bpftest"
	"github.com/bpfmap-io/bpfmap-operator/internal/footprint"
	"github.com/bpfmap-io/bpfmap-operator/internal/maptype"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
)

func TestMain(m *testing.M) { bpftest.Main(m) }

// sample is a map to be measured.
type sample struct {
	bpf.CreateOpts
	fill int // elements written
	key  func(i int) []byte
}

func (s sample) name() string {
	name := fmt.Sprintf("%s/%d of %d+%d bytes", s.Type, s.MaxEntries, s.KeySize, s.ValueSize)
	if s.fill > 0 {
		name += fmt.Sprintf(", %d written", s.fill)
	}
	if s.Flags != 0 {
		name += ", " + s.Flags.String()
	}
	return name
}

// shape is what is estimated.
func (s sample) shape() revision.Shape {
	shape := revision.Shape{
		Type: v1alpha1.MapType(s.Type.String()), KeySize: s.KeySize, ValueSize: s.ValueSize, MaxEntries: s.MaxEntries,
		MapExtra: s.MapExtra,
	}
	if s.Flags&bpf.NoPrealloc != 0 {
		shape.Flags = append(shape.Flags, v1alpha1.FlagNoPrealloc)
	}
	if s.Flags&bpf.Mmapable != 0 {
		shape.Flags = append(shape.Flags, v1alpha1.FlagMmapable)
	}
	return shape
}

// mostEntries bounds the samples, by FOOTPRINT_ENTRIES: emulated machines take minutes to fill the largest ones.
func mostEntries(t *testing.T) uint32 {
	text := os.Getenv("FOOTPRINT_ENTRIES")
	if text == "" {
		return math.MaxUint32
	}
	n, err := strconv.ParseUint(text, 10, 32)
	if err != nil {
		t.Fatalf("FOOTPRINT_ENTRIES: %v", err)
	}
	return uint32(n)
}

// samples are maps of every type that a test can make, small and large.
func samples(t *testing.T) []sample {
	inner := innerMap(t)
	var all []sample
	add := func(s sample) { all = append(all, s) }
	for _, n := range []uint32{1, 1000, 1025, 100_000} {
		if n > mostEntries(t) {
			continue
		}
		for _, size := range []uint32{4, 20, 100, 500} {
			if n*size > 20_000_000 {
				continue
			}
			for _, typ := range []bpf.MapType{bpf.Hash, bpf.PerCPUHash, bpf.LRUHash, bpf.LRUPerCPUHash} {
				add(sample{CreateOpts: bpf.CreateOpts{Type: typ, KeySize: size, ValueSize: size, MaxEntries: n}, fill: int(n) / 2})
			}
			for _, typ := range []bpf.MapType{bpf.Hash, bpf.PerCPUHash} {
				lazy := bpf.CreateOpts{Type: typ, KeySize: size, ValueSize: size, MaxEntries: n, Flags: bpf.NoPrealloc}
				add(sample{CreateOpts: lazy})
				add(sample{CreateOpts: lazy, fill: int(n)})
			}
			for _, typ := range []bpf.MapType{bpf.Array, bpf.PerCPUArray} {
				add(sample{CreateOpts: bpf.CreateOpts{Type: typ, KeySize: 4, ValueSize: size, MaxEntries: n}})
			}
			for _, typ := range []bpf.MapType{bpf.Queue, bpf.Stack, bpf.BloomFilter} {
				add(sample{CreateOpts: bpf.CreateOpts{Type: typ, ValueSize: size, MaxEntries: n}})
			}
			trie := bpf.CreateOpts{Type: bpf.LPMTrie, KeySize: 8, ValueSize: size, MaxEntries: n, Flags: bpf.NoPrealloc}
			add(sample{CreateOpts: trie})
			add(sample{CreateOpts: trie, fill: int(n), key: prefix})
			add(sample{CreateOpts: bpf.CreateOpts{Type: bpf.HashOfMaps, KeySize: size, ValueSize: 4, MaxEntries: n, InnerMap: inner}})
		}
		for _, typ := range []bpf.MapType{
			bpf.ArrayOfMaps, bpf.ProgArray, bpf.PerfEventArray, bpf.CGroupArray, bpf.DevMap, bpf.DevMapHash, bpf.SockMap, bpf.SockHash,
			bpf.XSKMap, bpf.ReusePortSockArray,
		} {
			o := bpf.CreateOpts{Type: typ, KeySize: 4, ValueSize: 4, MaxEntries: n}
			if typ == bpf.ArrayOfMaps {
				o.InnerMap = inner
			}
			add(sample{CreateOpts: o})
		}
		add(sample{CreateOpts: bpf.CreateOpts{Type: bpf.Array, KeySize: 4, ValueSize: 8, MaxEntries: n, Flags: bpf.Mmapable}})
		add(sample{CreateOpts: bpf.CreateOpts{Type: bpf.BloomFilter, ValueSize: 4, MaxEntries: n, MapExtra: 15}})
		add(sample{CreateOpts: bpf.CreateOpts{Type: bpf.StackTrace, KeySize: 4, ValueSize: 1016, MaxEntries: min(n, 10_000)}})
		add(sample{CreateOpts: bpf.CreateOpts{Type: bpf.Arena, MaxEntries: n, Flags: bpf.Mmapable}})
	}
	all = append(all, resizable()...)
	for _, size := range []uint32{4 << 10, 1 << 20, 16 << 20} {
		add(sample{CreateOpts: bpf.CreateOpts{Type: bpf.RingBuf, MaxEntries: size}})
		add(sample{CreateOpts: bpf.CreateOpts{Type: bpf.UserRingBuf, MaxEntries: size}})
	}
	add(sample{CreateOpts: bpf.CreateOpts{Type: bpf.CPUMap, KeySize: 4, ValueSize: 4, MaxEntries: 2}})
	for _, typ := range []bpf.MapType{bpf.CGroupStorage, bpf.PerCPUCGroupStorage} {
		add(sample{CreateOpts: bpf.CreateOpts{Type: typ, KeySize: 8, ValueSize: 64}})
	}
	return all
}

// resizable are tables that grow, from nothing and from a table for all elements: of a size that emulated machines can
// fill, since no other ones may have a kernel with the type.
func resizable() []sample {
	const n = 20_000
	var all []sample
	for _, size := range []uint32{4, 20, 100, 500} {
		for _, hint := range []uint64{0, n} {
			o := bpf.CreateOpts{Type: bpf.RHash, KeySize: size, ValueSize: size, MaxEntries: n, Flags: bpf.NoPrealloc, MapExtra: hint}
			all = append(all, sample{CreateOpts: o}, sample{CreateOpts: o, fill: 1}, sample{CreateOpts: o, fill: n})
		}
	}
	return all
}

func innerMap(t *testing.T) *bpf.Map {
	t.Helper()
	inner, err := bpf.Create(bpf.CreateOpts{Type: bpf.Hash, KeySize: 4, ValueSize: 4, MaxEntries: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = inner.Close() })
	return inner
}

// prefix is a /32 of an LPM trie. None lies in another, so that the trie needs the most nodes.
func prefix(i int) []byte {
	return binary.BigEndian.AppendUint32(binary.NativeEndian.AppendUint32(nil, 32), uint32(i)*2654435761)
}

// write fills m. Elements of per-CPU maps that are allocated one by one are made ready in the background,
// and the kernel says that it has no memory when we are faster.
func (s sample) write(m *bpf.Map) error {
	if s.fill == 0 {
		return nil
	}
	var keys []byte
	for i := range s.fill {
		key := make([]byte, m.KeySize())
		if s.key != nil {
			key = s.key(i)
		} else {
			binary.BigEndian.PutUint32(key, uint32(i))
		}
		keys = append(keys, key...)
	}
	values := make([]byte, s.fill*m.ValueStride())
	for try := 1; ; try++ {
		n, err := m.UpdateBatch(context.Background(), keys, values, bpf.Any)
		if !errors.Is(err, bpf.ErrNoMemory) || try == 10_000 {
			return err
		}
		keys, values = keys[n*m.KeySize():], values[n*m.ValueStride():]
		time.Sleep(time.Millisecond)
	}
}

// measured is what the kernel says of one map.
type measured struct {
	charged, memlock int64
	lag              int64 // by how much charged may be less than the truth
	others           int64 // how much of charged may be for other things than the map
}

// measure makes and fills the map in a cgroup of its own. charged is 0 if the cgroup was charged in advance
// for less than it counts in.
func (s sample) measure(t *testing.T) measured {
	t.Helper()
	c := newCgroup(t)
	defer c.remove(t)
	var got measured
	var failed error
	c.run(t, func() {
		m, err := bpf.Create(s.CreateOpts)
		if err != nil {
			failed = err
			return
		}
		failed = s.write(m)
		info, err := m.FDInfo()
		got = measured{charged: c.used(t), memlock: int64(info.Memlock), lag: c.lag, others: c.others}
		failed = errors.Join(failed, err, m.Close())
	})
	if failed != nil {
		t.Fatal(failed)
	}
	return got
}

// The bounds that the tests hold estimates to.
const (
	// batch is how much the kernel charges a cgroup with at a time, and the most by which a cgroup's
	// counter differs from what is in it, for each CPU: 64 pages.
	batch = 256 << 10
	// under is how much less than the truth an estimate may be, over how much more, as factors.
	under, over = 0.95, 1.6
	// small is how much more an estimate may be in any case: what maps of few elements take besides them.
	small = 64 << 10
)

// TestAgainstTheKernel holds the estimates of all types against what the kernel accounts for, and charges
// to the cgroup of the process that makes the map.
func TestAgainstTheKernel(t *testing.T) {
	cpus, err := bpf.PossibleCPUs()
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range samples(t) {
		t.Run(s.name(), func(t *testing.T) {
			if since := s.since(); bpftest.Kernel(t).Before(since) {
				if _, err := bpf.Create(s.CreateOpts); !errors.Is(err, bpf.ErrNotSupported) {
					t.Errorf("%v, though %s came with %s", err, s.Type, since)
				}
				return
			}
			s.compare(t, cpus)
		})
	}
}

// since is the kernel that brought the type.
func (s sample) since() maptype.Kernel { return maptype.ByName(s.Type.String()).Or().Since }

// compare holds the estimate against the kernel's numbers: what it charges to a memory cgroup since Linux 5.11, and what
// it shows in memlock, which before Linux 6.4 is what the map could take.
func (s sample) compare(t *testing.T, cpus int) {
	got := s.measure(t)
	e := footprint.Of(s.shape(), cpus)
	estimate := e.With(s.fill)
	if e.Element == 0 || s.Flags&bpf.NoPrealloc == 0 {
		estimate = e.Empty
	}
	t.Logf("estimate %d, charged %d, memlock %d", estimate, got.charged, got.memlock)
	if float64(estimate) < under*float64(got.charged-got.others) {
		t.Errorf("the estimate %d is too low: the cgroup is charged with %d", estimate, got.charged)
	}
	measured := bpftest.Since(t, maptype.MeasuredMemory.Since.Major, maptype.MeasuredMemory.Since.Minor)
	shown, taken := estimate, e.Charged(got.memlock, measured)
	most := estimate
	if !measured {
		shown = e.Full() + int64(os.Getpagesize()) // it is whole pages
		most = shown
		if s.Type == bpf.BloomFilter { // as if it kept its elements
			shown += int64(s.MaxEntries) * int64(s.ValueSize+7)
		}
	}
	if float64(shown) < under*float64(got.memlock) {
		t.Errorf("the estimate %d is too low: memlock is %d", shown, got.memlock)
	}
	if float64(taken) < under*float64(got.charged-got.others)-small/2 || taken > most+small/16 {
		t.Errorf("Charged(%d) is %d, the cgroup is charged with %d, the estimate is %d", got.memlock, taken, got.charged, most)
	}
	truth := max(got.charged+2*batch, got.memlock)
	if e.Element == 0 && measured {
		truth = max(got.charged, got.memlock)
	}
	truth += got.lag
	if float64(estimate) > over*float64(truth)+small {
		t.Errorf("the estimate %d is too high: the cgroup is charged with %d, memlock is %d", estimate, got.charged, got.memlock)
	}
}

// TestEveryType finds a formula for every type of the kernel.
func TestEveryType(t *testing.T) {
	for _, typ := range maptype.All() {
		if !footprint.Knows(v1alpha1.MapType(typ.Name)) {
			t.Errorf("%s has no formula", typ.Name)
		}
	}
}
