// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package bpf_test

import (
	"encoding/binary"
	"os"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/bpfmap-io/bpfmap-operator/internal/bpf"
)

// descriptor closes a file descriptor of a system call at the end of the test.
func descriptor(t *testing.T, fd int, err error) int {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Close(fd); err != nil {
			t.Error(err)
		}
	})
	return fd
}

// wantNone checks that operations which a type lacks are told so, whatever the kernel's errno.
func wantNone(t *testing.T, m *bpf.Map, key, value []byte) {
	t.Helper()
	_, update := m.UpdateBatch(t.Context(), key, value, bpf.NoExist)
	_, more, drain := m.LookupAndDeleteBatch(t.Context(), key, value, bpf.Any)
	for what, err := range map[string]error{
		"look up and delete": m.LookupAndDeleteElem(key, value), "look up and delete in a batch": drain,
	} {
		wantErr(t, m.Type().String()+": "+what, err, bpf.ErrNotSupported)
	}
	if update == nil || more {
		t.Errorf("%s: NoExist in a batch: %v, more %t", m.Type(), update, more)
	}
}

// TestXSKMap puts an AF_XDP socket into a map: it can be replaced and taken out, and never be read.
func TestXSKMap(t *testing.T) {
	m := create(t, bpf.CreateOpts{Type: bpf.XSKMap, KeySize: 4, ValueSize: 4, MaxEntries: 2})
	xsk, err := unix.Socket(unix.AF_XDP, unix.SOCK_RAW, 0)
	fd := key32(bpf.WithRing(t, descriptor(t, xsk, err)))
	wantErr(t, "Exist on an empty slot", m.UpdateElem(key32(0), fd, bpf.Exist), bpf.ErrNotExist)
	if err := m.UpdateElem(key32(0), fd, bpf.NoExist); err != nil {
		t.Fatal(err)
	}
	// The same socket again is no change, and another one is refused with NoExist.
	if err := m.UpdateElem(key32(0), fd, bpf.NoExist); err != nil {
		t.Errorf("NoExist with the same socket: %v", err)
	}
	other, err := unix.Socket(unix.AF_XDP, unix.SOCK_RAW, 0)
	another := key32(bpf.WithRing(t, descriptor(t, other, err)))
	wantErr(t, "NoExist with another socket", m.UpdateElem(key32(0), another, bpf.NoExist), bpf.ErrExist)
	if err := m.UpdateElem(key32(0), another, bpf.Exist); err != nil {
		t.Errorf("Exist with another socket: %v", err)
	}
	wantErr(t, "an index beyond", m.UpdateElem(key32(2), fd, bpf.Any), bpf.ErrOutOfRange)
	wantErr(t, "look up", m.LookupElem(key32(0), make([]byte, 4)), bpf.ErrNotSupported)
	wantErr(t, "a UDP socket", m.UpdateElem(key32(1), key32(int(socket(t))), bpf.Any), unix.EOPNOTSUPP)
	wantNone(t, m, key32(0), make([]byte, 4))
	if ok, err := m.GetNextKey(nil, make([]byte, 4)); !ok || err != nil {
		t.Errorf("first key: %t, %v", ok, err)
	}
	if err := m.DeleteElem(key32(0)); err != nil {
		t.Errorf("delete: %v", err)
	}
	if err := m.Freeze(); err != nil {
		t.Errorf("freeze: %v", err)
	}
	wantErr(t, "update of a frozen map", m.UpdateElem(key32(0), fd, bpf.Any), bpf.ErrFrozen)
}

// TestPerfEventArray puts a software event into a map.
func TestPerfEventArray(t *testing.T) {
	m := create(t, bpf.CreateOpts{Type: bpf.PerfEventArray, KeySize: 4, ValueSize: 4, MaxEntries: 2})
	event, err := unix.PerfEventOpen(&unix.PerfEventAttr{
		Type: unix.PERF_TYPE_SOFTWARE, Config: unix.PERF_COUNT_SW_BPF_OUTPUT, Sample_type: unix.PERF_SAMPLE_RAW,
	}, -1, 0, -1, unix.PERF_FLAG_FD_CLOEXEC)
	fd := key32(descriptor(t, event, err))
	for what, flags := range map[string]bpf.ElemFlags{"NoExist": bpf.NoExist, "Exist": bpf.Exist} {
		wantErr(t, what, m.UpdateElem(key32(0), fd, flags), unix.EINVAL)
	}
	if err := m.UpdateElem(key32(0), fd, bpf.Any); err != nil {
		t.Fatal(err)
	}
	wantErr(t, "an index beyond", m.UpdateElem(key32(2), fd, bpf.Any), bpf.ErrOutOfRange)
	wantErr(t, "look up", m.LookupElem(key32(0), make([]byte, 4)), bpf.ErrNotSupported)
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = null.Close() }()
	if err := m.UpdateElem(key32(1), key32(int(null.Fd())), bpf.Any); err == nil {
		t.Error("a file is taken for an event")
	}
	wantNone(t, m, key32(0), make([]byte, 4))
	if err := m.DeleteElem(key32(0)); err != nil {
		t.Errorf("delete: %v", err)
	}
	wantErr(t, "delete an empty slot", m.DeleteElem(key32(0)), bpf.ErrNotExist)
	wantErr(t, "delete beyond", m.DeleteElem(key32(2)), bpf.ErrOutOfRange)
}

// TestReusePortSockArray puts a listening socket with SO_REUSEPORT into a map, and another one not twice.
func TestReusePortSockArray(t *testing.T) {
	m := create(t, bpf.CreateOpts{Type: bpf.ReusePortSockArray, KeySize: 4, ValueSize: 8, MaxEntries: 2})
	listener := func() []byte {
		s, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		fd := descriptor(t, s, err)
		if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEPORT, 1); err != nil {
			t.Fatal(err)
		}
		if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
			t.Fatal(err)
		}
		if err := unix.Listen(fd, 1); err != nil {
			t.Fatal(err)
		}
		return binary.NativeEndian.AppendUint64(nil, uint64(fd))
	}
	first, second := listener(), listener()
	wantErr(t, "Exist on an empty slot", m.UpdateElem(key32(0), first, bpf.Exist), bpf.ErrNotExist)
	if err := m.UpdateElem(key32(0), first, bpf.NoExist); err != nil {
		t.Fatal(err)
	}
	wantErr(t, "NoExist again", m.UpdateElem(key32(0), second, bpf.NoExist), bpf.ErrExist)
	wantErr(t, "a socket in two slots", m.UpdateElem(key32(1), first, bpf.Any), unix.EBUSY)
	wantErr(t, "an index beyond", m.UpdateElem(key32(2), second, bpf.Any), bpf.ErrOutOfRange)
	cookie := make([]byte, 8)
	if err := m.LookupElem(key32(0), cookie); err != nil || binary.NativeEndian.Uint64(cookie) == 0 {
		t.Errorf("cookie %x, %v", cookie, err)
	}
	wantErr(t, "look up an empty slot", m.LookupElem(key32(1), cookie), bpf.ErrNotExist)
	wantNone(t, m, key32(0), cookie)
	if err := m.DeleteElem(key32(0)); err != nil {
		t.Errorf("delete: %v", err)
	}
	wantErr(t, "delete an empty slot", m.DeleteElem(key32(0)), bpf.ErrNotExist)
}

// TestSocketStorage keeps a value with a socket for as long as that lives.
func TestSocketStorage(t *testing.T) {
	m, err := lockedMap(t, bpf.CreateOpts{Type: bpf.SKStorage, Flags: bpf.NoPrealloc})
	if err != nil {
		t.Fatal(err)
	}
	key, value := key32(int(socket(t))), make([]byte, 16)
	wantErr(t, "look up", m.LookupElem(key, value), bpf.ErrNotExist)
	wantErr(t, "Exist", m.UpdateElem(key, value, bpf.Exist), bpf.ErrNotExist)
	if err := m.UpdateElem(key, value, bpf.NoExist); err != nil {
		t.Fatal(err)
	}
	wantErr(t, "NoExist again", m.UpdateElem(key, value, bpf.NoExist), bpf.ErrExist)
	wantErr(t, "a closed descriptor", m.UpdateElem(key32(1<<20), value, bpf.Any), unix.EBADF)
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = null.Close() }()
	wantErr(t, "a file", m.UpdateElem(key32(int(null.Fd())), value, bpf.Any), unix.ENOTSOCK)
	if err := m.DeleteElem(key); err != nil {
		t.Errorf("delete: %v", err)
	}
	wantErr(t, "delete again", m.DeleteElem(key), bpf.ErrNotExist)
}

// TestStructOps refuses a map of operations without the kernel's types for them.
func TestStructOps(t *testing.T) {
	_, err := bpf.Create(bpf.CreateOpts{Type: bpf.StructOps, KeySize: 4, ValueSize: 64, MaxEntries: 1})
	wantErr(t, "create without BTF", err, unix.EINVAL)
}
