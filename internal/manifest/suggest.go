// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package manifest

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/schema"
)

// suggestField is " (did you mean …?)" for a field that there isn't: the one that is called nearly so, or the one of spec
// that is called just so.
func suggestField(path string) string {
	all := steps(path)
	if len(all) == 0 || all[len(all)-1].name == "" {
		return ""
	}
	name := all[len(all)-1].name
	parent := reflect.TypeFor[v1alpha1.BPFMap]()
	for _, s := range all[:len(all)-1] {
		if parent = s.into(parent); parent == nil {
			return ""
		}
	}
	if near := schema.Suggest(name, fieldNames(parent)); near != "" {
		return near
	}
	spec := fieldNames(reflect.TypeFor[v1alpha1.BPFMapSpec]())
	if len(all) == 1 && slices.Contains(spec, name) {
		return fmt.Sprintf(" (did you mean spec.%s?)", name)
	}
	return ""
}

// into is the type of what a step leads to in a type; nil if there is no such field.
func (s step) into(t reflect.Type) reflect.Type {
	if s.name == "" && t.Kind() == reflect.Slice {
		return behind(t.Elem())
	}
	if t.Kind() != reflect.Struct {
		return nil
	}
	for i := range t.NumField() {
		f := t.Field(i)
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		if name == s.name {
			return behind(f.Type)
		}
		if name == "" && (f.Anonymous || strings.Contains(options, "inline")) {
			if found := s.into(behind(f.Type)); found != nil {
				return found
			}
		}
	}
	return nil
}

// behind is what a pointer leads to.
func behind(t reflect.Type) reflect.Type {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	return t
}

// fieldNames are the JSON names of a struct's fields.
func fieldNames(t reflect.Type) (names []string) {
	if t.Kind() != reflect.Struct {
		return nil
	}
	for i := range t.NumField() {
		f := t.Field(i)
		switch name, _, _ := strings.Cut(f.Tag.Get("json"), ","); name {
		case "-":
		case "":
			if f.Anonymous {
				names = append(names, fieldNames(behind(f.Type))...)
			}
		default:
			names = append(names, name)
		}
	}
	return names
}
