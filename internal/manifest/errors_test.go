// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package manifest

import (
	"strings"
	"testing"
)

// TestTypeProblem says how a value is written that is of another kind.
func TestTypeProblem(t *testing.T) {
	for spec, want := range map[string]string{
		`{key: u32}`:              "standard input:4: default/a: spec.key: an object is needed, not a string: write `key: {type: u32}`",
		`{pin: {mode: 0644}}`:     "standard input:4: default/a: spec.pin.mode: a string is needed, not a number (quote it)",
		`{pin: bpfmap/edge/m}`:    "standard input:4: default/a: spec.pin: an object is needed, not a string: write `pin: {path: bpfmap/edge/m}`",
		`{entries: {1: 2}}`:       "standard input:4: default/a: spec.entries: a list is needed, not an object",
		`{entries: [{val: 1}]}`:   "standard input:4: default/a: spec.entries[0].val: unknown field (did you mean value?)",
		`{maxEntries: a hundred}`: "standard input:4: default/a: spec.maxEntries: a whole number (int64) is needed, not a string",
	} {
		text := "apiVersion: bpfmap.io/v1alpha1\nkind: BPFMap\nmetadata: {name: a}\nspec: " + spec + "\n"
		set := Read(Options{Paths: []string{"-"}, Stdin: strings.NewReader(text), Namespace: "default"})
		if len(set.Problems) != 1 || set.Problems[0].Error() != want {
			t.Errorf("%s: %v, want %s", spec, set.Problems, want)
		}
	}
}
