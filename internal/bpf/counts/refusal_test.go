// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package counts

import (
	"bytes"
	"errors"
	"strings"
	"syscall"
	"testing"

	"github.com/cilium/ebpf/asm"

	"github.com/bpfmap-io/bpfmap-operator/internal/bpf"
	"github.com/bpfmap-io/bpfmap-operator/internal/bpf/sys"
)

// TestRefusalTellsWhy hands the kernel a program that it doesn't take, as another kernel may not take
// ours.
func TestRefusalTellsWhy(t *testing.T) {
	m, err := bpf.Create(bpf.CreateOpts{Type: bpf.Hash, KeySize: 8, ValueSize: 8, MaxEntries: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = m.Close() }()
	var insns bytes.Buffer
	if err := (asm.Instructions{asm.Mov.Reg(asm.R0, asm.R9), asm.Return()}).Marshal(&insns, byteOrder()); err != nil {
		t.Fatal(err)
	}
	_, err = sys.LoadProgram(sys.ProgTypeSocketFilter, insns.Bytes(), license, "refused", nil)
	err = explain(m, insns.Bytes(), err)
	if !errors.Is(err, bpf.ErrNotSupported) || !errors.Is(err, syscall.EACCES) || !strings.Contains(err.Error(), "R9 !read_ok") {
		t.Errorf("error %v, want one that matches ErrNotSupported and EACCES and has the verifier's words", err)
	}
}
