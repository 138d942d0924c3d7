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

// The formats that commands which print data have in common. Where a command's text is no table, table and wide are
// another name of it, so that one value of -o fits all commands.
const (
	outTable = "table"
	outWide  = "wide"
	outJSON  = "json"
	outYAML  = "yaml"
	outText  = "text"
	outHex   = "hex"
)

// addOutputFlag adds -o, whose value must be one of formats; the first is the default.
func addOutputFlag(c *cobra.Command, into *string, formats ...string) {
	f := &choice{value: into, formats: formats, others: map[string]string{}}
	*into = formats[0]
	switch formats[0] {
	case outText:
		f.others[outTable], f.others[outWide] = outText, outText
	case outTable:
		f.others[outText] = outTable
	}
	c.Flags().VarP(f, "output", "o", "output format: "+f.Type())
	_ = c.RegisterFlagCompletionFunc("output", cobra.FixedCompletions(formats, cobra.ShellCompDirectiveNoFileComp))
}

// isDocument says whether a format is one for programs.
func isDocument(format string) bool { return format == outJSON || format == outYAML }

// writeDocument writes one JSON or YAML document.
func writeDocument(c *cobra.Command, format string, v any) error {
	return structured.Write(c.OutOrStdout(), format == outYAML, v)
}

// writeElement writes a key or an entry, which is JSON already, on one line.
func writeElement(c *cobra.Command, format string, element []byte) error {
	if format == outYAML {
		return writeDocument(c, format, json.RawMessage(element))
	}
	_, err := fmt.Fprintf(c.OutOrStdout(), "%s\n", element)
	return err
}

// screen is where a command's text goes.
func screen(c *cobra.Command) *terminal.Output { return terminal.Of(c.OutOrStdout()) }
