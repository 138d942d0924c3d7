// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package source_test

import (
	"encoding/json"
	"errors"
	"testing"
	"unicode/utf8"

	"github.com/bpfmap-io/bpfmap-operator/internal/source"
)

// declared are sources of all formats, with and without mappings.
var declared = []string{
	`{format: Lines, value: 1, text: {comments: [";"], separator: " "}, mapping: {filter: '!item["1"].startsWith("x")'}}`,
	`{format: CSV, value: {b: 1}, text: {separator: ";"}, mapping: {key: {path: "1"}, value: {fields: {a: {path: "2"}}}}}`,
	`{format: CSV, value: 1}`,
	`{format: JSON, value: {b: 1}, mapping: {items: "a[].b[]", key: {path: "k[]"}}}`,
	`{format: JSON, value: 1, mapping: {key: {expression: item.k}, expires: {path: e}}}`,
	`{format: JSON, value: {b: 1}}`,
	`{format: YAML, value: 1, mapping: {items: "*.b[]"}}`,
	`{format: YAML, value: 1, mapping: {}}`,
	`{format: Hosts, value: 1}`,
	`{format: IPSet, value: 1, mapping: {filter: "!has(item.nomatch)"}}`,
	`{format: NFTables, value: 1, mapping: {value: {path: data}}}`,
	`{format: P2P, value: 1}`,
}

// FuzzItems reads any text in each format: entries are JSON, lines rise, and errors are those of the text.
func FuzzItems(f *testing.F) {
	for i, text := range []string{
		"a b ; c\nx\n", "key;v\na;\"b\"\n", "key,value\na,1\n", `{"a": [{"b": [{"k": ["x", 1]}]}]}`, `{"k": "x", "e": 5}`,
		`[{"key": 1, "value": {"a": 2}}]`, "a:\n  b: [x, {key: 1}]\n", "- a\n- {key: b}\n", "0.0.0.0 a b\n", "create s\nadd s a timeout 5\n",
		`{"nftables": [{"map": {"name": "s", "elem": [["a", 1], [{"elem": {"val": {"prefix": {"addr": "a", "len": 8}}}}, 2]]}}]}`, "a:1-2\n",
	} {
		f.Add(i, text)
	}
	f.Fuzz(func(t *testing.T, which int, text string) {
		if which < 0 || which >= len(declared) {
			return
		}
		o := options(t, declared[which])
		last := 0
		o.LeaveOut = func(line int, reason, what string) error {
			if reason == "" || line < last {
				t.Errorf("line %d behind line %d: %s %s", line, last, reason, what)
			}
			return nil
		}
		err := source.Read([]byte(text), o, func(e source.Entry) error {
			if e.Line < last {
				t.Errorf("line %d behind line %d", e.Line, last)
			}
			last = e.Line
			for _, part := range append(e.Values, e.Key, e.Value, e.Expires) {
				if part != nil && (!json.Valid(part) || !utf8.Valid(part)) {
					t.Errorf("line %d: %q is not JSON", e.Line, part)
				}
			}
			return nil
		})
		var own *source.Error
		if err != nil && !errors.As(err, &own) {
			t.Errorf("%v", err)
		}
	})
}
