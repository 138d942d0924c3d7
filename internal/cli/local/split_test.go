// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package local

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/yaml"
)

// splitFeed is a feed in one format, and the source that reads it.
type splitFeed struct {
	file, source string
	args         []string
	line         func(i, value int) string
	header       string
}

func (f splitFeed) text(lines int, changed int) string {
	var b strings.Builder
	b.WriteString(f.header)
	for i := range lines {
		value := i % 5
		if i == changed {
			value = 7
		}
		b.WriteString(f.line(i, value))
	}
	return b.String()
}

func addressOf(i int) string { return fmt.Sprintf("10.%d.%d.%d", i>>16&255, i>>8&255, i&255) }

var splitFeeds = []splitFeed{
	{
		file: "drop.txt", source: `format: Lines, value: 1, text: {separator: ";"}, mapping: {key: {path: "1"}, value: {path: "2"}}`,
		args:   []string{"--separator", ";"},
		line:   func(i, value int) string { return fmt.Sprintf("%s;%d;%0300d # a remark\n", addressOf(i), value, i) },
		header: "# a list\n\n",
	},
	{
		file: "blocks.csv", source: `format: CSV, mapping: {key: {path: network}, value: {path: v}}`, args: []string{"--by", "network"},
		line: func(i, value int) string {
			return fmt.Sprintf("\"some \"\"text\"\",\n%0300d\",%s,%d\n", i, addressOf(i), value)
		},
		header: "# a table\ntext,network,v\n",
	},
	{
		file: "drop.json", source: `format: JSON, mapping: {filter: has(item.cidr), key: {path: cidr}, value: {path: v}}`,
		line: func(i, value int) string {
			return fmt.Sprintf("{\"cidr\":%q,\"note\":\"%0300d\",\"v\":%d}\n", addressOf(i), i, value)
		},
		header: "{\"type\":\"metadata\"}\n",
	},
	{
		file: "odd.txt", source: `format: Lines, value: 1, text: {separator: "\t"}, mapping: {key: {path: "1"}, value: {path: "2"}}`,
		args: []string{"--separator", "\t", "--comment", ""},
		line: func(i, value int) string { return fmt.Sprintf("%s\t%d\té\u0085\\\"%0300d\n", addressOf(i), value, i) },
	},
}

func (f splitFeed) manifest(from string) string {
	return `apiVersion: bpfmap.io/v1alpha1
kind: BPFMap
metadata: {name: feed, namespace: edge}
spec:
  type: Hash
  key: {type: ipv4}
  value: {type: u32}
  maxEntries: 100000
  entriesFrom: [{` + from + `, ` + f.source + `}]
`
}

// digestOf is what a manifest compiles to with its sources.
func digestOf(t *testing.T, paths ...string) string {
	t.Helper()
	var in inputFlags
	c := newValidate()
	c.SetContext(t.Context())
	in.paths = paths
	maps, ok, err := in.compile(c)
	if err != nil || !ok || len(maps) != 1 {
		t.Fatalf("compile %v: %d maps, %v", paths, len(maps), err)
	}
	return maps[0].rev.Contents.Digest()
}

// TestSplitRoundTrip makes the same entries of the ConfigMaps as of the file, and changes one of them with one line.
func TestSplitRoundTrip(t *testing.T) {
	const lines = 8_000
	for _, f := range splitFeeds {
		for _, gzipped := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, gzip %v", f.file, gzipped), func(t *testing.T) {
				dir := t.TempDir()
				file, out := filepath.Join(dir, f.file), filepath.Join(dir, "out")
				mkdir(t, out)
				args := append([]string{"split", file, "-n", "edge", "--name", "feed", "--output-dir", out}, f.args...)
				if gzipped {
					args = append(args, "--gzip", "--parts", "4")
				}
				writeFile(t, file, f.text(lines, -1))
				writeFile(t, filepath.Join(out, "feed-99.yaml"), "kind: List\n") // somebody else's
				writeFile(t, filepath.Join(out, "feed-98.yaml"), splitMark+"of an earlier run\n")
				equal(t, ok(t, args...), out+": 4 ConfigMaps, 4 files written, 0 unchanged, 1 removed\n")
				if err := os.Remove(filepath.Join(out, "feed-99.yaml")); err != nil {
					t.Fatal(err)
				}
				whole := write(t, "whole.yaml", f.manifest(fmt.Sprintf("file: {path: %q}", file)))
				selected := write(t, "selected.yaml", f.manifest("configMapSelector: {matchLabels: {bpfmap.io/feed: feed}}"))
				before := digestOf(t, whole)
				equal(t, digestOf(t, selected, out), before)

				writeFile(t, file, f.text(lines, 4711))
				equal(t, ok(t, args...), out+": 4 ConfigMaps, 1 file written, 3 unchanged, 0 removed\n")
				after := digestOf(t, whole)
				equal(t, digestOf(t, selected, out), after)
				if before == after {
					t.Error("the change of a line changes no entry")
				}
				equal(t, ok(t, args...), out+": 4 ConfigMaps, 0 files written, 4 unchanged, 0 removed\n")
			})
		}
	}
}

// TestSplitOutput writes manifests that the API server takes, below its bound, one after the other.
func TestSplitOutput(t *testing.T) {
	f := splitFeeds[0]
	file := write(t, "1234.txt", f.text(9_000, -1))
	d := yaml.NewYAMLOrJSONDecoder(strings.NewReader(ok(t, "split", file, "--label", "feed=12", "--label", "a.b/c=")), 1<<20)
	lines := 0
	for i := range 4 {
		var m corev1.ConfigMap
		if err := d.Decode(&m); err != nil {
			t.Fatal(err)
		}
		data := m.Data["1234.txt"]
		if want := fmt.Sprintf("1234-%02d", i); m.Name != want || m.Labels["feed"] != "12" || len(m.Labels) != 2 || len(data) > maxPartBytes {
			t.Errorf("ConfigMap %s with %v has %d bytes, want %s", m.Name, m.Labels, len(data), want)
		}
		lines += strings.Count(data, "\n")
	}
	if lines != 9_000 {
		t.Errorf("%d lines, want 9000", lines)
	}
}

// TestSplitDocument is one List with the same ConfigMaps as the stream, and says what was done to files.
func TestSplitDocument(t *testing.T) {
	file := write(t, "list.txt", splitFeeds[3].text(9_000, -1))
	for _, gzipped := range []bool{false, true} {
		args := []string{"split", file, "-n", "edge", "--parts", "4", "--label", "feed=12", fmt.Sprintf("--gzip=%v", gzipped)}
		var list corev1.ConfigMapList
		sameDocuments(t, &list, 0, args...)
		if list.Kind != "List" || list.APIVersion != "v1" || len(list.Items) != 4 {
			t.Fatalf("%s %s with %d items", list.APIVersion, list.Kind, len(list.Items))
		}
		d := yaml.NewYAMLOrJSONDecoder(strings.NewReader(ok(t, args...)), 1<<20)
		for i := range list.Items {
			var want corev1.ConfigMap
			if err := d.Decode(&want); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, list.Items[i]); diff != "" {
				t.Errorf("gzip %v: (-stream +List)\n%s", gzipped, diff)
			}
		}
	}
	out := filepath.Join(t.TempDir(), "out")
	args := []string{"split", write(t, "two.txt", "a\nb\n"), "--parts", "1", "--output-dir", out}
	var did splitFiles
	sameDocuments(t, &did, 0, args...) // written by the YAML, found by the JSON
	mkdirAndWrite(t, out, "two-00.yaml", splitMark)
	mkdirAndWrite(t, out, "two-07.yaml", splitMark)
	equal(t, ok(t, append(args, "-o", "yaml")...), "folder: "+out+"\nremoved:\n- two-07.yaml\nunchanged: []\nwritten:\n- two-00.yaml\n")
	if diff := cmp.Diff(splitFiles{out, []string{}, []string{"two-00.yaml"}, []string{}}, did); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func mkdirAndWrite(t *testing.T, folder, name, text string) {
	t.Helper()
	if err := os.MkdirAll(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	writeFile(t, filepath.Join(folder, name), text)
}

// TestSplitIsStable cuts as other releases do: else an update of this program changes every ConfigMap.
func TestSplitIsStable(t *testing.T) {
	file := write(t, "list.txt", "192.0.2.1\n# when\n192.0.2.2 # why\n 192.0.2.3\r\n192.0.2.4\n")
	equal(t, ok(t, "split", file, "-n", "edge", "--parts", "2"), `# Written by bpfmap split: part 0 of 2 of "list.txt".
apiVersion: v1
kind: ConfigMap
metadata:
  name: list-00
  namespace: edge
  labels:
    bpfmap.io/feed: list
data:
  list.txt: |
    192.0.2.2 # why
---
# Written by bpfmap split: part 1 of 2 of "list.txt".
apiVersion: v1
kind: ConfigMap
metadata:
  name: list-01
  namespace: edge
  labels:
    bpfmap.io/feed: list
data:
  list.txt: |
    192.0.2.1
     192.0.2.3
    192.0.2.4
`)
}

// TestSplitRefuses names file, line, bound and the way out.
func TestSplitRefuses(t *testing.T) {
	long := write(t, "long.txt", "a\n"+strings.Repeat("b", maxPartBytes)+"\n")
	comments := write(t, "comments.txt", "# nothing\n\n")
	list := write(t, "list.json", "[\n  1\n]\n")
	page := write(t, "page.txt", "<!DOCTYPE html>\n")
	latin := write(t, "latin.txt", "a\nb\xe9\n")
	table := write(t, "table.csv", "a,b\n1,2\n3\n")
	same := write(t, "same.csv", "a,b\n"+strings.Repeat("x,"+strings.Repeat("y", 1000)+"\n", 1000))
	two := write(t, "two.txt", "a\nb\n")
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{long}, "line 2: has 921601 bytes with the header, at most 921600 are possible"},
		{[]string{comments}, "has no lines but comments and a header"},
		{[]string{list}, "line 1: is not a JSON value of its own: only JSON lines can be cut; jq -c '.[]' makes them of a list"},
		{[]string{page}, "is a web page"},
		{[]string{latin}, "line 2: is not UTF-8"},
		{[]string{table, "--by", "c"}, "line 2: --by c: there is no such column (there are a, b)"},
		{[]string{table, "--by", "b"}, "line 3: has 1 columns, too few for column 2"},
		{[]string{table, "--separator", "::"}, "--separator \"::\": must be one character for CSV"},
		{[]string{two, "--separator", ";", "--by", "x"}, "line 1: --by x: must be the number of a column, from 1"},
		{[]string{two, "--separator", ";", "--by", "2"}, "line 1: --by 2: must be between 1 and 1, the number of columns"},
		{[]string{same}, "or a column with more different values by --by"},
		{[]string{same, "--by", "b", "--parts", "1"}, "part 0 of 1 has 1003004 bytes, at most 921600 are possible: choose more --parts (up to 256), --gzip"},
		{[]string{same, "--gzip", "--parts", "1"}, ""},
		{[]string{two, "--parts", "3"}, "has no lines, and a ConfigMap without entries is refused: choose fewer --parts"},
		{[]string{two, "--parts", "257"}, "--parts 257: must be between 1 and 256"},
		{[]string{two, "--name", "A_b"}, "--name A_b: is not the beginning of a valid name of a ConfigMap"},
		{[]string{two, "--key", "a/b"}, "--key a/b: is not a valid key of a ConfigMap"},
		{[]string{two, "-n", "A"}, "--namespace A: is not a valid namespace"},
		{[]string{two, "--label", "a"}, "--label a: must be KEY=VALUE, with each key once"},
		{[]string{two, "--label", "a=b c"}, "--label a=b c: is not a valid label"},
		{[]string{"/nowhere.txt"}, "no such file or directory"},
	} {
		if c.want == "" {
			ok(t, append([]string{"split"}, c.args...)...)
			continue
		}
		if got := fails(t, append([]string{"split"}, c.args...)...); !strings.Contains(got, c.want) {
			t.Errorf("split %v: %q, want %q", c.args, got, c.want)
		}
	}
}
