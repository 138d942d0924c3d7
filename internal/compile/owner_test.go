// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package compile_test

import (
	"fmt"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/compile"
)

// TestKeysAlone: where programs own all of a value, or all of it that has no default, every format takes keys alone, and
// first values beside them.
func TestKeysAlone(t *testing.T) {
	const spec = `
metadata: {namespace: edge, name: m}
spec:
  type: Hash
  key: {type: ipv4}
  value: %s
  maxEntries: 8
  entriesFrom: [{configMapRef: {name: feed, key: x}, format: %s}]
`
	for name, c := range map[string]struct{ value, format, text, want string }{
		"lines":         {"{type: u64, owner: Program}", "Lines", "10.0.0.1\n10.0.0.2\n", "0 0"},
		"CSV":           {"{type: u64, owner: Program}", "CSV", "key\n10.0.0.1\n10.0.0.2\n", "0 0"},
		"CSV, a value":  {"{type: u64, owner: Program}", "CSV", "key,value\n10.0.0.1,\n10.0.0.2,7\n", "0 7"},
		"JSON":          {"{type: u64, owner: Program}", "JSON", `[{"key": "10.0.0.1"}, {"key": "10.0.0.2", "value": 7}]`, "0 7"},
		"YAML":          {"{type: u64, owner: Program, default: 3}", "YAML", "- key: 10.0.0.1\n- key: 10.0.0.2\n  value: 7\n", "3 7"},
		"CSV, a field":  {"{fields: [{name: a, type: u8}, {name: hits, type: u8, owner: Program}]}", "CSV", "key,value.a\n10.0.0.1,1\n10.0.0.2,2\n", "{a: 1, hits: 0} {a: 2, hits: 0}"},
		"CSV, an empty": {"{fields: [{name: a, type: u8}, {name: hits, type: u8, owner: Program}]}", "CSV", "key,value.a,value.hits\n10.0.0.1,1,\n10.0.0.2,2,9\n", "{a: 1, hits: 0} {a: 2, hits: 9}"},
		"lines, fields": {"{fields: [{name: a, type: u8, default: 4}, {name: hits, type: u8, owner: Program}]}", "Lines", "10.0.0.1\n10.0.0.2\n", "{a: 4, hits: 0} {a: 4, hits: 0}"},
	} {
		t.Run(name, func(t *testing.T) {
			m := &v1alpha1.BPFMap{}
			if err := yaml.UnmarshalStrict(fmt.Appendf(nil, spec, c.value, c.format), m); err != nil {
				t.Fatal(err)
			}
			rev, err := compile.With(m, []compile.Source{{Name: "feed", Load: func() ([]byte, error) { return []byte(c.text), nil }}}, nil)
			if err != nil {
				t.Fatal(err)
			}
			_, value := layouts(t, rev.KeySchema, &rev.ValueSchema)
			var got []string
			for i := range rev.Contents.InOrder(rev.Shape) {
				got = append(got, value.Format(rev.Contents.Value(i)))
			}
			if text := strings.Join(got, " "); text != c.want {
				t.Errorf("%s, want %s", text, c.want)
			}
		})
	}
}

// TestOwnerIsPartOfTheFingerprint: what programs own changes what nodes have to do.
func TestOwnerIsPartOfTheFingerprint(t *testing.T) {
	fingerprint := func(value string) string {
		m := &v1alpha1.BPFMap{}
		text := "metadata: {namespace: edge, name: m}\nspec: {type: Hash, key: {type: u32}, value: " + value + ", maxEntries: 8, entries: [{key: 1, value: {a: 1, b: 2}}]}"
		if err := yaml.UnmarshalStrict([]byte(text), m); err != nil {
			t.Fatal(err)
		}
		rev, err := compile.Compile(m)
		if err != nil {
			t.Fatal(err)
		}
		return rev.Fingerprint()
	}
	if plain, owned := fingerprint("{fields: [{name: a, type: u8}, {name: b, type: u8}]}"), fingerprint("{fields: [{name: a, type: u8}, {name: b, type: u8, owner: Program}]}"); plain == owned {
		t.Error("both are " + plain)
	}
}
