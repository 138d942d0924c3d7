// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package local

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
)

// firewall are manifests of a group with values of a type, the one of block4 with more fields.
func firewall(value, more string) string {
	var b strings.Builder
	for _, name := range []string{"block4", "block6", "ports"} {
		fmt.Fprintf(&b, `---
apiVersion: bpfmap.io/v1alpha1
kind: BPFMap
metadata: {namespace: edge, name: %s}
spec: {type: Hash, key: {type: u32}, value: {type: %s}, maxEntries: 4, group: xdp, replacePolicy: Swap, entries: [{key: 1, value: 10}]%s}
`, name, value, more)
		more = ""
	}
	return b.String()
}

var window = regexp.MustCompile(`within [^ ]+`)

// TestApplyGroup replaces the maps of a program all or none, and says why not.
func TestApplyGroup(t *testing.T) {
	bpffs := mountBPFFS(t)
	file := write(t, "maps.yaml", firewall("u8", ""))
	ok(t, "apply", "-f", file, "--bpffs", bpffs)
	ok(t, "map", "update", "--pin", bpffs+"/bpfmap/edge/block4", "--key", "9", "--value", "90", "--bpffs", bpffs)
	writeFile(t, file, firewall("u32", ""))
	r := run(t, "diff", "-f", file, "--bpffs", bpffs)
	if r.code != 1 || !strings.Contains(r.out, "group edge/xdp: nothing is replaced, because of block4 (Incompatible: ") || !strings.HasSuffix(r.out, "): block6, ports would be\n") {
		t.Errorf("diff: %s", r)
	}
	r = run(t, "apply", "-f", file, "--bpffs", bpffs)
	for _, want := range []string{
		"Error: bpfmap.bpfmap.io/edge/block4: Incompatible: ", "Error: bpfmap.bpfmap.io/edge/block6: GroupStalled: it is replaced together",
		"Error: bpfmap.bpfmap.io/edge/ports: GroupStalled: ", "waits for BPFMap block4 (Incompatible: ",
	} {
		if r.code != 1 || r.out != "" || !strings.Contains(r.errOut, want) {
			t.Errorf("apply doesn't say %q: %s", want, r)
		}
	}
	equal(t, run(t, "diff", "-f", write(t, "old.yaml", firewall("u8", "")), "--bpffs", bpffs).out, "edge/block4: in sync\nedge/block6: in sync\nedge/ports: in sync\n")

	writeFile(t, file, firewall("u32", ", syncPolicy: Mirror"))
	if r := run(t, "diff", "-f", file, "--bpffs", bpffs); !strings.HasSuffix(r.out, "group edge/xdp: block4, block6, ports are replaced together\n") {
		t.Errorf("diff: %s", r)
	}
	out := window.ReplaceAllString(withoutIDs(ok(t, "apply", "-f", file, "--bpffs", bpffs)), "within TIME")
	want := ""
	for _, name := range []string{"block4", "block6", "ports"} {
		want += "bpfmap.bpfmap.io/edge/" + name + " replaced: exchanged within TIME together with 2 other maps of group xdp (map ID, 1 entry)\n"
	}
	equal(t, out, want)
	equal(t, ok(t, "diff", "-f", file, "--bpffs", bpffs), "edge/block4: in sync\nedge/block6: in sync\nedge/ports: in sync\n")
}

// TestApplyGroupOfInnerAndOuter gives an inner map and the map of maps that holds it another value.
func TestApplyGroupOfInnerAndOuter(t *testing.T) {
	bpffs := mountBPFFS(t)
	nested := func(value string) string {
		return strings.ReplaceAll(`apiVersion: bpfmap.io/v1alpha1
kind: BPFMap
metadata: {namespace: edge, name: zones}
spec: {type: HashOfMaps, key: {type: u32}, inner: {type: Hash, key: {type: u32}, value: {type: VALUE}, maxEntries: 4}, maxEntries: 4, group: zones, replacePolicy: Swap, entries: [{key: 1, value: blue}]}
---
apiVersion: bpfmap.io/v1alpha1
kind: BPFMap
metadata: {namespace: edge, name: blue}
spec: {type: Hash, key: {type: u32}, value: {type: VALUE}, maxEntries: 4, group: zones, replacePolicy: Swap, entries: [{key: 1, value: 10}]}
`, "VALUE", value)
	}
	file := write(t, "zones.yaml", nested("u32"))
	ok(t, "apply", "-f", file, "--bpffs", bpffs)
	writeFile(t, file, nested("u64"))
	r := run(t, "diff", "-f", file, "--bpffs", bpffs)
	if r.code != 1 || r.errOut != "" || !strings.Contains(r.out, "edge/zones: to be compared with its new inner maps") || !strings.Contains(r.out, "zones, blue are replaced together") {
		t.Errorf("diff: %s", r)
	}
	out := ok(t, "apply", "-f", file, "--bpffs", bpffs)
	if !strings.Contains(out, "edge/blue replaced") || !strings.Contains(out, "edge/zones replaced") {
		t.Errorf("apply: %s", out)
	}
	equal(t, ok(t, "diff", "-f", file, "--bpffs", bpffs), "edge/blue: in sync\nedge/zones: in sync\n")
}

// TestGroupsThatDoNotFit names the field and says what to do.
func TestGroupsThatDoNotFit(t *testing.T) {
	errOut := run(t, "validate", "-f", write(t, "maps.yaml", firewall("u8", ", nodeSelector: {role: edge}"))).errOut
	if !strings.Contains(errOut, "spec.nodeSelector: the BPFMaps of group edge/xdp are for the same nodes, and edge/block4 has another nodeSelector: make them alike") {
		t.Error(errOut)
	}
	errOut = run(t, "validate", "-f", write(t, "maps.yaml", strings.ReplaceAll(firewall("u8", ""), "group: xdp", "group: XDP_firewall"))).errOut
	if !strings.Contains(errOut, `spec.group: "XDP_firewall" is not a DNS label: small letters, digits and '-', at most 63 characters`) {
		t.Error(errOut)
	}
	many := ""
	for i := range 33 {
		many += "---\n" + minimalManifest(fmt.Sprint("map-", i), 4) + "  group: xdp\n"
	}
	errOut = run(t, "validate", "-f", write(t, "maps.yaml", many)).errOut
	if !strings.Contains(errOut, "spec.group: group default/xdp has 33 BPFMaps, at most 32 are possible: take some out of the group, or make two groups") {
		t.Error(errOut)
	}
}
