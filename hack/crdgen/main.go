// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Command crdgen finishes the CRDs that controller-gen made. It writes the recursive property
// `fields` out to v1alpha1.MaxFieldDepth levels, since OpenAPI in CRDs knows no recursion; and in validation rules
// and their messages it writes the map types in the place of ${SET}, a set of internal/maptype.
//
// Lines of descriptions are joined, and the values of enums are explained as the constants of the API's Go package
// are.
//
// For the kinds that people write it makes JSON schemas, too.
//
// Usage: crdgen API CRDS SCHEMAS
package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"sigs.k8s.io/yaml"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
)

func main() {
	if len(os.Args) != 4 {
		fmt.Fprintln(os.Stderr, "usage: crdgen API CRDS SCHEMAS")
		os.Exit(2)
	}
	known, err := enums(os.Args[1])
	var files []string
	if err == nil {
		files, err = filepath.Glob(filepath.Join(os.Args[2], "*.yaml"))
	}
	if err == nil && len(files) == 0 {
		err = fmt.Errorf("no CRDs in %s", os.Args[2])
	}
	for _, file := range files {
		if err == nil {
			err = finish(file, os.Args[3], known)
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "crdgen:", err)
		os.Exit(1)
	}
}

// written is the CRD of the kind that people write; all others are written by programs.
const written = "bpfmap.io_bpfmaps.yaml"

func finish(file, schemas string, known map[string]*enum) error {
	in, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	var crd map[string]any
	if err := yaml.Unmarshal(in, &crd); err != nil {
		return fmt.Errorf("read %s: %w", file, err)
	}
	describe(crd, known)
	unroll(crd)
	if err := nameTypes(crd); err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	if filepath.Base(file) == written {
		if err := writeJSONSchemas(schemas, crd); err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
	}
	out, err := yaml.Marshal(crd)
	if err != nil {
		return fmt.Errorf("write %s: %w", file, err)
	}
	return os.WriteFile(file, append([]byte("---\n"), out...), 0o644)
}

// recursive is the property whose items hold the schema that it is in.
const recursive = "fields"

// unroll finds every schema that holds itself and writes it out.
func unroll(node any) {
	switch n := node.(type) {
	case map[string]any:
		if properties, ok := n["properties"].(map[string]any); ok && isRecursive(properties) {
			properties[recursive] = list(properties, v1alpha1.MaxFieldDepth)
			return
		}
		for _, child := range n {
			unroll(child)
		}
	case []any:
		for _, child := range n {
			unroll(child)
		}
	}
}

// isRecursive says whether properties hold the recursive one, as controller-gen leaves it: without a type.
func isRecursive(properties map[string]any) bool {
	p, _ := properties[recursive].(map[string]any)
	return p != nil && p["x-kubernetes-preserve-unknown-fields"] == true && p["type"] == nil
}

// list is the recursive property of a schema with depth levels of fields, this one included. Its items have a name
// and what a schema has.
func list(schema map[string]any, depth int) map[string]any {
	properties := map[string]any{"name": map[string]any{
		"type": "string", "minLength": 1, "maxLength": v1alpha1.MaxFieldNameLength, "pattern": v1alpha1.FieldNamePattern,
		"description": "name is the member's name, a C identifier, unique in its struct. Padding has none.",
	}}
	for name, p := range schema {
		properties[name] = copyOf(p.(map[string]any))
	}
	delete(properties, recursive)
	if depth > 1 {
		properties[recursive] = list(schema, depth-1)
	}
	if depth < v1alpha1.MaxFieldDepth { // described on the first level alone: the CRD would grow out of its bounds
		for _, p := range properties {
			delete(p.(map[string]any), "description")
		}
	}
	description, _, _ := strings.Cut(schema[recursive].(map[string]any)["description"].(string), "\n") // the rest is about the Go type
	return map[string]any{
		"type": "array", "minItems": 1, "maxItems": v1alpha1.MaxFields, "x-kubernetes-list-type": "atomic",
		"description": description, "items": map[string]any{"type": "object", "properties": properties},
	}
}

func copyOf(m map[string]any) map[string]any {
	out := make(map[string]any, len(m))
	for k, v := range m {
		out[k] = v
	}
	return out
}
