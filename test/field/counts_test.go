// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package field_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/bpfmap-io/bpfmap-operator/internal/bpf/bpftest"
	"github.com/bpfmap-io/bpfmap-operator/test/clang"
)

// kind is a type of map, and how a program counts in one.
type kind struct {
	mapType, libbpf string
	flags           string
	macros          []string
}

func (k kind) String() string {
	return strings.Join(append([]string{k.mapType}, k.macros...), " ")
}

func (k kind) is(macro string) bool { return strings.Contains(k.String(), macro) }

var kinds = []kind{
	{mapType: "Hash", libbpf: "HASH"},
	{mapType: "LRUHash", libbpf: "LRU_HASH"},
	{mapType: "Array", libbpf: "ARRAY"},
	{mapType: "LPMTrie", libbpf: "LPM_TRIE", flags: "NoPrealloc", macros: []string{"PREFIX"}},
	{mapType: "PerCPUHash", libbpf: "PERCPU_HASH", macros: []string{"PERCPU"}},
	{mapType: "LRUPerCPUHash", libbpf: "LRU_PERCPU_HASH", macros: []string{"PERCPU"}},
	{mapType: "PerCPUArray", libbpf: "PERCPU_ARRAY", macros: []string{"PERCPU"}},
	{mapType: "Hash", libbpf: "HASH", flags: "NoPrealloc"},
	{mapType: "Hash", libbpf: "HASH", macros: []string{"LOCK"}},
	{mapType: "Array", libbpf: "ARRAY", macros: []string{"LOCK"}},
	{mapType: "PerCPUHash", libbpf: "PERCPU_HASH", macros: []string{"PERCPU", "BITS"}},
}

// object compiles the program for the kind.
func (k kind) object(t *testing.T) string {
	flags := "0"
	if k.flags != "" {
		flags = "BPF_F_NO_PREALLOC"
	}
	args := []string{"-DTYPE=BPF_MAP_TYPE_" + k.libbpf, "-DFLAGS=" + flags}
	for _, m := range k.macros {
		args = append(args, "-D"+m)
	}
	return clang.BPF(t, "testdata/counts.bpf.c", args...)
}

// keys are those that are declared, as they are written and printed. The program counts in the first one.
func (k kind) keys() []string {
	if k.is("PREFIX") {
		return []string{"2000000001000000", "2000000002000000"}
	}
	return []string{"1", "2"}
}

// manifest declares the map. The second entry gives its counter a first value.
func (k kind) manifest(verdict, weight int) string {
	key, options, hits := "{type: u32}", "", "type: u64"
	if k.is("PREFIX") {
		key = "{type: hex, size: 8}"
	}
	var fields string
	if k.is("LOCK") {
		fields += "    - {name: lock, type: spinLock}\n"
	}
	fields += "    - {name: verdict, type: u8}\n"
	if k.is("BITS") {
		fields += fmt.Sprintf("    - {name: mode, type: u64, bits: 6, default: %d}\n", weight)
		hits += ", bits: 58"
	}
	if k.flags != "" && k.mapType != "LPMTrie" {
		options = "  flags: [" + k.flags + "]\n"
	}
	return fmt.Sprintf(`apiVersion: bpfmap.io/v1alpha1
kind: BPFMap
metadata: {namespace: edge, name: counted}
spec:
  type: %s
  key: %s
  value:
    fields:
%s    - {name: hits, %s, owner: Program}
    - {name: weight, type: u32}
  maxEntries: 16
%s  entries:
  - {key: "%s", value: {verdict: %d, weight: %d}}
  - {key: "%s", value: {verdict: 0, weight: 0, hits: 1000}}
`, k.mapType, key, fields, hits, options, k.keys()[0], verdict, weight, k.keys()[1])
}

// TestNoCountIsLost changes the fields around a counter, and applies what doesn't change, while a program counts as fast
// as it can. Where the kernel can't keep the two apart, which is per CPU before Linux 5.19, apply says so.
func TestNoCountIsLost(t *testing.T) {
	for _, k := range kinds {
		t.Run(k.String()+" "+k.flags, func(t *testing.T) {
			m := newMachine(t)
			m.apply(k.manifest(1, 1), "created")
			const pass = 2
			r := m.runner(k.object(t), "count", "counted")
			stop := r.start(pass)
			const rounds = 2
			for round := range rounds {
				m.apply(k.manifest(2, 2+round), "configured")
				m.resync(k.manifest(2, 2+round))
				m.apply(k.manifest(1, 2+round), "configured")
				m.apply(k.manifest(1, 2+round), "unchanged")
			}
			stop()
			runs := r.number("runs")
			dump := m.dump(k.manifest(1, 1))
			var hits uint64
			for _, cpu := range dump[k.keys()[0]] {
				f := cpu.(map[string]any)
				hits += uint64(number(t, f["hits"]))
				if number(t, f["weight"]) != rounds+1 || number(t, f["verdict"]) != 1 {
					t.Errorf("beside the counter stands %v", f)
				}
			}
			exact := !k.is("PERCPU") || bpftest.Since(t, 5, 19)
			if hits > runs || hits < runs && exact {
				t.Errorf("of %d counts %d are there", runs, hits)
			}
			const may = "what programs write between the two is lost"
			if said := m.bpfmap("apply", k.manifest(1, rounds+1)); strings.Contains(said, may) == exact {
				t.Errorf("apply says %q", said)
			}
			for _, cpu := range dump[k.keys()[1]] {
				if f := cpu.(map[string]any); number(t, f["hits"]) != 1000 {
					t.Errorf("the first value is %v", f)
				}
			}
			t.Logf("%d counts, %d changes beside them", runs, 2*rounds)
		})
	}
}
