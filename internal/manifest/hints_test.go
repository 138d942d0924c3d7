// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package manifest

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
)

// TestObjectsInPlaceOfText: where people write a word and an object is due, the message says what to write, and where.
func TestObjectsInPlaceOfText(t *testing.T) {
	for spec, want := range map[string]string{
		`key: u32`:   "spec.key: an object is needed, not a string: write `key: {type: u32}`",
		`value: u64`: "spec.value: an object is needed, not a string: write `value: {type: u64}`",
		`value: {fields: [{name: a, type: u8}, {name: b, type: u8}, u32]}`:               "spec.value.fields[2]: an object is needed, not a string: write `{name: …, type: u32}`",
		`value: {fields: [{name: a, type: u8}, {name: b, fields: [u16]}]}`:               "spec.value.fields[1].fields[0]: an object is needed, not a string: write `{name: …, type: u16}`",
		`value: {fields: {action: u8}}`:                                                  "spec.value.fields: a list is needed, not an object: write `fields: [{name: …, type: …}, …]`",
		`value: {fields: [{name: a, fields: {b: u8}}]}`:                                  "spec.value.fields[0].fields: a list is needed, not an object: write `fields: [{name: …, type: …}, …]`",
		`value: {fields: [{name: y, type: u8}]}`:                                         "spec.value.fields[0].name: a string is needed, not a boolean (quote it)",
		`inner: Hash`:                                                                    "spec.inner: an object is needed, not a string: write `inner: {type: Hash}`",
		`inner: {type: Hash, key: mac}`:                                                  "spec.inner.key: an object is needed, not a string: write `key: {type: mac}`",
		`inner: {type: Hash, value: "two words"}`:                                        "spec.inner.value: an object is needed, not a string: write `value: {type: \"two words\"}`",
		`pin: bpfmap/edge/x`:                                                             "spec.pin: an object is needed, not a string: write `pin: {path: bpfmap/edge/x}`",
		`entriesFrom: [{configMapRef: feed, format: Lines}]`:                             "spec.entriesFrom[0].configMapRef: an object is needed, not a string: write `configMapRef: {name: feed}`",
		`entriesFrom: [{file: feed.txt}, {http: "https://feeds.example.test/drop.txt"}]`: "spec.entriesFrom[0].file: an object is needed, not a string: write `file: {path: feed.txt}`",
		`entries: {a: 1}`:                                                                "spec.entries: a list is needed, not an object",
		`rollout: fast`:                                                                  "spec.rollout: an object is needed, not a string",
	} {
		text := "apiVersion: bpfmap.io/v1alpha1\nkind: BPFMap\nmetadata: {name: m}\nspec:\n  type: Hash\n  " + spec + "\n"
		set := Read(Options{Paths: []string{"-"}, Stdin: strings.NewReader(text), Namespace: "edge"})
		if len(set.Problems) != 1 {
			t.Errorf("%s: %v", spec, set.Problems)
			continue
		}
		p := set.Problems[0]
		if got := p.Path + ": " + p.Message; got != want || p.Place.Line != 6 {
			t.Errorf("%s: line %d: %s\nwant line 6: %s", spec, p.Place.Line, got, want)
		}
	}
}

// TestFieldsElsewhere: a field of another place is named by that.
func TestFieldsElsewhere(t *testing.T) {
	for path, want := range map[string]string{
		"entries":                   " (did you mean spec.entries?)",
		"spec.maxFailed":            " (did you mean spec.rollout.maxFailed?)",
		"spec.mode":                 " (did you mean spec.pin.mode?)",
		"spec.rollout.nodeSelector": " (did you mean spec.nodeSelector?)",
		"spec.entries[3].format":    " (did you mean spec.entriesFrom[].format?)",
		"spec.name":                 "", // several are called so
		"spec.nonsense":             "",
		"metadata.labels.x":         "",
	} {
		if got := suggestField(path); got != want {
			t.Errorf("%s: %q, want %q", path, got, want)
		}
	}
}

// TestMisspeltAtEveryDepth: of every field that a manifest can have, a misspelt one is an error that says what was meant.
func TestMisspeltAtEveryDepth(t *testing.T) {
	n := 0
	misspell(t, reflect.TypeFor[v1alpha1.BPFMap](), nil, map[reflect.Type]int{}, &n)
	if n < 150 {
		t.Errorf("only %d fields were misspelt", n)
	}
}

// misspell tries each field of a type, which stands in a manifest behind some steps.
func misspell(t *testing.T, typ reflect.Type, behindSteps []step, depth map[reflect.Type]int, n *int) {
	if typ.Kind() == reflect.Slice {
		if inner := behind(typ.Elem()); inner.Kind() == reflect.Struct {
			misspell(t, inner, append(behindSteps[:len(behindSteps):len(behindSteps)], step{}), depth, n)
		}
		return
	}
	if typ.Kind() != reflect.Struct || depth[typ] > 1 {
		return
	}
	depth[typ]++
	defer func() { depth[typ]-- }()
	for _, name := range fieldNames(typ) {
		if len(behindSteps) == 0 && name != "spec" && name != "metadata" {
			continue // status is the operator's, and the others are what kind of object it is
		}
		if len(name) > 3 {
			*n++
			misspelt := name[:len(name)-1] + "x" + name[len(name)-1:]
			var value any = map[string]any{misspelt: nil}
			path := misspelt
			for i := len(behindSteps) - 1; i >= 0; i-- {
				if s := behindSteps[i]; s.name != "" {
					value, path = map[string]any{s.name: value}, s.name+"."+path
				} else {
					value, path = []any{value}, "[0]."+path
				}
			}
			path = strings.ReplaceAll(path, ".[", "[")
			root := value.(map[string]any)
			root["apiVersion"], root["kind"] = v1alpha1.GroupVersion.String(), "BPFMap"
			text, err := json.Marshal(root)
			if err != nil {
				t.Fatal(err)
			}
			set := Read(Options{Paths: []string{"-"}, Stdin: strings.NewReader(string(text)), Namespace: "edge"})
			found := false
			for _, p := range set.Problems {
				found = found || p.Path == path && strings.HasPrefix(p.Message, "unknown field (did you mean ")
			}
			if !found {
				t.Errorf("%s: %v", text, set.Problems)
			}
		}
		if inner := (step{name: name}).into(typ); inner != nil && name != "status" && name != "managedFields" {
			misspell(t, inner, append(behindSteps[:len(behindSteps):len(behindSteps)], step{name: name}), depth, n)
		}
	}
}
