// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package bpf

import (
	"encoding/binary"
	"net"
	"os"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"golang.org/x/sys/unix"
)

// contractRow is what only a test knows of a map type: how to come by an element that the kernel takes.
// Everything else of the contract follows from internal/maptype and is compared with the kernel.
type contractRow struct {
	// key and value make the i-th element; defaults are i, and zeros that begin with i. A type without
	// elements has neither.
	key, value func(t *testing.T, m *Map, i int) []byte
	// empty says that elements can't be written by a test: operations on them aren't tried.
	empty bool
}

// contractRows has a row for every type of internal/maptype.
var contractRows = map[MapType]contractRow{
	Hash: {}, RHash: {}, LRUHash: {}, PerCPUHash: {}, LRUPerCPUHash: {}, Array: {}, PerCPUArray: {}, Queue: {}, Stack: {}, BloomFilter: {},
	LPMTrie:     {key: func(_ *testing.T, _ *Map, i int) []byte { return append(u32(8), byte(i)) }},
	ArrayOfMaps: {value: innerMap}, HashOfMaps: {value: innerMap},
	ProgArray: {value: func(t *testing.T, _ *Map, _ int) []byte { return u32(filter(t)) }},
	CGroupArray: {value: func(t *testing.T, _ *Map, _ int) []byte {
		return u32(opened(t, cgroup2(t)))
	}},
	DevMap: {value: loopback}, DevMapHash: {value: loopback}, CPUMap: {value: queueSize},
	XSKMap: {value: func(t *testing.T, _ *Map, _ int) []byte {
		return u32(withRing(t, owned(t)(unix.Socket(unix.AF_XDP, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0))))
	}},
	SockMap: {value: connected}, SockHash: {value: connected}, ReusePortSockArray: {value: listening},
	PerfEventArray: {value: func(t *testing.T, _ *Map, _ int) []byte {
		attr := unix.PerfEventAttr{Type: unix.PERF_TYPE_SOFTWARE, Config: unix.PERF_COUNT_SW_BPF_OUTPUT, Sample_type: unix.PERF_SAMPLE_RAW}
		return u32(owned(t)(unix.PerfEventOpen(&attr, -1, 0, -1, unix.PERF_FLAG_FD_CLOEXEC)))
	}},
	StackTrace: {empty: true}, CGroupStorage: {empty: true}, PerCPUCGroupStorage: {empty: true}, StructOps: {empty: true}, InsnArray: {empty: true},
	RingBuf: {empty: true}, UserRingBuf: {empty: true}, Arena: {empty: true},
	SKStorage:    {key: func(t *testing.T, m *Map, i int) []byte { return connected(t, m, i)[:4] }},
	InodeStorage: {key: func(t *testing.T, _ *Map, _ int) []byte { return u32(opened(t, os.DevNull)) }},
	TaskStorage:  {key: func(t *testing.T, _ *Map, _ int) []byte { return u32(owned(t)(unix.PidfdOpen(os.Getpid(), 0))) }},
	CGRPStorage:  {key: func(t *testing.T, _ *Map, _ int) []byte { return u32(opened(t, cgroup2(t))) }},
}

func u32(n int) []byte { return binary.NativeEndian.AppendUint32(nil, uint32(n)) }

// owned closes a descriptor of a system call at the end of the test.
func owned(t *testing.T) func(fd int, err error) int {
	t.Helper()
	return func(fd int, err error) int {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = unix.Close(fd) })
		return fd
	}
}

// withRing gives an AF_XDP socket a receive ring, which newer kernels want before it goes into a map.
func withRing(t *testing.T, xsk int) int {
	t.Helper()
	if err := unix.SetsockoptInt(xsk, unix.SOL_XDP, unix.XDP_RX_RING, 64); err != nil {
		t.Fatal(err)
	}
	return xsk
}

func opened(t *testing.T, path string) int {
	t.Helper()
	return owned(t)(unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0))
}

// cgroup2 is a mount of the cgroup2 file system until the test ends.
func cgroup2(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := unix.Mount("none", dir, "cgroup2", 0, ""); err != nil {
		t.Fatalf("mount cgroup2 (this test needs root): %v", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// descriptorIn is a descriptor in as many bytes as a value has.
func descriptorIn(m *Map, fd int) []byte {
	value := make([]byte, max(8, m.ValueSize()))
	binary.NativeEndian.PutUint32(value, uint32(fd))
	return value[:m.ValueSize()]
}

// connected is a connected UDP socket.
func connected(t *testing.T, m *Map, _ int) []byte {
	t.Helper()
	fd := owned(t)(unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0))
	address := &unix.SockaddrInet4{Port: 9, Addr: [4]byte(net.IPv4(127, 0, 0, 1).To4())}
	if err := unix.Connect(fd, address); err != nil {
		t.Fatal(err)
	}
	return descriptorIn(m, fd)
}

// listening is a listening socket that shares its port.
func listening(t *testing.T, m *Map, _ int) []byte {
	t.Helper()
	fd := owned(t)(unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0))
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEPORT, 1); err != nil {
		t.Fatal(err)
	}
	if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	if err := unix.Listen(fd, 1); err != nil {
		t.Fatal(err)
	}
	return descriptorIn(m, fd)
}

// filter is the descriptor of the smallest program there is.
func filter(t *testing.T) int {
	t.Helper()
	p, err := ebpf.NewProgram(&ebpf.ProgramSpec{
		Type: ebpf.SocketFilter, License: "GPL", Instructions: asm.Instructions{asm.Mov.Imm(asm.R0, 0), asm.Return()},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close() })
	return p.FD()
}
