// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package local

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/btf"

	"github.com/bpfmap-io/bpfmap-operator/internal/bpf"
	"github.com/bpfmap-io/bpfmap-operator/internal/bpf/bpftest"
	"github.com/bpfmap-io/bpfmap-operator/internal/maptype"
)

// foreign is a map of a type as somebody else makes it.
type foreign struct {
	spec ebpf.MapSpec
	// put is what is in it: pairs of key and value as cilium/ebpf takes them.
	put [][2]any
	// entries are the lines of the BPFMap, none for types that can't be listed.
	entries []string
}

const loopbackIndex = 1

// foreigners are one map of each type that the API offers.
func foreigners(t *testing.T, bpffs string) map[string]foreign {
	inner := innerOfTest(t, bpffs)
	program := pinnedProgram(t, filepath.Join(bpffs, "filter"))
	cpus, err := ebpf.PossibleCPU()
	if err != nil {
		t.Fatal(err)
	}
	each := make([]uint32, cpus)
	for i := range each {
		each[i] = uint32(i + 1)
	}
	lo, err := net.InterfaceByIndex(loopbackIndex)
	if err != nil {
		t.Fatal(err)
	}
	same := fmt.Sprintf(`{"key": "01000000", "values": ["01000000", "02000000"%s]}`, strings.Repeat(`, "00000000"`, max(0, cpus-2)))
	sizes := ebpf.MapSpec{KeySize: 4, ValueSize: 4, MaxEntries: 4}
	numbers := [][2]any{{uint32(1), uint32(7)}}
	plain := foreign{spec: sizes, put: numbers, entries: []string{`{"key": "01000000", "value": "07000000"}`}}
	perCPU := foreign{spec: sizes, put: [][2]any{{uint32(1), each}}, entries: []string{same}}
	indexed := func(f foreign) foreign {
		f.entries = []string{strings.Replace(f.entries[0], `"01000000"`, "1", 1)}
		return f
	}
	outer := foreign{
		spec: ebpf.MapSpec{KeySize: 4, ValueSize: 4, MaxEntries: 4, InnerMap: &ebpf.MapSpec{Type: ebpf.Hash, KeySize: 4, ValueSize: 4, MaxEntries: 4}},
		put:  [][2]any{{uint32(1), inner}},
	}
	lpm := foreign{
		spec: ebpf.MapSpec{KeySize: 8, ValueSize: 4, MaxEntries: 4, Flags: 1},
		put:  [][2]any{{[8]byte{24, 0, 0, 0, 192, 0, 2}, uint32(7)}}, entries: []string{`{"key": "18000000c0000200", "value": "07000000"}`},
	}
	device := foreign{spec: ebpf.MapSpec{KeySize: 4, ValueSize: 4, MaxEntries: 4}, put: [][2]any{{uint32(1), uint32(loopbackIndex)}}, entries: []string{fmt.Sprintf(`{"key": 1, "value": %q}`, lo.Name)}}
	withProgram := device
	withProgram.spec.ValueSize = 8
	withProgram.put = [][2]any{{uint32(1), [2]uint32{loopbackIndex, 0}}}
	withProgram.entries = []string{fmt.Sprintf(`{"key": 1, "value": {"ifindex":%q,"prog":""}}`, lo.Name)}
	storage := foreign{spec: ebpf.MapSpec{KeySize: 4, ValueSize: 4, Flags: 1, Key: &btf.Int{Name: "int", Size: 4, Encoding: btf.Signed}, Value: &btf.Int{Name: "int", Size: 4, Encoding: btf.Signed}}}
	ring := foreign{spec: ebpf.MapSpec{MaxEntries: 4096}}
	return map[string]foreign{
		"Hash": plain, "LRUHash": plain, "Array": indexed(plain), "PerCPUHash": perCPU, "LRUPerCPUHash": perCPU, "PerCPUArray": indexed(perCPU),
		"LPMTrie": lpm, "ArrayOfMaps": with(outer, `{"key": 1, "value": "inner"}`), "HashOfMaps": with(outer, `{"key": "01000000", "value": "inner"}`),
		"ProgArray": {spec: sizes, put: [][2]any{{uint32(1), program}}, entries: []string{`{"key": 1, "value": "filter"}`}},
		"DevMap":    device, "DevMapHash": withProgram,
		"CPUMap": {spec: ebpf.MapSpec{KeySize: 4, ValueSize: 4, MaxEntries: 1}, put: [][2]any{{uint32(0), uint32(192)}}, entries: []string{`{"key": 0, "value": 192}`}},
		"Queue":  {spec: ebpf.MapSpec{ValueSize: 4, MaxEntries: 4}}, "Stack": {spec: ebpf.MapSpec{ValueSize: 4, MaxEntries: 4}},
		"BloomFilter": {spec: ebpf.MapSpec{ValueSize: 4, MaxEntries: 4, MapExtra: 3}},
		"CGroupArray": {spec: sizes}, "XSKMap": {spec: sizes}, "SockMap": {spec: sizes}, "SockHash": {spec: sizes},
		"ReusePortSockArray": {spec: ebpf.MapSpec{KeySize: 4, ValueSize: 8, MaxEntries: 4}}, "PerfEventArray": {spec: sizes},
		"RingBuf": ring, "UserRingBuf": ring, "Arena": {spec: ebpf.MapSpec{MaxEntries: 4, Flags: 1 << 10, MapExtra: 1 << 44}},
		"RHash":      {spec: ebpf.MapSpec{KeySize: 4, ValueSize: 4, MaxEntries: 4, Flags: 1, MapExtra: 2}, put: numbers, entries: plain.entries},
		"StackTrace": {spec: ebpf.MapSpec{KeySize: 4, ValueSize: 80, MaxEntries: 4}},
		"SKStorage":  storage, "InodeStorage": storage, "TaskStorage": storage, "CGRPStorage": storage,
		"CGroupStorage": {spec: ebpf.MapSpec{KeySize: 16, ValueSize: 4}}, "PerCPUCGroupStorage": {spec: ebpf.MapSpec{KeySize: 8, ValueSize: 4}},
	}
}

func with(f foreign, entries ...string) foreign {
	f.entries = entries
	return f
}

// innerOfTest is the map of BPFMap edge/inner.
func innerOfTest(t *testing.T, bpffs string) *ebpf.Map {
	t.Helper()
	ok(t, "apply", "--bpffs", bpffs, "-f", write(t, "inner.yaml", `apiVersion: bpfmap.io/v1alpha1
kind: BPFMap
metadata: {namespace: edge, name: inner}
spec: {type: Hash, key: {type: u32}, value: {type: u32}, maxEntries: 4}
`))
	m, err := ebpf.LoadPinnedMap(filepath.Join(bpffs, "bpfmap/edge/inner"), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = m.Close() })
	return m
}

// pinnedProgram pins a program that accepts every packet.
func pinnedProgram(t *testing.T, pin string) *ebpf.Program {
	t.Helper()
	p, err := ebpf.NewProgram(&ebpf.ProgramSpec{
		Type: ebpf.SocketFilter, License: "GPL", Instructions: asm.Instructions{asm.Mov.Imm(asm.R0, 1), asm.Return()},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close() })
	if err := p.Pin(pin); err != nil {
		t.Fatal(err)
	}
	return p
}

// make makes the map, and pins it.
func (f foreign) make(t *testing.T, typ *maptype.Type, pin string) uint32 {
	t.Helper()
	spec := f.spec
	spec.Type, spec.Name = ebpf.MapType(typ.Number), "theirs"
	m, err := ebpf.NewMap(&spec)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = m.Close() }()
	for _, e := range f.put {
		if err := m.Put(e[0], e[1]); err != nil {
			t.Fatal(err)
		}
	}
	if err := m.Pin(pin); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(pin, 0o640); err != nil {
		t.Fatal(err)
	}
	info, err := m.Info()
	if err != nil {
		t.Fatal(err)
	}
	id, _ := info.ID()
	return uint32(id)
}

// TestGenerateAdopts writes the BPFMap of a map of each type, and applies it: the map is adopted as it is, pin and
// contents included, and nothing is left to do.
func TestGenerateAdopts(t *testing.T) {
	bpffs := mountBPFFS(t)
	all := foreigners(t, bpffs)
	for _, typ := range maptype.Offered() {
		t.Run(typ.Name, func(t *testing.T) {
			if !bpftest.Since(t, typ.Since.Major, typ.Since.Minor) {
				if err := bpf.HaveMapType(bpf.MapType(typ.Number)); !errors.Is(err, bpf.ErrNotSupported) {
					t.Errorf("a type of %s: %v", typ.Since, err)
				}
				return
			}
			f, known := all[typ.Name]
			if !known {
				t.Fatal("has no map here")
			}
			pin := filepath.Join(bpffs, strings.ToLower(typ.Name))
			id := f.make(t, typ, pin)
			file := filepath.Join(t.TempDir(), "generated.yaml")
			ok(t, "generate", "--pin", pin, "--bpffs", bpffs, "-n", "edge", "--entries", "--output-file", file)
			text := readText(t, file)
			if len(f.entries) == 0 == strings.Contains(text, "\n  entries:") {
				t.Errorf("entries where there should be none, or none:\n%s", text)
			}
			for _, e := range f.entries {
				if !strings.Contains(text, "\n  - "+e+"\n") {
					t.Errorf("no entry %s in\n%s", e, text)
				}
			}
			before := contentsOf(t, typ, pin)
			out := ok(t, "apply", "--bpffs", bpffs, "-f", file)
			adopted, which := fmt.Sprintf("bpfmap.bpfmap.io/edge/%s adopted", strings.ToLower(typ.Name)), fmt.Sprintf("(map %d", id)
			if !strings.HasPrefix(out, adopted) || !strings.Contains(out, which) {
				t.Errorf("apply prints %q, want %q and %q\n%s", out, adopted, which, text)
			}
			equal(t, ok(t, "diff", "--bpffs", bpffs, "-f", file), "edge/"+strings.ToLower(typ.Name)+": in sync\n")
			equal(t, contentsOf(t, typ, pin), before)
			if st, err := os.Stat(pin); err != nil || st.Mode().Perm() != 0o640 {
				t.Errorf("the pin's mode is now %v (%v)", st.Mode(), err)
			}
		})
	}
}

func readText(t *testing.T, file string) string {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// contentsOf is the bytes of all elements of a map that can be listed.
func contentsOf(t *testing.T, typ *maptype.Type, pin string) string {
	t.Helper()
	if typ.Reading != maptype.Listed || typ.Runtime {
		return ""
	}
	return ok(t, "dump", "--pin", pin, "-o", "hex", "--sort")
}

func typeNamed(name string) *maptype.Type { return maptype.ByName(name) }
