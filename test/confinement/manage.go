// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package confinement

import (
	"os"
	"strings"
	"testing"
)

// Manifest is a map.
const Manifest = `apiVersion: bpfmap.io/v1alpha1
kind: BPFMap
metadata: {name: blocklist, namespace: confined}
spec:
  type: Hash
  key: {type: u32}
  value: {type: u64}
  maxEntries: 16
  entries: [{key: 1, value: 10}]
`

// Pin is that of the map.
const Pin = "/sys/fs/bpf/bpfmap/confined/blocklist"

// more are maps that take more of the kernel: freezing, a program that stores the declared part of a value, batches of a
// tree, and a map in another.
const more = `---
apiVersion: bpfmap.io/v1alpha1
kind: BPFMap
metadata: {name: frozen, namespace: confined}
spec:
  type: Array
  key: {type: u32}
  value: {type: u64}
  maxEntries: 4
  entries: [{key: 1, value: 10}]
  freeze: true
  replacePolicy: Swap
---
apiVersion: bpfmap.io/v1alpha1
kind: BPFMap
metadata: {name: shared, namespace: confined}
spec:
  type: Hash
  key: {type: u32}
  value: {fields: [{name: limit, type: u32}, {name: seen, type: u32, owner: Program}]}
  maxEntries: 16
  entries: [{key: 1, value: {limit: 10}}]
---
apiVersion: bpfmap.io/v1alpha1
kind: BPFMap
metadata: {name: tree, namespace: confined}
spec:
  type: LPMTrie
  key: {type: ipv4Prefix}
  value: {type: u8}
  maxEntries: 16
  entries: [{key: 192.0.2.0/24, value: 1}]
---
apiVersion: bpfmap.io/v1alpha1
kind: BPFMap
metadata: {name: tables, namespace: confined}
spec:
  type: HashOfMaps
  key: {type: u32}
  inner: {type: Hash, key: {type: u32}, value: {type: u64}, maxEntries: 16}
  maxEntries: 4
  entries: [{key: 1, value: blocklist}]
`

// Manage makes, locks, pins, reads, gives away, changes, freezes, replaces, counts and deletes maps, as the agent does.
func Manage(t *testing.T, c *Container) {
	t.Helper()
	c.Write(t, Manifest)
	t.Cleanup(func() { _, _ = c.Run(t, "delete", "-f", "/map.yaml") })
	c.steps(t, []step{
		{[]string{"apply", "-f", "/map.yaml"}, "created"},
		{[]string{"apply", "-f", "/map.yaml"}, "unchanged"},
		{[]string{"dump", "confined/blocklist"}, "10"},
		{[]string{"map", "update", "--pin", Pin, "--key", "u32:1", "--value", "u64:11"}, ""},
		{[]string{"diff", "-f", "/map.yaml"}, "11"},
		{[]string{"apply", "-f", "/map.yaml"}, "repaired"},
		{[]string{"list"}, "confined/blocklist"},
	})
	// A pin that is given away.
	all := strings.Replace(Manifest, "spec:", "spec:\n  pin: {mode: \"0640\", uid: 65534}", 1) + more
	c.Write(t, all)
	c.steps(t, []step{{[]string{"apply", "-f", "/map.yaml"}, "created"}})
	// A frozen map that is replaced, and the declared part of a value that changes.
	c.Write(t, strings.NewReplacer("maxEntries: 4\n  entries: [{key: 1, value: 10}]\n  freeze", "maxEntries: 8\n  entries: [{key: 1, value: 10}]\n  freeze", "limit: 10", "limit: 11").Replace(all))
	c.steps(t, []step{
		{[]string{"apply", "-f", "/map.yaml"}, "replaced"},
		{[]string{"list"}, "confined/shared"},
		{[]string{"delete", "-f", "/map.yaml"}, "deleted"},
	})
	if _, err := os.Stat(Pin); !os.IsNotExist(err) {
		t.Errorf("the pin is still there: %v", err)
	}
}

// step is a program to run, and a part of what it prints.
type step struct {
	args []string
	want string
}

func (c *Container) steps(t *testing.T, steps []step) {
	t.Helper()
	for _, step := range steps {
		out, err := c.Run(t, step.args...)
		if differs := step.args[0] == "diff"; (err == nil) == differs || !strings.Contains(out, step.want) {
			t.Fatalf("bpfmap %s: %v\n%s", strings.Join(step.args, " "), err, out)
		}
	}
}
