// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

// generated are the CRDs as they are published, by their file's name.
func generated(t *testing.T) map[string]any {
	t.Helper()
	files, err := filepath.Glob("../../config/crd/bases/*.yaml")
	if err != nil || len(files) < 4 {
		t.Fatalf("%d CRDs, %v", len(files), err)
	}
	all := map[string]any{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var crd map[string]any
		if err := yaml.Unmarshal(text, &crd); err != nil {
			t.Fatal(err)
		}
		all[filepath.Base(file)] = crd
	}
	return all
}

// visit calls do for each schema that has a description, with its place.
func visit(path string, node any, do func(path, description string, schema map[string]any)) {
	switch n := node.(type) {
	case map[string]any:
		if text, ok := n["description"].(string); ok {
			do(path, text, n)
		}
		for name, child := range n {
			visit(path+"."+name, child, do)
		}
	case []any:
		for _, child := range n {
			visit(path, child, do)
		}
	}
}

// TestKubectlExplainExplainsEnums wants each value of an enum in the description of its field, so that kubectl explain
// says what it means, not only that it exists.
func TestKubectlExplainExplainsEnums(t *testing.T) {
	enums := 0
	for file, crd := range generated(t) {
		visit(file, crd, func(path, description string, schema map[string]any) {
			list, ok := schema["enum"].([]any)
			if !ok || len(texts(list)) < 2 {
				return
			}
			enums++
			for _, value := range texts(list) {
				if !regexp.MustCompile(`(^|[^\pL\pN])` + regexp.QuoteMeta(value) + `($|[^\pL\pN])`).MatchString(description) {
					t.Errorf("%s doesn't explain the value %s:\n%s", path, value, description)
				}
			}
		})
	}
	if enums < 20 {
		t.Errorf("only %d enums were found", enums)
	}
}

// TestKubectlExplainHasNoRaggedLines wants each paragraph, and each item of a list, on one line: kubectl wraps them to the
// terminal, and keeps the breaks that are there.
func TestKubectlExplainHasNoRaggedLines(t *testing.T) {
	descriptions := 0
	for file, crd := range generated(t) {
		visit(file, crd, func(path, description string, _ map[string]any) {
			descriptions++
			before := ""
			for line := range strings.SplitSeq(description, "\n") {
				if before != "" && line != "" && !strings.HasPrefix(line, "- ") {
					t.Errorf("%s: a line ends in the middle: %q, %q", path, before, line)
				}
				before = line
			}
		})
	}
	if descriptions < 200 {
		t.Errorf("only %d descriptions were found", descriptions)
	}
}

// TestKubectlExplainHasExamples wants the fields whose values kubectl explain shows as <Object> to say what one looks like.
func TestKubectlExplainHasExamples(t *testing.T) {
	wanted := map[string]bool{}
	for _, field := range []string{"key", "value", "entries", "metrics.properties.labels", "metrics.properties.values"} {
		wanted["spec.properties."+field] = true
	}
	visit("", generated(t)["bpfmap.io_bpfmaps.yaml"], func(path, description string, _ map[string]any) {
		_, field, _ := strings.Cut(path, "openAPIV3Schema.properties.")
		if wanted[field] && strings.Contains(description, "for example ") && strings.Contains(description, "{") {
			delete(wanted, field)
		}
	})
	for field := range wanted {
		t.Errorf("%s has no example", field)
	}
}
