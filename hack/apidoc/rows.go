// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
)

// recursive is where the schema of a field's fields begins again; the CRD writes it out, the
// reference need not.
const recursive = ".fields[].fields"

type row struct{ path, kind, meaning string }

// rows lists every field below the root, parents before their fields, fields sorted.
func rows(root *apiextensionsv1.JSONSchemaProps) []row {
	var all []row
	for _, name := range slices.Sorted(maps.Keys(root.Properties)) {
		switch name {
		case "apiVersion", "kind", "metadata":
			continue
		}
		property := root.Properties[name]
		all = append(all, below(name, &property, slices.Contains(root.Required, name))...)
	}
	return all
}

func below(path string, s *apiextensionsv1.JSONSchemaProps, required bool) []row {
	all := []row{{path: path, kind: kindOf(s), meaning: meaningOf(path, s, required)}}
	if strings.HasSuffix(path, recursive) {
		return all
	}
	at, inner := path, s
	switch {
	case s.Items != nil && s.Items.Schema != nil:
		at, inner = path+"[]", s.Items.Schema
	case s.AdditionalProperties != nil && s.AdditionalProperties.Schema != nil:
		at, inner = path+"{}", s.AdditionalProperties.Schema
	}
	for _, name := range slices.Sorted(maps.Keys(inner.Properties)) {
		property := inner.Properties[name]
		all = append(all, below(at+"."+name, &property, slices.Contains(inner.Required, name))...)
	}
	return all
}

func kindOf(s *apiextensionsv1.JSONSchemaProps) string {
	switch {
	case s.Items != nil && s.Items.Schema != nil:
		return "list of " + kindOf(s.Items.Schema)
	case s.AdditionalProperties != nil && s.AdditionalProperties.Schema != nil:
		return "map of " + kindOf(s.AdditionalProperties.Schema)
	case s.XIntOrString:
		return "integer or string"
	case s.Type == "":
		return "any"
	case s.Format != "" && s.Format != s.Type:
		return s.Type + " (" + s.Format + ")"
	default:
		return s.Type
	}
}

func meaningOf(path string, s *apiextensionsv1.JSONSchemaProps, required bool) string {
	var parts []string
	if required {
		parts = append(parts, "**Required.**")
	}
	if s.Description != "" {
		parts = append(parts, cell(strings.ReplaceAll(s.Description, "<", "&lt;")))
	}
	if strings.HasSuffix(path, recursive) {
		parts = append(parts, "The same again, level by level.")
	}
	if facts := factsOf(s); len(facts) > 0 {
		parts = append(parts, "*"+strings.Join(facts, "; ")+".*")
	}
	for _, rule := range s.XValidations {
		if rule.Message == "" {
			continue // it is made of the values, and the fields' own rows have the bounds
		}
		parts = append(parts, fmt.Sprintf("Rule: %s.", strings.TrimSuffix(cell(rule.Message), ".")))
	}
	return strings.Join(parts, " ")
}

// factsOf lists what the schema enforces beside the type.
func factsOf(s *apiextensionsv1.JSONSchemaProps) []string {
	var facts []string
	if s.Default != nil {
		facts = append(facts, "default `"+cell(string(s.Default.Raw))+"`")
	}
	if len(s.Enum) > 0 {
		values := make([]string, len(s.Enum))
		for i, v := range s.Enum {
			values[i] = "`" + strings.Trim(string(v.Raw), `"`) + "`"
		}
		facts = append(facts, "one of "+strings.Join(values, ", "))
	}
	if s.Pattern != "" {
		facts = append(facts, "pattern `"+cell(s.Pattern)+"`")
	}
	facts = append(facts, span("value", s.Minimum, s.Maximum)...)
	facts = append(facts, span("length", s.MinLength, s.MaxLength)...)
	facts = append(facts, span("items", s.MinItems, s.MaxItems)...)
	return append(facts, span("fields", s.MinProperties, s.MaxProperties)...)
}

func span[T int64 | float64](what string, low, high *T) []string {
	switch {
	case low != nil && high != nil:
		return []string{fmt.Sprintf("%s %s to %s", what, number(*low), number(*high))}
	case low != nil:
		return []string{fmt.Sprintf("%s at least %s", what, number(*low))}
	case high != nil:
		return []string{fmt.Sprintf("%s at most %s", what, number(*high))}
	default:
		return nil
	}
}

func number[T int64 | float64](n T) string {
	return strconv.FormatInt(int64(n), 10)
}

// cell makes text fit a cell of a table: one line, no bare vertical bar.
func cell(s string) string {
	s = strings.ReplaceAll(s, "\n- ", "<br>• ")
	return strings.ReplaceAll(strings.Join(strings.Fields(s), " "), "|", `\|`)
}
