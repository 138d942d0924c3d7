// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package bpfobject_test

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/bpfmap-io/bpfmap-operator/internal/bpfobject"
	"github.com/bpfmap-io/bpfmap-operator/internal/mapdef"
	"github.com/bpfmap-io/bpfmap-operator/test/clang"
)

// facts are what a definition says apart from its types.
type facts struct {
	Name                                               string
	Type, KeySize, ValueSize, MaxEntries, Flags, Extra int
	CKey, CValue                                       string
	Pinned, Section, Frozen                            bool
	Contents                                           string
	Slots                                              []bpfobject.Slot
	Inner                                              *facts
}

func factsOf(d *mapdef.Definition) facts {
	f := facts{
		Name: d.Name, Type: int(d.Type), KeySize: int(d.KeySize), ValueSize: int(d.ValueSize), MaxEntries: int(d.MaxEntries),
		Flags: int(d.Flags), Extra: int(d.Extra), CKey: d.Key.CType, CValue: d.Value.CType, Frozen: d.Frozen,
	}
	if d.Inner != nil {
		inner := factsOf(d.Inner)
		f.Inner = &inner
	}
	return f
}

func TestRead(t *testing.T) {
	const (
		noPrealloc, numaNode, rdOnlyProg, mmapable = 1, 4, 128, 1024
	)
	maps := read(t, clang.BPF(t, "testdata/maps.bpf.c"))
	var got []facts
	for i := range maps {
		f := factsOf(&maps[i].Definition)
		f.Pinned, f.Section, f.Slots, f.Contents = maps[i].PinByName, maps[i].Section, maps[i].Slots, string(maps[i].Contents)
		got = append(got, f)
	}
	table := facts{Type: 1, KeySize: 4, ValueSize: 8, MaxEntries: 16, CKey: "__u32", CValue: "struct rule"}
	inner, blue := table, table
	inner.Name, blue.Name = "tables.inner", "blue"
	want := []facts{
		{Name: "rule_of_host", Type: 1, KeySize: 16, ValueSize: 8, MaxEntries: 1024, Flags: noPrealloc | rdOnlyProg, CKey: "struct in6_addr", CValue: "struct rule", Pinned: true},
		{Name: "zones", Type: 11, KeySize: 24, ValueSize: 8, MaxEntries: 64, Flags: noPrealloc, CKey: "struct zone_key", CValue: "__u64"},
		{Name: "counters", Type: 6, KeySize: 4, ValueSize: 8, MaxEntries: 2, CKey: "enum slot", CValue: "__u64"},
		{Name: "untyped", Type: 1, KeySize: 6, ValueSize: 3, MaxEntries: 8, Flags: numaNode},
		{Name: "seen", Type: 30, ValueSize: 4, MaxEntries: 100, Extra: 3, CValue: "__u32"},
		{Name: "events", Type: 27, MaxEntries: 5000},
		{Name: "samples", Type: 4, KeySize: 4, ValueSize: 4},
		{Name: "uplinks", Type: 14, KeySize: 4, ValueSize: 8, MaxEntries: 16, CValue: "struct bpf_devmap_val"},
		{Name: "set_by_loader", Type: 1, KeySize: 4, ValueSize: 4, CKey: "__u32", CValue: "__u32"},
		blue,
		{Name: "tables", Type: 12, KeySize: 4, ValueSize: 4, MaxEntries: 4, CKey: "__u32", Inner: &inner, Slots: []bpfobject.Slot{{Index: 2, Symbol: "blue"}}},
		{Name: "stages", Type: 3, KeySize: 4, ValueSize: 4, MaxEntries: 4, CKey: "__u32", Slots: []bpfobject.Slot{{Index: 1, Symbol: "first"}}},
		{Name: ".rodata", Type: 2, KeySize: 4, ValueSize: 16, MaxEntries: 1, Flags: rdOnlyProg | mmapable, Section: true, Frozen: true, Contents: "\x02\x00\x00\x00" + u32(7) + "hello\x00\x00\x00"},
		{Name: ".data", Type: 2, KeySize: 4, ValueSize: 4, MaxEntries: 1, Flags: mmapable, Section: true, Contents: u32(10)},
		{Name: ".bss", Type: 2, KeySize: 4, ValueSize: 16, MaxEntries: 1, Flags: mmapable, Section: true},
		{Name: ".data.tuning", Type: 2, KeySize: 4, ValueSize: 2, MaxEntries: 1, Section: true, Contents: string(binary.NativeEndian.AppendUint16(nil, 3))},
	}
	if diff := cmp.Diff(byName(want), byName(got)); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func u32(n uint32) string { return string(binary.NativeEndian.AppendUint32(nil, n)) }

func byName(all []facts) map[string]facts {
	m := map[string]facts{}
	for _, f := range all {
		m[f.Name] = f
	}
	return m
}

func read(t *testing.T, path string) []bpfobject.Map {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	maps, err := bpfobject.Read(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	return maps
}

const (
	head = "#include <linux/bpf.h>\n#include <bpf/bpf_helpers.h>\n"
	two  = head + `
#define MAP(name, size) struct { __uint(type, BPF_MAP_TYPE_ARRAY); __type(key, __u32); __type(value, __u32); __uint(max_entries, size); } name SEC(".maps");
MAP(map_a, 1)
MAP(map_b, 2)
`
)

// TestRefused gives objects that nothing, or not all, can be read from.
func TestRefused(t *testing.T) {
	object := func(t *testing.T, text string, flags ...string) []byte {
		b, err := os.ReadFile(clang.BPFText(t, "program", text, flags...))
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	whole := object(t, two)
	host, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		object []byte
		want   string
		is     error
	}{
		"nothing":        {nil, "not an ELF file: a BPF object is what clang -target bpf -c writes", bpfobject.ErrNoELF},
		"text":           {[]byte("apiVersion: bpfmap.io/v1alpha1\n"), "not an ELF file", bpfobject.ErrNoELF},
		"a host program": {host, "is an ELF file for EM_", nil},
		"truncated":      {whole[:len(whole)/2], "read ELF (is the file truncated?): ", nil},
		"one byte less":  {whole[:len(whole)-1], "read ELF (is the file truncated?): ", nil},
		"the other byte order": {
			object(t, two, "--target="+map[string]string{"bpfel": "bpfeb", "bpfeb": "bpfel"}[clang.Target()]), "has the other byte order than this machine", nil,
		},
		"without BTF": {object(t, two, "-g0"), "has no BTF, which says what types its maps have: compile it with clang -g", bpfobject.ErrNoBTF},
		"without maps": {object(t, head+"SEC(\"xdp\") int pass(struct xdp_md *c) { return 2; }\n"),
			"defines no maps: neither in the section .maps, nor by global variables", bpfobject.ErrNoMaps},
		"old definitions": {
			object(t, head+"struct bpf_map_old { __u32 type, key, value, entries, flags; } m SEC(\"maps\") = { 1, 4, 4, 1, 0 };\n"),
			`defines maps in the section "maps"`, bpfobject.ErrLegacy,
		},
		"two maps of one name": {bytes.ReplaceAll(whole, []byte("map_b\x00"), []byte("map_a\x00")), "map map_a: is defined twice", nil},
		"an unknown property": {
			object(t, head+"struct { __uint(type, 1); __uint(speed, 7); } m SEC(\".maps\");\n"),
			"map m: speed: is not a known property of a map", nil,
		},
		"a size that contradicts the type": {
			object(t, head+"struct { __uint(type, 1); __uint(key_size, 8); __type(key, __u32); } m SEC(\".maps\");\n"),
			"map m: key: its type has 4 bytes, and its size is given as 8", nil,
		},
		"a type of 4 GiB": {
			object(t, head+"struct { __uint(type, 1); char (*value)[65536][65536]; } m SEC(\".maps\");\n"),
			"map m: value: its type has 4294967296 bytes, more than 4294967295", nil,
		},
		"an unknown pinning": {
			object(t, head+"struct { __uint(type, 1); __uint(pinning, 2); } m SEC(\".maps\");\n"),
			"map m: pinning: 2 is neither LIBBPF_PIN_NONE nor LIBBPF_PIN_BY_NAME", nil,
		},
		"a property without macro": {
			object(t, head+"struct { int max_entries; } m SEC(\".maps\");\n"),
			"map m: max_entries: is not defined by __uint or __ulong", nil,
		},
	} {
		t.Run(name, func(t *testing.T) {
			maps, err := bpfobject.Read(bytes.NewReader(c.object))
			if err == nil || !strings.HasPrefix(err.Error(), c.want) || c.is != nil && !errors.Is(err, c.is) {
				t.Errorf("error %v, want %q (%d maps)", err, c.want, len(maps))
			}
		})
	}
}

// TestHugeSection reads an object whose global variables are said to be 3 GiB, which would all be read.
func TestHugeSection(t *testing.T) {
	path := clang.BPFText(t, "program", head+"int counter; SEC(\"xdp\") int pass(struct xdp_md *c) { return counter; }\n")
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	f, err := elf.NewFile(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	index := slices.IndexFunc(f.Sections, func(s *elf.Section) bool { return s.Name == ".bss" })
	if index < 0 {
		t.Fatal("the object has no .bss")
	}
	// Elf64_Ehdr.e_shoff and Elf64_Shdr.sh_size
	headers := f.ByteOrder.Uint64(b[40:])
	f.ByteOrder.PutUint64(b[int(headers)+64*index+32:], 3<<30)
	if maps, err := bpfobject.Read(bytes.NewReader(b)); err == nil || !strings.Contains(err.Error(), "section .bss has 3221225472 bytes, more than 2147483647") {
		t.Errorf("%d maps, error %v", len(maps), err)
	}
}

// TestTampered reads objects of which one byte was changed: whatever comes of it, it is no crash.
func TestTampered(t *testing.T) {
	whole, err := os.ReadFile(clang.BPF(t, "testdata/maps.bpf.c"))
	if err != nil {
		t.Fatal(err)
	}
	step := max(1, len(whole)/200)
	for i := 0; i < len(whole); i += step {
		broken := bytes.Clone(whole)
		broken[i] ^= 0xff
		_, _ = bpfobject.Read(bytes.NewReader(broken))
		_, _ = bpfobject.Read(bytes.NewReader(whole[:i]))
	}
}
