// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// writeJSONSchemas writes a JSON schema (draft 7) of each version of a CRD for editors and for checks without a
// cluster, named as the collections of CRDs' schemas name them: bpfmap_v1alpha1.json.
func writeJSONSchemas(folder string, crd map[string]any) error {
	spec, _ := crd["spec"].(map[string]any)
	names, _ := spec["names"].(map[string]any)
	versions, _ := spec["versions"].([]any)
	for _, v := range versions {
		version, _ := v.(map[string]any)
		root, _ := version["schema"].(map[string]any)
		openAPI, ok := root["openAPIV3Schema"].(map[string]any)
		if !ok {
			return fmt.Errorf("version %v has no schema", version["name"])
		}
		schema := jsonSchema(openAPI)
		schema["$schema"] = "http://json-schema.org/draft-07/schema#"
		properties := schema["properties"].(map[string]any)
		properties["apiVersion"] = map[string]any{"const": fmt.Sprintf("%v/%v", spec["group"], version["name"])}
		properties["kind"] = map[string]any{"const": names["kind"]}
		properties["metadata"] = map[string]any{"type": "object"}
		schema["required"] = []string{"apiVersion", "kind", "metadata", "spec"}
		out, err := json.MarshalIndent(schema, "", " ")
		if err != nil {
			return err
		}
		file := fmt.Sprintf("%s_%v.json", strings.ToLower(fmt.Sprint(names["kind"])), version["name"])
		if err := os.WriteFile(filepath.Join(folder, file), append(out, '\n'), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// jsonSchema is a structural schema without the parts that only an API server understands. Fields that it doesn't
// know are errors, as they are for an API server with strict validation.
func jsonSchema(s map[string]any) map[string]any {
	out := map[string]any{}
	for name, value := range s {
		if strings.HasPrefix(name, "x-kubernetes-") {
			continue
		}
		out[name] = value
	}
	if properties, ok := s["properties"].(map[string]any); ok {
		below := map[string]any{}
		for name, p := range properties {
			below[name] = jsonSchema(p.(map[string]any))
		}
		out["properties"] = below
		if s["x-kubernetes-preserve-unknown-fields"] != true {
			out["additionalProperties"] = false
		}
	}
	for _, name := range []string{"items", "additionalProperties"} {
		if below, ok := s[name].(map[string]any); ok {
			out[name] = jsonSchema(below)
		}
	}
	if s["x-kubernetes-int-or-string"] == true {
		delete(out, "anyOf")
		out["type"] = []string{"integer", "string"}
	}
	return out
}
