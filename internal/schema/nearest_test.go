// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package schema

import "testing"

// TestSuggest: a word that is misspelt or cut short, and none where it isn't clear which was meant.
func TestSuggest(t *testing.T) {
	known := []string{"key", "values", "value", "valueFrom", "maxEntries", "maxSeries", "metrics"}
	for word, want := range map[string]string{
		"vlaue": " (did you mean value?)", "val": " (did you mean value?)", "Met": " (did you mean metrics?)", "maxE": " (did you mean maxEntries?)",
		"max": "", "ma": "", "x": "", "entries": "", "": "",
	} {
		if got := Suggest(word, known); got != want {
			t.Errorf("%q: %q, want %q", word, got, want)
		}
	}
}
