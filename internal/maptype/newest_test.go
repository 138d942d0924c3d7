// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package maptype_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/bpfmap-io/bpfmap-operator/internal/maptype"
	"github.com/bpfmap-io/bpfmap-operator/internal/uapi"
)

// unlike compares the tables of types and flags with a header.
func unlike(h *uapi.Header) []string {
	var all []string
	for _, c := range h.MapTypes {
		if t := maptype.ByNumber(uint32(c.Number)); c.Number > 0 && (t == nil || t.UAPIName() != c.Name) {
			all = append(all, fmt.Sprintf("map type %s, %d", c.Name, c.Number))
		}
	}
	for _, t := range maptype.All() {
		if !slices.Contains(h.MapTypes, uapi.Constant{Name: t.UAPIName(), Number: uint64(t.Number)}) {
			all = append(all, "no map type "+t.UAPIName())
		}
	}
	for _, c := range h.MapFlags {
		if !slices.ContainsFunc(maptype.AllFlags(), func(f maptype.Flag) bool { return f.UAPIName() == c.Name && uint64(f.Bit) == c.Number }) {
			all = append(all, fmt.Sprintf("map flag %s, %#x", c.Name, c.Number))
		}
	}
	for _, f := range maptype.AllFlags() {
		if !slices.Contains(h.MapFlags, uapi.Constant{Name: f.UAPIName(), Number: uint64(f.Bit)}) {
			all = append(all, "no map flag "+f.UAPIName())
		}
	}
	return all
}

// TestNewestHeader fails for a type or flag of the newest kernel that the tables lack.
func TestNewestHeader(t *testing.T) {
	h, err := uapi.Newest()
	if err != nil {
		t.Fatal(err)
	}
	for _, u := range unlike(h) {
		t.Errorf("the header of Linux %s (%s) and the tables differ: %s", h.Kernel, h.Origin, u)
	}
	// A header that has more, and others.
	h.MapTypes = append(h.MapTypes[:len(h.MapTypes)-1:len(h.MapTypes)-1],
		uapi.Constant{Name: "BPF_MAP_TYPE_BTREE", Number: h.MapTypes[len(h.MapTypes)-1].Number})
	h.MapFlags = append(h.MapFlags[1:], uapi.Constant{Name: "BPF_F_SORTED", Number: 1 << 31})
	const want = "map type BPF_MAP_TYPE_BTREE, 35; no map type BPF_MAP_TYPE_RHASH; map flag BPF_F_SORTED, 0x80000000; no map flag BPF_F_NO_PREALLOC"
	if got := strings.Join(unlike(h), "; "); got != want {
		t.Errorf("a later header differs in %s, want %s", got, want)
	}
}
