// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package manifest

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/bpfmap-io/bpfmap-operator/test/golden"
)

// String lists a set line by line.
func (s Set) String() string {
	var b strings.Builder
	for _, m := range s.Manifests {
		fmt.Fprintf(&b, "map      %s: %s %s\n", m.Place, m.Name(), m.Map.Spec.Type)
	}
	for _, o := range s.Skipped {
		fmt.Fprintf(&b, "skipped  %s: %s\n", o.Place, o.Object)
	}
	for _, p := range s.Problems {
		fmt.Fprintf(&b, "problem  %s\n", p.Error())
	}
	return b.String()
}

func TestReadFolders(t *testing.T) {
	t.Chdir("testdata")
	for name, o := range map[string]Options{
		"folder":     {Paths: []string{"folder"}},
		"recursive":  {Paths: []string{"folder"}, Recursive: true},
		"kinds":      {Paths: []string{"kinds"}},
		"strict":     {Paths: []string{"strict"}},
		"syntax":     {Paths: []string{"syntax"}},
		"lists":      {Paths: []string{"lists"}},
		"duplicates": {Paths: []string{"duplicates"}},
		"empty":      {Paths: []string{"empty"}},
		"enforced":   {Paths: []string{"duplicates/a.yaml", "lists/list.yaml"}, Namespace: "edge", NamespaceEnforced: true},
		"paths":      {Paths: []string{"nowhere.yaml", "folder/10-first.yaml", "folder/notes", "folder/nested", "."}},
		"stdin": {Paths: []string{"-"}, Stdin: strings.NewReader(
			"{\"apiVersion\": \"bpfmap.io/v1alpha1\", \"kind\": \"BPFMap\", \"metadata\": {\"name\": \"a\"}}\n---\nkind: Secret\n")},
	} {
		t.Run(name, func(t *testing.T) {
			if o.Namespace == "" {
				o.Namespace = "default"
			}
			golden.Equal(t, name+".txt", Read(o).String())
		})
	}
}

func TestAt(t *testing.T) {
	set := Read(Options{Paths: []string{"-"}, Stdin: strings.NewReader(`# a comment
---
apiVersion: bpfmap.io/v1alpha1
kind: BPFMap
metadata:
  name: a
spec:
  type: Hash
  value:
    fields:
    - name: action
      type: u8
  entries:
  - {key: 1, value: {action: 1}}
  - key: 2
    value:
      action: 300
  - &third {key: 3,
    value: {action: 3}}
  - *third
`)})
	if len(set.Manifests) != 1 {
		t.Fatalf("want one manifest, have:\n%s", set)
	}
	for path, want := range map[string]int{
		"":                               3,
		"metadata.name":                  6,
		"spec.value.fields[0].type":      12,
		"spec.value.fields[1].type":      10,
		"spec.entries[0].value.action":   14,
		"spec.entries[1]":                15,
		"spec.entries[1].value.action":   17,
		"spec.entries[1].value":          16,
		"spec.entries[1].value.rules[2]": 16,
		"spec.entries[2].value.action":   19,
		"spec.entries[3].value.action":   19,
		"spec.entries[9].value":          13,
		"spec.entries[x]":                13,
		"spec.maxEntries":                7,
		"nowhere":                        3,
	} {
		if got := set.Manifests[0].At(path).Line; got != want {
			t.Errorf("%q: line %d, want %d", path, got, want)
		}
	}
}

// TestNumbersAreNotCut holds for what YAML can write and JSON parsers like to round.
func TestNumbersAreNotCut(t *testing.T) {
	set := Read(Options{Paths: []string{"-"}, Stdin: strings.NewReader(`
apiVersion: bpfmap.io/v1alpha1
kind: BPFMap
metadata: {name: a}
spec:
  type: Hash
  maxEntries: 4294967295
  entries:
  - {key: 18446744073709551615, value: 9007199254740993}
  - {key: 0x10, value: -9223372036854775808}
`)})
	if len(set.Manifests) != 1 {
		t.Fatalf("want one manifest, have:\n%s", set)
	}
	var got []string
	for _, e := range set.Manifests[0].Map.Spec.Entries {
		got = append(got, string(e.Key.Raw), string(e.Value.Raw))
	}
	want := []string{"18446744073709551615", "9007199254740993", "16", "-9223372036854775808"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// TestSamples reads the project's own samples.
func TestSamples(t *testing.T) {
	set := Read(Options{Paths: []string{filepath.Join("..", "..", "config", "samples")}, Namespace: "default"})
	if len(set.Problems) > 0 || len(set.Manifests) == 0 {
		t.Errorf("want maps without problems, have:\n%s", set)
	}
}

// TestAmbiguousNumbers refuses what kubectl would send to the API server as another number than the same text makes in
// quotes.
func TestAmbiguousNumbers(t *testing.T) {
	const text = `# a comment
---
apiVersion: bpfmap.io/v1alpha1
kind: BPFMapList
items:
- apiVersion: bpfmap.io/v1alpha1
  kind: BPFMap
  metadata: {name: a}
  spec:
    pin: {mode: "0640"}
    maxEntries: 8
    entries:
    - {key: "010", value: 10}
    - key: 1
      value: {a: [1, 010], b: 1_000}
    - {key: 0x1f, value: 0.5}
`
	set := Read(Options{Paths: []string{"-"}, Namespace: "default", Stdin: strings.NewReader(text)})
	want := `problem  standard input:15: default/a: spec.entries[1].value.a[1]: 010 is 8 where YAML 1.1 is read, as by kubectl, and 10 in quotes: write 8 or 10, or quote a text
problem  standard input:15: default/a: spec.entries[1].value.b: 1_000 is a number only without quotes: write 1000
`
	if diff := cmp.Diff(want, set.String()); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}
