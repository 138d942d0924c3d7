// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Command apidoc writes the reference of the API as Markdown, from the CRDs alone, so that it says
// what the API server enforces: types, bounds, defaults, CEL rules.
//
// Usage: apidoc DIRECTORY
package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"sigs.k8s.io/yaml"
)

const header = `<!-- Written by "make generate" from config/crd/bases. Do not edit. -->

# API reference

A field is named by its path; ` + "`[]`" + ` stands for an item of a list, ` + "`{}`" + ` for a value of a map.
`

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: apidoc DIRECTORY")
		os.Exit(2)
	}
	if err := run(os.Stdout, os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "apidoc:", err)
		os.Exit(1)
	}
}

func run(w io.Writer, dir string) error {
	files, err := filepath.Glob(filepath.Join(dir, "*.yaml")) // sorted
	if err != nil {
		return err
	}
	if len(files) == 0 {
		return fmt.Errorf("no CRDs in %s", dir)
	}
	out := &strings.Builder{}
	out.WriteString(header)
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		var crd apiextensionsv1.CustomResourceDefinition
		if err := yaml.UnmarshalStrict(content, &crd); err != nil {
			return fmt.Errorf("read %s: %w", file, err)
		}
		writeKind(out, &crd)
	}
	_, err = io.WriteString(w, out.String())
	return err
}

func writeKind(w *strings.Builder, crd *apiextensionsv1.CustomResourceDefinition) {
	for _, version := range crd.Spec.Versions {
		names := crd.Spec.Names
		fmt.Fprintf(w, "\n## %s\n\n", names.Kind)
		fmt.Fprintf(w, "`%s/%s`, %s, resource `%s`", crd.Spec.Group, version.Name, strings.ToLower(string(crd.Spec.Scope)), names.Plural)
		if len(names.ShortNames) > 0 {
			fmt.Fprintf(w, " (`%s`)", strings.Join(names.ShortNames, "`, `"))
		}
		w.WriteString("\n")
		if version.Schema == nil || version.Schema.OpenAPIV3Schema == nil {
			continue
		}
		root := version.Schema.OpenAPIV3Schema
		if root.Description != "" {
			fmt.Fprintf(w, "\n%s\n", root.Description)
		}
		w.WriteString("\n| Field | Type | Meaning |\n|---|---|---|\n")
		for _, row := range rows(root) {
			fmt.Fprintf(w, "| `%s` | %s | %s |\n", row.path, row.kind, row.meaning)
		}
	}
}
