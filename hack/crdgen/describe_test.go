// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"testing"
)

func TestDescribe(t *testing.T) {
	known, err := enums("../../api/v1alpha1")
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		description string
		values      []any
		want        string
	}{
		{"a line\nof a paragraph\n\nand\nanother", nil, "a line of a paragraph\n\nand another"},
		{"a list:\n  - of one\n    thing\n  - and two", nil, "a list:\n- of one thing\n- and two"},
		{"what happens.", []any{"Never", "Swap"},
			"what happens.\n\n- Never never replaces a map: a change that would need it is Stalled.\n- Swap builds a new map and lets it take the pin in one step."},
		{"nothing known.", []any{"x", "y"}, "nothing known."},
	} {
		node := map[string]any{"description": test.description}
		if test.values != nil {
			node["enum"] = test.values
		}
		describe(map[string]any{"properties": map[string]any{"p": node}}, known)
		if got := node["description"]; got != test.want {
			t.Errorf("%q became %q, want %q", test.description, got, test.want)
		}
	}
}

// TestEveryEnumIsExplained keeps enums out of the API that kubectl explain lists without a word on their values.
func TestEveryEnumIsExplained(t *testing.T) {
	known, err := enums("../../api/v1alpha1")
	if err != nil || len(known) < 10 {
		t.Fatalf("%d enums, %v", len(known), err)
	}
	for values, e := range known {
		if e.explain() == "" {
			t.Errorf("nothing explains the values %s", values)
		}
	}
}
