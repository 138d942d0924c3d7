// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/kube-openapi/pkg/validation/spec"
)

var (
	marshaler  = reflect.TypeFor[json.Marshaler]()
	objectMeta = reflect.TypeFor[metav1.ObjectMeta]()
	typeMeta   = reflect.TypeFor[metav1.TypeMeta]()
)

// missingFields lists the fields of a Go type that a served schema lacks, as paths like
// spec.rollout.partition: the API server drops them from whatever is written. A field that is missing
// isn't looked into, and fields that contain themselves are followed once: how deep they go is written out
// in the schema alone.
func missingFields(t reflect.Type, schema *spec.Schema) []string {
	return missingBelow(t, schema, "", nil)
}

func missingBelow(t reflect.Type, schema *spec.Schema, path string, above []reflect.Type) []string {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch {
	case reflect.PointerTo(t).Implements(marshaler) || t == objectMeta:
		return nil // what it looks like in JSON isn't told by its Go fields
	case t.Kind() == reflect.Slice && schema.Items != nil && schema.Items.Schema != nil:
		return missingBelow(t.Elem(), schema.Items.Schema, path, above)
	case t.Kind() == reflect.Map && schema.AdditionalProperties != nil && schema.AdditionalProperties.Schema != nil:
		return missingBelow(t.Elem(), schema.AdditionalProperties.Schema, path, above)
	case t.Kind() != reflect.Struct || slices.Contains(above, t):
		return nil
	}
	above = append(slices.Clone(above), t)
	var missing []string
	for i := range t.NumField() {
		f := t.Field(i)
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		if options == "inline" && f.Type != typeMeta {
			// Its fields are here. What contains the one that it is part of is followed by that.
			beside := slices.DeleteFunc(slices.Clone(above), func(t reflect.Type) bool { return t == f.Type })
			missing = append(missing, missingBelow(f.Type, schema, path, beside)...)
			continue
		}
		if name == "" || name == "-" || f.Type == typeMeta {
			continue
		}
		property, served := schema.Properties[name]
		if !served {
			missing = append(missing, path+name)
			continue
		}
		missing = append(missing, missingBelow(f.Type, &property, path+name+".", above)...)
	}
	return missing
}
