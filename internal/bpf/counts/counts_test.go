// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package counts_test

import (
	"encoding/binary"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/bpfmap-io/bpfmap-operator/internal/bpf"
	"github.com/bpfmap-io/bpfmap-operator/internal/bpf/bpftest"
	"github.com/bpfmap-io/bpfmap-operator/internal/bpf/counts"
	"github.com/bpfmap-io/bpfmap-operator/internal/bpf/sys"
	"github.com/bpfmap-io/bpfmap-operator/internal/maptype"
)

func TestMain(m *testing.M) { bpftest.Main(m) }

func create(t testing.TB, o bpf.CreateOpts) *bpf.Map {
	t.Helper()
	m, err := bpf.Create(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	})
	return m
}

// counted are the types that the kernel counts, small.
func counted(t testing.TB) []bpf.CreateOpts {
	t.Helper()
	inner := create(t, bpf.CreateOpts{Type: bpf.Array, KeySize: 4, ValueSize: 4, MaxEntries: 1})
	return []bpf.CreateOpts{
		{Type: bpf.Hash, KeySize: 8, ValueSize: 8},
		{Type: bpf.Hash, KeySize: 8, ValueSize: 8, Flags: bpf.NoPrealloc},
		{Type: bpf.LRUHash, KeySize: 8, ValueSize: 8},
		{Type: bpf.LRUHash, KeySize: 8, ValueSize: 8, Flags: bpf.NoCommonLRU},
		{Type: bpf.PerCPUHash, KeySize: 8, ValueSize: 8},
		{Type: bpf.LRUPerCPUHash, KeySize: 8, ValueSize: 8},
		{Type: bpf.HashOfMaps, KeySize: 8, ValueSize: 4, InnerMap: inner},
		{Type: bpf.LPMTrie, KeySize: 8, ValueSize: 8, Flags: bpf.NoPrealloc},
	}
}

// elements are packed elements from the one numbered first on. Keys are prefixes of full length, too.
func elements(m *bpf.Map, o bpf.CreateOpts, first, n int) (keys, values []byte) {
	value := make([]byte, m.ValueStride())
	if o.InnerMap != nil {
		binary.NativeEndian.PutUint32(value, uint32(o.InnerMap.FD()))
	}
	for i := range n {
		keys = binary.NativeEndian.AppendUint32(keys, 32)
		keys = binary.BigEndian.AppendUint32(keys, uint32(first+i))
		values = append(values, value...)
	}
	return keys, values
}

func write(t testing.TB, m *bpf.Map, o bpf.CreateOpts, first, n int) {
	t.Helper()
	keys, values := elements(m, o, first, n)
	if _, err := m.UpdateBatch(t.Context(), keys, values, bpf.Any); err != nil {
		t.Fatal(err)
	}
}

// isCounted says whether this kernel counts the elements of m: by the kfunc since Linux 6.6. Before, the refusal
// says so.
func isCounted(t *testing.T, m *bpf.Map) bool {
	t.Helper()
	if maptype.ByNumber(uint32(m.Type())).Count != maptype.Sum || !bpftest.Kernel(t).Before(maptype.Kernel{Major: 6, Minor: 6}) {
		return true
	}
	_, err := counts.Of(m)
	wantErr(t, m.Type().String(), err, bpf.ErrNotSupported, "this kernel has no bpf_map_sum_elem_count: Linux 6.6 with BTF is needed")
	return false
}

// wantAsRead compares the kernel's count with that of reading.
func wantAsRead(t *testing.T, when string, m *bpf.Map) uint64 {
	t.Helper()
	read, exact, err := m.Count(t.Context())
	if err != nil || !exact {
		t.Fatalf("%s: read %d elements, exact %t, %v", when, read, exact, err)
	}
	n, err := counts.Of(m)
	if err != nil || n != uint64(read) {
		t.Errorf("%s: the kernel counts %d (%v), reading finds %d", when, n, err, read)
	}
	return n
}

// TestOf compares with reading after each operation that adds or removes elements.
func TestOf(t *testing.T) {
	for _, o := range counted(t) {
		o.MaxEntries = 4096
		t.Run(o.Type.String()+" "+o.Flags.String(), func(t *testing.T) {
			m := create(t, o)
			if !isCounted(t, m) {
				return
			}
			if n := wantAsRead(t, "empty", m); n != 0 {
				t.Errorf("an empty map has %d elements", n)
			}
			write(t, m, o, 0, 1000)
			if n := wantAsRead(t, "filled", m); n == 0 {
				t.Error("a filled map has no elements")
			}
			write(t, m, o, 500, 100)
			wantAsRead(t, "some written again", m)
			keys, _ := elements(m, o, 0, 300)
			if _, err := m.DeleteBatchIgnoreMissing(t.Context(), keys); err != nil {
				t.Fatal(err)
			}
			wantAsRead(t, "some deleted", m)
			if maptype.ByNumber(uint32(o.Type)).OpsOn(bpftest.Kernel(t)).Has(maptype.LookupAndDelete) {
				if err := m.LookupAndDeleteElem(keyOf(m, o, 900), make([]byte, m.ValueStride())); err != nil {
					t.Fatal(err)
				}
				wantAsRead(t, "one popped", m)
			}
			if maptype.ByNumber(uint32(o.Type)).OpsOn(bpftest.Kernel(t)).Has(maptype.LookupAndDeleteBatch) {
				outKeys, outValues := make([]byte, 200*m.KeySize()), make([]byte, 200*m.ValueStride())
				if _, _, err := m.LookupAndDeleteBatch(t.Context(), outKeys, outValues, bpf.Any); err != nil {
					t.Fatal(err)
				}
				wantAsRead(t, "some drained", m)
			}
			if m.Type().Traits().LRU {
				write(t, m, o, 0, 10000)
				if n := wantAsRead(t, "overflown", m); n == 0 || n > uint64(m.MaxEntries()) {
					t.Errorf("an LRU map for %d elements has %d", m.MaxEntries(), n)
				}
			}
			if err := m.Freeze(); err != nil {
				t.Fatal(err)
			}
			wantAsRead(t, "frozen", m)
		})
	}
}

func keyOf(m *bpf.Map, o bpf.CreateOpts, i int) []byte {
	keys, _ := elements(m, o, i, 1)
	return keys
}

// TestOfReadOnlyHandle counts through a handle that may only read.
func TestOfReadOnlyHandle(t *testing.T) {
	o := bpf.CreateOpts{Type: bpf.LPMTrie, KeySize: 8, ValueSize: 8, MaxEntries: 10, Flags: bpf.NoPrealloc}
	if isCounted(t, create(t, bpf.CreateOpts{Type: bpf.Hash, KeySize: 8, ValueSize: 8, MaxEntries: 10})) {
		o.Type, o.Flags = bpf.Hash, 0
	}
	m := create(t, o)
	write(t, m, o, 0, 7)
	path := filepath.Join(bpftest.BPFFS(t), "table")
	if err := m.Pin(path); err != nil {
		t.Fatal(err)
	}
	reader, err := bpf.GetPinned(path, bpf.RdOnly)
	if err != nil {
		t.Fatal(err)
	}
	n, err := counts.Of(reader)
	if n != 7 || err != nil {
		t.Errorf("counted %d, %v", n, err)
	}
	if err := reader.Close(); err != nil {
		t.Error(err)
	}
}

// TestOfWhileOthersWrite bounds the count of a map whose elements come and go, and wants it exact once
// the writers have stopped.
func TestOfWhileOthersWrite(t *testing.T) {
	const stable, writers, each = 2000, 4, 50
	for _, o := range counted(t) {
		if o.Flags == bpf.NoCommonLRU {
			continue // it evicts from a CPU's share while others' have room
		}
		o.MaxEntries = 100000
		t.Run(o.Type.String()+" "+o.Flags.String(), func(t *testing.T) {
			m := create(t, o)
			if !isCounted(t, m) {
				return
			}
			write(t, m, o, 0, stable)
			stop := make(chan struct{})
			var running sync.WaitGroup
			for w := range writers {
				keys, values := elements(m, o, stable+w*each, each)
				running.Go(func() {
					for {
						select {
						case <-stop:
							return
						default:
						}
						_, err := m.UpdateBatch(t.Context(), keys, values, bpf.Any)
						if _, err2 := m.DeleteBatchIgnoreMissing(t.Context(), keys); errors.Join(err, err2) != nil {
							t.Error(err, err2)
							return
						}
					}
				})
			}
			for range 200 {
				// Twice what is under way: a CPU's counter may be read before and another's after a move.
				const slack = 2 * writers * each
				if n, err := counts.Of(m); err != nil || n < stable-slack || n > stable+slack {
					t.Errorf("counted %d (%v), want %d, give or take %d", n, err, stable, slack)
					break
				}
			}
			close(stop)
			running.Wait()
			if n := wantAsRead(t, "after the writers", m); n != stable {
				t.Errorf("%d elements are left, want %d", n, stable)
			}
		})
	}
}

func wantErr(t *testing.T, what string, err, kind error, words string) {
	t.Helper()
	var e *bpf.Error
	if !errors.As(err, &e) || !errors.Is(err, kind) || !strings.Contains(err.Error(), words) {
		t.Errorf("%s: %v, want %v and %q", what, err, kind, words)
	}
}

// TestOfWithout says why there is no count.
func TestOfWithout(t *testing.T) {
	hash := create(t, bpf.CreateOpts{Type: bpf.Hash, KeySize: 8, ValueSize: 8, MaxEntries: 10})
	trie := create(t, bpf.CreateOpts{Type: bpf.LPMTrie, KeySize: 8, ValueSize: 8, MaxEntries: 10, Flags: bpf.NoPrealloc})
	bpftest.WithCapabilities(t, nil, func() {
		if !isCounted(t, hash) {
			return
		}
		_, err := counts.Of(hash)
		wantErr(t, "hash without capabilities", err, bpf.ErrNotPermitted, "missing CAP_BPF")
	})
	bpftest.WithCapabilities(t, []sys.Capability{sys.CapBPF}, func() {
		if isCounted(t, hash) {
			if _, err := counts.Of(hash); err != nil {
				t.Errorf("hash with CAP_BPF: %v", err)
			}
		}
		_, err := counts.Of(trie)
		wantErr(t, "trie without CAP_PERFMON", err, bpf.ErrNotPermitted, "missing CAP_PERFMON")
	})
	bpftest.WithCapabilities(t, []sys.Capability{sys.CapBPF, sys.CapPerfmon}, func() {
		if _, err := counts.Of(trie); err != nil {
			t.Errorf("trie with CAP_BPF and CAP_PERFMON: %v", err)
		}
	})
	bpftest.WithCapabilities(t, []sys.Capability{sys.CapSysAdmin}, func() {
		if _, err := counts.Of(trie); err != nil {
			t.Errorf("trie with CAP_SYS_ADMIN: %v", err)
		}
	})
	for _, o := range []bpf.CreateOpts{
		{Type: bpf.Array, KeySize: 4, ValueSize: 4, MaxEntries: 1}, {Type: bpf.Queue, ValueSize: 4, MaxEntries: 1},
	} {
		_, err := counts.Of(create(t, o))
		wantErr(t, o.Type.String(), err, bpf.ErrNotSupported, "only hashes and tries")
	}
	closed, err := bpf.Create(bpf.CreateOpts{Type: bpf.Hash, KeySize: 8, ValueSize: 8, MaxEntries: 10})
	if err != nil {
		t.Fatal(err)
	}
	if err := closed.Close(); err != nil {
		t.Fatal(err)
	}
	if n, err := counts.Of(closed); !errors.Is(err, bpf.ErrClosed) {
		t.Errorf("a closed map has %d elements, %v", n, err)
	}
}

func TestFeatures(t *testing.T) {
	hash := create(t, bpf.CreateOpts{Type: bpf.Hash, KeySize: 8, ValueSize: 8, MaxEntries: 10})
	for _, c := range []struct {
		keep []sys.Capability
		want []string
	}{
		{nil, nil},
		{[]sys.Capability{sys.CapBPF}, []string{counts.FeatureHash}},
		{[]sys.Capability{sys.CapBPF, sys.CapPerfmon}, []string{counts.FeatureHash, counts.FeatureLPMTrie}},
	} {
		if !isCounted(t, hash) {
			c.want = slices.DeleteFunc(c.want, func(name string) bool { return name == counts.FeatureHash })
		}
		bpftest.WithCapabilities(t, c.keep, func() {
			if got := counts.Features(); !slices.Equal(got, c.want) {
				t.Errorf("with %v: %v, want %v", c.keep, got, c.want)
			}
		})
	}
}

// BenchmarkMillion counts a million elements, asked and read.
func BenchmarkMillion(b *testing.B) {
	const million = 1000000
	for _, o := range counted(b) {
		o.MaxEntries = million
		if o.InnerMap != nil || o.Flags == bpf.NoCommonLRU {
			continue
		}
		m := create(b, o)
		write(b, m, o, 0, million)
		b.Run(o.Type.String()+" "+o.Flags.String()+"/asked", func(b *testing.B) {
			for b.Loop() {
				if _, err := counts.Of(m); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(o.Type.String()+" "+o.Flags.String()+"/read", func(b *testing.B) {
			for b.Loop() {
				if _, _, err := m.Count(b.Context()); err != nil {
					b.Fatal(err)
				}
			}
		})
		if err := m.Close(); err != nil {
			b.Fatal(err)
		}
	}
}
