// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package bpf_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/bpfmap-io/bpfmap-operator/internal/bpf"
	"github.com/bpfmap-io/bpfmap-operator/internal/bpf/bpftest"
	"github.com/bpfmap-io/bpfmap-operator/internal/maptype"
)

var perCPUTypes = []bpf.MapType{bpf.PerCPUArray, bpf.PerCPUHash, bpf.LRUPerCPUHash}

// TestAllCPUs writes and reads single CPUs' values, where the kernel can.
func TestAllCPUs(t *testing.T) {
	cpus, err := bpf.PossibleCPUs()
	if err != nil {
		t.Fatal(err)
	}
	for _, typ := range perCPUTypes {
		t.Run(typ.String(), func(t *testing.T) {
			has := bpf.HaveAllCPUs(typ)
			if has != bpftest.Since(t, 7, 0) {
				t.Fatalf("AllCPUs: %t", has)
			}
			m := create(t, bpf.CreateOpts{Type: typ, KeySize: 4, ValueSize: 4, MaxEntries: 64})
			key, all, one := key32(3), make([]byte, m.ValueStride()), []byte{9, 8, 7, 6}
			if !has {
				if err := m.UpdateElem(key, one, bpf.AllCPUs); !errors.Is(err, bpf.ErrNotSupported) || !errors.Is(err, unix.EINVAL) {
					t.Errorf("AllCPUs: %v", err)
				}
				return
			}
			if err := m.UpdateElem(key, one, bpf.AllCPUs); err != nil {
				t.Fatal(err)
			}
			if err := m.LookupElem(key, all); err != nil {
				t.Fatal(err)
			}
			for cpu := range cpus {
				if !bytes.Equal(all[8*cpu:8*cpu+4], one) {
					t.Errorf("CPU %d has %x", cpu, all[8*cpu:8*cpu+4])
				}
			}
			last := cpus - 1
			if err := m.UpdateElem(key, []byte{1, 1, 1, 1}, bpf.OnCPU(last)); err != nil {
				t.Fatal(err)
			}
			for cpu := range cpus {
				want := one
				if cpu == last {
					want = []byte{1, 1, 1, 1}
				}
				got := make([]byte, 4)
				if err := m.LookupElemFlags(key, got, bpf.OnCPU(cpu)); err != nil || !bytes.Equal(got, want) {
					t.Errorf("CPU %d: %x, %v, want %x", cpu, got, err, want)
				}
			}
			if err := m.UpdateElem(key, one, bpf.OnCPU(cpus)); err == nil {
				t.Errorf("CPU %d of %d was written", cpus, cpus)
			}
			if err := m.LookupElemFlags(key, make([]byte, 4), bpf.AllCPUs); err == nil {
				t.Error("AllCPUs was read")
			}
			err := m.UpdateElem(key32(4), one, bpf.AllCPUs|bpf.NoExist)
			if !errors.Is(err, bpf.ErrNotSupported) || !strings.Contains(err.Error(), "AllCPUs go with no other flag") {
				t.Errorf("AllCPUs and NoExist: %v", err)
			}
		})
	}
}

// TestUpdateCPUs writes elements with and without equal values, and gives the kernel each equal one once.
func TestUpdateCPUs(t *testing.T) {
	cpus, err := bpf.PossibleCPUs()
	if err != nil {
		t.Fatal(err)
	}
	for _, typ := range perCPUTypes {
		for _, size := range []int{4, 8, 12} {
			for _, disabled := range []bool{false, true} {
				if disabled {
					disable(t, "AllCPUs")
				}
				has := bpf.HaveAllCPUs(typ)
				if has && disabled {
					t.Fatal("AllCPUs is disabled, and there")
				}
				m := create(t, bpf.CreateOpts{Type: typ, KeySize: 4, ValueSize: uint32(size), MaxEntries: 256})
				const n = 100
				stride := m.ValueStride()
				slot := stride / cpus
				var keys, values []byte
				written := 0
				for i := range uint32(n) {
					keys = binary.NativeEndian.AppendUint32(keys, i)
					value := make([]byte, stride)
					for cpu := range cpus {
						value[cpu*slot] = byte(i)
						value[cpu*slot+size-1] = 0x77
					}
					each := 4 + stride
					if i%4 == 1 && cpus > 1 {
						value[(cpus-1)*slot] = 0xee
					} else if has {
						each = 4 + size
					}
					written += each
					values = append(values, value...)
				}
				if !bpf.Has(typ, maptype.UpdateBatch) {
					written *= 2 // the batch that the kernel doesn't know, and then one by one
				}
				before := bpf.Written()
				done, err := m.UpdateCPUs(t.Context(), keys, values, bpf.Any)
				if done != n || err != nil {
					t.Fatalf("%s: %d, %v", typ, done, err)
				}
				if got := bpf.Written() - before; got != uint64(written) {
					t.Errorf("%s, %d bytes, AllCPUs %t: %d bytes were written, want %d", typ, size, has, got, written)
				}
				got := make([]byte, stride)
				for i := range n {
					if err := m.LookupElem(key32(i), got); err != nil || !bytes.Equal(got, values[i*stride:(i+1)*stride]) {
						t.Fatalf("%s: key %d is %x, %v, want %x", typ, i, got, err, values[i*stride:(i+1)*stride])
					}
				}
				if done, err := m.UpdateCPUs(t.Context(), keys, values[1:], bpf.Any); done != 0 || err == nil {
					t.Errorf("values of odd size: %d, %v", done, err)
				}
			}
			if err := bpf.Disable(); err != nil {
				t.Fatal(err)
			}
		}
	}
}
