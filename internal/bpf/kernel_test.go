// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package bpf

import (
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/cilium/ebpf/btf"
	"golang.org/x/sys/unix"

	"github.com/bpfmap-io/bpfmap-operator/internal/bpf/bpftest"
	"github.com/bpfmap-io/bpfmap-operator/internal/bpf/sys"
	"github.com/bpfmap-io/bpfmap-operator/internal/maptype"
)

// does says what this kernel does: by its release, or if that doesn't tell, by trying.
func does(t *testing.T, b *maptype.Behaviour) bool {
	t.Helper()
	after, certain := b.On(runningKernel())
	if certain {
		return after
	}
	return behaviourProbes[b](t)
}

// known says whether this kernel has a type, by its release, and holds the refusal of types that it lacks to its words.
func known(t *testing.T, typ MapType) bool {
	t.Helper()
	since := maptype.ByNumber(uint32(typ)).Or().Since
	if !runningKernel().Before(since) {
		return true
	}
	err := HaveMapType(typ)
	words := typ.String() + ": not supported (this kernel doesn't know the type: it came with " + since.String() + ")"
	if !errors.Is(err, ErrNotSupported) || !errors.Is(err, unix.EINVAL) || !strings.Contains(err.Error(), words) {
		t.Errorf("%v, want %q", err, words)
	}
	return false
}

// has says whether this kernel has a command for a type, by its release.
func has(typ MapType, op maptype.Ops) bool {
	return maptype.ByNumber(uint32(typ)).Or().OpsOn(runningKernel()).Has(op)
}

// either is true for one answer and false for the other; any third one fails the test. nil is an answer, too.
func either(t *testing.T, err, before, after error) bool {
	t.Helper()
	is := func(want error) bool { return want == nil && err == nil || want != nil && errors.Is(err, want) }
	if is(before) == is(after) {
		t.Errorf("the kernel says %v, want %v before and %v after", err, before, after)
	}
	return is(after)
}

// raw makes a map by the system call alone.
func raw(t *testing.T, o CreateOpts) error {
	t.Helper()
	fd, err := sys.CreateMap(&sys.MapCreateAttr{
		MapType: uint32(o.Type), KeySize: o.KeySize, ValueSize: o.ValueSize, MaxEntries: o.MaxEntries, MapFlags: uint32(o.Flags),
	})
	if err != nil {
		return err
	}
	return fd.Close()
}

// behaviourProbes try each behaviour: true if the kernel does what it is said to do since then.
var behaviourProbes = map[*maptype.Behaviour]func(t *testing.T) bool{
	&maptype.MemcgAccounting: func(t *testing.T) bool {
		charges, conclusive := sys.ProbeMemlock()
		if !conclusive {
			t.Error("it can't be told whether maps are charged to RLIMIT_MEMLOCK")
		}
		return !charges
	},
	&maptype.LargeMaps: func(t *testing.T) bool {
		return either(t, raw(t, CreateOpts{Type: Hash, KeySize: 4, ValueSize: 1 << 20, MaxEntries: 4096, Flags: NoPrealloc}), unix.E2BIG, nil)
	},
	&maptype.LongHashKeys: func(t *testing.T) bool {
		return either(t, raw(t, CreateOpts{Type: Hash, KeySize: 513, ValueSize: 4, MaxEntries: 1}), unix.E2BIG, nil)
	},
	&maptype.LargeCGroupStorage: func(t *testing.T) bool {
		return either(t, raw(t, CreateOpts{Type: CGroupStorage, KeySize: 8, ValueSize: uint32(os.Getpagesize()) + 1}), unix.E2BIG, nil)
	},
	&maptype.OpenHandles: func(t *testing.T) (after bool) {
		if text, err := os.ReadFile("/proc/sys/kernel/unprivileged_bpf_disabled"); err != nil || strings.HasPrefix(string(text), "0") {
			t.Fatalf("kernel.unprivileged_bpf_disabled is %q (%v): set it to 2", text, err)
		}
		m := newTestMap(t, CreateOpts{Type: Array, KeySize: 4, ValueSize: 4, MaxEntries: 1})
		bpftest.WithCapabilities(t, nil, func() {
			after = either(t, m.fd.Elem(sys.MapLookupElem, u32(0), u32(0), 0), unix.EPERM, nil)
		})
		return after
	},
	&maptype.FreezeRefusesLocks: func(t *testing.T) bool {
		number := &btf.Int{Name: "int", Size: 4, Encoding: btf.Signed}
		lock := &btf.Struct{Name: "bpf_spin_lock", Size: 4, Members: []btf.Member{{Name: "val", Type: number}}}
		o := CreateOpts{Type: Array, KeySize: 4, ValueSize: 4, MaxEntries: 1}
		withBTF(t, &o, number, &btf.Struct{Name: "locked", Size: 4, Members: []btf.Member{{Name: "lock", Type: lock}}})
		return either(t, newTestMap(t, o).fd.Freeze(), nil, unix.Errno(524))
	},
	&maptype.MeasuredMemory: func(*testing.T) bool { return MeasuresMemory() },
	&maptype.FreezeByHandle: func(t *testing.T) bool {
		m := newTestMap(t, CreateOpts{Type: Array, KeySize: 4, ValueSize: 4, MaxEntries: 1})
		if err := m.fd.Freeze(); err != nil {
			t.Error(err)
		}
		return either(t, m.fd.Freeze(), unix.EBUSY, unix.EPERM)
	},
	&maptype.TrieFlags:  func(t *testing.T) bool { return triedOrFail(t).flags },
	&maptype.TrieCursor: func(t *testing.T) bool { return triedOrFail(t).cursor },
	&maptype.LargeTrieValues: func(t *testing.T) bool {
		return either(t, raw(t, CreateOpts{Type: LPMTrie, KeySize: 5, ValueSize: 4_194_024, MaxEntries: 1, Flags: NoPrealloc}), unix.EINVAL, nil)
	},
	&maptype.OneCPUsValue: func(t *testing.T) bool {
		m := newTestMap(t, CreateOpts{Type: PerCPUArray, KeySize: 4, ValueSize: 4, MaxEntries: 1})
		return either(t, m.fd.Elem(sys.MapUpdateElem, u32(0), u32(0), uint64(AllCPUs)), unix.EINVAL, nil)
	},
	&maptype.PerCPUInner: func(t *testing.T) bool {
		o := CreateOpts{Type: PerCPUArray, KeySize: 4, ValueSize: 4, MaxEntries: 1}
		outer := newTestMap(t, CreateOpts{Type: HashOfMaps, KeySize: 4, ValueSize: 4, MaxEntries: 1, InnerMap: newTestMap(t, o)})
		o.MaxEntries = 2
		return either(t, outer.fd.Elem(sys.MapUpdateElem, u32(0), u32(newTestMap(t, o).FD()), 0), nil, unix.EINVAL)
	},
	&maptype.XSKRings: func(t *testing.T) bool {
		m := newTestMap(t, CreateOpts{Type: XSKMap, KeySize: 4, ValueSize: 4, MaxEntries: 1})
		xsk := owned(t)(unix.Socket(unix.AF_XDP, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0))
		return either(t, m.fd.Elem(sys.MapUpdateElem, u32(0), u32(xsk), 0), nil, unix.ENOBUFS)
	},
}

func triedOrFail(t *testing.T) trieTraits {
	t.Helper()
	found, err := tryTrie()
	if err != nil {
		t.Error(err)
	}
	return found
}

// TestBehaviours tries each behaviour of the table on this kernel, on whichever side of its release that is.
func TestBehaviours(t *testing.T) {
	if (runningKernel() == maptype.Kernel{}) {
		t.Fatal("the release of this kernel isn't known")
	}
	for _, b := range maptype.Behaviours() {
		t.Run(b.Name, func(t *testing.T) {
			probe := behaviourProbes[b]
			if probe == nil {
				t.Fatal("nothing tries it")
			}
			got := probe(t)
			after, certain := b.On(runningKernel())
			if t.Logf("%s: since %s %t, tried %t", b.Name, b.Since, after, got); certain && got != after {
				t.Errorf("tried, it is %t on %s; the table says since %s", got, runningKernel(), b.Since)
			}
		})
	}
	if len(behaviourProbes) != len(maptype.Behaviours()) {
		t.Errorf("%d probes for %d behaviours", len(behaviourProbes), len(maptype.Behaviours()))
	}
}

// TestLaterCommands holds what the error of a command says that the kernel lacks for a type.
func TestLaterCommands(t *testing.T) {
	for _, typ := range []MapType{Hash, LRUHash, PerCPUHash, LRUPerCPUHash} {
		m := newTestMap(t, CreateOpts{Type: typ, KeySize: 4, ValueSize: 8, MaxEntries: 64})
		put(t, m, 0, 1)
		key, value := elements(m, 0, 1)
		err := m.LookupAndDeleteElem(key, value)
		if has(typ, maptype.LookupAndDelete) {
			if err != nil {
				t.Errorf("%s: %v", typ, err)
			}
			continue
		}
		words := "for " + typ.String() + " it came with Linux 5.14, this is " + runningKernel().String()
		if !errors.Is(err, ErrNotSupported) || !errors.Is(err, unix.Errno(524)) || !strings.Contains(err.Error(), words) {
			t.Errorf("%v, want ErrNotSupported and %q", err, words)
		}
	}
}

// TestTighterLimits holds the words for sizes that only older kernels refuse.
func TestTighterLimits(t *testing.T) {
	old := maptype.Kernel{Major: 5, Minor: 10}
	for _, c := range []struct {
		opts CreateOpts
		b    *maptype.Behaviour
	}{
		{CreateOpts{Type: Hash, KeySize: 4, ValueSize: 1 << 20, MaxEntries: 4096, Flags: NoPrealloc}, &maptype.LargeMaps},
		{CreateOpts{Type: Hash, KeySize: 513, ValueSize: 4, MaxEntries: 1}, &maptype.LongHashKeys},
		{CreateOpts{Type: LRUHash, KeySize: 4, ValueSize: 4<<20 - 60, MaxEntries: 1}, &maptype.LongHashKeys},
		{CreateOpts{Type: CGroupStorage, KeySize: 8, ValueSize: uint32(os.Getpagesize()) + 1}, &maptype.LargeCGroupStorage},
		{CreateOpts{Type: LPMTrie, KeySize: 5, ValueSize: 4_194_024, MaxEntries: 1, Flags: NoPrealloc}, &maptype.LargeTrieValues},
	} {
		words := "; before " + c.b.Since.String() + " " + c.b.Before + ", this is " + old.String()
		if got := c.opts.tighter(old); got != words {
			t.Errorf("%+v: %q, want %q", c.opts, got, words)
		}
		if got := c.opts.tighter(c.b.Since); got != "" {
			t.Errorf("%+v: %q on %s", c.opts, got, c.b.Since)
		}
		err := creates(t, c.opts)
		words = "; before " + c.b.Since.String() + " " + c.b.Before + ", this is " + runningKernel().String()
		if does(t, c.b) != (err == nil) || err != nil && (!errors.Is(err, unix.E2BIG) && !errors.Is(err, unix.EINVAL) || !strings.Contains(err.Error(), words)) {
			t.Errorf("%+v: %v, want none since %s, and E2BIG or EINVAL with %q before", c.opts, err, c.b.Since, words)
		}
	}
	small := CreateOpts{Type: Hash, KeySize: 4, ValueSize: 4, MaxEntries: 1}
	if got := small.tighter(old) + small.tighter(maptype.Kernel{}); got != "" {
		t.Errorf("a small map: %q", got)
	}
}

// TestPrefixesByWalk looks for keys of a trie as on kernels whose cursor misleads, among prefixes around them with
// the same values and with others.
func TestPrefixesByWalk(t *testing.T) {
	m := newTestMap(t, CreateOpts{Type: LPMTrie, KeySize: 6, ValueSize: 1, MaxEntries: 100, Flags: NoPrealloc})
	prefix := func(length, a, b byte) []byte { return append(u32(int(length)), a, b) }
	held := map[string]bool{}
	for _, p := range []struct{ length, a, b, value byte }{
		{0, 0, 0, 7}, {8, 10, 0, 7}, {16, 10, 1, 7}, {16, 10, 2, 1}, {9, 10, 128, 7}, {16, 200, 1, 7}, {15, 200, 0, 2},
	} {
		key := prefix(p.length, p.a, p.b)
		if err := m.UpdateElem(key, []byte{p.value}, NoExist); err != nil {
			t.Fatal(err)
		}
		held[string(key)] = true
	}
	for _, key := range [][]byte{
		prefix(0, 0, 0), prefix(8, 10, 0), prefix(16, 10, 1), prefix(16, 10, 2), prefix(9, 10, 128), prefix(16, 200, 1), prefix(15, 200, 0),
		prefix(8, 11, 0), prefix(16, 10, 3), prefix(16, 10, 200), prefix(9, 10, 0), prefix(16, 200, 0), prefix(16, 255, 255), prefix(1, 0, 0), prefix(7, 10, 0),
	} {
		there, err := m.findPrefix(key, make([]byte, 6), make([]byte, 6))
		if err != nil || there != held[string(key)] {
			t.Errorf("%x: %t, %v; want %t", key, there, err, held[string(key)])
		}
		there, err = m.HasPrefix(key, make([]byte, 12))
		if err != nil || there != held[string(key)] {
			t.Errorf("HasPrefix %x: %t, %v; want %t", key, there, err, held[string(key)])
		}
		// The flags do what they say, also where the kernel ignores them.
		if err := m.UpdateElem(key, []byte{7}, map[bool]ElemFlags{true: NoExist, false: Exist}[there]); !errors.Is(err, map[bool]error{true: ErrExist, false: ErrNotExist}[there]) {
			t.Errorf("%x: the wrong flag: %v", key, err)
		}
	}
	if n, _, err := m.Count(t.Context()); n != len(held) || err != nil {
		t.Errorf("%d prefixes, %v", n, err)
	}
}
