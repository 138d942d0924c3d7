// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package bpf_test

import (
	"strings"
	"testing"

	"github.com/cilium/ebpf/btf"

	"github.com/bpfmap-io/bpfmap-operator/internal/bpf"
)

// TestTypesOfPrograms compares the names with the running kernel's.
func TestTypesOfPrograms(t *testing.T) {
	spec, err := btf.LoadKernelSpec()
	if err != nil {
		t.Fatal(err)
	}
	var types *btf.Enum
	if err := spec.TypeByName("bpf_prog_type", &types); err != nil {
		t.Fatal(err)
	}
	for _, v := range types.Values {
		name, ok := strings.CutPrefix(v.Name, "BPF_PROG_TYPE_")
		if got := (bpf.ProgramInfo{Type: uint32(v.Value)}).TypeName(); ok && got != strings.ToLower(name) {
			t.Errorf("type %d is %s, the kernel's is %s", v.Value, got, name)
		}
	}
	if got := (bpf.ProgramInfo{Type: 1 << 31}).TypeName(); got != "type 2147483648" {
		t.Errorf("an unknown type is %s", got)
	}
}
