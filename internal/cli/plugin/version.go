// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package plugin

import (
	"runtime"

	"github.com/spf13/cobra"

	"github.com/bpfmap-io/bpfmap-operator/internal/cli/structured"
	"github.com/bpfmap-io/bpfmap-operator/internal/cli/terminal"
)

// newVersion is the command version.
func newVersion(version string) *cobra.Command {
	var output string
	c := &cobra.Command{
		Use:   "version",
		Short: "Print the version of the plugin",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if structured.IsDocument(output) {
				return structured.Print(c.OutOrStdout(), output, struct {
					Version string `json:"version"`
					Go      string `json:"goVersion"`
					OS      string `json:"os"`
					Arch    string `json:"arch"`
				}{version, runtime.Version(), runtime.GOOS, runtime.GOARCH})
			}
			out := terminal.Of(c.OutOrStdout())
			out.Printf("%s\n", version)
			return out.Flush()
		},
	}
	structured.AddFlag(c, &output, structured.Text, structured.JSON, structured.YAML)
	return c
}
