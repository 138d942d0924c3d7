// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package local

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sigs.k8s.io/yaml"

	"github.com/bpfmap-io/bpfmap-operator/internal/bpf"
	"github.com/bpfmap-io/bpfmap-operator/internal/cli/inventory"
	"github.com/bpfmap-io/bpfmap-operator/internal/cli/terminal"
)

// sameDocuments wants -o json and -o yaml to be one document each, of the same contents.
func sameDocuments(t *testing.T, into any, code int, args ...string) {
	t.Helper()
	for _, format := range []string{"yaml", "json"} {
		r := run(t, append(args, "-o", format)...)
		if r.code != code {
			t.Fatalf("%v: want exit code %d:\n%s", args, code, r)
		}
		text := []byte(r.out)
		if format == "yaml" {
			var err error
			if text, err = yaml.YAMLToJSON(text); err != nil {
				t.Fatalf("%v -o %s: %v\n%s", args, format, err, r)
			}
		}
		d := json.NewDecoder(bytes.NewReader(text))
		d.DisallowUnknownFields()
		if err := d.Decode(into); err != nil {
			t.Fatalf("%v -o %s: %v\n%s", args, format, err, r)
		}
		if isJSON := json.Valid([]byte(r.out)); isJSON != (format == "json") {
			t.Errorf("%v -o %s: JSON %t\n%s", args, format, isJSON, r)
		}
	}
}

// TestDiffDocuments: what is printed for programs has the values before and after, as a manifest has them.
func TestDiffDocuments(t *testing.T) {
	bpffs := mountBPFFS(t)
	file := write(t, "blocklist.yaml", blocklist)
	var all struct{ Maps []plannedMap }
	sameDocuments(t, &all, diffFound, "diff", "-f", file, "--bpffs", bpffs)
	if m := all.Maps[0]; len(all.Maps) != 1 || m.BPFMap != "edge/blocklist" || m.Action != "create" || m.Added != 2 || len(m.Entries) != 2 || !m.Pin {
		t.Errorf("%+v", all)
	}
	ok(t, "apply", "-f", file, "--bpffs", bpffs)
	all.Maps = nil
	sameDocuments(t, &all, 0, "diff", "-f", file, "--bpffs", bpffs)
	if m := all.Maps[0]; m.Action != "" || len(m.Entries) != 0 {
		t.Errorf("in sync: %+v", m)
	}
	pin := filepath.Join(bpffs, "bpfmap/edge/blocklist")
	ok(t, "map", "update", "edge/blocklist", "--bpffs", bpffs, "--key", "10.0.0.0/8", "--value", "{action: 3, rule: 8}")
	ok(t, "map", "delete", "--pin", pin, "--key", "203.0.113.0/24")
	writeFile(t, file, strings.Replace(blocklist, "action: 1, rule: 7", "action: 1, rule: 9", 1))
	equal(t, run(t, "diff", "edge/blocklist", "-f", file, "--bpffs", bpffs).out, `edge/blocklist: update: 1 entry missing, 1 changed
  + 203.0.113.0/24 = {action: 1, rule: 9}
  ~ 10.0.0.0/8: action 3 → 0
`)
	all.Maps = nil
	sameDocuments(t, &all, diffFound, "diff", "-f", file, "--bpffs", bpffs)
	got, err := json.Marshal(all.Maps[0].Entries)
	if err != nil {
		t.Fatal(err)
	}
	equal(t, string(got), `[{"change":"added","key":"203.0.113.0/24","to":{"action":1,"rule":9}},`+
		`{"change":"changed","key":"10.0.0.0/8","from":{"action":3,"rule":8},"to":{"action":0,"rule":8}}]`)
	equal(t, run(t, "diff", "edge/none", "-f", file, "--bpffs", bpffs).String(), result{code: diffFailed, errOut: "Error: no valid BPFMap edge/none is in the manifests\n"}.String())
}

// TestDiffMaxLines: as many lines as are asked for, with the values that are there.
func TestDiffMaxLines(t *testing.T) {
	bpffs := mountBPFFS(t)
	entries := func(value string) string {
		var b strings.Builder
		b.WriteString(minimalManifest("many", 500) + "  entries:\n")
		for i := range 300 {
			fmt.Fprintf(&b, "  - {key: %d, value: %s}\n", i, value)
		}
		return b.String()
	}
	file := write(t, "many.yaml", entries("1"))
	ok(t, "apply", "-f", file, "--bpffs", bpffs)
	writeFile(t, file, entries("2"))
	for want, args := range map[string][]string{"… and 200 more": nil, "… and 290 more": {"--max-lines", "10"}, "": {"--all"}, "~ 299: 1 → 2": {"--max-lines=-1"}} {
		out := run(t, append([]string{"diff", "-f", file, "--bpffs", bpffs}, args...)...).out
		if want == "" && (strings.Contains(out, "more") || strings.Count(out, ": 1 → 2\n") != 300) || !strings.Contains(out, want) {
			t.Errorf("%v: want %q in %d lines", args, want, strings.Count(out, "\n"))
		}
	}
}

// TestApplyDocuments: apply, with --dry-run and --prune, and delete.
func TestApplyDocuments(t *testing.T) {
	bpffs := mountBPFFS(t)
	dir := t.TempDir()
	one, two := filepath.Join(dir, "one.yaml"), filepath.Join(dir, "two.yaml")
	writeFile(t, one, blocklist)
	writeFile(t, two, strings.ReplaceAll(blocklist, "name: blocklist", "name: other"))
	apply := []string{"apply", "-f", dir, "--bpffs", bpffs, "-n", "edge"}

	equal(t, ok(t, append(apply, "--dry-run")...), `bpfmap.bpfmap.io/edge/blocklist created: 2 entries missing (dry run)
bpfmap.bpfmap.io/edge/other created: 2 entries missing (dry run)
`)
	if maps := ok(t, "list", "--bpffs", bpffs, "--managed"); strings.Count(maps, "\n") != 1 {
		t.Errorf("a dry run made maps:\n%s", maps)
	}
	var all struct{ Maps []appliedMap }
	r := run(t, append(apply, "-o", "json")...)
	if err := json.Unmarshal([]byte(r.out), &all); err != nil || r.code != 0 {
		t.Fatalf("%v\n%s", err, r)
	}
	if m := all.Maps[0]; len(all.Maps) != 2 || m.BPFMap != "edge/blocklist" || m.Action != "created" || m.MapID == 0 || m.Entries == nil || *m.Entries != 2 {
		t.Errorf("%+v", all)
	}
	// A map of a namespace that isn't in the scope stays, whatever is declared.
	ok(t, "apply", "-f", write(t, "core.yaml", strings.Replace(blocklist, "namespace: edge", "namespace: core", 1)), "--bpffs", bpffs)

	writeFile(t, two, "# nothing any more\n")
	equal(t, ok(t, append(apply, "--prune", "--dry-run")...), "bpfmap.bpfmap.io/edge/blocklist unchanged (dry run)\nbpfmap.bpfmap.io/edge/other pruned (dry run)\n")
	// Nothing is pruned beside a manifest that isn't valid.
	writeFile(t, two, minimalManifest("bad", 0))
	if r := run(t, append(apply, "--prune")...); r.code != 1 || !strings.Contains(r.errOut, "nothing was applied") || r.out != "" {
		t.Errorf("want nothing to happen:\n%s", r)
	}
	ok(t, "dump", "edge/other", "--bpffs", bpffs)
	writeFile(t, two, "# nothing any more\n")
	equal(t, withoutIDs(ok(t, append(apply, "--prune")...)), "bpfmap.bpfmap.io/edge/blocklist unchanged (map ID, 2 entries)\nbpfmap.bpfmap.io/edge/other pruned, deleted (map ID)\n")
	if r := run(t, "dump", "edge/other", "--bpffs", bpffs); r.code != 1 {
		t.Errorf("the map is still there:\n%s", r)
	}
	ok(t, "dump", "core/blocklist", "--bpffs", bpffs)
	if out := ok(t, append(apply, "--prune")...); strings.Contains(out, "pruned") {
		t.Errorf("pruned twice:\n%s", out)
	}

	equal(t, withoutIDs(ok(t, "delete", "edge/blocklist", "--bpffs", bpffs)), "bpfmap.bpfmap.io/edge/blocklist deleted (map ID)\n")
	all.Maps = nil
	sameDocuments(t, &all, 1, "delete", "edge/blocklist", "--bpffs", bpffs)
	if m := all.Maps[0]; m.Action != "failed" || m.Error != "is not managed on this machine" {
		t.Errorf("%+v", m)
	}
}

// TestListFilters: by namespace, type and name, and without the operator's own records.
func TestListFilters(t *testing.T) {
	bpffs := mountBPFFS(t)
	ok(t, "apply", "-f", write(t, "a.yaml", blocklist), "--bpffs", bpffs)
	ok(t, "apply", "-f", write(t, "b.yaml", minimalManifest("rate-one", 10)), "--bpffs", bpffs)
	lines := func(args ...string) int {
		return strings.Count(ok(t, append([]string{"list", "--bpffs", bpffs, "--managed"}, args...)...), "\n") - 1
	}
	for _, c := range []struct {
		want int
		args []string
	}{
		{2, nil}, {1, []string{"-n", "edge"}}, {0, []string{"-n", "none"}}, {1, []string{"--type", "LPMTrie"}}, {1, []string{"--type", "BPF_MAP_TYPE_HASH"}},
		{1, []string{"--name", "rate-*"}}, {1, []string{"--name", "default/rate-one"}}, {1, []string{"--name", "blocklist"}}, {0, []string{"--name", "block"}},
		{4, []string{"--all"}},
	} {
		if got := lines(c.args...); got != c.want {
			t.Errorf("%v: %d maps, want %d", c.args, got, c.want)
		}
	}
	var all struct{ Maps []mapInfo }
	sameDocuments(t, &all, 0, "list", "--bpffs", bpffs, "-n", "edge")
	if m := all.Maps[0]; m.Owner != "edge/blocklist" || m.EntryCount == nil || *m.EntryCount != 2 {
		t.Errorf("%+v", m)
	}
}

const faulty = `apiVersion: bpfmap.io/v1alpha1
kind: BPFMap
metadata: {namespace: edge, name: bad}
spec:
  type: Hash
  key: {type: u32}
  value: {type: u8}
  maxEntries: 2
  pin: {path: tc/globals/bad}
  entries: [{key: 1, value: 300}]
`

// TestValidateForCI: annotations, SARIF and JUnit have file, line and column of each problem.
func TestValidateForCI(t *testing.T) {
	bad, good := write(t, "bad,1.yaml", faulty), write(t, "good.yaml", strings.Replace(blocklist, "maxEntries: 16", "maxEntries: 16\n  pin: {path: tc/globals/good}", 1))
	broken := write(t, "broken.yaml", "a: [\n")
	args := []string{"validate", "-f", bad, "-f", good, "-f", broken}

	github := run(t, append(args, "-o", "github")...)
	for _, want := range []string{
		"::error file=" + strings.ReplaceAll(bad, ",", "%2C") + ",line=10,col=22,title=edge/bad::spec.entries[0].value: 300 is out of range for u8 (0…255)\n",
		"::error file=" + broken + ",line=", "::warning file=" + good + ",line=9,col=9,title=edge/blocklist::spec.pin.path: pin tc/globals/good is not below bpfmap/edge",
		"agent.allowedPinPrefixes: {edge: [tc/globals]}",
	} {
		if github.code != 1 || !strings.Contains(github.out, want) {
			t.Errorf("want %q:\n%s", want, github)
		}
	}

	var sarif struct {
		Version string
		Runs    []struct {
			Results []struct {
				Level     string
				Locations []struct {
					PhysicalLocation struct {
						ArtifactLocation struct{ URI string }
						Region           struct{ StartLine, StartColumn int }
					}
				}
			}
		}
	}
	if err := json.Unmarshal([]byte(run(t, append(args, "-o", "sarif")...).out), &sarif); err != nil {
		t.Fatal(err)
	}
	found := false
	for _, r := range sarif.Runs[0].Results {
		at := r.Locations[0].PhysicalLocation
		found = found || r.Level == "error" && at.Region.StartLine == 10 && at.Region.StartColumn == 22 && at.ArtifactLocation.URI == "file://"+bad
	}
	if !found || sarif.Version != "2.1.0" || len(sarif.Runs[0].Results) != 3 {
		t.Errorf("%+v", sarif)
	}

	var suites junitSuites
	if err := xml.Unmarshal([]byte(run(t, append(args, "-o", "junit")...).out), &suites); err != nil {
		t.Fatal(err)
	}
	if s := suites.Suite; s.Tests != 3 || s.Failures != 2 || len(s.Cases) != 3 {
		t.Errorf("%+v", s)
	}
	for _, c := range suites.Suite.Cases {
		if isGood := c.Name == "edge/blocklist"; isGood != (c.Failure == nil) || isGood != strings.Contains(c.Output, "allowedPinPrefixes") {
			t.Errorf("%+v", c)
		}
	}

	var report validationReport
	sameDocuments(t, &report, 1, args...)
	if report.Valid || len(report.Maps) != 2 || report.Maps[0].Valid || !report.Maps[1].Valid || report.Maps[1].MemoryBytes == 0 {
		t.Errorf("%+v", report)
	}
}

// TestMissingSources: a feed that is in the cluster alone needn't keep the rest from being checked.
func TestMissingSources(t *testing.T) {
	text := minimalManifest("feed", 10) + `  entriesFrom:
  - {configMapRef: {name: in-cluster, key: f}, limits: {minEntries: 5}, format: Lines, value: 1}
  - {configMapRef: {name: here, key: f}, format: Lines, value: 1}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: here}
data: {f: "1\n2\n"}
`
	file := write(t, "feed.yaml", text)
	if r := run(t, "validate", "-f", file); r.code != 1 || !strings.Contains(r.errOut, "ConfigMap in-cluster does not exist") {
		t.Errorf("want an error:\n%s", r)
	}
	r := run(t, "validate", "-f", file, "--missing-sources=ignore")
	if r.code != 0 || !strings.Contains(r.errOut, "Warning: default/feed: spec.entriesFrom[0]: not checked: ConfigMap in-cluster, key f: ") || !strings.Contains(r.out, "2 of 10 entries") {
		t.Errorf("want a warning:\n%s", r)
	}
	writeFile(t, file, strings.Replace(text, `"1\n2\n"`, `"1\nx\n"`, 1))
	if r := run(t, "validate", "-f", file, "--missing-sources=ignore"); r.code != 1 || !strings.Contains(r.errOut, "spec.entriesFrom[1]") {
		t.Errorf("want the problem of the source that is there:\n%s", r)
	}
}

// TestTopView: what changed per second, in an order, in frames that fit the terminal and are written in one piece.
func TestTopView(t *testing.T) {
	count := func(n int64) *int64 { return &n }
	info := func(id uint32, typ bpf.MapType, name, owner string, maxEntries uint32, n *int64) mapInfo {
		return infoOf(&inventory.Map{Info: bpf.Info{ID: id, Type: typ, Name: name, MaxEntries: maxEntries}, Owner: owner, Entries: n, Memlock: uint64(id) << 10})
	}
	v := topView{sort: sortFill}
	start := time.Unix(1000, 0)
	v.take([]mapInfo{info(1, bpf.Hash, "a", "edge/a-map-with-a-rather-long-name-of-its-own", 1000, count(10)), info(2, bpf.LPMTrie, "b", "", 100, count(95)), info(3, bpf.Array, "c\x1b[2J", "", 4, nil)}, start)
	v.take([]mapInfo{info(1, bpf.Hash, "a", "edge/a-map-with-a-rather-long-name-of-its-own", 1000, count(260)), info(2, bpf.LPMTrie, "b", "", 100, count(90)), info(3, bpf.Array, "c\x1b[2J", "", 4, nil)}, start.Add(2*time.Second))
	order := func() (ids []uint32) {
		for i := range v.maps {
			ids = append(ids, v.maps[i].ID)
		}
		return ids
	}
	for key, want := range map[byte][]uint32{'f': {2, 1, 3}, 'e': {1, 2, 3}, 'c': {1, 2, 3}, 'm': {3, 2, 1}, 'i': {1, 2, 3}, 'n': {2, 3, 1}} {
		v.key(key)
		if got := order(); len(got) != 3 || got[0] != want[0] || got[1] != want[1] {
			t.Errorf("by %c: %v, want %v", key, got, want)
		}
	}
	v.key('f')
	var b strings.Builder
	for _, width := range []int{80, 160} {
		o := terminal.Simulated(&b, width, true)
		frame := string(terminal.Frame(v.lines(o, 2*time.Second)))
		if !strings.HasPrefix(frame, "\x1b[H") || !strings.HasSuffix(frame, "\x1b[K\x1b[J") || strings.Contains(frame, "\x1b[2J") {
			t.Errorf("frame %q", frame)
		}
		for _, want := range []string{"+125", "-2.5", "90%", `c\u001b[2J`, "\x1b[33m90%\x1b[0m"} {
			if !strings.Contains(frame, want) {
				t.Errorf("%d columns: %s is missing in %q", width, want, frame)
			}
		}
		lines := strings.Split(frame, "\r\n")
		for _, line := range lines {
			if !strings.HasSuffix(strings.TrimSuffix(line, "\x1b[J"), "\x1b[K") {
				t.Errorf("a line leaves what was there: %q", line)
			}
		}
		if wide := strings.Contains(frame, "FROZEN"); wide != (width == 160) {
			t.Errorf("%d columns: wide %t", width, wide)
		}
	}
	if b.Len() > 0 {
		t.Error("making a frame writes to the terminal")
	}
}

// TestTopOnce prints one table where nobody looks at a terminal.
func TestTopOnce(t *testing.T) {
	bpffs := mountBPFFS(t)
	ok(t, "apply", "-f", write(t, "a.yaml", blocklist), "--bpffs", bpffs)
	out := ok(t, "top", "--bpffs", bpffs, "--managed", "-i", "100ms")
	if strings.Contains(out, "\x1b") || strings.Count(out, "\n") != 2 || !strings.Contains(out, "edge/blocklist        2   16   12%         0") {
		t.Errorf("%q", out)
	}
	var all struct{ Maps []topMap }
	if err := json.Unmarshal([]byte(ok(t, "top", "--bpffs", bpffs, "--managed", "-i", "100ms", "-o", "json")), &all); err != nil {
		t.Fatal(err)
	}
	if m := all.Maps[0]; m.FillPercent == nil || *m.FillPercent != 12.5 || m.ChangePerSecond == nil || *m.ChangePerSecond != 0 {
		t.Errorf("%+v", m)
	}
}
