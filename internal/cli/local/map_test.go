// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package local

import (
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/bpfmap-io/bpfmap-operator/internal/bpf"
	"github.com/bpfmap-io/bpfmap-operator/internal/bpf/bpftest"
	"github.com/bpfmap-io/bpfmap-operator/internal/maptype"
)

// create makes a map by the command line and returns its pin.
func create(t *testing.T, name string, args ...string) string {
	t.Helper()
	pin := filepath.Join(mountBPFFS(t), name)
	out := ok(t, append([]string{"map", "create", "--pin", pin}, args...)...)
	if !strings.HasPrefix(out, "map id ") || !strings.HasSuffix(out, " pinned at "+pin+"\n") {
		t.Fatalf("create printed %q", out)
	}
	return pin
}

// notBefore514 wants looking up and deleting an element of a Hash to fail with the release that brought it.
func notBefore514(t *testing.T, name string, args ...string) {
	t.Helper()
	const want = ": not supported (for Hash it came with Linux 5.14, this is Linux "
	if got := fails(t, args...); !strings.HasPrefix(got, "Error: look up and delete element of Hash "+name+want) {
		t.Errorf("%q lacks %q", got, want)
	}
}

func TestMapHash(t *testing.T) {
	pin := create(t, "h", "--type", "Hash", "--key-size", "4", "--value-size", "2", "--max-entries", "2", "--name", "h")
	at := func(op string, args ...string) []string {
		return append([]string{"map", op, "--pin", pin, "--key"}, args...)
	}
	ok(t, at("update", "u32:1", "--value", "be16:0x102")...)
	ok(t, at("update", "u32:1", "--value", "u8:3", "--value", "u8:4", "--flags", "Exist")...)
	equal(t, ok(t, at("lookup", "u32:1")...), "03 04\n")
	equal(t, ok(t, at("lookup", "u32:1", "-o", "json")...), `{"key": "01000000", "value": "0304"}`+"\n")
	equal(t, fails(t, at("update", "u32:1", "--value", "u16:1", "--flags", "noexist")...),
		"Error: update element of Hash h: already exists\n")
	equal(t, fails(t, at("update", "u32:1", "--value", "u16:1", "--flags", "Maybe")...),
		"Error: --flags Maybe: must be one of Any, NoExist, Exist, Lock, CPU, AllCPUs\n")
	equal(t, fails(t, at("update", "u64:1", "--value", "u16:1")...),
		"Error: parse --key: u64:1 makes 8 bytes, 4 are needed\n")
	equal(t, fails(t, at("update", "u32:1")...), "Error: --value is required\n")
	equal(t, fails(t, "map", "lookup", "--pin", pin), "Error: --key is required\n")
	equal(t, fails(t, "map", "lookup", "--key", "u8:1"), "Error: a map is needed: NAMESPACE/NAME, -f, --pin or --id\n")

	ok(t, at("update", "u32:2", "--value", "u16:2")...)
	equal(t, fails(t, at("update", "u32:3", "--value", "u16:3")...),
		"Error: update element of Hash h: map is full (max_entries 2)\n")
	if bpftest.Since(t, 5, 14) {
		equal(t, ok(t, at("lookup-delete", "u32:2")...), "02 00\n")
	} else {
		notBefore514(t, "h", at("lookup-delete", "u32:2")...)
		ok(t, at("delete", "u32:2")...)
	}
	equal(t, fails(t, at("lookup", "u32:2")...),
		"Error: look up element of Hash h: does not exist\n")

	first := ok(t, "map", "next-key", "--pin", pin)
	equal(t, first, "hex:01000000\n")
	equal(t, run(t, at("next-key", strings.TrimSpace(first))...).String(), result{code: 1}.String())

	ok(t, at("delete", "u32:1")...)
	equal(t, fails(t, at("delete", "u32:1")...),
		"Error: delete element of Hash h: does not exist\n")
}

func TestMapPerCPU(t *testing.T) {
	pin := create(t, "p", "--type", "BPF_MAP_TYPE_PERCPU_ARRAY", "--key-size", "4", "--value-size", "4", "--max-entries", "2")
	ok(t, "map", "update", "--pin", pin, "--key", "1", "--value", "u32:7")
	equal(t, ok(t, "map", "lookup", "--pin", pin, "--key", "1"), "07 00 00 00 on every CPU\n")
	equal(t, ok(t, "dump", "--pin", pin), "0 = 00 00 00 00 on every CPU\n1 = 07 00 00 00 on every CPU\nFound 2 elements\n")
	equal(t, fails(t, "map", "delete", "--pin", pin, "--key", "1"),
		"Error: delete element of PerCPUArray: not supported (map type PerCPUArray has no such operation)\n")
}

// TestMapOneCPU: --cpu reads one CPU's value on every kernel, and writes it where the kernel can.
func TestMapOneCPU(t *testing.T) {
	cpus, err := bpf.PossibleCPUs()
	if err != nil {
		t.Fatal(err)
	}
	last := strconv.Itoa(cpus - 1)
	pin := create(t, "p", "--type", "PerCPUHash", "--key-size", "4", "--value-size", "4", "--max-entries", "2")
	at := func(op string, args ...string) []string {
		return append([]string{"map", op, "--pin", pin, "--key", "u32:1"}, args...)
	}
	ok(t, at("update", "--value", "u32:7")...)
	equal(t, ok(t, at("lookup", "--cpu", last)...), "07 00 00 00\n")
	if r := run(t, at("update", "--value", "u32:8", "--cpu", last)...); r.code == 0 {
		equal(t, ok(t, at("lookup", "--cpu", last)...), "08 00 00 00\n")
	} else {
		equal(t, r.String(), result{code: 1, errOut: "Error: update element of PerCPUHash: not supported (this kernel has no CPU): " +
			"invalid argument; without --cpu the value is written for every CPU\n"}.String())
		equal(t, ok(t, at("lookup", "--cpu", last)...), "07 00 00 00\n")
	}
	if r := run(t, at("update", "--value", "u32:9", "--flags", "AllCPUs")...); r.code == 0 {
		equal(t, ok(t, at("lookup")...), "09 00 00 00 on every CPU\n")
	} else if !strings.Contains(r.errOut, "this kernel has no AllCPUs") {
		t.Errorf("AllCPUs: %s", r)
	}

	equal(t, fails(t, at("update", "--value", "u32:8", "--flags", "CPU")...),
		"Error: --flags CPU needs the number of the CPU: use --cpu instead\n")
	equal(t, fails(t, at("lookup", "--cpu", strconv.Itoa(cpus))...),
		fmt.Sprintf("Error: --cpu %d: must be between 0 and %d\n", cpus, cpus-1))
	equal(t, fails(t, at("update", "--value", "u32:8", "--cpu", "0", "--flags", "AllCPUs")...),
		"Error: --cpu and --flags AllCPUs exclude each other\n")
	plain := create(t, "h", "--type", "Hash", "--key-size", "4", "--value-size", "4", "--max-entries", "2")
	equal(t, fails(t, "map", "lookup", "--pin", plain, "--key", "u32:1", "--cpu", "0"), "Error: --cpu: this is not a per-CPU map\n")
}

// TestMapLock: Lock needs a bpf_spin_lock in the value's BTF, which apply gives to a map with a spinLock.
func TestMapLock(t *testing.T) {
	bpffs := mountBPFFS(t)
	file := write(t, "m.yaml", `{apiVersion: bpfmap.io/v1alpha1, kind: BPFMap, metadata: {name: locked}, spec: {
		type: Hash, key: {type: u32}, maxEntries: 4, value: {fields: [{name: lock, type: spinLock}, {name: hits, type: u32}]},
		entries: [{key: 1, value: {hits: 1}}]}}`)
	ok(t, "apply", "--bpffs", bpffs, "-f", file)
	at := func(op string, args ...string) []string {
		return append([]string{"map", op, "--bpffs", bpffs, "-f", file, "--key", "1", "--flags", "Lock"}, args...)
	}
	ok(t, at("update", "--value", "{hits: 2}")...)
	equal(t, ok(t, at("lookup")...), "{hits: 2}\n")
	if bpftest.Since(t, 5, 14) {
		equal(t, ok(t, at("lookup-delete")...), "{hits: 2}\n")
	} else {
		notBefore514(t, "locked", at("lookup-delete")...)
	}
	plain := create(t, "h", "--type", "Hash", "--key-size", "4", "--value-size", "4", "--max-entries", "2")
	equal(t, fails(t, "map", "update", "--pin", plain, "--key", "u32:1", "--value", "u32:1", "--flags", "Lock"),
		"Error: update element of Hash: not supported (Lock needs a bpf_spin_lock in the BTF of the value): invalid argument\n")
}

func TestMapQueue(t *testing.T) {
	pin := create(t, "q", "--type", "Queue", "--value-size", "4", "--max-entries", "2")
	ok(t, "map", "update", "--pin", pin, "--value", "u32:1")
	ok(t, "map", "update", "--pin", pin, "--value", "u32:2")
	equal(t, ok(t, "map", "lookup", "--pin", pin), "01 00 00 00\n")
	equal(t, ok(t, "map", "lookup-delete", "--pin", pin, "-o", "json"), `{"value": "01000000"}`+"\n")
	equal(t, fails(t, "map", "lookup", "--pin", pin, "--key", "u32:1"), "Error: parse --key: map type Queue has no keys\n")
	equal(t, fails(t, "dump", "--pin", pin),
		"Error: iterate over elements of Queue: not supported (map type Queue has no such operation)\n")
}

func TestMapTypedByManifest(t *testing.T) {
	pin := create(t, "l", "--type", "LPMTrie", "--key-size", "8", "--value-size", "8", "--max-entries", "9",
		"--flags", "NoPrealloc", "--name", "routes")
	file := write(t, "m.yaml", `{apiVersion: bpfmap.io/v1alpha1, kind: BPFMap, metadata: {name: routes}, spec: {
		type: LPMTrie, key: {type: ipv4Prefix}, maxEntries: 9,
		value: {fields: [{name: action, type: u8}, {name: rule, type: u32}]}}}`)
	for _, prefix := range []string{"10.1.0.0/16", "10.0.0.0/8", "192.0.2.0/24"} {
		ok(t, "map", "update", "-f", file, "--pin", pin, "--key", prefix, "--value", "{action: 1, rule: 0x10}")
	}
	equal(t, ok(t, "map", "lookup", "-f", file, "--pin", pin, "--key", "10.2.3.4/32"), "{action: 1, rule: 16}\n")
	equal(t, ok(t, "dump", "-f", file, "--pin", pin, "--sort"), `10.0.0.0/8 = {action: 1, rule: 16}
10.1.0.0/16 = {action: 1, rule: 16}
192.0.2.0/24 = {action: 1, rule: 16}
Found 3 elements
`)
	equal(t, ok(t, "dump", "-f", file, "--pin", pin, "--sort", "-o", "yaml"), `entries:
- {"key": "10.0.0.0/8", "value": {"action":1,"rule":16}}
- {"key": "10.1.0.0/16", "value": {"action":1,"rule":16}}
- {"key": "192.0.2.0/24", "value": {"action":1,"rule":16}}
`)
	equal(t, fails(t, "map", "update", "-f", file, "--pin", pin, "--key", "10.0.0.1/8", "--value", "{action: 1, rule: 1}"),
		`Error: parse --key: "10.0.0.1/8" has host bits set (did you mean 10.0.0.0/8, or 10.0.0.1/32?)`+"\n")
	other := write(t, "other.yaml", `{apiVersion: bpfmap.io/v1alpha1, kind: BPFMap, metadata: {name: routes}, spec: {
		type: Hash, key: {type: u64}, value: {type: u16}, maxEntries: 9}}`)
	equal(t, fails(t, "dump", "-f", other, "--pin", pin), "Error: the declared value has 2 bytes, the map's has 8\n")
}

func TestMapFreezeInfoPins(t *testing.T) {
	pin := create(t, "a", "--type", "Array", "--key-size", "4", "--value-size", "8", "--max-entries", "3",
		"--flags", "Mmapable,RdOnlyProg", "--name", "a")
	m, err := bpf.GetPinned(pin, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = m.Close() }()
	info, err := m.Info()
	if err != nil {
		t.Fatal(err)
	}
	id := strconv.Itoa(int(info.ID))

	ok(t, "map", "freeze", "--id", id)
	again := "Error: freeze map of Array a: map is frozen (user space can't write to it any more): operation not permitted\n"
	if b := maptype.FreezeByHandle.Since; !bpftest.Since(t, b.Major, b.Minor) {
		again = "Error: freeze map of Array a: map is frozen: device or resource busy\n"
	}
	equal(t, fails(t, "map", "freeze", "--pin", pin), again)
	text := ok(t, "map", "info", "--pin", pin, "--count")
	for _, want := range []string{"id:           " + id, "flags:        RdOnlyProg,Mmapable", "frozen:       true", "entries:      3"} {
		if !strings.Contains(text, want+"\n") {
			t.Errorf("info lacks %q:\n%s", want, text)
		}
	}
	if ids := ok(t, "map", "ids"); !strings.Contains("\n"+ids, "\n"+id+"\n") {
		t.Errorf("ids lack %s:\n%s", id, ids)
	}
	again = filepath.Join(filepath.Dir(pin), "b")
	ok(t, "map", "pin", "--pin", pin, again)
	ok(t, "map", "unpin", pin)
	equal(t, ok(t, "map", "lookup", "--pin", again, "--key", "2"), "00 00 00 00 00 00 00 00\n")
	equal(t, fails(t, "map", "unpin", pin), "Error: open pin of "+pin+": does not exist\n")
}

func TestMapCreateRefuses(t *testing.T) {
	pin := filepath.Join(mountBPFFS(t), "m")
	for want, args := range map[string][]string{
		`unknown map type "Tree"`:                      {"--type", "Tree"},
		`unknown map flag "Fast"`:                      {"--type", "Hash", "--flags", "Fast"},
		`contains '-', only [A-Za-z0-9_.] are allowed`: {"--type", "Hash", "--name", "a-b"},
		`key_size 0, value_size 0`:                     {"--type", "Hash"},
		`value out of range`:                           {"--type", "Hash", "--numa-node", "4294967296"},
	} {
		if got := fails(t, append([]string{"map", "create", "--pin", pin}, args...)...); !strings.Contains(got, want) {
			t.Errorf("%v: got %q, want %q", args, got, want)
		}
	}
}
