// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package structured

import (
	"io"

	"github.com/spf13/cobra"
)

// The formats that commands which print have in common. Where a command's text is no table, Table and Wide are other names
// of it, so that one value of -o fits all commands.
const (
	Text  = "text"
	Table = "table"
	Wide  = "wide"
	JSON  = "json"
	YAML  = "yaml"
	Hex   = "hex"
)

// AddFlag adds -o, whose value must be one of formats; the first is the default.
func AddFlag(c *cobra.Command, into *string, formats ...string) {
	f := &Choice{Value: into, Words: formats, Others: map[string]string{}}
	*into = formats[0]
	switch formats[0] {
	case Text:
		f.Others[Table], f.Others[Wide] = Text, Text
	case Table:
		f.Others[Text] = Table
	}
	c.Flags().VarP(f, "output", "o", "output format: "+f.Type())
	_ = c.RegisterFlagCompletionFunc("output", cobra.FixedCompletions(formats, cobra.ShellCompDirectiveNoFileComp))
}

// IsDocument says whether a format is one for programs.
func IsDocument(format string) bool { return format == JSON || format == YAML }

// Print writes a value in a format for programs.
func Print(w io.Writer, format string, v any) error { return Write(w, format == YAML, v) }
