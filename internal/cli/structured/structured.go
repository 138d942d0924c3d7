// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package structured writes what commands print for programs.
package structured

import (
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
		if text, err = yaml.JSONToYAML(text); err != nil {
			return fmt.Errorf("encode output: %w", err)
		}
	}
	if _, err := w.Write(text); err != nil {
		return fmt.Errorf("write output: %w", err)
	}
	return nil
}
