// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package structured

import (
	"bytes"
	"encoding/json"
	"testing"
	"unicode/utf8"

	"sigs.k8s.io/yaml"
)

// TestYAMLHasTheSameText: what others wrote, whatever characters it has, is the same text in both forms.
func TestYAMLHasTheSameText(t *testing.T) {
	type document struct{ Text string }
	for r := rune(0); r <= 0x1ffff; r++ {
		if !utf8.ValidRune(r) || r > 0x3000 && r < 0xd000 {
			continue
		}
		want := document{"a" + string(r) + "b " + string(r)}
		var b bytes.Buffer
		if err := Print(&b, YAML, want); err != nil {
			t.Fatalf("U+%04X: %v", r, err)
		}
		var got document
		if err := yaml.Unmarshal(b.Bytes(), &got); err != nil || got != want {
			t.Errorf("U+%04X: %q is read as %q, %v", r, b.String(), got.Text, err)
		}
		if r > 0x2100 {
			r += 13 // the rest in samples, and all the ends of blocks below
		}
	}
	for _, r := range []rune{0xd7ff, 0xe000, 0xfeff, 0xfffd, 0xfffe, 0xffff, 0x10000, 0x10ffff} {
		want, got := document{string(r)}, document{}
		var b bytes.Buffer
		if err := Print(&b, YAML, want); err != nil {
			t.Fatalf("U+%04X: %v", r, err)
		}
		if err := yaml.Unmarshal(b.Bytes(), &got); err != nil || got != want {
			t.Errorf("U+%04X: %q is read as %q, %v", r, b.String(), got.Text, err)
		}
	}
}

// TestJSONIsOneDocument ends with a line.
func TestJSONIsOneDocument(t *testing.T) {
	var b bytes.Buffer
	if err := Print(&b, JSON, map[string]int{"a": 1}); err != nil {
		t.Fatal(err)
	}
	if text := b.String(); !json.Valid(b.Bytes()) || text != "{\n  \"a\": 1\n}\n" {
		t.Errorf("%q", text)
	}
}
