// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package local

import (
	"fmt"
	"strings"
	"testing"

	"github.com/bpfmap-io/bpfmap-operator/internal/bpf"
	"github.com/bpfmap-io/bpfmap-operator/internal/bpf/bpftest"
)

// retained is a manifest of a map that stays when it is deleted.
func retained(t *testing.T, value, entries string) string {
	t.Helper()
	return write(t, "map.yaml", fmt.Sprintf(`apiVersion: bpfmap.io/v1alpha1
kind: BPFMap
metadata: {namespace: edge, name: rules}
spec: {type: Hash, deletionPolicy: Retain, key: {fields: [{name: addr, type: ipv4}, {name: port, type: be16}]}, value: %s, maxEntries: 8,
  entries: [%s]}
`, value, entries))
}

// keepsTags says that the kernel takes BTF with decl tags, which say what C's types can't. Without them what is left of
// a map's types is C's: numbers, and bytes for what isn't one.
func keepsTags(t *testing.T) bool {
	t.Helper()
	return bpftest.Since(t, 5, 16)
}

// TestRetainedMapsStayReadable: what nobody declares any more is printed from the BTF that we gave it, as before.
func TestRetainedMapsStayReadable(t *testing.T) {
	dir := mountBPFFS(t)
	path := retained(t, `{fields: [
    {name: verdict, type: u8, enum: {PASS: 0, DROP: 1}}, {name: mode, type: u32, bits: 3}, {name: level, type: u32, bits: 5},
    {name: options, type: u16, flags: {LOG: 1, COUNT: 2}}, {type: padding, size: 2}, {name: six, type: ipv6},
    {name: to, union: true, fields: [{name: port, type: be16}, {name: mac, type: mac}]}, {name: name, type: string, size: 6},
    {name: grid, type: u8, dimensions: [2, 2]}, {name: ratio, type: f64}, {name: idle, type: u64, duration: ns}]}`,
		`{key: {addr: 192.0.2.1, port: 443}, value: {verdict: DROP, mode: 5, level: 9, options: [COUNT], six: "2001:db8::1", to: {mac: "02:00:5e:00:00:01"}, name: edge,
		grid: [[1, 2], [3, 4]], ratio: 0.5, idle: 1m30s}}`)
	ok(t, "apply", "-f", path, "--bpffs", dir)
	managed := ok(t, "dump", "-f", path, "--bpffs", dir)
	for _, want := range []string{"{addr: 192.0.2.1, port: 443}", "verdict: DROP", "mode: 5", "options: COUNT", "mac: 02:00:5e:00:00:01", "idle: 1m30s"} {
		if !strings.Contains(managed, want) {
			t.Errorf("the dump lacks %q: %s", want, managed)
		}
	}
	pin := dir + "/bpfmap/edge/rules"
	if typed := ok(t, "dump", "--pin", pin, "--bpffs", dir); !strings.HasSuffix(managed, typed[strings.LastIndex(typed, "{addr"):]) {
		t.Errorf("with the record:\n%s\nwithout the manifest:\n%s", managed, typed)
	}
	ok(t, "delete", "-f", path, "--bpffs", dir)
	orphan := ok(t, "dump", "--pin", pin, "--bpffs", dir)
	_, before, _ := strings.Cut(managed, "{addr")
	if !keepsTags(t) {
		before = `: 3221225985, port: 443} = {verdict: 1, mode: 5, level: 9, options: 2, six: 2001:db8::1, to: {mac: 02005e000001}, name: edge, grid: [0102, 0304], ratio: 000000000000e03f, idle: 90000000000}
Found 1 element
`
	}
	if _, after, _ := strings.Cut(orphan, "{addr"); before == "" || before != after {
		t.Errorf("managed:\n%s\nretained:\n%s", managed, orphan)
	}
}

// TestLayoutsAreCompared: a map of equal sizes and another layout is neither adopted nor written, and both layouts are
// shown.
func TestLayoutsAreCompared(t *testing.T) {
	dir := mountBPFFS(t)
	theirs := retained(t, `{fields: [{name: action, type: u8}, {name: ports, type: u16, length: 3}, {name: id, type: u32}]}`,
		`{key: {addr: 192.0.2.1, port: 443}, value: {action: 1, ports: [80, 0, 0], id: 7}}`)
	ok(t, "apply", "-f", theirs, "--bpffs", dir)
	ok(t, "delete", "-f", theirs, "--bpffs", dir)

	ours := retained(t, `{fields: [{name: id, type: u32}, {name: ports, type: u16, length: 3}, {name: action, type: u8}]}`,
		`{key: {addr: 192.0.2.1, port: 443}, value: {action: 0, ports: [0, 0, 0], id: 7}}`)
	id := rulesID(t, dir)
	const layouts = `value:
 byte  size  declared        byte  size  in the program
    0     4  u32 id             0     1  u8 action
    4     6  u16[3] ports       2     6  u16[3] ports
   10     1  u8 action          8     4  u32 id
`
	const misfit = "another layout than the spec: it is not touched: value: id: u32 id at byte 0 (4 bytes), "
	diff := run(t, "diff", "-f", ours, "--bpffs", dir)
	if diff.code != 1 || !strings.Contains(diff.out, misfit) || !strings.HasSuffix(diff.out, strings.ReplaceAll("\n"+strings.TrimSpace(layouts), "\n", "\n  ")+"\n") {
		t.Errorf("diff:\n%s", diff)
	}
	apply := run(t, "apply", "-f", ours, "--bpffs", dir)
	if apply.code != 1 || apply.out != "" || !strings.Contains(apply.errOut, misfit) || !strings.HasSuffix(apply.errOut, layouts) {
		t.Errorf("apply:\n%s", apply)
	}
	if got := ok(t, "dump", "--pin", dir+"/bpfmap/edge/rules", "--bpffs", dir); !strings.Contains(got, "{action: 1, ports: [80, 0, 0], id: 7}") || rulesID(t, dir) != id {
		t.Errorf("the map was touched: %s", got)
	}
	if got := ok(t, "apply", "-f", theirs, "--bpffs", dir); !strings.Contains(got, "adopted (map ") {
		t.Errorf("the map that fits: %s", got)
	}
}

func rulesID(t *testing.T, dir string) uint32 {
	t.Helper()
	m, err := bpf.GetPinned(dir+"/bpfmap/edge/rules", bpf.RdOnly)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	info, err := m.Info()
	if err != nil {
		t.Fatal(err)
	}
	return info.ID
}

// TestUnverifiedAdoptionIsSaid: of a map without BTF nobody knows the layout, and diff and apply say so.
func TestUnverifiedAdoptionIsSaid(t *testing.T) {
	dir := mountBPFFS(t)
	path := retained(t, `{fields: [{name: a, type: u8}, {name: b, type: u32}]}`, ``)
	mkdir(t, dir+"/bpfmap/edge")
	m, err := bpf.Create(bpf.CreateOpts{Type: bpf.Hash, KeySize: 8, ValueSize: 8, MaxEntries: 8})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	if err := m.UpdateElem(make([]byte, 8), []byte{1, 1, 1, 1, 1, 1, 1, 1}, bpf.Any); err != nil {
		t.Fatal(err)
	}
	if err := m.Pin(dir + "/bpfmap/edge/rules"); err != nil {
		t.Fatal(err)
	}
	const notes = "layout not verified: the map has no BTF"
	const dirty = "the padding of 1 of the first 1 element is not zero, as if the program had another layout"
	equal(t, run(t, "diff", "-f", path, "--bpffs", dir).out, "edge/rules: adopt\n  "+notes+"\n  "+dirty+"\n  map "+fmt.Sprint(rulesID(t, dir))+" keeps 1 element of others\n")
	if got := ok(t, "apply", "-f", path, "--bpffs", dir); !strings.Contains(got, "edge/rules adopted: "+notes+"; "+dirty+" (map ") {
		t.Errorf("apply: %s", got)
	}
}
