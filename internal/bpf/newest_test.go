// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package bpf

import (
	"fmt"
	"slices"
	"testing"

	"github.com/bpfmap-io/bpfmap-operator/internal/uapi"
)

// elemFlags are the kernel's names of the flags of element commands.
var elemFlags = map[string]ElemFlags{
	"BPF_ANY": Any, "BPF_NOEXIST": NoExist, "BPF_EXIST": Exist, "BPF_F_LOCK": Lock, "BPF_F_CPU": CPU, "BPF_F_ALL_CPUS": AllCPUs,
}

func unlikeElemFlags(h *uapi.Header) []string {
	var all []string
	for _, c := range h.ElemFlags {
		if f, ok := elemFlags[c.Name]; !ok || uint64(f) != c.Number {
			all = append(all, fmt.Sprintf("%s, %#x", c.Name, c.Number))
		}
	}
	return all
}

// TestNewestElemFlags fails for a flag of the element commands of the newest kernel that isn't known here.
func TestNewestElemFlags(t *testing.T) {
	h, err := uapi.Newest()
	if err != nil {
		t.Fatal(err)
	}
	if u := unlikeElemFlags(h); u != nil || len(h.ElemFlags) != len(elemFlags) {
		t.Errorf("the header of Linux %s (%s) and this package differ in flags of elements: %v", h.Kernel, h.Origin, u)
	}
	h.ElemFlags = append(h.ElemFlags, uapi.Constant{Name: "BPF_F_NOWAIT", Number: 32})
	if u := unlikeElemFlags(h); !slices.Equal(u, []string{"BPF_F_NOWAIT, 0x20"}) {
		t.Errorf("a later header differs in %v", u)
	}
}
