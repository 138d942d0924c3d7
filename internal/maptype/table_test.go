// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package maptype_test

import (
	"cmp"
	"math/bits"
	"slices"
	"strings"
	"testing"

	"github.com/bpfmap-io/bpfmap-operator/internal/maptype"
)

// TestNames holds the releases to the order of the kernel's numbers: a new type gets the next one. That
// the numbers are the kernel's is a test of internal/bpf.
func TestNames(t *testing.T) {
	types := maptype.All()
	slices.SortFunc(types, func(a, b *maptype.Type) int { return cmp.Compare(a.Number, b.Number) })
	letters := func(s string) string { return strings.ToLower(strings.ReplaceAll(s, "_", "")) }
	for i, m := range types {
		if m.Number != uint32(i+1) {
			t.Errorf("%s has number %d, %d is expected", m.Name, m.Number, i+1)
		}
		if letters(m.Name) != letters(m.UAPI) {
			t.Errorf("%s is %s in the kernel's headers", m.Name, m.UAPI)
		}
		if i > 0 && m.Since.Before(types[i-1].Since) {
			t.Errorf("%s came with %s, the later %s with %s", types[i-1].Name, types[i-1].Since, m.Name, m.Since)
		}
		for _, name := range []string{m.Name, m.UAPI, m.UAPIName()} {
			if maptype.Parse(name) != m {
				t.Errorf("%q isn't parsed as %s", name, m.Name)
			}
		}
		if maptype.ByNumber(m.Number) != m || maptype.ByName(m.Name) != m {
			t.Errorf("%s isn't found", m.Name)
		}
	}
	if maptype.ByNumber(0) != nil || maptype.ByName("") != nil || maptype.Parse("Trie") != nil {
		t.Error("a type is found that there is not")
	}
}

func TestFlags(t *testing.T) {
	for i, f := range maptype.AllFlags() {
		if bits.TrailingZeros32(uint32(f.Bit)) != i || bits.OnesCount32(uint32(f.Bit)) != 1 {
			t.Errorf("flag %s is bit %#x in place %d", f.Name, uint32(f.Bit), i)
		}
		if strings.ReplaceAll(f.UAPI, "_", "") != strings.ToUpper(f.Name) {
			t.Errorf("flag %s is %s in the kernel's headers", f.Name, f.UAPI)
		}
		if i > 0 && f.Since.Before(maptype.AllFlags()[i-1].Since) {
			t.Errorf("flag %s came with %s, before the flag of the bit below", f.Name, f.Since)
		}
		if found, ok := maptype.FlagByName(strings.ToLower(f.Name)); !ok || found.Bit != f.Bit {
			t.Errorf("flag %s isn't found", f.Name)
		}
	}
	var offered maptype.Flags
	for _, m := range maptype.All() {
		offered |= m.Flags
	}
	for _, f := range maptype.AllFlags() {
		if f.Offered != (offered&f.Bit != 0) {
			t.Errorf("flag %s: the API offers it: %t, a type takes it: %t", f.Name, f.Offered, !f.Offered)
		}
	}
	if _, ok := maptype.FlagByName(""); ok {
		t.Error("a flag is found that there is not")
	}
	if got := maptype.Flags(1<<31 | 1<<10 | 1).Names(); !slices.Equal(got, []string{"NoPrealloc", "Mmapable"}) {
		t.Errorf("names %v", got)
	}
	arena, mmapable := maptype.ByName("Arena"), maptype.Flags(1 << 10).Split()[0]
	if got := arena.FlagSince(mmapable).String(); got != "Linux 6.9" {
		t.Errorf("Mmapable of an arena came with %s", got)
	}
	if got := maptype.ByName("Array").FlagSince(mmapable).String(); got != "Linux 5.5" {
		t.Errorf("Mmapable of an array came with %s", got)
	}
}

// TestConsistency refuses literals that contradict themselves.
func TestConsistency(t *testing.T) {
	for _, m := range maptype.All() {
		for what, wrong := range map[string]bool{
			"an array without indexes":                       m.Array && !m.Indexed,
			"an index that isn't 4 bytes long":               m.Indexed && (m.Key.Min != 4 || m.Key.Max != 4),
			"a key or value larger than nothing":             m.Key.Min > m.Key.Max || m.Value.Min > m.Value.Max,
			"a key without value":                            m.Key.Exists() && !m.Value.Exists(),
			"a default schema of nothing":                    !m.Key.Exists() && m.Key.Default.Type != "" || !m.Value.Exists() && m.Value.Default.Type != "",
			"an implied flag that it doesn't take":           m.Implied&^m.Flags != 0,
			"elements that can't be written":                 !m.Runtime && !m.Ops.Has(maptype.Update),
			"a batch without the operation":                  m.Ops.Has(maptype.UpdateBatch) && !m.Ops.Has(maptype.Update) || m.Ops.Has(maptype.DeleteBatch) && !m.Ops.Has(maptype.Delete),
			"a list that can't be read":                      m.Reading == maptype.Listed && !m.Ops.Has(maptype.NextKey|maptype.Lookup),
			"maps in values that aren't descriptors":         m.MapOfMaps && m.Values != maptype.Descriptors,
			"a map of maps in a map of maps":                 m.MapOfMaps && m.Inner != maptype.NotInner,
			"flag InnerMap without need":                     m.Flags&(1<<12) != 0 && m.Inner != maptype.SameCapacity,
			"a spin lock that BTF can't tell":                m.SpinLock && m.BTF == maptype.NoBTF,
			"no formula of its memory":                       m.Memory.Formula == maptype.UnknownLayout,
			"no release":                                     m.Since == maptype.Kernel{},
			"two meanings of map_extra":                      m.HashFunctions > 0 && m.Extra != maptype.NoExtra,
			"hash functions of what isn't a filter":          m.HashFunctions > 0 && m.Reading != maptype.Asked,
			"a smallest key or value that it doesn't take":   m.Key.Exists() && !m.Key.Takes(m.Key.Smallest()) || m.Value.Exists() && !m.Value.Takes(m.Value.Smallest()),
			"a size that is none of its multiples":           m.Key.Exists() && !m.Key.Takes(m.Key.Max) || m.Value.Exists() && !m.Value.Takes(m.Value.Max),
			"links to what has no default":                   len(m.Value.References) > 0 && m.Value.Default.Type == "",
			"the API's flags among those that it can't have": slices.ContainsFunc(m.Flags.Split(), func(f maptype.Flag) bool { return !f.Offered }),
		} {
			if wrong {
				t.Errorf("%s: %s", m.Name, what)
			}
		}
	}
}
