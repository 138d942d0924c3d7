// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package compile_test

import (
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/compile"
)

// ports is a trie of interfaces and ports with one source.
func ports(t *testing.T, format v1alpha1.SourceFormat, more string) *v1alpha1.BPFMap {
	t.Helper()
	m := &v1alpha1.BPFMap{}
	text := `
metadata: {namespace: edge, name: ports}
spec:
  type: LPMTrie
  key: {fields: [{name: dev, type: ifindex}, {name: port, type: be16, prefix: true}]}
  value: {type: u8, default: 1}
  maxEntries: 8
  entriesFrom: [{configMapRef: {name: feed, key: ports}, format: ` + string(format) + "}]\n" + more
	if err := yaml.UnmarshalStrict([]byte(text), m); err != nil {
		t.Fatal(err)
	}
	return m
}

func feed(text string) []compile.Source {
	return []compile.Source{{Name: "feed", Version: text, Load: func() ([]byte, error) { return []byte(text), nil }}}
}

// TestRangesInSources: a range is the same in every format, and what the cache keeps of it.
func TestRangesInSources(t *testing.T) {
	const inline = `  entries:
  - {key: {dev: eth0, port: 8000-8063}}
  - {key: {dev: eth0, port: 8064-8127}}
  - {key: {dev: eth1, port: 53}, value: 2}
  allowEmptySources: true
`
	want, err := compile.With(ports(t, v1alpha1.SourceCSV, inline), feed("key.dev,key.port,value\n"), nil)
	if err != nil {
		t.Fatal(err)
	}
	if want.Contents.Len != 3 {
		t.Fatalf("%d entries", want.Contents.Len)
	}
	for format, text := range map[v1alpha1.SourceFormat]string{
		v1alpha1.SourceCSV:  "key.dev,key.port,value\neth0,8000-8127,1\neth1, 53 ,2\n",
		v1alpha1.SourceJSON: `[{"key": {"dev": "eth0", "port": "8000-8127"}}, {"key": {"dev": "eth1", "port": 53}, "value": 2}]`,
		v1alpha1.SourceYAML: "- {key: {dev: eth0, port: 8000-8127}}\n- {key: {dev: eth1, port: 53}, value: 2}\n",
	} {
		cache := compile.NewCache()
		for range 2 {
			rev, err := compile.With(ports(t, format, ""), feed(text), cache)
			if err != nil {
				t.Errorf("%s: %v", format, err)
				break
			}
			if rev.Digest != want.Digest {
				key, value := layouts(t, rev.KeySchema, &rev.ValueSchema)
				for i := range rev.Contents.InOrder(rev.Shape) {
					t.Logf("%s = %s", key.Format(rev.Contents.Key(i)), value.Format(rev.Contents.Value(i)))
				}
				t.Errorf("%s: %d entries of another digest", format, rev.Contents.Len)
			}
		}
	}
}

// TestRangesInLines: a feed of prefixes may hold ranges, and has no value but the schema's default.
func TestRangesInLines(t *testing.T) {
	m := &v1alpha1.BPFMap{}
	if err := yaml.UnmarshalStrict([]byte(`
metadata: {namespace: edge, name: blocklist}
spec:
  type: LPMTrie
  key: {type: ipv4Prefix}
  value: {fields: [{name: action, type: u8, default: 1}, {name: rule, type: u32, default: 9}]}
  maxEntries: 8
  entriesFrom: [{configMapRef: {name: feed, key: lines}, format: Lines}]
`), m); err != nil {
		t.Fatal(err)
	}
	rev, err := compile.With(m, feed("192.0.2.0-192.0.2.2\n198.51.100.0/24\n"), nil)
	if err != nil {
		t.Fatal(err)
	}
	key, value := layouts(t, rev.KeySchema, &rev.ValueSchema)
	var got []string
	for i := range rev.Contents.InOrder(rev.Shape) {
		got = append(got, key.Format(rev.Contents.Key(i))+" "+value.Format(rev.Contents.Value(i)))
	}
	if text, want := strings.Join(got, ", "), "192.0.2.0/31 {action: 1, rule: 9}, 192.0.2.2/32 {action: 1, rule: 9}, 198.51.100.0/24 {action: 1, rule: 9}"; text != want {
		t.Errorf("%s, want %s", text, want)
	}
}

// TestConflictsOfRanges: entries conflict in the prefixes that they share, not in the ports.
func TestConflictsOfRanges(t *testing.T) {
	for _, c := range []struct{ more, text, want string }{
		{"", strings.Repeat("eth0,8000-8127\n", 2), ""},
		{"  entries: [{key: {dev: eth0, port: 8000-8063}, value: 7}]\n", "eth0,8000-8127\n", "line 2: holds the same prefix as entries[0]: {dev: eth0, port: 8000-8063}, with another value"},
		{"", "eth0,0-65535\neth0,8000-8127\neth1,8000-8127\n", ""},
		{"  conflictPolicy: First\n", strings.Repeat("eth0,8000-8127\n", 2), ""},
		{"  conflictPolicy: Last\n", strings.Repeat("eth0,8000-8127\n", 2), ""},
		{"", "eth0,1-65534\n", "spec.maxEntries: 8 is less than the number of entries that are declared (at least 9, with those of 1 source, as a range takes one for each of its prefixes)"},
		{"", "eth0,9-8\n", `line 2 key.port: "9-8" ends before it begins (did you mean 8-9?)`},
	} {
		_, err := compile.With(ports(t, v1alpha1.SourceCSV, c.more), feed("key.dev,key.port\n"+c.text), nil)
		switch {
		case c.want == "" && err != nil:
			t.Errorf("%q: %v", c.text, err)
		case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%q: %v, want %s", c.text, err, c.want)
		}
	}
}
