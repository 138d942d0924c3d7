// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package compile_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/compile"
	"github.com/bpfmap-io/bpfmap-operator/test/golden"
)

const feeds = "../../config/samples/feeds"

// TestPublishedFeeds compiles an excerpt in the format of each published feed.
func TestPublishedFeeds(t *testing.T) {
	files, err := filepath.Glob(feeds + "/*.yaml")
	if err != nil || len(files) < 15 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	listed, err := os.ReadFile(feeds + "/Kustomization")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		base := filepath.Base(file)
		if !strings.Contains(string(listed), "- "+base+"\n") {
			t.Errorf("%s is not in Kustomization", base)
		}
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		golden.Equal(t, filepath.Join("testdata/feeds", strings.TrimSuffix(base, ".yaml")+".golden"), compiledFeed(t, string(text)))
	}
}

// compiledFeed are the entries of a BPFMap behind the ConfigMap that it reads, or what is wrong.
func compiledFeed(t *testing.T, text string) string {
	t.Helper()
	first, second, _ := strings.Cut(text, "\n---\n")
	var data corev1.ConfigMap
	var m v1alpha1.BPFMap
	if err := yaml.UnmarshalStrict([]byte(first), &data); err != nil {
		t.Fatal(err)
	}
	if err := yaml.UnmarshalStrict([]byte(second), &m); err != nil {
		t.Fatal(err)
	}
	var sources []compile.Source
	for i, from := range m.Spec.EntriesFrom {
		content, ok := data.Data[from.ConfigMapRef.Key]
		if !ok {
			t.Fatalf("%s has no key %s", data.Name, from.ConfigMapRef.Key)
		}
		sources = append(sources, compile.Source{Index: i, Name: from.ConfigMapRef.Key, Load: func() ([]byte, error) { return []byte(content), nil }})
	}
	return entriesOf(t, &m, sources)
}

// entriesOf are the entries of a map, one a line, or the problems.
func entriesOf(t *testing.T, m *v1alpha1.BPFMap, sources []compile.Source) string {
	t.Helper()
	rev, err := compile.With(m, sources, nil)
	if err != nil {
		return err.Error() + "\n"
	}
	key, value := layouts(t, rev.KeySchema, &rev.ValueSchema)
	var b strings.Builder
	for i := range rev.Contents.InOrder(rev.Shape) {
		fmt.Fprintf(&b, "%s: %s\n", key.Format(rev.Contents.Key(i)), value.Format(rev.Contents.Value(i)))
	}
	return b.String()
}

// feedOf is a map of one source with a text.
func feedOf(t *testing.T, spec, text string) string {
	t.Helper()
	var m v1alpha1.BPFMap
	m.Namespace, m.Name = "edge", "m"
	if err := yaml.UnmarshalStrict([]byte(spec), &m.Spec); err != nil {
		t.Fatal(err)
	}
	var sources []compile.Source
	for i := range m.Spec.EntriesFrom {
		sources = append(sources, compile.Source{Index: i, Name: "feed", Load: func() ([]byte, error) { return []byte(text), nil }})
	}
	return entriesOf(t, &m, sources)
}

// trie is the spec of a blocklist, and tables one of names; both are followed by what says how the source is read.
const (
	trie  = "type: LPMTrie\nkey: {type: ipv4Prefix}\nvalue: {fields: [{name: a, type: u8}, {name: b, type: u8, default: 9}]}\nmaxEntries: 16\n"
	table = "type: Hash\nkey: {type: string, size: 64}\nvalue: {type: u8}\nmaxEntries: 16\n"
)

func reads(how string) string {
	return "entriesFrom: [{configMapRef: {name: feed, key: x}, " + how + "}]\n"
}

func TestFeeds(t *testing.T) {
	lines := trie + reads("format: Lines, value: {a: 1}")
	for name, c := range map[string]struct{ spec, text, want string }{
		"other family":      {lines, "2001:db8::/32\n192.0.2.1\n2001:db8::1-2001:db8::5\n", "192.0.2.1/32: {a: 1, b: 9}\n"},
		"other family only": {lines, "2001:db8::/32\n2001:db8::1\n", "spec.entriesFrom[0] (feed): holds 2 entries of the other address family and none of the one that the keys have (ipv4Prefix)\n"},
		"partial value":     {trie + reads("format: CSV, value: {b: 5}"), "key,value.a\n192.0.2.1,7\n", "192.0.2.1/32: {a: 7, b: 5}\n"},
		"empty cell":        {trie + reads("format: CSV, value: {a: 3}"), "key,value.a,value.b\n192.0.2.1,,\n", "192.0.2.1/32: {a: 3, b: 9}\n"},
		"wrong value":       {trie + reads("format: CSV, value: {a: 300}"), "key\n192.0.2.1\n", "spec.entriesFrom[0].value.a: 300 is out of range for u8 (0…255)\n"},
		"missing in value":  {trie + reads("format: CSV, value: {b: 3}"), "key\n192.0.2.1\n", "spec.entriesFrom[0] (feed) line 2 value.a: is missing, and has no default\n"},
		"value of JSON":     {trie + reads("format: JSON, value: {a: 3}"), `[{"key": "192.0.2.1"}, {"key": "192.0.2.2", "value": {"b": 1}}]`, "192.0.2.1/32: {a: 3, b: 9}\n192.0.2.2/32: {a: 3, b: 1}\n"},
		"hosts as lines":    {table + reads("format: Lines, value: 1"), "0.0.0.0 ads.example.com\n", "spec.entriesFrom[0] (feed) line 1: is a line of a hosts file, an address and names: use format: Hosts, whose keys are the names\n"},
		"hosts in a trie":   {lines, "0.0.0.0 ads.example.com\n", "spec.entriesFrom[0] (feed) line 1 key: \"0.0.0.0 ads.example.com\" is not a valid IPv4 prefix (such as 192.0.2.0/24) (this looks like format: Hosts)\n"},
		"columns as lines":  {lines, "192.0.2.0/24,5\n", "spec.entriesFrom[0] (feed) line 1 key: \"192.0.2.0/24,5\" is not a valid IPv4 prefix (such as 192.0.2.0/24) (text.separator says what stands between columns, as \",\" may here)\n"},
		"page":              {table + reads("format: Lines, value: 1"), "<!doctype html>\n<p>x\n", "spec.entriesFrom[0] (feed): is a web page (it begins with \"<!doctype html>\"), not a list of entries\n"},
		"members":           {trie + reads("format: JSON"), `{"cidr": "192.0.2.0/24"}`, "spec.entriesFrom[0] (feed): line 1, column 2: unknown field \"cidr\": must be one of key, value, values, expires (mapping says what of an item is the key, and where the items are)\n"},
		"nft as JSON":       {trie + reads("format: JSON"), `{"nftables": []}`, "spec.entriesFrom[0] (feed): line 1, column 2: unknown field \"nftables\": must be one of key, value, values, expires (this looks like format: NFTables)\n"},
		"all filtered":      {trie + reads(`format: JSON, value: {a: 1}, mapping: {filter: "false"}`), `["192.0.2.0/24"]`, "spec.entriesFrom[0] (feed): holds no entries (left out: 1 Filtered): that is refused unless spec.allowEmptySources is true\n"},
		"CEL of one item":   {trie + reads(`format: JSON, value: {a: 1}, mapping: {key: {expression: item.n}}`), "{\"n\": \"192.0.2.0/24\"}\n{}\n", "spec.entriesFrom[0] (feed) line 2: mapping.key.expression: no such key: n\n"},
	} {
		if got := feedOf(t, c.spec, c.text); got != c.want {
			t.Errorf("%s: %s\nwant %s", name, got, c.want)
		}
	}
}

// TestMappingsAreCheckedWithoutATextToRead has no text at all.
func TestMappingsAreCheckedWithoutATextToRead(t *testing.T) {
	for how, want := range map[string]string{
		`format: JSON, mapping: {value: {fields: {c: {path: x}}}}`:           "spec.entriesFrom[0].mapping.value.fields[c]: unknown field c: must be one of a, b",
		`format: JSON, mapping: {value: {fields: {a: {expression: "[1]"}}}}`: "spec.entriesFrom[0].mapping.value.fields[a].expression: makes a list(int), but one of int, uint, double, string is needed",
		`format: JSON, mapping: {key: {expression: "5"}}`:                    "spec.entriesFrom[0].mapping.key.expression: makes a int, but one of string, address, list is needed",
		`format: JSON, mapping: {value: {expression: "item.x == 1"}}`:        "spec.entriesFrom[0].mapping.value.expression: makes a bool, but map is needed",
		`format: JSON, text: {comments: [";"]}`:                              "spec.entriesFrom[0].text: is for the formats Lines, CSV, Hosts, IPSet and P2P, not for JSON",
		`format: Hosts, text: {separator: ";"}`:                              "spec.entriesFrom[0].text: separator, header and columns are for the formats Lines and CSV, not for Hosts",
		`format: CSV, text: {separator: ";;"}`:                               `spec.entriesFrom[0].text: text.separator: ";;" must be one character, and neither a quote nor a line break, for the format CSV`,
		`format: CSV, text: {header: Maybe}`:                                 `spec.entriesFrom[0].text.header: invalid value "Maybe": must be one of Present, None`,
		`format: Lines, hostBits: Cut`:                                       `spec.entriesFrom[0].hostBits: invalid value "Cut": must be one of Error, Mask`,
	} {
		var m v1alpha1.BPFMap
		m.Namespace, m.Name = "edge", "m"
		if err := yaml.UnmarshalStrict([]byte(trie+reads(how)), &m.Spec); err != nil {
			t.Fatal(err)
		}
		if _, err := compile.Outline(&m); err == nil || err.Error() != want {
			t.Errorf("%s: %v\nwant %s", how, err, want)
		}
	}
}
