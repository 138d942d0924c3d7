// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package manifest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"strings"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
)

// typeProblem explains why an object can't be decoded into target. The strict decoder's error has the
// Go type and no path, that of the standard library has both, without indexes.
func (o object) typeProblem(err error, target any) Problem {
	typeErr := (*json.UnmarshalTypeError)(nil)
	if !errors.As(json.Unmarshal(o.json, target), &typeErr) {
		return o.problem("", err.Error())
	}
	message := fmt.Sprintf("%s is needed, not %s", kindName(typeErr.Type), valueName(typeErr.Value))
	path, value := placeOf(o.json, typeErr.Offset)
	if scalar := typeErr.Value == "bool" || strings.HasPrefix(typeErr.Value, "number"); scalar && typeErr.Type.Kind() == reflect.String {
		message += " (quote it)"
	} else if instead := inPlaceOf(typeErr.Type, path, value); instead != "" {
		message += ": write " + instead
	}
	return o.problem(path, message)
}

func kindName(t reflect.Type) string {
	switch t.Kind() {
	case reflect.String:
		return "a string"
	case reflect.Bool:
		return "true or false"
	case reflect.Slice, reflect.Array:
		return "a list"
	case reflect.Struct, reflect.Map, reflect.Pointer:
		return "an object"
	}
	return "a whole number (" + t.String() + ")"
}

// valueName is what encoding/json calls a value, in words: "array", "bool", "number 1.5", …
func valueName(v string) string {
	switch v {
	case "array":
		return "a list"
	case "bool":
		return "a boolean"
	case "object":
		return "an object"
	}
	return "a " + v
}

// placeOf is the path of the value that ends, or if it is an object or a list begins, at an offset of a JSON text, and the
// value if it is a scalar.
func placeOf(text []byte, offset int64) (path string, value any) {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	return place(d, "", offset)
}

// place reads one value, which stands at path, up to the one that is looked for; empty if that isn't in it.
func place(d *json.Decoder, path string, offset int64) (found string, value any) {
	token, err := d.Token()
	if err != nil {
		return "", nil
	}
	open, isOpen := token.(json.Delim)
	if d.InputOffset() >= offset {
		if isOpen {
			token = nil
		}
		return path, token
	}
	if !isOpen {
		return "", nil
	}
	for i := 0; d.More(); i++ {
		inner := fmt.Sprintf("%s[%d]", path, i)
		if open == '{' {
			name, err := d.Token()
			if err != nil {
				return "", nil
			}
			inner = strings.TrimPrefix(fmt.Sprintf("%s.%s", path, name), ".")
		}
		found, value = place(d, inner, offset)
		if found != "" || d.InputOffset() >= offset {
			return found, value
		}
	}
	_, _ = d.Token() // the end of it
	return "", nil
}

// shortForms are the fields of an object of which people write nothing but the value: `key: u32` for `key: {type: u32}`.
var shortForms = []string{"type", "path", "url", "name"}

// plainScalar is text that YAML takes as a string without quotes.
var plainScalar = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_./-]*$`)

// inPlaceOf is what to write where an object of a type is needed and a string was given, or a list of fields and an object;
// empty if that isn't known. Path is where it stands.
func inPlaceOf(t reflect.Type, path string, value any) string {
	t = behind(t)
	name := ""
	if all := steps(path); len(all) > 0 {
		name = all[len(all)-1].name
	}
	if name != "" {
		name += ": "
	}
	if t.Kind() == reflect.Slice && behind(t.Elem()) == reflect.TypeFor[v1alpha1.Field]() {
		return "`" + name + "[{name: …, type: …}, …]`"
	}
	text, isText := value.(string)
	if !isText || t.Kind() != reflect.Struct || len(text) > 64 {
		return ""
	}
	if !plainScalar.MatchString(text) {
		text = fmt.Sprintf("%q", text)
	}
	for _, short := range shortForms {
		if (step{name: short}).into(t) == nil {
			continue
		}
		form := short + ": " + text
		if t == reflect.TypeFor[v1alpha1.Field]() {
			form = "name: …, " + form
		}
		return "`" + name + "{" + form + "}`"
	}
	return ""
}
