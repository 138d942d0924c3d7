// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package bpf

import (
	"testing"

	"github.com/bpfmap-io/bpfmap-operator/internal/maptype"
)

// TestNewerThan names the flags that a kernel is too old for, on which this machine can't refuse them.
func TestNewerThan(t *testing.T) {
	old := maptype.Kernel{Major: 5, Minor: 4}
	for _, c := range []struct {
		running maptype.Kernel
		typ     MapType
		flags   MapFlags
		want    string
	}{
		{old, Array, Mmapable, "flag Mmapable needs Linux 5.5, this is Linux 5.4"},
		{old, Arena, Mmapable, "flag Mmapable needs Linux 6.9, this is Linux 5.4"},
		{old, Array, RdOnlyProg | Mmapable | InnerMap, "flag Mmapable needs Linux 5.5, flag InnerMap needs Linux 5.10, this is Linux 5.4"},
		{old, Hash, NoPrealloc | ZeroSeed, ""},
		{maptype.Kernel{Major: 6, Minor: 18}, Array, Mmapable, ""},
		{maptype.Kernel{}, Array, Mmapable, ""},
		{old, Arena + 100, Mmapable, "flag Mmapable needs Linux 5.5, this is Linux 5.4"},
	} {
		if got := newerThan(c.running, c.typ, c.flags); got != c.want {
			t.Errorf("%s with %s on %s: %q, want %q", c.typ, c.flags, c.running, got, c.want)
		}
	}
	attributes := CreateOpts{Type: Array, Flags: Mmapable, MapExtra: 1, ExclProgHash: make([]byte, 32)}
	const want = "map_extra needs Linux 5.16, this is Linux 5.4; a map for one program alone needs Linux 6.18, this is Linux 5.4; flag Mmapable needs Linux 5.5, this is Linux 5.4"
	if got := attributes.newer(old); got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if got := attributes.newer(maptype.Kernel{Major: 6, Minor: 18}) + attributes.newer(maptype.Kernel{}); got != "" {
		t.Errorf("%q on Linux 6.18", got)
	}
	if k := runningKernel(); k.Before(maptype.Kernel{Major: 4, Minor: 18}) {
		t.Errorf("this kernel is %s", k)
	}
	if got := cameWith(Arena); got != ": it came with Linux 6.9" {
		t.Errorf("an arena%s", got)
	}
}
