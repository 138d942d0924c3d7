// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/bpfmap-io/bpfmap-operator/internal/maptype"
)

func TestNameTypes(t *testing.T) {
	crd := map[string]any{"rules": []any{map[string]any{
		"rule":    "self.type in ${mapOfMaps} || self.type in ${flag.Clone}",
		"message": "only for ${valueless}, ${flag.NoCommonLRU} and ${hashFilter}",
		"format":  "int64",
	}}}
	if err := nameTypes(crd); err != nil {
		t.Fatal(err)
	}
	got := crd["rules"].([]any)[0].(map[string]any)
	if want := "self.type in ['ArrayOfMaps','HashOfMaps'] || self.type in ['SKStorage']"; got["rule"] != want {
		t.Errorf("rule %q, want %q", got["rule"], want)
	}
	if want := "only for RingBuf, UserRingBuf and Arena, LRUHash and LRUPerCPUHash and BloomFilter"; got["message"] != want {
		t.Errorf("message %q, want %q", got["message"], want)
	}
	for _, wrong := range []map[string]any{
		{"rule": "self.type in ${hashes}"}, {"message": "${flag.Fast} is not there"}, {"message": "${flag.NUMANode}"},
		{"description": "${keyless} have none"},
	} {
		if err := nameTypes(wrong); err == nil {
			t.Errorf("%v is taken", wrong)
		}
	}
}

// TestRulesUseSets keeps lists of types out of the markers, and sets that nothing uses out of the table.
func TestRulesUseSets(t *testing.T) {
	files, err := filepath.Glob("../../api/v1alpha1/*.go")
	if err != nil || len(files) == 0 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	used := map[string]bool{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			if !strings.Contains(line, "XValidation:rule=") {
				continue
			}
			for _, match := range placeholder.FindAllStringSubmatch(line, -1) {
				used[match[1]] = true
			}
			for _, m := range maptype.All() {
				if strings.Contains(line, "'"+m.Name+"'") {
					t.Errorf("%s names %s, where a set of internal/maptype belongs: %s", file, m.Name, strings.TrimSpace(line))
				}
			}
		}
	}
	for _, name := range maptype.SetNames() {
		if !used[name] {
			t.Errorf("no rule names the set %s", name)
		}
	}
	for _, f := range maptype.AllFlags() {
		// Access to a map by programs is the same question for all types that have it, and the compiler's.
		if f.Offered && !used["flag."+f.Name] && f.Name != "RdOnlyProg" && f.Name != "WrOnlyProg" {
			t.Errorf("no rule says which types take the flag %s", f.Name)
		}
	}
}
