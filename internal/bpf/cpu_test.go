// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package bpf

import (
	"bytes"
	"encoding/binary"
	"testing"

	"github.com/bpfmap-io/bpfmap-operator/internal/bpf/sys"
)

func TestCountCPUs(t *testing.T) {
	for list, want := range map[string]int{
		"0": 1, "0-1": 2, "0-127": 128, "0-3,8-11": 8, "0,2": 2, "0,2-3,7": 4, "1-2": 2, "3": 1, "0-65535": 65536,
	} {
		if n, err := countCPUs(list); n != want || err != nil {
			t.Errorf("%q: %d, %v, want %d", list, n, err, want)
		}
	}
	for _, list := range []string{
		"", "\n", "0-", "-3", "a", "0,", ",0", "0,,2", "3-1", "0-3,3", "0-3,2-5", "4,0", "0 1", "+1", "0x1", "0-3:2/4",
		"0-65536", "99999999999", "0-1-2", "-1",
	} {
		if n, err := countCPUs(list); n != 0 || err == nil {
			t.Errorf("%q: %d, %v, want an error", list, n, err)
		}
	}
}

// TestPossibleCPUs looks how many bytes the kernel writes of an element of real per-CPU maps.
func TestPossibleCPUs(t *testing.T) {
	cpus, err := PossibleCPUs()
	if err != nil {
		t.Fatal(err)
	}
	for _, typ := range []MapType{PerCPUArray, PerCPUHash} {
		m, err := Create(CreateOpts{Type: typ, KeySize: 4, ValueSize: 4, MaxEntries: 1})
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close()
		const slot = 8
		key := make([]byte, 4)
		value := make([]byte, m.ValueStride())
		for cpu := range cpus {
			binary.NativeEndian.PutUint32(value[cpu*slot:], uint32(cpu+1))
		}
		if err := m.UpdateElem(key, value, Any); err != nil {
			t.Fatal(err)
		}
		untouched := byte(0xa5)
		room := bytes.Repeat([]byte{untouched}, slot*(cpus+64))
		if err := m.fd.Elem(sys.MapLookupElem, key, room, 0); err != nil {
			t.Fatal(err)
		}
		written := len(bytes.TrimRight(room, string([]byte{untouched})))
		if written != slot*cpus || m.ValueStride() != written || !bytes.Equal(room[:written], value) {
			t.Errorf("%s: the kernel wrote %d bytes (%x), the stride is %d for %d CPUs", typ, written, room[:written], m.ValueStride(), cpus)
		}
	}
}

func TestFakePossibleCPUs(t *testing.T) {
	actual, err := PossibleCPUs()
	if err != nil {
		t.Fatal(err)
	}
	restore := FakePossibleCPUs(128)
	if n, err := PossibleCPUs(); n != 128 || err != nil {
		t.Errorf("faked: %d, %v", n, err)
	}
	m, err := Create(CreateOpts{Type: PerCPUArray, KeySize: 4, ValueSize: 12, MaxEntries: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	if m.ValueStride() != 128*16 {
		t.Errorf("stride %d", m.ValueStride())
	}
	restore()
	if n, err := PossibleCPUs(); n != actual || err != nil {
		t.Errorf("restored: %d, %v", n, err)
	}
}
