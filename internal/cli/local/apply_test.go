// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package local

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/bpfmap-io/bpfmap-operator/internal/bpf"
)

const blocklist = `apiVersion: bpfmap.io/v1alpha1
kind: BPFMap
metadata: {namespace: edge, name: blocklist}
spec:
  type: LPMTrie
  key: {type: ipv4Prefix}
  value: {fields: [{name: action, type: u8}, {name: rule, type: u32}]}
  maxEntries: 16
  entries:
  - {key: 203.0.113.0/24, value: {action: 1, rule: 7}}
  - {key: 10.0.0.0/8, value: {action: 0, rule: 8}}
`

var mapIDs = regexp.MustCompile(`map \d+`)

// withoutIDs makes output comparable.
func withoutIDs(text string) string { return mapIDs.ReplaceAllString(text, "map ID") }

func TestApplyDiffDelete(t *testing.T) {
	bpffs := mountBPFFS(t)
	file := write(t, "blocklist.yaml", blocklist)
	pin := filepath.Join(bpffs, "bpfmap/edge/blocklist")

	diff := run(t, "diff", "-f", file, "--bpffs", bpffs)
	equal(t, diff.String(), `exit code 1
--- stdout
edge/blocklist: create: 2 entries missing
  + 10.0.0.0/8 = {action: 0, rule: 8}
  + 203.0.113.0/24 = {action: 1, rule: 7}
  pin
--- stderr
`)
	if _, err := os.Stat(pin); err == nil {
		t.Error("diff made the map")
	}
	equal(t, withoutIDs(ok(t, "apply", "-f", file, "--bpffs", bpffs)), "bpfmap.bpfmap.io/edge/blocklist created (map ID, 2 entries)\n")
	equal(t, ok(t, "diff", "-f", file, "--bpffs", bpffs), "edge/blocklist: in sync\n")
	equal(t, withoutIDs(ok(t, "apply", "-f", file, "--bpffs", bpffs)), "bpfmap.bpfmap.io/edge/blocklist unchanged (map ID, 2 entries)\n")

	// What somebody else deletes comes back.
	ok(t, "map", "delete", "--pin", pin, "--key", "203.0.113.0/24")
	equal(t, withoutIDs(ok(t, "apply", "-f", file, "--bpffs", bpffs)), "bpfmap.bpfmap.io/edge/blocklist repaired: 1 entry missing (map ID, 2 entries)\n")

	writeFile(t, file, strings.Replace(blocklist, "rule: 8", "rule: 9", 1))
	equal(t, withoutIDs(ok(t, "apply", "-f", file, "--bpffs", bpffs, "--plan")), `edge/blocklist: update: 1 entry changed
  ~ 10.0.0.0/8: rule 8 → 9
bpfmap.bpfmap.io/edge/blocklist configured (map ID, 2 entries)
`)
	// Typed by the record, without a manifest.
	equal(t, ok(t, "dump", "--pin", pin, "--sort"), `10.0.0.0/8 = {action: 0, rule: 9}
203.0.113.0/24 = {action: 1, rule: 7}
Found 2 elements
`)
	if list := ok(t, "list", "--bpffs", bpffs, "--managed"); !strings.Contains(list, "edge/blocklist") {
		t.Errorf("list doesn't mark the map:\n%s", list)
	}

	equal(t, withoutIDs(ok(t, "delete", "-f", file, "--bpffs", bpffs)), "bpfmap.bpfmap.io/edge/blocklist deleted (map ID)\n")
	equal(t, fails(t, "delete", "-f", file, "--bpffs", bpffs), "Error: bpfmap.bpfmap.io/edge/blocklist is not managed on this machine\n")
	equal(t, ok(t, "delete", "-f", file, "--bpffs", bpffs, "--ignore-not-found"), "")
	// Only the index of owners stays, and it is empty.
	index := filepath.Join(bpffs, "bpfmap", "_state", "_owners")
	if left, err := filepath.Glob(filepath.Join(bpffs, "bpfmap", "*", "*")); err != nil || len(left) != 1 || left[0] != index {
		t.Errorf("left behind: %v (%v)", left, err)
	}
	if left, err := os.ReadDir(index); err != nil || len(left) > 0 {
		t.Errorf("left in the index of owners: %v (%v)", left, err)
	}
}

func TestApplyFromStandardInput(t *testing.T) {
	bpffs := mountBPFFS(t)
	r := runWith(t, blocklist+"---\n"+minimalManifest("second", 4), "apply", "-f", "-", "--bpffs", bpffs)
	equal(t, withoutIDs(r.String()), `exit code 0
--- stdout
bpfmap.bpfmap.io/edge/blocklist created (map ID, 2 entries)
bpfmap.bpfmap.io/default/second created (map ID, 0 entries)
--- stderr
`)
}

func TestApplyNothingIfAnythingIsInvalid(t *testing.T) {
	bpffs := mountBPFFS(t)
	bad := strings.Replace(minimalManifest("bad", 4), "value: {type: u8}", "value: {type: u8}\n  entries: [{key: 1, value: 300}]", 1)
	r := runWith(t, blocklist+"---\n"+bad, "apply", "-f", "-", "--bpffs", bpffs)
	if r.code != 1 || !strings.Contains(r.errOut, "300") || !strings.Contains(r.errOut, "0…255") || !strings.Contains(r.errOut, "nothing was applied") {
		t.Errorf("%s", r)
	}
	if _, err := os.Stat(filepath.Join(bpffs, "bpfmap")); err == nil {
		t.Error("something was applied")
	}
}

func TestApplyStalls(t *testing.T) {
	bpffs := mountBPFFS(t)
	pin := filepath.Join(bpffs, "bpfmap/default/table")
	mkdir(t, filepath.Dir(pin))
	ok(t, "map", "create", "--pin", pin, "--type", "Hash", "--key-size", "4", "--value-size", "2", "--max-entries", "9")
	file := write(t, "table.yaml", minimalManifest("table", 8))
	message := withoutIDs(fails(t, "apply", "-f", file, "--bpffs", bpffs))
	equal(t, message, "Error: bpfmap.bpfmap.io/default/table: Incompatible: map ID at the pin is incompatible with the spec "+
		"(value size: have 2, want 1; maxEntries: have 9, want 8): it was not made by this operator and is not touched\n")
	m, err := bpf.GetPinned(pin, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = m.Close() }()
	if m.ValueSize() != 2 {
		t.Error("the map was replaced")
	}
}

func TestApplyWithoutBPFFS(t *testing.T) {
	file := write(t, "table.yaml", minimalManifest("table", 8))
	if message := fails(t, "apply", "-f", file, "--bpffs", t.TempDir()); !strings.Contains(message, "mount -t bpf bpf") {
		t.Errorf("message %q", message)
	}
}

func TestPerCPUPlan(t *testing.T) {
	bpffs := mountBPFFS(t)
	text := strings.Replace(minimalManifest("hits", 4), "type: Hash", "type: PerCPUHash", 1) + "  entries: [{key: 1, value: 7}]\n"
	r := runWith(t, text, "diff", "-f", "-", "--bpffs", bpffs)
	equal(t, r.out, "default/hits: create: 1 entry missing\n  + 1 = 7 on every CPU\n  pin\n")
}

// TestApplyWithSources takes entries from ConfigMaps and Secrets among the manifests.
func TestApplyWithSources(t *testing.T) {
	bpffs := mountBPFFS(t)
	text := minimalManifest("fed", 8) + `  entriesFrom:
  - {configMapRef: {name: feed, key: list}, format: Lines, value: 5}
  - {secretRef: {name: hidden, key: list.csv}, format: CSV}
  - {configMapSelector: {matchLabels: {team: a}}, format: JSON}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: feed, namespace: default}
data: {list: "1\n2\n"}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: of-team-a, labels: {team: a}}
binaryData: {list: W3sia2V5Ijo0LCJ2YWx1ZSI6N31d}
---
apiVersion: v1
kind: Secret
metadata: {name: hidden}
stringData: {list.csv: "key,value\n3,6\n"}
`
	r := runWith(t, text, "apply", "-f", "-", "--bpffs", bpffs)
	equal(t, withoutIDs(r.String()), "exit code 0\n--- stdout\nbpfmap.bpfmap.io/default/fed created (map ID, 4 entries)\n--- stderr\n")
	equal(t, ok(t, "dump", "--sort", "--pin", filepath.Join(bpffs, "bpfmap/default/fed")), "1 = 5\n2 = 5\n3 = 6\n4 = 7\nFound 4 elements\n")

	r = runWith(t, strings.Replace(text, "{name: feed, namespace: default}", "{name: food}", 1), "validate", "-f", "-")
	if r.code != 1 || !strings.Contains(r.errOut, "spec.entriesFrom[0] (ConfigMap feed, key list): ConfigMap feed does not exist in namespace default among the manifests") {
		t.Errorf("%s", r)
	}
}

func TestFeedSample(t *testing.T) {
	equal(t, ok(t, "validate", "-f", "../../../config/samples/feed", "--cpus", "2"),
		"bpfmap.bpfmap.io/edge/feed is valid (LPMTrie, 4 of 100000 entries, about 27.1Ki, 13.8Mi when full, of kernel memory on a node with 2 CPUs)\n")
}
