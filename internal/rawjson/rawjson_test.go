// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package rawjson_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/bpfmap-io/bpfmap-operator/internal/rawjson"
)

func TestWalk(t *testing.T) {
	value, err := rawjson.Check([]byte(` { "a" : [1, "x]" ,{"b":"\"}"}] , "c":null,"d" : -1.5e3 } `))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for w := rawjson.Walk(value); ; {
		name, value, offset, ok := w.Member()
		if !ok {
			break
		}
		got = append(got, fmt.Sprintf("%d %s=%s", offset, name, value))
		if rawjson.IsList(value) {
			for w := rawjson.Walk(value); ; {
				element, ok := w.Element()
				if !ok {
					break
				}
				got = append(got, string(element))
			}
		}
	}
	want := `2 "a"=[1, "x]" ,{"b":"\"}"}]|1|"x]"|{"b":"\"}"}|33 "c"=null|42 "d"=-1.5e3`
	if text := strings.Join(got, "|"); text != want {
		t.Errorf("got %s\nwant %s", text, want)
	}
}

func TestCheckAndText(t *testing.T) {
	for _, bad := range []string{"", "{", "[1,]", `{"a":1}x`, "'a'", "\"\xff\"", "nul"} {
		if _, err := rawjson.Check([]byte(bad)); err == nil {
			t.Errorf("%q is accepted", bad)
		}
	}
	if _, err := rawjson.Check([]byte("\"\xff\"")); !errors.Is(err, rawjson.ErrUTF8) {
		t.Errorf("not UTF-8: %v", err)
	}
	for in, want := range map[string]string{`"a"`: "a", `"a\n\u00e9"`: "a\né", `"\uFFFD"`: "\ufffd", `"\ud83d\ude00"`: "😀", "\"\ufffd\\n\"": "\ufffd\n"} {
		if got, err := rawjson.Text([]byte(in)); err != nil || got != want {
			t.Errorf("%s: %q, %v", in, got, err)
		}
	}
	if got, err := rawjson.Text([]byte(`"\ud83d"`)); err == nil {
		t.Errorf("half a surrogate pair is %q", got)
	}
}

// FuzzWalk puts every value together again from what the walker yields, and compares with encoding/json.
func FuzzWalk(f *testing.F) {
	for _, seed := range []string{`{"a":[1,{"b":null}],"c":"x\"y"}`, `[]`, `[[[]],{}]`, `"\\"`, ` 1 `, `{"":{"a":[true,false]}}`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		value, err := rawjson.Check([]byte(text))
		if (err == nil) != json.Valid([]byte(strings.Trim(text, " \t\r\n"))) && !errors.Is(err, rawjson.ErrUTF8) {
			t.Fatalf("%q: %v", text, err)
		}
		if err != nil {
			return
		}
		var want any
		d := json.NewDecoder(strings.NewReader(string(value)))
		d.UseNumber()
		if err := d.Decode(&want); err != nil {
			t.Fatal(err)
		}
		got, ok := tree(value)
		if ok && !reflect.DeepEqual(got, want) {
			t.Errorf("%q: got %v, want %v", text, got, want)
		}
	})
}

func tree(value []byte) (any, bool) {
	switch {
	case rawjson.IsString(value):
		text, err := rawjson.Text(value)
		return text, err == nil
	case rawjson.IsNumber(value):
		return json.Number(value), true
	case rawjson.IsList(value):
		list, good := []any{}, true
		for w := rawjson.Walk(value); ; {
			element, ok := w.Element()
			if !ok {
				return list, good
			}
			v, ok := tree(element)
			list, good = append(list, v), good && ok
		}
	case rawjson.IsObject(value):
		object, good := map[string]any{}, true
		for w := rawjson.Walk(value); ; {
			name, member, _, ok := w.Member()
			if !ok {
				return object, good
			}
			key, err := rawjson.Text(name)
			v, ok := tree(member)
			object[key], good = v, good && ok && err == nil
		}
	}
	switch string(value) {
	case "true":
		return true, true
	case "false":
		return false, true
	}
	return nil, true
}
