// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package local

import (
	"strings"
	"testing"
)

const outerFirst = `apiVersion: bpfmap.io/v1alpha1
kind: BPFMap
metadata: {namespace: edge, name: tables}
spec:
  type: HashOfMaps
  key: {type: u32}
  inner: {type: Hash, key: {type: u32}, value: {type: u32}, maxEntries: 4}
  maxEntries: 4
  entries: [{key: 1, value: blue}, {key: 2, value: green}]
---
apiVersion: bpfmap.io/v1alpha1
kind: BPFMap
metadata: {namespace: edge, name: blue}
spec: {type: Hash, key: {type: u32}, value: {type: u32}, maxEntries: 4, freeze: true, replacePolicy: Swap, entries: [{key: 1, value: 10}]}
`

// TestApplyInnerMapsFirst makes what others hold before them, whatever the order in the file, and lets the
// outer map follow a replaced inner one in the same run.
func TestApplyInnerMapsFirst(t *testing.T) {
	bpffs := mountBPFFS(t)
	file := write(t, "tables.yaml", outerFirst)
	equal(t, withoutIDs(ok(t, "apply", "-f", file, "--bpffs", bpffs)), `bpfmap.bpfmap.io/edge/blue created (map ID, 1 entry, frozen)
bpfmap.bpfmap.io/edge/tables created: 1 of 2 entries pending: map of BPFMap green not found (map ID, 1 entry)
`)
	writeFile(t, file, strings.Replace(outerFirst, "value: 10", "value: 11", 1))
	out := withoutIDs(ok(t, "apply", "-f", file, "--bpffs", bpffs))
	if !strings.HasPrefix(out, "bpfmap.bpfmap.io/edge/blue replaced") ||
		!strings.Contains(out, "\nbpfmap.bpfmap.io/edge/tables configured: 1 of 2 entries pending") {
		t.Errorf("apply prints\n%s", out)
	}
	equal(t, withoutIDs(ok(t, "apply", "-f", file, "--bpffs", bpffs)), `bpfmap.bpfmap.io/edge/blue unchanged (map ID, 1 entry, frozen)
bpfmap.bpfmap.io/edge/tables unchanged: 1 of 2 entries pending: map of BPFMap green not found (map ID, 1 entry)
`)
}

// TestDumpNames prints what numbers stand for, as a manifest has it.
func TestDumpNames(t *testing.T) {
	bpffs := mountBPFFS(t)
	ok(t, "apply", "-f", write(t, "tables.yaml", outerFirst), "--bpffs", bpffs)
	equal(t, ok(t, "dump", "--pin", bpffs+"/bpfmap/edge/tables", "--bpffs", bpffs, "-o", "yaml"), "entries:\n- {\"key\": 1, \"value\": \"blue\"}\n")
	file := write(t, "uplinks.yaml", `apiVersion: bpfmap.io/v1alpha1
kind: BPFMap
metadata: {namespace: edge, name: uplinks}
spec: {type: DevMap, maxEntries: 4, entries: [{key: 2, value: lo}]}
`)
	ok(t, "apply", "-f", file, "--bpffs", bpffs)
	equal(t, ok(t, "dump", "-f", file, "--bpffs", bpffs), "2 = lo\nFound 1 element\n")
}

// TestApplyWithoutValues prints the plan of a map that has neither keys nor values.
func TestApplyWithoutValues(t *testing.T) {
	bpffs := mountBPFFS(t)
	file := write(t, "events.yaml", `apiVersion: bpfmap.io/v1alpha1
kind: BPFMap
metadata: {namespace: edge, name: events}
spec: {type: RingBuf, maxEntries: 4096}
`)
	equal(t, run(t, "diff", "-f", file, "--bpffs", bpffs).out, "edge/events: create\n  pin\n")
	equal(t, withoutIDs(ok(t, "apply", "-f", file, "--bpffs", bpffs)), "bpfmap.bpfmap.io/edge/events created (map ID)\n")
	equal(t, ok(t, "diff", "-f", file, "--bpffs", bpffs), "edge/events: in sync\n")
}
