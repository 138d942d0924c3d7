// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package bpf_test

import (
	"encoding/binary"
	"errors"
	"net"
	"os"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"golang.org/x/sys/unix"

	"github.com/bpfmap-io/bpfmap-operator/internal/bpf"
)

// socket is a connected UDP socket of this process.
func socket(t *testing.T) uint64 {
	t.Helper()
	conn, err := net.Dial("udp", "127.0.0.1:9")
	if err != nil {
		t.Fatal(err)
	}
	file, err := conn.(*net.UDPConn).File()
	if err := errors.Join(err, conn.Close()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = file.Close() })
	return uint64(file.Fd())
}

func TestSocketMaps(t *testing.T) {
	for _, typ := range []bpf.MapType{bpf.SockMap, bpf.SockHash} {
		m := create(t, bpf.CreateOpts{Type: typ, KeySize: 4, ValueSize: 8, MaxEntries: 2})
		fd := binary.NativeEndian.AppendUint64(nil, socket(t))
		wantErr(t, "Exist on a missing key", m.UpdateElem(key32(0), fd, bpf.Exist), bpf.ErrNotExist)
		if err := m.UpdateElem(key32(0), fd, bpf.NoExist); err != nil {
			t.Fatal(err)
		}
		wantErr(t, "NoExist again", m.UpdateElem(key32(0), fd, bpf.NoExist), bpf.ErrExist)
		cookie := make([]byte, 8)
		if err := m.LookupElem(key32(0), cookie); err != nil || binary.NativeEndian.Uint64(cookie) == 0 {
			t.Errorf("%s: cookie %x, %v", typ, cookie, err)
		}
		wantErr(t, "look up and delete", m.LookupAndDeleteElem(key32(0), cookie), bpf.ErrNotSupported)
		if err := m.DeleteElem(key32(0)); err != nil {
			t.Errorf("%s: delete: %v", typ, err)
		}
	}
}

// socketFilter is the smallest program there is.
func socketFilter(t *testing.T) *ebpf.Program {
	t.Helper()
	p, err := ebpf.NewProgram(&ebpf.ProgramSpec{
		Type: ebpf.SocketFilter, License: "GPL", Instructions: asm.Instructions{asm.Mov.Imm(asm.R0, 0), asm.Return()},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close() })
	return p
}

func TestArraysOfObjects(t *testing.T) {
	dir, err := os.Open("/sys/fs/cgroup")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = dir.Close() }()
	m := create(t, bpf.CreateOpts{Type: bpf.CGroupArray, KeySize: 4, ValueSize: 4, MaxEntries: 1})
	fd := key32(int(dir.Fd()))
	var st unix.Statfs_t
	if err := unix.Statfs("/sys/fs/cgroup", &st); err != nil {
		t.Fatal(err)
	}
	if st.Type == unix.CGROUP2_SUPER_MAGIC {
		if err := m.UpdateElem(key32(0), fd, bpf.Any); err != nil {
			t.Error(err)
		}
		if err := m.DeleteElem(key32(0)); err != nil {
			t.Error(err)
		}
	}
	wantErr(t, "look up in a cgroup array", m.LookupElem(key32(0), fd), bpf.ErrNotSupported)
	wantErr(t, "index", m.UpdateElem(key32(1), fd, bpf.Any), bpf.ErrOutOfRange)

	progs := create(t, bpf.CreateOpts{Type: bpf.ProgArray, KeySize: 4, ValueSize: 4, MaxEntries: 1})
	if err := progs.UpdateElem(key32(0), key32(socketFilter(t).FD()), bpf.Any); err != nil {
		t.Error(err)
	}
	id := make([]byte, 4)
	if err := progs.LookupElem(key32(0), id); err != nil || binary.NativeEndian.Uint32(id) == 0 {
		t.Errorf("the program's id is %x, %v", id, err)
	}
	wantErr(t, "NoExist in a program array", progs.UpdateElem(key32(0), fd, bpf.NoExist), unix.EINVAL)
	if err := progs.DeleteElem(key32(0)); err != nil {
		t.Error(err)
	}
	wantErr(t, "a file as a program", progs.UpdateElem(key32(0), fd, bpf.Any), unix.EINVAL)
	wantErr(t, "delete an empty slot", progs.DeleteElem(key32(0)), bpf.ErrNotExist)
	wantErr(t, "look up an empty slot", progs.LookupElem(key32(0), fd), bpf.ErrNotExist)
	if ok, err := progs.GetNextKey(nil, make([]byte, 4)); !ok || err != nil {
		t.Errorf("first key: %t, %v", ok, err)
	}
}

// TestBuffers are types without elements.
func TestBuffers(t *testing.T) {
	for _, o := range []bpf.CreateOpts{
		{Type: bpf.RingBuf, MaxEntries: 4096},
		{Type: bpf.UserRingBuf, MaxEntries: 4096},
		{Type: bpf.Arena, MaxEntries: 1, Flags: bpf.Mmapable},
	} {
		if !bpf.Known(t, o.Type) {
			continue
		}
		m := create(t, o)
		_, next := m.GetNextKey(nil, nil)
		_, batch := m.UpdateBatch(t.Context(), nil, nil, bpf.Any)
		for what, err := range map[string]error{
			"update": m.UpdateElem(nil, nil, bpf.Any), "look up": m.LookupElem(nil, nil), "delete": m.DeleteElem(nil),
			"look up and delete": m.LookupAndDeleteElem(nil, nil), "next key": next, "update batch": batch,
			"iterate": m.Iterate(t.Context(), bpf.IterateOptions{}).Err(),
		} {
			wantErr(t, o.Type.String()+": "+what, err, bpf.ErrNotSupported)
		}
		if err := m.Freeze(); err != nil {
			t.Errorf("%s: freeze: %v", o.Type, err)
		}
	}
}

func TestStackTrace(t *testing.T) {
	m := create(t, bpf.CreateOpts{Type: bpf.StackTrace, KeySize: 4, ValueSize: 64, MaxEntries: 4})
	value := make([]byte, 64)
	wantErr(t, "update", m.UpdateElem(key32(0), value, bpf.Any), bpf.ErrNotSupported)
	wantErr(t, "look up", m.LookupElem(key32(0), value), bpf.ErrNotExist)
	wantErr(t, "delete", m.DeleteElem(key32(0)), bpf.ErrNotExist)
	wantErr(t, "delete out of range", m.DeleteElem(key32(9)), bpf.ErrOutOfRange)
	if ok, err := m.GetNextKey(nil, make([]byte, 4)); ok || err != nil {
		t.Errorf("first key: %t, %v", ok, err)
	}
}
