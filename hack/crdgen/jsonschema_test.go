// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"k8s.io/kube-openapi/pkg/validation/spec"
	"k8s.io/kube-openapi/pkg/validation/strfmt"
	"k8s.io/kube-openapi/pkg/validation/validate"
	"sigs.k8s.io/yaml"
)

// TestJSONSchema holds the generated schema to the samples, and to mistakes that an editor is to underline.
func TestJSONSchema(t *testing.T) {
	text, err := os.ReadFile("../../config/jsonschema/bpfmap_v1alpha1.json")
	if err != nil {
		t.Fatal(err)
	}
	var schema spec.Schema
	if err := json.Unmarshal(text, &schema); err != nil {
		t.Fatal(err)
	}
	check := func(manifest string) error {
		var object any
		if err := yaml.Unmarshal([]byte(manifest), &object); err != nil {
			t.Fatal(err)
		}
		return validate.NewSchemaValidator(&schema, nil, "", strfmt.Default).Validate(object).AsError()
	}
	files, err := filepath.Glob("../../config/samples/*.yaml")
	if err != nil || len(files) < 10 {
		t.Fatalf("%d samples, %v", len(files), err)
	}
	checked := 0
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for document := range strings.SplitSeq(string(text), "\n---\n") {
			if !strings.Contains(document, "\nkind: BPFMap\n") {
				continue
			}
			checked++
			if err := check(document); err != nil {
				t.Errorf("%s: %v", file, err)
			}
		}
	}
	if checked < 10 {
		t.Errorf("%d samples are BPFMaps", checked)
	}
	for _, test := range []struct{ spec, want string }{
		{`{type: Hash, key: {type: u32}, value: {type: u8}, maxEntries: 4}`, ""},
		{`{type: Hash, key: {type: u33}, value: {type: u8}, maxEntries: 4}`, "spec.key.type"},
		{`{type: Hsah, key: {type: u32}, value: {type: u8}, maxEntries: 4}`, "spec.type"},
		{`{type: Hash, key: {type: u32}, value: {type: u8}, maxEntires: 4}`, "maxEntires"},
		{`{type: Hash, key: {fields: [{name: a, typ: u32}]}, value: {type: u8}, maxEntries: 4}`, "typ"},
	} {
		err := check("{apiVersion: bpfmap.io/v1alpha1, kind: BPFMap, metadata: {name: m}, spec: " + test.spec + "}")
		switch {
		case test.want == "" && err != nil:
			t.Errorf("%s: %v", test.spec, err)
		case test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)):
			t.Errorf("%s: error %v, want one that names %s", test.spec, err, test.want)
		}
	}
}
