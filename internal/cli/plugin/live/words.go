// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package live

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
)

// maxDifferent bounds the fields in a line, as diff does on a node.
const maxDifferent = 8

// member is a member of a JSON object; lists have members without names.
type member struct {
	name  string
	value json.RawMessage
}

// membersOf are the members of an object or a list in their order; isObject and isList tell which it is.
func membersOf(value json.RawMessage) (members []member, isObject, isList bool) {
	d := json.NewDecoder(bytes.NewReader(value))
	open, err := d.Token()
	isObject, isList = open == json.Delim('{'), open == json.Delim('[')
	if err != nil || !isObject && !isList {
		return nil, false, false
	}
	for d.More() {
		var m member
		if isObject {
			token, err := d.Token()
			if err != nil {
				return nil, false, false
			}
			m.name, _ = token.(string)
		}
		if err := d.Decode(&m.value); err != nil {
			return nil, false, false
		}
		members = append(members, m)
	}
	return members, isObject, isList
}

// plain is a JSON value as diff prints it on a node: {action: 1, rule: 7}, without quotes.
func plain(value json.RawMessage) string {
	var s string
	if bytes.HasPrefix(value, []byte{'"'}) && json.Unmarshal(value, &s) == nil {
		return s
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
