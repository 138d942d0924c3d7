// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package field_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// drops declares addresses whose packets a program drops and counts, as Suricata's does: what stands at a key is the
// program's. The addresses are lines of a list.
func drops(spec string, addresses ...string) string {
	return `apiVersion: v1
kind: ConfigMap
metadata: {namespace: edge, name: feed}
data:
  list.txt: |
    # one address a line
    ` + strings.Join(addresses, "\n    ") + `
---
apiVersion: bpfmap.io/v1alpha1
kind: BPFMap
metadata: {namespace: edge, name: drops}
spec:
  type: PerCPUHash
  key: {type: ipv4}
  value: {type: u64, owner: Program}
  maxEntries: 1024
  ` + spec + `
  entriesFrom:
  - {configMapRef: {name: feed, key: list.txt}, format: Lines}
`
}

// wantSums compares a map's numbers, those of all CPUs together.
func (m *machine) wantSums(when, manifest string, want map[string]int64) {
	m.Helper()
	got := map[string]int64{}
	for address, cpus := range m.dump(manifest) {
		got[address] = 0
		for _, n := range cpus {
			got[address] += number(m, n)
		}
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		m.Errorf("%s: %v, want %v", when, got, want)
	}
}

// TestKeysOnly: Git adds and retires addresses, what a program counts at them is its own.
func TestKeysOnly(t *testing.T) {
	for _, policy := range []string{"Merge", "Mirror"} {
		t.Run(policy, func(t *testing.T) {
			const sync = "syncPolicy: "
			m := onWire(t, blocked, byHand, later)
			declared := drops(sync+policy, blocked, byHand)
			m.apply(declared, "created")
			object := m.attach("testdata/drops.bpf.c", "drops")
			m.valid(declared, object)

			m.wantReceived("made", blocked, 20, 0)
			m.wantReceived("made", later, 3, 3)
			m.apply(declared, "unchanged")
			m.wantSums("applied again", declared, map[string]int64{blocked: 20, byHand: 0})

			declared = drops(sync+policy, blocked, later)
			m.apply(declared, "configured")
			m.wantReceived("another list", blocked, 5, 0)
			m.wantReceived("another list", byHand, 5, 5)
			m.wantReceived("another list", later, 5, 0)
			m.wantSums("another list", declared, map[string]int64{blocked: 25, later: 5})
		})
	}
}

// TestSeedOfAnAdoptedMap: a map that somebody made first gets each declared key once, also one that is declared later,
// and keeps what it has.
func TestSeedOfAnAdoptedMap(t *testing.T) {
	m := newMachine(t)
	seed := func(entries ...string) string {
		return `apiVersion: bpfmap.io/v1alpha1
kind: BPFMap
metadata: {namespace: edge, name: seeded}
spec:
  type: Hash
  key: {type: u32}
  value: {type: u64}
  maxEntries: 16
  syncPolicy: Seed
  entries:
  - ` + strings.Join(entries, "\n  - ") + "\n"
	}
	pin := filepath.Join(m.bpffs, "bpfmap/edge/seeded")
	if err := os.MkdirAll(filepath.Dir(pin), 0o755); err != nil {
		t.Fatal(err)
	}
	m.bpftool("map", "create", pin, "type", "hash", "key", "4", "value", "8", "entries", "16", "name", "seeded")
	set := func(key, value string) {
		t.Helper()
		m.bpftool("map", "update", "pinned", pin, "key", key, "0", "0", "0", "value", value, "0", "0", "0", "0", "0", "0", "0")
	}
	set("1", "100")
	declared := seed("{key: 1, value: 7}", "{key: 2, value: 7}")
	m.apply(declared, "adopted")
	m.wantSums("adopted", declared, map[string]int64{"1": 100, "2": 7})
	set("2", "200")
	m.apply(declared, "unchanged")
	m.resync(declared)
	m.wantSums("the program changed a value", declared, map[string]int64{"1": 100, "2": 200})

	declared = seed("{key: 1, value: 8}", "{key: 2, value: 8}", "{key: 3, value: 8}")
	m.apply(declared, "configured")
	m.wantSums("a key was declared later", declared, map[string]int64{"1": 100, "2": 200, "3": 8})
	m.apply(declared, "unchanged")

	m.bpftool("map", "delete", "pinned", pin, "key", "3", "0", "0", "0")
	m.apply(declared, "")
	m.wantSums("the program deleted a key", declared, map[string]int64{"1": 100, "2": 200})
	_, err := m.try("delete", declared)
	if err != nil || !m.exists("bpfmap/edge/seeded") {
		t.Errorf("after its BPFMap was deleted the map that was adopted is gone: %v", err)
	}
}
