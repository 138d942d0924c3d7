// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package bpf_test

import (
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/bpfmap-io/bpfmap-operator/internal/bpf"
	"github.com/bpfmap-io/bpfmap-operator/internal/bpf/bpftest"
	"github.com/bpfmap-io/bpfmap-operator/internal/maptype"
)

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

func hashMap(t testing.TB, entries uint32) *bpf.Map {
	t.Helper()
	return create(t, bpf.CreateOpts{Type: bpf.Hash, Name: "test", KeySize: 4, ValueSize: 8, MaxEntries: entries})
}

func key32(i int) []byte { return binary.NativeEndian.AppendUint32(nil, uint32(i)) }

func wantErr(t *testing.T, what string, err error, wants ...error) {
	t.Helper()
	for _, want := range wants {
		if !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", what, err, want)
		}
	}
}

func TestCreateRefusals(t *testing.T) {
	var tooLarge, tooLargeWords = bpf.ErrNoMemory, "memory cgroup"
	if !bpf.Does(t, &maptype.LargeMaps) {
		tooLarge, tooLargeWords = unix.E2BIG, "a map of 4 GiB or more is E2BIG"
	}
	for _, c := range []struct {
		opts  bpf.CreateOpts
		errno error
		words string
	}{
		{bpf.CreateOpts{Type: bpf.Hash, KeySize: 4, ValueSize: 4, MaxEntries: 1, Name: "sixteen_letters_"}, nil, "has 16 characters, at most 15 are allowed"},
		{bpf.CreateOpts{Type: bpf.Hash, KeySize: 4, ValueSize: 4, MaxEntries: 1, Name: "a-b"}, nil, `contains '-'`},
		{bpf.CreateOpts{Type: bpf.Hash, KeySize: 4, ValueSize: 4}, unix.EINVAL, "max_entries 0"},
		{bpf.CreateOpts{Type: bpf.Hash, KeySize: 4 << 20, ValueSize: 4, MaxEntries: 1}, unix.E2BIG, "over the limits"},
		{bpf.CreateOpts{Type: bpf.LPMTrie, KeySize: 8, ValueSize: 4, MaxEntries: 1}, unix.EINVAL, "flags 0"},
		{bpf.CreateOpts{Type: bpf.Arena + 100, KeySize: 4, ValueSize: 4, MaxEntries: 1}, bpf.ErrNotSupported, "doesn't know the type"},
		{bpf.CreateOpts{Type: bpf.LRUHash, KeySize: 4, ValueSize: 4, MaxEntries: 1, Flags: bpf.NoPrealloc}, bpf.ErrNotSupported, ""},
		{bpf.CreateOpts{Type: bpf.Array, KeySize: 4, ValueSize: 4096, MaxEntries: 1 << 30}, tooLarge, tooLargeWords},
		{bpf.CreateOpts{Type: bpf.Array, KeySize: 4, ValueSize: 4, MaxEntries: 1, ExclProgHash: []byte{1}}, unix.EINVAL, ""},
	} {
		m, err := bpf.Create(c.opts)
		if err == nil {
			_ = m.Close()
			t.Errorf("%+v was created", c.opts)
			continue
		}
		if c.errno != nil && !errors.Is(err, c.errno) || !strings.Contains(err.Error(), c.words) {
			t.Errorf("%+v: %v, want %v and %q", c.opts, err, c.errno, c.words)
		}
	}
}

func TestInfo(t *testing.T) {
	m := create(t, bpf.CreateOpts{
		Type: bpf.Hash, Name: "info.test_1", KeySize: 3, ValueSize: 5, MaxEntries: 7, Flags: bpf.NoPrealloc | bpf.RdOnlyProg | bpf.NUMANode,
	})
	info, err := m.Info()
	if err != nil {
		t.Fatal(err)
	}
	if info.ID == 0 || info.Type != bpf.Hash || info.Name != "info.test_1" || info.KeySize != 3 || info.ValueSize != 5 ||
		info.MaxEntries != 7 || info.Flags != bpf.NoPrealloc|bpf.RdOnlyProg|bpf.NUMANode {
		t.Errorf("%+v", info)
	}
	more, err := m.FDInfo()
	if err != nil || more.MapID != info.ID || more.Memlock == 0 || more.Frozen {
		t.Errorf("%+v, %v", more, err)
	}
	if !bpf.Known(t, bpf.BloomFilter) {
		return
	}
	bloom := create(t, bpf.CreateOpts{Type: bpf.BloomFilter, ValueSize: 4, MaxEntries: 10, MapExtra: 3})
	if info, err := bloom.Info(); err != nil || info.MapExtra != 3 {
		t.Errorf("%+v, %v", info, err)
	}
}

func TestClosedHandle(t *testing.T) {
	m := hashMap(t, 1)
	if err := errors.Join(m.Close(), m.Close()); err != nil {
		t.Errorf("closing twice: %v", err)
	}
	_, infoErr := m.Info()
	for what, err := range map[string]error{
		"look up": m.LookupElem(key32(0), make([]byte, 8)), "freeze": m.Freeze(), "info": infoErr, "pin": m.Pin("/nowhere"),
	} {
		wantErr(t, what, err, bpf.ErrClosed)
	}
	if m.FD() != -1 {
		t.Errorf("the descriptor of a closed handle is %d", m.FD())
	}
}

func TestPins(t *testing.T) {
	dir := bpftest.BPFFS(t)
	m := hashMap(t, 4)
	info, err := m.Info()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "table")
	if err := m.Pin(path); err != nil {
		t.Fatal(err)
	}
	wantErr(t, "pin over a pin", m.Pin(path), bpf.ErrExist, unix.EEXIST)
	wantErr(t, "pin without a folder", m.Pin(filepath.Join(dir, "a", "b")), bpf.ErrNotExist)
	wantErr(t, "pin with a dot", m.Pin(filepath.Join(dir, "a.b")), bpf.ErrNotPermitted, unix.EPERM)
	wantErr(t, "pin elsewhere", m.Pin(filepath.Join(t.TempDir(), "table")), bpf.ErrNotPermitted)

	again, err := bpf.GetPinned(path, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = again.Close() }()
	if info2, err := again.Info(); err != nil || info2 != info || again.ValueStride() != 8 {
		t.Errorf("opened %+v, want %+v (%v)", info2, info, err)
	}
	_, err = bpf.GetPinned(filepath.Join(dir, "absent"), 0)
	wantErr(t, "open what isn't there", err, bpf.ErrNotExist)
	_, err = bpf.GetPinned(dir, 0)
	wantErr(t, "open a folder", err, bpf.ErrNotPermitted)
	program := filepath.Join(dir, "program")
	if err := socketFilter(t).Pin(program); err != nil {
		t.Fatal(err)
	}
	_, err = bpf.GetPinned(program, 0)
	wantErr(t, "open the pin of a program", err, bpf.ErrNotMap)

	other := hashMap(t, 9)
	moved := filepath.Join(dir, "moved")
	if err := other.Pin(moved); err != nil {
		t.Fatal(err)
	}
	wantErr(t, "rename over a pin", bpf.RenamePin(path, moved, false), bpf.ErrExist)
	if err := bpf.RenamePin(path, moved, true); err != nil {
		t.Fatal(err)
	}
	wantErr(t, "rename what isn't there", bpf.RenamePin(path, moved, true), bpf.ErrNotExist)
	if err := bpf.Unpin(moved); err != nil {
		t.Fatal(err)
	}
	wantErr(t, "unpin what isn't there", bpf.Unpin(moved), bpf.ErrNotExist)
	if is, err := bpf.IsBPFFS(dir); !is || err != nil {
		t.Errorf("IsBPFFS: %t, %v", is, err)
	}
	if is, err := bpf.IsBPFFS(t.TempDir()); is || err != nil {
		t.Errorf("IsBPFFS elsewhere: %t, %v", is, err)
	}
}

// TestOpenModes holds handles to the mode that they were opened with, by pin and by id.
func TestOpenModes(t *testing.T) {
	path := filepath.Join(bpftest.BPFFS(t), "table")
	m := hashMap(t, 4)
	info, err := m.Info()
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Pin(path); err != nil {
		t.Fatal(err)
	}
	byPin := func(f bpf.MapFlags) (*bpf.Map, error) { return bpf.GetPinned(path, f) }
	byID := func(f bpf.MapFlags) (*bpf.Map, error) { return bpf.GetFDByIDOpts(info.ID, bpf.OpenOpts{OpenFlags: f}) }
	for name, open := range map[string]func(bpf.MapFlags) (*bpf.Map, error){"pin": byPin, "id": byID} {
		reader, err := open(bpf.RdOnly)
		if err != nil {
			t.Fatal(err)
		}
		writer, err := open(bpf.WrOnly)
		if err != nil {
			t.Fatal(err)
		}
		value := make([]byte, 8)
		wantErr(t, name+": write by a reader", reader.UpdateElem(key32(1), value, bpf.Any), bpf.ErrNotPermitted, unix.EPERM)
		wantErr(t, name+": freeze by a reader", reader.Freeze(), bpf.ErrNotPermitted)
		wantErr(t, name+": read by a writer", writer.LookupElem(key32(1), value), bpf.ErrNotPermitted)
		if err := writer.UpdateElem(key32(1), value, bpf.Any); err != nil {
			t.Errorf("%s: write by a writer: %v", name, err)
		}
		if err := reader.LookupElem(key32(1), value); err != nil {
			t.Errorf("%s: read by a reader: %v", name, err)
		}
		wantErr(t, name+": pop by a reader", reader.LookupAndDeleteElem(key32(1), value), bpf.ErrNotPermitted)
		_, err = open(bpf.RdOnly | bpf.WrOnly)
		wantErr(t, name+": both modes", err, unix.EINVAL)
		if err := errors.Join(reader.Close(), writer.Close()); err != nil {
			t.Error(err)
		}
	}
}

func TestIDs(t *testing.T) {
	var ids []uint32
	for range 3 {
		info, err := hashMap(t, 1).Info()
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, info.ID)
	}
	gone, err := bpf.Create(bpf.CreateOpts{Type: bpf.Array, KeySize: 4, ValueSize: 4, MaxEntries: 1})
	if err != nil {
		t.Fatal(err)
	}
	goneInfo, err := gone.Info()
	if err != nil {
		t.Fatal(err)
	}
	// It vanishes while the maps are walked through.
	var seen []uint32
	for m, err := range bpf.Maps() {
		if err != nil {
			t.Fatal(err)
		}
		if err := gone.Close(); err != nil {
			t.Error(err)
		}
		info, err := m.Info()
		if err := errors.Join(err, m.Close()); err != nil {
			t.Fatal(err)
		}
		seen = append(seen, info.ID)
	}
	for _, id := range ids {
		if !slices.Contains(seen, id) {
			t.Errorf("map %d isn't among %v", id, seen)
		}
	}
	if !slices.IsSorted(seen) {
		t.Errorf("ids %v are out of order", seen)
	}
	if id, ok, err := bpf.GetNextID(ids[0] - 1); err != nil || !ok || id != ids[0] {
		t.Errorf("the id after %d: %d, %t, %v", ids[0]-1, id, ok, err)
	}
	if _, ok, err := bpf.GetNextID(1<<31 - 1); ok || err != nil {
		t.Errorf("after the last id: %t, %v", ok, err)
	}
	_, err = bpf.GetFDByID(goneInfo.ID)
	wantErr(t, "open a map that is gone", err, bpf.ErrNotExist, unix.ENOENT)
	_, err = bpf.GetFDByID(0)
	wantErr(t, "open id 0", err, bpf.ErrNotExist)
	_, err = bpf.GetFDByIDOpts(ids[0], bpf.OpenOpts{OpenFlags: bpf.NoPrealloc})
	wantErr(t, "open with a flag that is not a mode", err, unix.EINVAL)
	for m, err := range bpf.Maps() { // leaving early is fine
		if err := errors.Join(err, m.Close()); err != nil {
			t.Error(err)
		}
		break
	}
}

// TestFreezeOfMappedMap tells a mapping from a map that is frozen already.
func TestFreezeOfMappedMap(t *testing.T) {
	m := create(t, bpf.CreateOpts{Type: bpf.Array, KeySize: 4, ValueSize: 8, MaxEntries: 512, Flags: bpf.Mmapable})
	memory, err := syscall.Mmap(m.FD(), 0, os.Getpagesize(), syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_SHARED)
	if err != nil {
		t.Fatal(err)
	}
	wantErr(t, "freeze while mapped", m.Freeze(), bpf.ErrMapped, unix.EBUSY)
	memory[0] = 7
	if err := syscall.Munmap(memory); err != nil {
		t.Fatal(err)
	}
	if err := m.Freeze(); err != nil {
		t.Errorf("freeze after the mapping is gone: %v", err)
	}
	again := map[bool]error{false: unix.EBUSY, true: unix.EPERM}[bpf.Does(t, &maptype.FreezeByHandle)]
	wantErr(t, "freeze again", m.Freeze(), bpf.ErrFrozen, again)
	value := make([]byte, 8)
	if err := m.LookupElem(key32(0), value); err != nil || value[0] != 7 {
		t.Errorf("look up: %x, %v", value, err)
	}
}

func TestFeatures(t *testing.T) {
	features, err := bpf.Features()
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"Arena", "Array", "ArrayOfMaps", "Batch", "BloomFilter", "CGRPStorage", "CGroupArray", "CGroupStorage", "CPUMap", "DevMap",
		"DevMapHash", "Freeze", "Hash", "HashOfMaps", "InodeStorage", "LPMTrie", "LRUHash", "LRUPerCPUHash", "PerCPUArray",
		"PerCPUCGroupStorage", "PerCPUHash", "PerfEventArray", "ProgArray", "Queue", "ReusePortSockArray", "RingBuf", "SKStorage",
		"SockHash", "SockMap", "Stack", "StackTrace", "TaskStorage", "UserRingBuf", "XSKMap",
	}
	want = slices.DeleteFunc(want, func(name string) bool {
		typ, err := bpf.ParseMapType(name)
		return err == nil && !bpf.Known(t, typ)
	})
	for name, since := range map[string][2]int{"ArrayHash": {6, 18}, "AllCPUs": {7, 0}, "RHash": {7, 1}} {
		if bpftest.Since(t, since[0], since[1]) {
			want = append(want, name)
		}
	}
	slices.Sort(want)
	if !slices.Equal(features, want) {
		t.Errorf("features %v, want %v", features, want)
	}
	for typ := bpf.Hash; typ <= bpf.Arena; typ++ {
		if err := bpf.HaveMapType(typ); err != nil && bpf.Known(t, typ) {
			t.Errorf("%s: %v", typ, err)
		}
		for _, name := range []string{typ.String(), typ.UAPIName()} {
			if parsed, err := bpf.ParseMapType(name); err != nil || parsed != typ {
				t.Errorf("%s parses as %s, %v", name, parsed, err)
			}
		}
	}
	wantErr(t, "a type of the future", bpf.HaveMapType(bpf.RHash+50), bpf.ErrNotSupported)
	wantErr(t, "batches of a queue", bpf.HaveBatch(bpf.Queue), bpf.ErrNotSupported)
}
