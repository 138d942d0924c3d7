// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package manifest

import (
	"bytes"
	"testing"
)

// FuzzRead reads any text. Every place is one of its lines.
func FuzzRead(f *testing.F) {
	for _, seed := range []string{
		"apiVersion: bpfmap.io/v1alpha1\nkind: BPFMap\nmetadata: {name: a}\nspec: {type: Hash, entries: [{key: 1}]}\n---\nkind: x\n",
		`{"apiVersion": "v1", "kind": "List", "items": [{"apiVersion": "v1", "kind": "ConfigMap", "data": {"a": "b"}}]}`,
		"a: &a [1]\nb: *a\n", "---\n...\n---\n", "{\n", "\t",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		set := Read(Options{Paths: []string{"-"}, Stdin: bytes.NewReader(text), Namespace: "default"})
		lines := 1 + bytes.Count(text, []byte("\n")) + bytes.Count(text, []byte("\r"))
		check := func(p Place) {
			if p.Line < 0 || p.Line > lines {
				t.Errorf("line %d of %d", p.Line, lines)
			}
		}
		for i := range set.Manifests {
			check(set.Manifests[i].Place)
			check(set.Manifests[i].At("spec.entries[0].key"))
		}
		for _, p := range set.Problems {
			check(p.Place)
		}
		for _, s := range set.Skipped {
			check(s.Place)
		}
	})
}
