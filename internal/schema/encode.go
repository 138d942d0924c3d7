// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package schema

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Encode writes the bytes of a JSON value to dst, which is Size bytes long and zero. The error is an
// *Error that names the place in the value, the value and the bound: ".action: 300 is out of range
// for u8 (0…255)". Every field of a struct must be given: a field that is left out by mistake would
// silently be zero.
func (l *Layout) Encode(dst []byte, raw []byte) error {
	if len(dst) != l.size {
		return errorf("", "%d bytes of room for %d bytes", len(dst), l.size)
	}
	value, err := parse(raw)
	if err != nil {
		return errorf("", "is no JSON: %v", err)
	}
	if e := l.encode(dst, value, ""); e != nil {
		return e
	}
	return nil
}

// parse decodes JSON with numbers as json.Number. Plain strings and numbers, the most common keys
// and values, skip the decoder.
func parse(raw []byte) (any, error) {
	raw = bytes.TrimSpace(raw)
	if n := len(raw); n >= 2 && raw[0] == '"' && raw[n-1] == '"' && plain(raw[1:n-1]) {
		return string(raw[1 : n-1]), nil
	}
	if isNumber(raw) {
		return json.Number(raw), nil
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return nil, err
	}
	if d.More() {
		return nil, fmt.Errorf("more than one value")
	}
	return v, nil
}

func plain(b []byte) bool {
	for _, c := range b {
		if c < 0x20 || c >= 0x7f || c == '"' || c == '\\' {
			return false
		}
	}
	return true
}

func isNumber(b []byte) bool {
	return len(b) > 0 && bytes.IndexFunc(b, func(r rune) bool { return !strings.ContainsRune("0123456789+-.eE", r) }) < 0
}

func (l *Layout) encode(dst []byte, value any, path string) *Error {
	if l.count > 0 {
		return l.encodeArray(dst, value, path)
	}
	if l.scalar != nil {
		if msg := l.scalar.encode(l.scalar, dst, value); msg != "" {
			return errorf(path, "%s", msg)
		}
		return nil
	}
	return l.encodeStruct(dst, value, path)
}

func (l *Layout) encodeArray(dst []byte, value any, path string) *Error {
	list, ok := value.([]any)
	if !ok {
		return errorf(path, "%s is no list, %d elements are needed", show(value), l.count)
	}
	if len(list) != l.count {
		return errorf(path, "holds %d elements, exactly %d are needed", len(list), l.count)
	}
	element := l.element()
	for i, v := range list {
		if err := element.encode(dst[i*l.elem:(i+1)*l.elem], v, path+"["+strconv.Itoa(i)+"]"); err != nil {
			return err
		}
	}
	return nil
}

func (l *Layout) encodeStruct(dst []byte, value any, path string) *Error {
	object, ok := value.(map[string]any)
	if !ok {
		return errorf(path, "%s is no object of the fields %s", show(value), l.names())
	}
	if name, ok := l.unknown(object); ok {
		return errorf(path+"."+name, "is no field, there are %s", l.names())
	}
	for i := range l.fields {
		f := &l.fields[i]
		v, ok := object[f.name]
		if !ok && f.layout.isSpinLock() {
			continue
		}
		if !ok {
			return errorf(path+"."+f.name, "is missing")
		}
		if err := f.layout.encode(dst[f.offset:f.offset+f.layout.size], v, path+"."+f.name); err != nil {
			return err
		}
	}
	return nil
}

// unknown is the first, by name, of the object's members that is no field.
func (l *Layout) unknown(object map[string]any) (string, bool) {
	first, found := "", false
	for name := range object {
		if !slices.ContainsFunc(l.fields, func(f field) bool { return f.name == name }) && (!found || name < first) {
			first, found = name, true
		}
	}
	return first, found
}

func (l *Layout) names() string {
	names := make([]string, len(l.fields))
	for i, f := range l.fields {
		names[i] = f.name
	}
	return strings.Join(names, ", ")
}

// show is a value in an error message, not longer than a line.
func show(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	if len(b) > 64 {
		b = append(b[:61:61], "..."...)
	}
	return string(b)
}
