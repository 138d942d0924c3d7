// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package local

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const everything = `apiVersion: bpfmap.io/v1alpha1
kind: BPFMap
metadata: {namespace: edge, name: everything}
spec:
  type: Hash
  key: {fields: [{name: a, type: u8}, {name: b, type: u16}]}
  value:
    fields:
    - {name: up, type: bool}
    - {name: text, type: string, size: 3}
    - {name: mode, type: u32, bits: 3}
    - {type: padding, bits: 5}
    - {name: to, union: true, fields: [{name: dev, type: ifindex}, {name: mac, type: mac}]}
    - {name: verdict, type: u8, enum: {drop: 1, pass: 2}}
    - {name: dev, type: ifindex}
  maxEntries: 100
  entries:
  - key: {a: 1, b: 2}
    value: {up: true, text: ab, mode: 5, to: {dev: lo}, verdict: pass, dev: lo}
`

// TestDumpAppliedAgain declares what a dump prints of a map in which programs left what no value makes: it changes
// nothing.
func TestDumpAppliedAgain(t *testing.T) {
	bpffs := mountBPFFS(t)
	pin := filepath.Join(bpffs, "bpfmap/edge/everything")
	file := write(t, "everything.yaml", everything)
	ok(t, "apply", "-f", file, "--bpffs", bpffs)
	for key, value := range map[string]string{
		"01ff0200": "0761006205000000010000000000000009000000ffffffff", // odd bool, NUL, dirty key, unknown number
		"02000300": "01616263fd00000002005e1000010000020000ff01000000", // dirty padding, another member
		"02000400": "01616263fd00000002005e1000010003020000ff01000000", // no member
	} {
		ok(t, "map", "update", "--pin", pin, "--key", "hex:"+key, "--value", "hex:"+value)
	}
	before := ok(t, "dump", "--pin", pin, "--sort", "-o", "hex")
	dump := ok(t, "dump", "--pin", pin, "--sort", "-o", "yaml")
	equal(t, dump, `entries:
- {"key": {"a":1,"b":2}, "value": {"up":true,"text":"ab","mode":5,"to":{"dev":"lo"},"verdict":"pass","dev":"lo"}}
- {"key": {"$hex":"01ff0200"}, "value": {"up":{"$hex":"07"},"text":{"$hex":"610062"},"mode":5,"to":{"dev":"lo"},"verdict":9,"dev":4294967295}}
- {"key": {"a":2,"b":3}, "value": {"$hex":"01616263fd00000002005e1000010000020000ff01000000"}}
- {"key": {"a":2,"b":4}, "value": {"$hex":"01616263fd00000002005e1000010003020000ff01000000"}}
`)
	head, _, _ := strings.Cut(everything, "  entries:")
	writeFile(t, file, head+"  "+strings.ReplaceAll(strings.TrimSpace(dump), "\n", "\n  ")+"\n")
	equal(t, run(t, "diff", "-f", file, "--bpffs", bpffs).out, "edge/everything: update\n") // the record, no entry
	ok(t, "apply", "-f", file, "--bpffs", bpffs)
	equal(t, ok(t, "dump", "--pin", pin, "--sort", "-o", "hex"), before)
	equal(t, ok(t, "diff", "-f", file, "--bpffs", bpffs), "edge/everything: in sync\n")

	// What programs change is told by fields.
	ok(t, "map", "update", "--pin", pin, "--key", "hex:01ff0200", "--value", "hex:0061006205000000020000000000000009000000ffffffff")
	ok(t, "map", "update", "--pin", pin, "--key", "hex:01000200", "--value", "hex:016162000400000002005e100001000002000000ff000000")
	equal(t, run(t, "diff", "-f", file, "--bpffs", bpffs).out, `edge/everything: repair drift (Contents): 2 entries changed
  ~ {a: 1, b: 2}: mode 4 → 5, to {mac: 02:00:5e:10:00:01} → {dev: 1}, dev 255 → 1
  ~ {a: 1, b: 2} (padding is not zero): up false → 7, to.dev 2 → 1
`)
}

const ports = `apiVersion: bpfmap.io/v1alpha1
kind: BPFMap
metadata: {namespace: edge, name: NAME}
spec: {type: Array, value: {type: u32}, maxEntries: 1000, entries: [{key: 80, value: 6}]}
---
`

// TestDumpWithoutZeros prints two arrays as one document.
func TestDumpWithoutZeros(t *testing.T) {
	bpffs := mountBPFFS(t)
	file := write(t, "ports.yaml", strings.Replace(ports, "NAME", "tcp", 1)+strings.Replace(ports, "NAME", "udp", 1))
	ok(t, "apply", "-f", file, "--bpffs", bpffs)
	pin := filepath.Join(bpffs, "bpfmap/edge/tcp")
	equal(t, ok(t, "dump", "--pin", pin, "--nonzero"), "80 = 6\nFound 1 element (999 elements of zeros left out)\n")
	equal(t, ok(t, "dump", "--pin", pin, "--nonzero", "-o", "yaml"), "entries:\n- {\"key\": 80, \"value\": 6}\n# 999 elements of zeros left out\n")
	var maps []struct {
		BPFMap   string `json:"bpfMap"`
		Elements []any  `json:"elements"`
		Count    int    `json:"count"`
		Zeros    int    `json:"zeros"`
		Complete bool   `json:"complete"`
	}
	out := ok(t, "dump", "-f", file, "--bpffs", bpffs, "--nonzero", "-o", "json")
	if err := json.Unmarshal([]byte(out), &maps); err != nil || len(maps) != 2 {
		t.Fatalf("%v: %s", err, out)
	}
	for i, name := range []string{"edge/tcp", "edge/udp"} {
		if m := maps[i]; m.BPFMap != name || len(m.Elements) != 1 || m.Count != 1 || m.Zeros != 999 || !m.Complete {
			t.Errorf("%+v", m)
		}
	}
	// A map that isn't there leaves a document as well.
	if err := os.Remove(pin); err != nil {
		t.Fatal(err)
	}
	r := run(t, "dump", "-f", file, "--bpffs", bpffs, "--nonzero", "-o", "json")
	if err := json.Unmarshal([]byte(r.out), &maps); err != nil || len(maps) != 1 || r.code != 1 {
		t.Errorf("%v: %s", err, r)
	}
}
