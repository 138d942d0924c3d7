// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package live

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/bpfmap-io/bpfmap-operator/internal/rawjson"
)

// maxDifferent bounds the fields in a line, as diff does on a node.
const maxDifferent = 8

// member is a member of a JSON object; lists have members without names.
type member struct {
	name  string
	value json.RawMessage
}

// membersOf are the members of an object or a list in their order; isObject and isList tell which it is. The value is valid,
// since a decoder gave it, or empty, as the key of a type without keys.
func membersOf(value json.RawMessage) (members []member, isObject, isList bool) {
	if len(value) == 0 {
		return nil, false, false
	}
	isObject, isList = rawjson.IsObject(value), rawjson.IsList(value)
	if !isObject && !isList {
		return nil, false, false
	}
	for w := rawjson.Walk(value); ; {
		var m member
		var ok bool
		if isObject {
			var name []byte
			if name, m.value, _, ok = w.Member(); ok {
				m.name = unquoted(name)
			}
		} else {
			m.value, ok = w.Element()
		}
		if !ok {
			return members, isObject, isList
		}
		members = append(members, m)
	}
}

// unquoted is a JSON string's text, or as it stands if it holds what no text does.
func unquoted(value []byte) string {
	if s, err := rawjson.Text(value); err == nil {
		return s
	}
	return string(value)
}

// plain is a JSON value as diff prints it on a node: {action: 1, rule: 7}, without quotes.
func plain(value json.RawMessage) string {
	if len(value) > 0 && rawjson.IsString(value) {
		return unquoted(value)
	}
	members, isObject, isList := membersOf(value)
	if !isObject && !isList {
		return string(value)
	}
	parts := make([]string, len(members))
	for i, m := range members {
		parts[i] = plain(m.value)
		if isObject {
			parts[i] = m.name + ": " + parts[i]
		}
	}
	if isObject {
		return "{" + strings.Join(parts, ", ") + "}"
	}
	return "[" + strings.Join(parts, ", ") + "]"
}

// changes are the fields that differ between two values, as diff prints them: "action 3 → 0, peer.port 80 → 443".
func changes(was, is json.RawMessage) string {
	found := differing(nil, "", was, is)
	if more := len(found) - maxDifferent; more > 0 {
		found = append(found[:maxDifferent], fmt.Sprintf("and %d more", more))
	}
	return strings.Join(found, ", ")
}

// differing appends what differs below a path.
func differing(found []string, path string, was, is json.RawMessage) []string {
	if bytes.Equal(was, is) {
		return found
	}
	before, wasObject, wasList := membersOf(was)
	after, isObject, isList := membersOf(is)
	if (!wasObject || !isObject) && (!wasList || !isList) || !sameNames(before, after) {
		if path != "" {
			path += " "
		}
		return append(found, path+plain(was)+" → "+plain(is))
	}
	for i := range before {
		step := fmt.Sprintf("%s[%d]", path, i)
		if isObject {
			step = strings.TrimPrefix(path+"."+before[i].name, ".")
		}
		found = differing(found, step, before[i].value, after[i].value)
	}
	return found
}

// sameNames says whether members can be compared one by one.
func sameNames(a, b []member) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i].name != b[i].name {
			return false
		}
	}
	return true
}
