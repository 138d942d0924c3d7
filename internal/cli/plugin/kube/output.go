// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package kube

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/bpfmap-io/bpfmap-operator/internal/cli/structured"
)

// Format is how a command prints: Table and Wide for people, JSON and YAML for programs.
type Format string

// The formats.
const (
	Table Format = "table"
	Wide  Format = "wide"
	JSON  Format = "json"
	YAML  Format = "yaml"
)

// Formats are all of them.
func Formats() []Format { return []Format{Table, Wide, JSON, YAML} }

// String is the format's word.
func (f *Format) String() string { return string(*f) }

// Set takes one of the words.
func (f *Format) Set(s string) error {
	if !slices.Contains(Formats(), Format(s)) {
		return fmt.Errorf("must be one of %s", f.Type())
	}
	*f = Format(s)
	return nil
}

// Type is how the help shows the flag's value.
func (f *Format) Type() string { return "table|wide|json|yaml" }

// IsObject says whether the format is one for programs.
func (f Format) IsObject() bool { return f == JSON || f == YAML }

// AddOutputFlag adds -o, with Table as its default.
func AddOutputFlag(c *cobra.Command, into *Format) {
	*into = Table
	c.Flags().VarP(into, "output", "o", "output format: "+into.Type())
	words := strings.Split(into.Type(), "|")
	_ = c.RegisterFlagCompletionFunc("output", cobra.FixedCompletions(words, cobra.ShellCompDirectiveNoFileComp))
}

// Print writes a value as JSON or YAML.
func (f Format) Print(w io.Writer, value any) error { return structured.Write(w, f == YAML, value) }
