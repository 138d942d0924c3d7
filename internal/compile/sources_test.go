// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package compile_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/compile"
	"github.com/bpfmap-io/bpfmap-operator/internal/schema"
)

// blocklist is a trie with two sources and more lines of spec.
func blocklist(t *testing.T, more string) *v1alpha1.BPFMap {
	t.Helper()
	m := &v1alpha1.BPFMap{}
	text := `
metadata: {namespace: edge, name: blocklist, uid: u}
spec:
  type: LPMTrie
  key: {type: ipv4Prefix}
  value: {fields: [{name: action, type: u8}, {name: rule, type: u32}]}
  maxEntries: 8
  entries:
  - {key: 10.0.0.0/8, value: {action: 1, rule: 1}}
  entriesFrom:
  - {configMapRef: {name: feed, key: drop.txt}, format: Lines, value: {action: 1, rule: 9}}
  - {secretRef: {name: more, key: rules.csv}, format: CSV}
` + more
	if err := yaml.UnmarshalStrict([]byte(text), m); err != nil {
		t.Fatal(err)
	}
	return m
}

// texts are the sources of blocklist. loads counts how often each is read.
func texts(lines, csv string, loads *[2]int) []compile.Source {
	of := func(i int, name, text string) compile.Source {
		return compile.Source{Index: i, Name: name, Version: fmt.Sprint(len(text), text), Load: func() ([]byte, error) {
			if loads != nil {
				loads[i]++
			}
			return []byte(text), nil
		}}
	}
	return []compile.Source{of(0, "ConfigMap feed, key drop.txt", lines), of(1, "Secret more, key rules.csv", csv)}
}

const rules = "key,value.action,value.rule\n203.0.113.0/24,0,7\n"

func TestSources(t *testing.T) {
	rev, err := compile.With(blocklist(t, ""), texts("# drop\n192.0.2.0/24\n198.51.100.0/24\n", rules, nil), nil)
	if err != nil {
		t.Fatal(err)
	}
	key, value := layouts(t, rev.KeySchema, &rev.ValueSchema)
	var got []string
	for i := range rev.Contents.InOrder(rev.Shape) {
		got = append(got, key.Format(rev.Contents.Key(i))+" "+value.Format(rev.Contents.Value(i)))
	}
	want := "10.0.0.0/8 {action: 1, rule: 1}, 192.0.2.0/24 {action: 1, rule: 9}, 198.51.100.0/24 {action: 1, rule: 9}, 203.0.113.0/24 {action: 0, rule: 7}"
	if text := strings.Join(got, ", "); text != want {
		t.Errorf("entries %s, want %s", text, want)
	}
	// The same entries by another way have the same digest.
	again, err := compile.With(blocklist(t, ""), texts("198.51.100.0/24\n192.0.2.0/24\n", rules, nil), nil)
	if err != nil || again.Digest != rev.Digest {
		t.Errorf("digest %s, want %s (%v)", again.Digest, rev.Digest, err)
	}
}

func layouts(t *testing.T, keySchema, valueSchema *v1alpha1.Schema) (key, value *schema.Layout) {
	t.Helper()
	key, err := schema.New(keySchema)
	if err != nil {
		t.Fatal(err)
	}
	if value, err = schema.New(valueSchema); err != nil {
		t.Fatal(err)
	}
	return key, value
}

func TestBadSources(t *testing.T) {
	many := strings.Repeat("192.0.2.0/24\n", 100) + "192.0.2.0/33\n"
	for name, c := range map[string]struct {
		more, lines, csv string
		reason, want     string
	}{
		"one bad line":        {"", "192.0.2.0/24\n192.0.2.300/32\n", rules, "InvalidSource", `spec.entriesFrom[0] (ConfigMap feed, key drop.txt) line 2 key: "192.0.2.300/32"`},
		"host bits":           {"", "192.0.2.1/24\n", rules, "InvalidSource", "line 1 key: "},
		"bad value in CSV":    {"", "192.0.2.0/24\n", "key,value.action,value.rule\n203.0.113.0/24,300,7\n", "InvalidSource", `spec.entriesFrom[1] (Secret more, key rules.csv) line 2 value.action: `},
		"missing field":       {"", "192.0.2.0/24\n", "key,value.action\n203.0.113.0/24,1\n", "InvalidSource", "line 2 value.rule: is missing"},
		"duplicates":          {"", "192.0.2.0/24\n203.0.113.0/24\n", rules, "InvalidEntry", "spec.entriesFrom[1] (Secret more, key rules.csv) line 2: is the same key as spec.entriesFrom[0] (ConfigMap feed, key drop.txt) line 2, with another value"},
		"duplicate of inline": {"", "10.0.0.0/8\n", rules, "InvalidEntry", "spec.entriesFrom[0] (ConfigMap feed, key drop.txt) line 1: is the same key as entries[0]: 10.0.0.0/8"},
		"empty":               {"", "# nothing\n", rules, "InvalidSource", "holds no entries: that is refused unless spec.allowEmptySources is true"},
		"too many":            {"  conflictPolicy: First\n", "1.0.0.0/8\n2.0.0.0/8\n3.0.0.0/8\n4.0.0.0/8\n5.0.0.0/8\n6.0.0.0/8\n7.0.0.0/8\n", rules, "InvalidEntry", "spec.maxEntries: 8 is less than the number of entries that are declared (at least 9, with those of 2 sources)"},
		"too many of one":     {"", many, rules, "InvalidSource", "line 101 key: \"192.0.2.0/33\""},
		"another format":      {"", "key,value\n192.0.2.0/24,1\n", rules, "InvalidSource", `line 1 key: "key,value"`},
		"broken header":       {"", "192.0.2.0/24\n", "value.action,value.rule\n1,2\n", "InvalidSource", "line 1: is not valid CSV (text of a Secret isn't shown)"},
	} {
		_, err := compile.With(blocklist(t, c.more), texts(c.lines, c.csv, nil), nil)
		var e *compile.Error
		if !errors.As(err, &e) || e.Reason != c.reason || !strings.Contains(e.Error(), c.want) {
			t.Errorf("%s: %v, want the reason %s and %q", name, err, c.reason, c.want)
		}
	}
}

func TestConflictPolicies(t *testing.T) {
	for policy, want := range map[string]string{"First": "{action: 1, rule: 9}", "Last": "{action: 0, rule: 7}"} {
		m := blocklist(t, "  conflictPolicy: "+policy+"\n")
		rev, err := compile.With(m, texts("203.0.113.0/24\n", rules, nil), nil)
		if err != nil {
			t.Fatal(err)
		}
		_, value := layouts(t, rev.KeySchema, &rev.ValueSchema)
		if got := value.Format(rev.Contents.Value(1)); got != want || rev.Contents.Len != 2 {
			t.Errorf("%s: %s of %d entries, want %s", policy, got, rev.Contents.Len, want)
		}
	}
}

func TestEmptySourceIfAllowed(t *testing.T) {
	rev, err := compile.With(blocklist(t, "  allowEmptySources: true\n"), texts("", rules, nil), nil)
	if err != nil || rev.Contents.Len != 2 {
		t.Errorf("%+v, %v", rev, err)
	}
}

func TestSourceErrors(t *testing.T) {
	sources := texts("192.0.2.0/24\n", rules, nil)
	sources[0].Err = errors.New("there is no ConfigMap feed")
	_, err := compile.With(blocklist(t, ""), sources, nil)
	if err == nil || err.Error() != "spec.entriesFrom[0] (ConfigMap feed, key drop.txt): there is no ConfigMap feed" {
		t.Errorf("a missing object: %v", err)
	}
	if _, err = compile.With(blocklist(t, ""), sources[:0], nil); err == nil || !strings.Contains(err.Error(), "no ConfigMap or Secret was given for this source") {
		t.Errorf("no sources at hand: %v", err)
	}
	// What can't be read for now says nothing about the spec.
	down := errors.New("connection refused")
	sources = texts("192.0.2.0/24\n", rules, nil)
	sources[1].Load = func() ([]byte, error) { return nil, down }
	_, err = compile.With(blocklist(t, ""), sources, nil)
	var rejected *compile.Error
	if !errors.Is(err, down) || errors.As(err, &rejected) {
		t.Errorf("an API server that is away: %v", err)
	}
}

// TestCache reads again only the source that changed.
func TestCache(t *testing.T) {
	cache := compile.NewCache()
	var loads [2]int
	build := func(lines, csv string) string {
		t.Helper()
		rev, err := compile.With(blocklist(t, ""), texts(lines, csv, &loads), cache)
		if err != nil {
			t.Fatal(err)
		}
		return rev.Digest
	}
	first := build("192.0.2.0/24\n", rules)
	if build("192.0.2.0/24\n", rules) != first || loads != [2]int{1, 1} {
		t.Errorf("unchanged sources were read %v times", loads)
	}
	second := build("198.51.100.0/24\n", rules)
	if second == first || loads != [2]int{2, 1} {
		t.Errorf("after a change of the first source: read %v times, same digest %t", loads, second == first)
	}
	if build("192.0.2.0/24\n", rules) != first || loads != [2]int{3, 1} {
		t.Errorf("what isn't used any more was kept: read %v times", loads)
	}
	// A failed compilation forgets nothing.
	if _, err := compile.With(blocklist(t, ""), texts("bad\n", rules, &loads), cache); err == nil {
		t.Fatal("a bad line is taken")
	}
	if build("192.0.2.0/24\n", rules) != first || loads != [2]int{4, 1} {
		t.Errorf("after a failure: read %v times", loads)
	}
}

// BenchmarkSources compiles a million prefixes of 25 sources of which one changed.
func BenchmarkSources(b *testing.B) {
	const sources, each = 25, 40000
	m := &v1alpha1.BPFMap{}
	m.Namespace, m.Name = "edge", "feed"
	m.Spec = v1alpha1.BPFMapSpec{Type: v1alpha1.MapTypeLPMTrie, Key: &v1alpha1.Schema{Type: v1alpha1.TypeIPv4Prefix}, Value: v1alpha1.Schema{Type: v1alpha1.TypeU32}, MaxEntries: sources * each}
	list := make([]compile.Source, sources)
	for s := range sources {
		from := v1alpha1.EntrySource{Format: v1alpha1.SourceLines}
		if err := yaml.Unmarshal([]byte("5"), &from.Value); err != nil {
			b.Fatal(err)
		}
		m.Spec.EntriesFrom = append(m.Spec.EntriesFrom, from)
		var text strings.Builder
		for i := range each {
			fmt.Fprintf(&text, "10.%d.%d.%d/32\n", (s*each+i)>>16, (s*each+i)>>8&255, (s*each+i)&255)
		}
		list[s] = compile.Source{Index: s, Name: fmt.Sprint(s), Version: "1", Load: func() ([]byte, error) { return []byte(text.String()), nil }}
	}
	cache := compile.NewCache()
	for round := 0; b.Loop(); round++ {
		list[3].Version = fmt.Sprint(round)
		if rev, err := compile.With(m, list, cache); err != nil || rev.Contents.Len != sources*each {
			b.Fatal(err)
		}
	}
}
