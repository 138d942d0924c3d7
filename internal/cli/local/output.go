// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package local

import (
	"encoding/json"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/bpfmap-io/bpfmap-operator/internal/cli/structured"
	"github.com/bpfmap-io/bpfmap-operator/internal/cli/terminal"
)

// writeDocument writes one JSON or YAML document.
func writeDocument(c *cobra.Command, format string, v any) error {
	return structured.Print(c.OutOrStdout(), format, v)
}

// writeElement writes a key or an entry, which is JSON already, on one line.
func writeElement(c *cobra.Command, format string, element []byte) error {
	if format == structured.YAML {
		return writeDocument(c, format, json.RawMessage(element))
	}
	_, err := fmt.Fprintf(c.OutOrStdout(), "%s\n", element)
	return err
}

// screen is where a command's text goes.
func screen(c *cobra.Command) *terminal.Output { return terminal.Of(c.OutOrStdout()) }
