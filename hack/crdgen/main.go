// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Command crdgen finishes the CRDs that controller-gen made. It writes the recursive property `fields`
// out to v1alpha1.MaxFieldDepth levels, since OpenAPI in CRDs knows no recursion; and in validation rules
// and their messages it writes the map types in the place of ${SET}, a set of internal/maptype.
//
// Usage: crdgen DIRECTORY
package main

import (
	"fmt"
	"os"
	"path/filepath"

	"sigs.k8s.io/yaml"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: crdgen DIRECTORY")
		os.Exit(2)
	}
	files, err := filepath.Glob(filepath.Join(os.Args[1], "*.yaml"))
	if err == nil && len(files) == 0 {
		err = fmt.Errorf("no CRDs in %s", os.Args[1])
	}
	for _, file := range files {
		if err == nil {
			err = finish(file)
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "crdgen:", err)
		os.Exit(1)
	}
}

func finish(file string) error {
	in, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	var crd map[string]any
	if err := yaml.Unmarshal(in, &crd); err != nil {
		return fmt.Errorf("read %s: %w", file, err)
	}
	unroll(crd)
	if err := nameTypes(crd); err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	out, err := yaml.Marshal(crd)
	if err != nil {
		return fmt.Errorf("write %s: %w", file, err)
	}
	return os.WriteFile(file, append([]byte("---\n"), out...), 0o644)
}

// unroll finds every list of fields whose items hold the recursive property and writes it out.
func unroll(node any) {
	switch n := node.(type) {
	case map[string]any:
		if items, ok := recursive(n); ok {
			n["items"] = nested(n, items, v1alpha1.MaxFieldDepth)
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

// recursive says whether list is a schema of fields: an array whose items have a property `fields`
// without a type of its own.
func recursive(list map[string]any) (items map[string]any, ok bool) {
	items, _ = list["items"].(map[string]any)
	properties, _ := items["properties"].(map[string]any)
	inner, _ := properties["fields"].(map[string]any)
	if inner == nil || inner["x-kubernetes-preserve-unknown-fields"] != true {
		return nil, false
	}
	return items, true
}

// nested is the schema of items with depth levels of fields, this one included. Every level has the
// bounds of the outermost list.
func nested(list, items map[string]any, depth int) map[string]any {
	properties := copyOf(items["properties"].(map[string]any))
	delete(properties, "fields")
	if depth > 1 {
		fields := copyOf(list)
		fields["items"] = nested(list, items, depth-1)
		fields["description"] = "fields are the members of a nested struct."
		properties["fields"] = fields
	}
	if depth < v1alpha1.MaxFieldDepth {
		for name, p := range properties {
			property := copyOf(p.(map[string]any))
			if name != "fields" {
				delete(property, "description")
			}
			properties[name] = property
		}
	}
	out := copyOf(items)
	out["properties"] = properties
	return out
}

func copyOf(m map[string]any) map[string]any {
	out := make(map[string]any, len(m))
	for k, v := range m {
		out[k] = v
	}
	return out
}
