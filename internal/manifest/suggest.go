// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package manifest

import (
	"fmt"
	"reflect"
	"strings"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/schema"
)

// suggestField is " (did you mean …?)" for a field that there isn't: the one that is called nearly so, or the only one of
// spec, at any depth, that is called just so.
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
	if there := elsewhere(name); there != "" {
		return fmt.Sprintf(" (did you mean %s?)", there)
	}
	return ""
}

// elsewhere is the only place, nearest to the top, of a field that is called so; empty if there are several or none. Schemas
// are not looked into: their fields have other meanings everywhere.
func elsewhere(name string) string {
	type place struct {
		path string
		typ  reflect.Type
	}
	level := []place{{"spec", reflect.TypeFor[v1alpha1.BPFMapSpec]()}}
	for len(level) > 0 {
		var found []string
		var next []place
		for _, at := range level {
			for _, field := range fieldNames(at.typ) {
				path := at.path + "." + field
				if field == name {
					found = append(found, path)
				}
				inner := step{name: field}.into(at.typ)
				if inner != nil && inner.Kind() == reflect.Slice {
					inner, path = behind(inner.Elem()), path+"[]"
				}
				if inner != nil && inner.Kind() == reflect.Struct && inner != reflect.TypeFor[v1alpha1.Schema]() && inner != reflect.TypeFor[v1alpha1.Field]() {
					next = append(next, place{path, inner})
				}
			}
		}
		if len(found) > 0 {
			if len(found) > 1 {
				return ""
			}
			return found[0]
		}
		level = next
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
