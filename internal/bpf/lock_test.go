// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package bpf_test

import (
	"errors"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/cilium/ebpf/btf"
	"golang.org/x/sys/unix"

	"github.com/bpfmap-io/bpfmap-operator/internal/bpf"
	"github.com/bpfmap-io/bpfmap-operator/internal/maptype"
)

// lockedValue is BTF of an int and of struct { struct bpf_spin_lock lock; int value[3]; }.
func lockedValue(t *testing.T) (blob []byte, keyID, valueID uint32) {
	t.Helper()
	number := &btf.Int{Name: "int", Size: 4, Encoding: btf.Signed}
	lock := &btf.Struct{Name: "bpf_spin_lock", Size: 4, Members: []btf.Member{{Name: "val", Type: number}}}
	value := &btf.Struct{Name: "locked", Size: 16, Members: []btf.Member{
		{Name: "lock", Type: lock}, {Name: "value", Type: &btf.Array{Index: number, Type: number, Nelems: 3}, Offset: 32},
	}}
	b, err := btf.NewBuilder([]btf.Type{number, value}, nil)
	if err != nil {
		t.Fatal(err)
	}
	ids := map[btf.Type]*uint32{number: &keyID, value: &valueID}
	for typ, id := range ids {
		got, err := b.Add(typ)
		if err != nil {
			t.Fatal(err)
		}
		*id = uint32(got)
	}
	blob, err = b.Marshal(nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	return blob, keyID, valueID
}

func lockedMap(t *testing.T, o bpf.CreateOpts) (*bpf.Map, error) {
	t.Helper()
	blob, keyID, valueID := lockedValue(t)
	types, err := bpf.LoadBTF(blob)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := types.Close(); err != nil {
			t.Error(err)
		}
	})
	o.KeySize, o.ValueSize = 4, 16
	o.BTF, o.BTFKeyTypeID, o.BTFValueTypeID = types, keyID, valueID
	m, err := bpf.Create(o)
	if err == nil {
		t.Cleanup(func() {
			if err := m.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	return m, err
}

func TestLock(t *testing.T) {
	m, err := lockedMap(t, bpf.CreateOpts{Type: bpf.Hash, MaxEntries: 4})
	if err != nil {
		t.Fatal(err)
	}
	value := make([]byte, 16)
	copy(value[4:], "abcdefghijkl")
	if err := m.UpdateElem(key32(1), value, bpf.Any); err != nil {
		t.Fatal(err)
	}
	if err := m.UpdateElem(key32(1), value, bpf.Lock|bpf.Exist); err != nil {
		t.Errorf("update: %v", err)
	}
	got := make([]byte, 16)
	if err := m.LookupElemFlags(key32(1), got, bpf.Lock); err != nil || string(got[4:]) != "abcdefghijkl" {
		t.Errorf("look up: %q, %v", got, err)
	}
	if done, err := m.UpdateBatch(t.Context(), key32(2), value, bpf.Lock); done != 1 || err != nil {
		t.Errorf("batch: %d, %v", done, err)
	}
	if err := m.LookupAndDeleteElemFlags(key32(1), got, bpf.Lock); (err == nil) != bpf.Has(bpf.Hash, maptype.LookupAndDelete) {
		t.Errorf("look up and delete: %v", err)
	}
	wantErr(t, "delete with a lock", m.DeleteElemFlags(key32(2), bpf.Lock), bpf.ErrNotSupported, unix.EINVAL)
	if err := m.Freeze(); bpf.Does(t, &maptype.FreezeRefusesLocks) {
		wantErr(t, "freeze a map whose values hold locks", err, bpf.ErrNotSupported)
	} else if err != nil {
		t.Errorf("freeze a map whose values hold locks: %v", err)
	}
	if info, err := m.Info(); err != nil || info.BTFID == 0 || info.BTFValueTypeID == 0 {
		t.Errorf("info %+v, %v", info, err)
	}
	_, err = lockedMap(t, bpf.CreateOpts{Type: bpf.PerCPUHash, MaxEntries: 4})
	wantErr(t, "a lock in a per-CPU map", err, bpf.ErrNotSupported)
}

// TestLockedArrayIsNotTorn reads while others write: with the lock on both sides, no reader sees half of
// a write.
func TestLockedArrayIsNotTorn(t *testing.T) {
	m, err := lockedMap(t, bpf.CreateOpts{Type: bpf.Array, MaxEntries: 1})
	if err != nil {
		t.Fatal(err)
	}
	var writer sync.WaitGroup
	stop := make(chan struct{})
	writer.Go(func() {
		value := make([]byte, 16)
		for n := byte(0); ; n++ {
			select {
			case <-stop:
				return
			default:
			}
			for i := 4; i < 16; i++ {
				value[i] = n
			}
			if err := m.UpdateElem(key32(0), value, bpf.Lock); err != nil {
				t.Error(err)
				return
			}
		}
	})
	value := make([]byte, 16)
	for range 20000 {
		if err := m.LookupElemFlags(key32(0), value, bpf.Lock); err != nil {
			t.Error(err)
			break
		}
		if strings.Count(string(value[4:]), string(value[4:5])) != 12 {
			t.Errorf("torn value %x", value[4:])
			break
		}
	}
	close(stop)
	writer.Wait()
}

func TestTaskStorage(t *testing.T) {
	if !bpf.Known(t, bpf.TaskStorage) {
		return
	}
	m, err := lockedMap(t, bpf.CreateOpts{Type: bpf.TaskStorage, Flags: bpf.NoPrealloc})
	if err != nil {
		t.Fatal(err)
	}
	pidfd, err := unix.PidfdOpen(os.Getpid(), 0)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = unix.Close(pidfd) }()
	key, value := key32(pidfd), make([]byte, 16)
	wantErr(t, "look up", m.LookupElem(key, value), bpf.ErrNotExist)
	value[4] = 7
	if err := m.UpdateElem(key, value, bpf.NoExist); err != nil {
		t.Fatal(err)
	}
	wantErr(t, "NoExist again", m.UpdateElem(key, value, bpf.NoExist), bpf.ErrExist)
	if err := m.LookupElemFlags(key, value, bpf.Lock); err != nil || value[4] != 7 {
		t.Errorf("look up: %x, %v", value, err)
	}
	if err := m.DeleteElem(key); err != nil {
		t.Error(err)
	}
	wantErr(t, "iterate", m.Iterate(t.Context(), bpf.IterateOptions{}).Err(), bpf.ErrNotSupported)
}

func TestLoadBTFTellsWhy(t *testing.T) {
	blob, _, _ := lockedValue(t)
	blob[len(blob)-1]++ // the strings no longer end with NUL
	_, err := bpf.LoadBTF(blob)
	var e *bpf.Error
	if !errors.As(err, &e) || e.Hint == "" || !errors.Is(err, unix.EINVAL) {
		t.Errorf("error %v, want one with the kernel's log", err)
	}
}
