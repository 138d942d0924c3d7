// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package structured writes what commands print for programs.
package structured

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"

	"sigs.k8s.io/yaml"
)

// Write writes one JSON document, or the same as YAML, which is made of the JSON so that both have the same names.
func Write(w io.Writer, asYAML bool, v any) error {
	text, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return fmt.Errorf("encode output: %w", err)
	}
	text = append(text, '\n')
	if asYAML {
		if text, err = yaml.JSONToYAML(escaped(text)); err != nil {
			return fmt.Errorf("encode output: %w", err)
		}
	}
	if _, err := w.Write(text); err != nil {
		return fmt.Errorf("write output: %w", err)
	}
	return nil
}

// escaped is a JSON text in which every character is escaped that YAML reads otherwise than JSON: it folds the next line
// character, U+0085, to a blank, and refuses other control characters.
func escaped(text []byte) []byte {
	isOther := func(r rune) bool { return r >= 0x7f && r <= 0x9f || r == 0xfeff || r == 0xfffe || r == 0xffff }
	if bytes.IndexFunc(text, isOther) < 0 {
		return text
	}
	var b bytes.Buffer
	for _, r := range string(text) {
		if isOther(r) { // there are none but in strings
			fmt.Fprintf(&b, `\u%04x`, r)
			continue
		}
		b.WriteRune(r)
	}
	return b.Bytes()
}
