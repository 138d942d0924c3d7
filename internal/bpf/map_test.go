// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package bpf_test

import (
	"errors"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/bpfmap-io/bpfmap-operator/internal/bpf"
)

func TestElementRoundTrip(t *testing.T) {
	m, err := bpf.Create(bpf.CreateOpts{Type: bpf.Hash, Name: "round_trip", KeySize: 4, ValueSize: 8, MaxEntries: 2})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	key, value, got := []byte{1, 2, 3, 4}, []byte("12345678"), make([]byte, 8)
	if err := m.UpdateElem(key, value, bpf.NoExist); err != nil {
		t.Fatal(err)
	}
	if err := m.UpdateElem(key, value, bpf.NoExist); !errors.Is(err, bpf.ErrExist) || !errors.Is(err, unix.EEXIST) {
		t.Errorf("second NoExist: %v", err)
	}
	if err := m.LookupElem(key, got); err != nil || string(got) != string(value) {
		t.Errorf("lookup: %q, %v", got, err)
	}
	if done, err := m.UpdateBatch(t.Context(), []byte{0, 0, 0, 1, 0, 0, 0, 2}, make([]byte, 16), bpf.Any); done != 1 || !errors.Is(err, bpf.ErrFull) {
		t.Errorf("batch into a full map: %d, %v", done, err)
	}
}
